//! A trained gain: y = g·x, one number for a whole layer or one for each channel.
//!
//! Of degree (1, 1): it adds 1 to the order, like a dense layer.

use serde::{Deserialize, Serialize};

use super::{Building, Dual, Grads, Kept, Layer, LayerSpec, Param, Pass, Rise, Stage, Start, sizes};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::model::calculus::{Part, Piece};

/// What shares a gain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each entry of a vector, or each channel of an image, has its own.
    #[default]
    Channel,
    /// The whole layer has one.
    Layer,
}

/// y = g·x.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// `channel` (default): a gain for each entry of a vector or channel of an image; `layer`: one.
    #[serde(default)]
    pub per: Per,
    /// Where the gains start, 1 by default; 0 makes a residual branch start as nothing.
    #[serde(default = "one")]
    pub start: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Scale { per: Per::Channel, start: one() }
    }
}

fn one() -> f64 {
    1.0
}

impl LayerSpec for Scale {
    fn build(&self, input: &[usize], _building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        if !self.start.is_finite() {
            return Err(Invalid::new("start", format!("{} is not a gain; use a finite number", self.start)));
        }
        Ok(Box::new(ScaleLayer { shape: input.to_vec(), per: self.per, start: self.start }))
    }
}

impl Entry for Scale {
    const ABOUT: &'static str = "y = g x, a trained gain for each entry or channel, or for all";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025];
}

/// The layer of [`Scale`].
#[derive(Clone, Debug)]
pub struct ScaleLayer {
    shape: Vec<usize>,
    per: Per,
    start: f64,
}

impl ScaleLayer {
    /// Whether each entry of a vector has its own gain.
    pub fn is_by_entry(&self) -> bool {
        self.per == Per::Channel && self.shape.len() == 1
    }

    /// How many entries of a row share a gain.
    fn span(&self) -> usize {
        match self.per {
            Per::Channel => self.shape[1..].iter().product(),
            Per::Layer => self.outputs(),
        }
    }

    /// Calls `each` with every run of entries that share a gain, and the gain's index.
    fn runs(&self, len: usize, mut each: impl FnMut(usize, std::ops::Range<usize>)) {
        let (span, gains) = (self.span(), self.outputs() / self.span());
        for run in 0..len / span {
            each(run % gains, run * span..(run + 1) * span);
        }
    }
}

impl Stage for ScaleLayer {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        self.runs(x.len(), |k, run| {
            y[run.clone()].iter_mut().zip(&x[run]).for_each(|(y, x)| *y = params[k] * x);
        });
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        if let Some(dgain) = grads.params {
            self.runs(dy.len(), |k, run| {
                dgain[k] += dy[run.clone()].iter().zip(&pass.x[run]).map(|(dy, x)| dy * x).sum::<f64>();
            });
        }
        if let Some(dx) = grads.inputs {
            self.runs(dy.len(), |k, run| {
                dx[run.clone()].iter_mut().zip(&dy[run]).for_each(|(dx, dy)| *dx = pass.params[k] * dy);
            });
        }
    }
}

impl Layer for ScaleLayer {
    fn about(&self) -> String {
        format!("scale {}", sizes(&self.shape))
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn params(&self) -> Vec<Param> {
        vec![Param::new("scale", &[self.outputs() / self.span()], Start::At(self.start))]
    }

    fn rise(&self, below: &Piece, parts: &[Part], _name: &str) -> Rise {
        let own = parts[0].term().0;
        let piece = below.through(parts[0], 1.0);
        Rise { own_degree: own, blocks: vec![own], ..Rise::plain(piece, Box::new(self.clone())) }
    }

    fn tangent(&self, params: Dual<'_>, x: Dual<'_>, _y: &[f64], _n: usize, dy: &mut [f64]) {
        dy.fill(0.0);
        self.runs(dy.len(), |k, run| {
            for i in run {
                let own = params.along.map_or(0.0, |along| along[k] * x.at[i]);
                dy[i] = own + x.along.map_or(0.0, |along| params.at[k] * along[i]);
            }
        });
    }

    fn is_affine(&self) -> bool {
        true
    }

    fn lipschitz(&self, params: &[f64]) -> f64 {
        params.iter().fold(0.0, |m, g| g.abs().max(m))
    }
}
