//! A convolution, ReLU and perhaps a max-pool as one stage: what lies between them never leaves the cache.
//!
//! For ReLU'(0) = 0. Values and gradients are those of the layers one after another, to the rounding of sums that a matrix
//! product may take in another order.

use super::image::{Convolution, PooledConvolution, PooledGrads, Window, room, with_scratch};
use super::{Grads, Kept, Pass, Stage};
use crate::numeric::wide;

/// y = max(W ∗ x (+ b), 0).
#[derive(Clone, Debug)]
pub(super) struct ConvRelu {
    convolution: Convolution,
    adds_bias: bool,
}

impl ConvRelu {
    pub(super) fn new(convolution: Convolution, adds_bias: bool) -> Self {
        ConvRelu { convolution, adds_bias }
    }

    /// The weight, and the bias where it is added.
    fn split<'a>(&self, params: &'a [f64]) -> (&'a [f64], Option<&'a [f64]>) {
        let (weight, bias) = params.split_at(self.convolution.filters * self.convolution.depth());
        (weight, self.adds_bias.then_some(bias))
    }

    fn split_mut<'a>(
        &self,
        dparams: Option<&'a mut [f64]>,
    ) -> (Option<&'a mut [f64]>, Option<&'a mut [f64]>) {
        let Some(dparams) = dparams else { return (None, None) };
        let (weight, bias) = dparams.split_at_mut(self.convolution.filters * self.convolution.depth());
        (Some(weight), self.adds_bias.then_some(bias))
    }
}

/// `value` where y = max(z, 0) let z pass, else 0. A NaN passes, so that it is seen.
#[inline(always)]
fn gate(y: f64, value: f64) -> f64 {
    f64::from_bits(value.to_bits() & u64::from(!(y <= 0.0)).wrapping_neg())
}

impl Stage for ConvRelu {
    fn outputs(&self) -> usize {
        self.convolution.outputs()
    }

    fn forward(&self, params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        let (c, (weight, bias)) = (&self.convolution, self.split(params));
        with_scratch(|scratch| {
            for (x, y) in x.chunks_exact(c.window.inputs()).zip(y.chunks_exact_mut(c.outputs())) {
                c.forward(weight, bias, x, y, &mut scratch.columns);
                wide(|| y.iter_mut().for_each(|y| *y = gate(*y, *y)));
            }
        });
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, _kept: &mut Kept) {
        let (c, (weight, _)) = (&self.convolution, self.split(pass.params));
        let ((mut dweight, mut dbias), mut dx) = (self.split_mut(grads.params), grads.inputs);
        let (inputs, outputs) = (c.window.inputs(), c.outputs());
        with_scratch(|scratch| {
            for k in 0..pass.n {
                let image = &pass.x[k * inputs..][..inputs];
                let dz = room(&mut scratch.outputs, outputs);
                let (y, dy) = (&pass.y[k * outputs..][..outputs], &dy[k * outputs..][..outputs]);
                wide(|| dz.iter_mut().zip(y).zip(dy).for_each(|((dz, y), dy)| *dz = gate(*y, *dy)));
                if let Some(dweight) = dweight.as_deref_mut() {
                    c.weight_gradient(image, dz, dweight, &mut scratch.columns);
                }
                if let Some(dbias) = dbias.as_deref_mut() {
                    c.bias_gradient(dz, dbias);
                }
                if let Some(dx) = dx.as_deref_mut() {
                    c.input_gradient(weight, dz, &mut dx[k * inputs..][..inputs], &mut scratch.columns);
                }
            }
        });
    }
}

/// The largest of each window of max(W ∗ x (+ b), 0).
#[derive(Clone, Debug)]
pub(super) struct ConvReluPool {
    conv: ConvRelu,
    pooled: PooledConvolution,
}

impl ConvReluPool {
    pub(super) fn new(conv: ConvRelu, pool: Window) -> Self {
        ConvReluPool { pooled: PooledConvolution { convolution: conv.convolution.clone(), pool }, conv }
    }
}

impl Stage for ConvReluPool {
    fn outputs(&self) -> usize {
        self.pooled.outputs()
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        let (weight, bias) = self.conv.split(params);
        let (inputs, outputs) = (self.conv.convolution.window.inputs(), self.outputs());
        kept.indices.resize(n * outputs, 0);
        let winners = kept.indices.chunks_exact_mut(outputs);
        with_scratch(|scratch| {
            for ((x, y), winners) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)).zip(winners) {
                self.pooled.forward(weight, bias, x, y, winners, scratch);
            }
        });
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        let (weight, _) = self.conv.split(pass.params);
        let ((mut dweight, mut dbias), mut dx) = (self.conv.split_mut(grads.params), grads.inputs);
        let (inputs, outputs) = (self.conv.convolution.window.inputs(), self.outputs());
        with_scratch(|scratch| {
            for k in 0..pass.n {
                let into = PooledGrads {
                    weight: dweight.as_deref_mut(),
                    bias: dbias.as_deref_mut(),
                    image: dx.as_deref_mut().map(|dx| &mut dx[k * inputs..][..inputs]),
                };
                let (x, winners) = (&pass.x[k * inputs..][..inputs], &kept.indices[k * outputs..][..outputs]);
                self.pooled.pullback(weight, x, winners, &dy[k * outputs..][..outputs], into, scratch);
            }
        });
    }

    fn kept_per_row(&self) -> usize {
        // An index is half a number.
        self.outputs() + self.outputs().div_ceil(2)
    }
}
