//! A convolution, ReLU and perhaps a max-pool as one stage: what lies between them never leaves the cache.
//!
//! For ReLU'(0) = 0. Values and gradients are those of the layers one after another, to the rounding of sums that a matrix
//! product may take in another order.

use super::image::{Convolution, PooledConvolution, PooledGrads, Scratch, Window, room, with_scratch};
use super::images::{self, Outputs, Pulled};
use super::{Grads, Kept, Pass, Stage, gate};
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

impl Stage for ConvRelu {
    fn outputs(&self) -> usize {
        self.convolution.outputs()
    }

    fn forward(&self, params: &[f64], x: &[f64], _n: usize, y: &mut [f64], _kept: &mut Kept) {
        let (c, (weight, bias)) = (&self.convolution, self.split(params));
        let inputs = c.window.inputs();
        let outputs = Outputs { first: 0, y, size: c.outputs(), winners: &mut [] };
        images::forward(outputs, c.work(), &|k, y, _| {
            let x = &x[k * inputs..][..inputs];
            with_scratch(|scratch| c.forward(weight, bias, x, y, &mut scratch.columns));
            wide(|| y.iter_mut().for_each(|y| *y = gate(*y, *y)));
        });
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        let (c, (weight, _)) = (&self.convolution, self.split(pass.params));
        let (inputs, outputs) = (c.window.inputs(), c.outputs());
        let into = Pulled { dparams: grads.params, dx: grads.inputs };
        images::pullback(pass.n, 2 * c.work(), into, &mut kept.scratch, &|k, into| {
            let (x, y) = (&pass.x[k * inputs..][..inputs], &pass.y[k * outputs..][..outputs]);
            let (dweight, dbias) = self.split_mut(into.dparams);
            with_scratch(|Scratch { columns, outputs: dz }| {
                let dz = room(dz, outputs);
                let dy = &dy[k * outputs..][..outputs];
                wide(|| dz.iter_mut().zip(y).zip(dy).for_each(|((dz, y), dy)| *dz = gate(*y, *dy)));
                if let Some(dweight) = dweight {
                    c.weight_gradient(x, dz, dweight, columns);
                }
                if let Some(dbias) = dbias {
                    c.bias_gradient(dz, dbias);
                }
                if let Some(dx) = into.dx {
                    c.input_gradient(weight, dz, dx, columns);
                }
            });
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
        let of = Outputs { first: 0, y, size: outputs, winners: &mut kept.indices };
        images::forward(of, self.conv.convolution.work(), &|k, y, winners| {
            let x = &x[k * inputs..][..inputs];
            with_scratch(|scratch| self.pooled.forward(weight, bias, x, y, winners, scratch));
        });
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept) {
        let (weight, _) = self.conv.split(pass.params);
        let (c, outputs) = (&self.conv.convolution, self.outputs());
        let (inputs, Kept { indices, scratch: sums, .. }) = (c.window.inputs(), kept);
        let into = Pulled { dparams: grads.params, dx: grads.inputs };
        images::pullback(pass.n, 2 * c.work(), into, sums, &|k, into| {
            let (weights, bias) = self.conv.split_mut(into.dparams);
            let into = PooledGrads { weight: weights, bias, image: into.dx };
            let (x, winners) = (&pass.x[k * inputs..][..inputs], &indices[k * outputs..][..outputs]);
            let dy = &dy[k * outputs..][..outputs];
            with_scratch(|scratch| self.pooled.pullback(weight, x, winners, dy, into, scratch));
        });
    }

    fn kept_per_row(&self) -> usize {
        // An index is half a number.
        self.outputs() + self.outputs().div_ceil(2)
    }
}
