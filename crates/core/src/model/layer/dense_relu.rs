//! A dense layer and ReLU as one stage: the pre-activations are not kept.
//!
//! For ReLU'(0) = 0, where the outputs tell which pre-activations were above 0.

use super::dense::DenseLayer;
use super::{Grads, Kept, Pass, Stage, gate};
use crate::numeric::{in_parts, wide};

/// y = max(W x (+ b), 0).
#[derive(Clone, Debug)]
pub(super) struct DenseRelu(pub(super) DenseLayer);

impl Stage for DenseRelu {
    fn outputs(&self) -> usize {
        self.0.outputs()
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        self.0.forward(params, x, n, y, kept);
        in_parts(y, [], |y, []| wide(|| y.iter_mut().for_each(|y| *y = gate(*y, *y))));
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        let mut dz = std::mem::take(&mut kept.scratch);
        dz.resize(dy.len(), 0.0);
        in_parts(&mut dz, [pass.y, dy], |dz, [y, dy]| {
            wide(|| dz.iter_mut().zip(y).zip(dy).for_each(|((dz, y), dy)| *dz = gate(*y, *dy)));
        });
        self.0.pullback(pass, &dz, grads, kept);
        kept.scratch = dz;
    }
}
