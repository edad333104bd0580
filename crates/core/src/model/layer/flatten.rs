//! An image as one vector.

use serde::{Deserialize, Serialize};

use super::{Building, Dual, Grads, Kept, Layer, LayerSpec, Pass, Rise, Stage, sizes};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::Cite;
use crate::model::calculus::{Part, Piece};

/// Reads `[channels, height, width]` as one vector, channel after channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl LayerSpec for Flatten {
    fn build(&self, input: &[usize], _building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        Ok(Box::new(FlattenLayer { input: input.to_vec(), shape: [input.iter().product()] }))
    }
}

impl Entry for Flatten {
    const ABOUT: &'static str = "reads an image as one vector";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[];
}

/// The layer of [`Flatten`].
#[derive(Clone, Debug)]
pub struct FlattenLayer {
    input: Vec<usize>,
    shape: [usize; 1],
}

impl Stage for FlattenLayer {
    fn outputs(&self) -> usize {
        self.shape[0]
    }

    fn forward(&self, _params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        y.copy_from_slice(x);
    }

    fn pullback(&self, _pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        if let Some(dx) = grads.inputs {
            dx.copy_from_slice(dy);
        }
    }
}

impl Layer for FlattenLayer {
    fn about(&self) -> String {
        format!("flatten {}", sizes(&self.input))
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn rise(&self, below: &Piece, _parts: &[Part], _name: &str) -> Rise {
        Rise::plain(below.clone(), Box::new(self.clone()))
    }

    fn tangent(&self, _params: Dual<'_>, x: Dual<'_>, _y: &[f64], _n: usize, dy: &mut [f64]) {
        match x.along {
            Some(along) => dy.copy_from_slice(along),
            None => dy.fill(0.0),
        }
    }

    fn is_affine(&self) -> bool {
        true
    }

    fn lipschitz(&self, _params: &[f64]) -> f64 {
        1.0
    }
}
