//! Layers: pieces of a network with hand-written forward and pullback.
//!
//! A new layer is one file here; constructors put layers together in [`crate::model::Network`].

use std::fmt::Debug;

use crate::Degree;

mod activation;
mod dense;
#[allow(dead_code, unused_imports)]
mod image;

pub use activation::{Activation, Nonlinearity};
pub use dense::Dense;

/// A parameter block that a layer asks for.
#[derive(Clone, Debug)]
pub struct Param {
    /// Suffix of the block's name (`weight`, `bias`).
    pub name: &'static str,
    /// Shape in PyTorch's layout.
    pub shape: Vec<usize>,
    /// Numbers feeding one output, for initialisation; 0 starts the block at zero.
    pub fan_in: usize,
}

/// A piece of a network. `params` is the layer's own part of θ; batches are row-major.
pub trait Layer: Send + Sync + Debug {
    /// Numbers in one output row, given those in one input row.
    fn outputs(&self) -> usize;
    /// The parameter blocks, in order.
    fn params(&self) -> Vec<Param> {
        Vec::new()
    }
    /// The degree calculus: the degree of the network up to and including this layer. `trainable` says of each of
    /// [`params`](Layer::params) whether it is trained: a frozen block is a constant, of degree 0 in θ.
    fn degree(&self, before: Degree, name: &str, trainable: &[bool]) -> Degree;
    /// The factor by which this layer multiplies the degree of what comes before it.
    fn input_degree(&self) -> f64 {
        1.0
    }
    /// y = layer(x) for `n` rows.
    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64]);
    /// Adds to `dparams` and writes `dx`, given the inputs `x` and outputs `y` of the forward pass and the cotangent `dy`.
    fn pullback(&self, params: &[f64], x: &[f64], y: &[f64], n: usize, dy: &[f64], grads: Grads<'_>);
}

/// Where a layer's pullback goes.
pub struct Grads<'a> {
    /// Gradient of the parameters, added to.
    pub params: Option<&'a mut [f64]>,
    /// Cotangent of the inputs, overwritten.
    pub inputs: Option<&'a mut [f64]>,
}
