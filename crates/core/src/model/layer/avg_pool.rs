//! Average-pooling: the mean of what a window sees in each channel.
//!
//! y_p = Σ(window at place p)/(its size), padding counted as zeros (PyTorch's count_include_pad): linear, degree (0, 1).

use serde::{Deserialize, Serialize};

use super::image::{Window, avg_pool, avg_pool_back};
use super::{Building, Dual, Grads, Kept, Layer, LayerSpec, Padding, Pair, Pass, Rise, Stage};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::model::calculus::{Part, Piece};

/// The mean of each window.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool {
    /// Size of the window: a number, or [height, width].
    pub size: Pair,
    /// Step from one place to the next; the size by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Zeros around the image: a number or [height, width], at most half the size; 0 by default.
    #[serde(default)]
    pub padding: Padding,
}

impl LayerSpec for AvgPool {
    fn build(&self, input: &[usize], _building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        let window = Window::pool(input, self.size, self.stride, self.padding)?;
        Ok(Box::new(AvgPoolLayer { shape: window.shape(window.channels), window }))
    }
}

impl Entry for AvgPool {
    const ABOUT: &'static str = "the mean of each window of an image";
    const EXAMPLE: &'static str = "size = 2";
    const CITE: &'static [Cite] = &[];
}

/// The layer of [`AvgPool`].
#[derive(Clone, Debug)]
pub struct AvgPoolLayer {
    window: Window,
    shape: [usize; 3],
}

impl AvgPoolLayer {
    /// ‖Σ‖² ≤ taps·Σ‖·‖² in each window, and an input lies in at most `coverage` windows.
    fn norm(&self) -> f64 {
        (self.window.coverage() as f64 / self.window.taps() as f64).sqrt()
    }
}

impl Stage for AvgPoolLayer {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, _params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        avg_pool(&self.window, x, y);
    }

    fn pullback(&self, _pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        if let Some(dx) = grads.inputs {
            avg_pool_back(&self.window, dy, dx);
        }
    }
}

impl Layer for AvgPoolLayer {
    fn about(&self) -> String {
        format!("avg-pool {}", self.window.about())
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn rise(&self, below: &Piece, _parts: &[Part], _name: &str) -> Rise {
        Rise::plain(below.mapped(self.norm()), Box::new(self.clone()))
    }

    fn tangent(&self, _params: Dual<'_>, x: Dual<'_>, _y: &[f64], _n: usize, dy: &mut [f64]) {
        match x.along {
            Some(along) => avg_pool(&self.window, along, dy),
            None => dy.fill(0.0),
        }
    }

    fn is_affine(&self) -> bool {
        true
    }

    fn lipschitz(&self, _params: &[f64]) -> f64 {
        self.norm()
    }
}
