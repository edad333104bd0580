//! Max-pooling: the largest of what a window sees in each channel.
//!
//! y_p = max over the window at place p. Homogeneous of degree 1; as in PyTorch padding never wins and the first of equal
//! maxima wins.

use serde::{Deserialize, Serialize};

use super::image::{Window, max_pool, max_pool_back};
use super::{Building, Dual, Grads, Kept, Kinks, Layer, LayerSpec, Padding, Pair, Pass, Rise, Stage, rms};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::model::calculus::{Part, Piece};

/// The largest of each window.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Size of the window: a number, or [height, width].
    pub size: Pair,
    /// Step from one place to the next; the size by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Places around the image that never win: a number or [height, width], at most half the size; 0 by default.
    #[serde(default)]
    pub padding: Padding,
}

impl LayerSpec for MaxPool {
    fn build(&self, input: &[usize], _building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        let window = Window::pool(input, self.size, self.stride, self.padding)?;
        Ok(Box::new(MaxPoolLayer { shape: window.shape(window.channels), window }))
    }
}

impl Entry for MaxPool {
    const ABOUT: &'static str = "the largest of each window of an image";
    const EXAMPLE: &'static str = "size = 2";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}

/// The layer of [`MaxPool`].
#[derive(Clone, Debug)]
pub struct MaxPoolLayer {
    window: Window,
    shape: [usize; 3],
}

impl MaxPoolLayer {
    pub(super) fn window(&self) -> &Window {
        &self.window
    }
}

impl Stage for MaxPoolLayer {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, _params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        // NCHW: to a pool, n images of c channels are n·c channels.
        kept.indices.resize(n * self.outputs(), 0);
        max_pool(&self.window, x, y, &mut kept.indices);
    }

    fn pullback(&self, _pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        if let Some(dx) = grads.inputs {
            max_pool_back(&self.window, &kept.indices, dy, dx);
        }
    }

    fn kept_per_row(&self) -> usize {
        // An index is half a number.
        self.outputs() + self.outputs().div_ceil(2)
    }
}

impl Layer for MaxPoolLayer {
    fn about(&self) -> String {
        format!("max-pool {}", self.window.about())
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// An input can win wherever it is seen, so ‖Jd‖ ≤ √coverage·‖d‖, and the same for the size.
    fn rise(&self, below: &Piece, _parts: &[Part], _name: &str) -> Rise {
        Rise::plain(below.mapped((self.window.coverage() as f64).sqrt()), Box::new(self.clone()))
    }

    fn tangent(&self, _params: Dual<'_>, x: Dual<'_>, _y: &[f64], n: usize, dy: &mut [f64]) {
        let Some(along) = x.along else { return dy.fill(0.0) };
        let mut winners = vec![0; n * self.outputs()];
        max_pool(&self.window, x.at, dy, &mut winners);
        let channels = along.chunks_exact(self.window.plane());
        let places = self.window.pixels();
        for ((dy, winners), along) in
            dy.chunks_exact_mut(places).zip(winners.chunks_exact(places)).zip(channels)
        {
            dy.iter_mut().zip(winners).for_each(|(dy, at)| *dy = along[*at as usize]);
        }
    }

    /// A tie of the two largest is a kink. Equal zeros are not: they are what ReLU leaves of numbers below 0, and stay equal.
    fn kinks(&self, found: &mut Kinks<'_>, _params: &[f64], x: &[f64], _n: usize) {
        let (inputs, plane) = (self.window.inputs(), self.window.plane());
        for (row, x) in x.chunks_exact(inputs).enumerate() {
            let mut leads = Vec::with_capacity(self.outputs());
            for channel in x.chunks_exact(plane) {
                self.window.for_each_place(|_, ys, xs| {
                    let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
                    for y in ys.0..ys.1 {
                        for v in &channel[y * self.window.size[1]..][xs.0..xs.1] {
                            second = second.max(first.min(*v));
                            first = first.max(*v);
                        }
                    }
                    leads.push(if first == 0.0 && second == 0.0 { f64::INFINITY } else { first - second });
                });
            }
            found.row(row, leads.iter().copied(), rms(x));
        }
    }

    /// √coverage.
    fn lipschitz(&self, _params: &[f64]) -> f64 {
        (self.window.coverage() as f64).sqrt()
    }
}
