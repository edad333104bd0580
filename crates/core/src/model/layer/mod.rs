//! Layers: pieces of a network with hand-written forward, pullback and tangent.
//!
//! A new layer is one file here and one line in the list: its settings ([`LayerSpec`]) build the layer ([`Layer`]) once the
//! shape of its input is known. What is executed is a [`Stage`]: a layer, or several neighbours fused into one.

use std::any::Any;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::calculus::{Line, Part, Piece};
use crate::Invalid;
use crate::catalogue::{Entry, Listed, quoted, split_kind};

pub mod activation;
mod affine;
mod avg_pool;
mod bias;
mod branches;
mod chain;
mod conv2d;
mod conv_relu;
mod dense;
mod dense_relu;
mod flatten;
mod hidden_relu;
mod parallel;
mod residual;
mod scale;

pub use activation::{Activation, Nonlinearity};
pub use bias::{Bias, BiasLayer};
pub use branches::{Branches, Join};
mod image;
mod images;
mod max_pool;
pub(crate) mod tangent;

pub use avg_pool::{AvgPool, AvgPoolLayer};
pub use chain::Chain;
pub use conv2d::{Conv2d, ConvLayer};
pub use dense::{Dense, DenseLayer};
pub use flatten::{Flatten, FlattenLayer};
pub use image::{Padding, Pair};
pub use max_pool::{MaxPool, MaxPoolLayer};
pub use parallel::Parallel;
pub use residual::Residual;
pub use scale::{Per, Scale, ScaleLayer};

/// A parameter block that a layer asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The block's name within the layer: `weight`, `bias`, `body.0.weight`.
    pub name: String,
    /// Shape in PyTorch's layout.
    pub shape: Vec<usize>,
    /// How it starts.
    pub start: Start,
}

/// How a block starts where no file says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Drawn from the initialisation's law, with this many numbers feeding one output.
    Drawn(usize),
    /// Every entry at this number.
    At(f64),
}

impl Param {
    /// A block named `name` of this shape.
    pub fn new(name: &str, shape: &[usize], start: Start) -> Param {
        Param { name: name.into(), shape: shape.to_vec(), start }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a stage keeps between its forward pass and its pullback, reused from call to call.
#[derive(Debug, Default)]
pub struct Kept {
    /// The outputs, where the stage around this one keeps them.
    pub output: Vec<f64>,
    /// Numbers, in the stage's own order.
    pub numbers: Vec<f64>,
    /// Indices, such as the places of maxima.
    pub indices: Vec<u32>,
    /// Two buffers for the way back.
    pub back: [Vec<f64>; 2],
    /// Scratch of one row or one image.
    pub scratch: Vec<f64>,
    /// What the stages inside keep.
    pub inner: Vec<Kept>,
}

/// A forward pass that has been made.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The stage's own part of θ.
    pub params: &'a [f64],
    /// The inputs.
    pub x: &'a [f64],
    /// The outputs.
    pub y: &'a [f64],
    /// Number of rows.
    pub n: usize,
}

/// Where a pullback goes.
#[derive(Default)]
pub struct Grads<'a> {
    /// Gradient of the parameters, added to.
    pub params: Option<&'a mut [f64]>,
    /// Cotangent of the inputs, overwritten.
    pub inputs: Option<&'a mut [f64]>,
}

/// A point and a direction: (θ or x, its tangent); no tangent is 0.
#[derive(Clone, Copy)]
pub struct Dual<'a> {
    /// Where.
    pub at: &'a [f64],
    /// Which way.
    pub along: Option<&'a [f64]>,
}

/// What is executed. `params` is the stage's own part of θ; batches are row-major.
pub trait Stage: Send + Sync + Debug {
    /// Numbers in one output row.
    fn outputs(&self) -> usize;
    /// y = stage(x) for `n` rows.
    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept);
    /// Adds to `grads.params` and writes `grads.inputs`, given the forward pass and the cotangent `dy` of its outputs.
    fn pullback(&self, pass: Pass<'_>, dy: &[f64], grads: Grads<'_>, kept: &mut Kept);
    /// Numbers of 8 bytes that stay in memory between forward and pullback for one row, outputs included.
    fn kept_per_row(&self) -> usize {
        self.outputs()
    }
    /// Whether it gives its threads enough to do by itself, so that rows need not be shared out among them.
    fn shares_threads(&self) -> bool {
        false
    }
}

/// A piece of a network.
pub trait Layer: Stage + Any {
    /// What it is, for people to read: `dense 64 -> 10`.
    fn about(&self) -> String;
    /// Shape of one output row: `[width]`, or `[channels, height, width]`.
    fn shape(&self) -> &[usize];
    /// The parameter blocks, in order.
    fn params(&self) -> Vec<Param> {
        Vec::new()
    }
    /// The degree calculus, from what is known of the input to what is known of the output. `parts` says of each of
    /// [`params`](Layer::params) whether it is trained; `name` is the layer's own (`2`, `3.body.0`).
    fn rise(&self, below: &Piece, parts: &[Part], name: &str) -> Rise;
    /// J·v: writes ∂y along `params.along` and `x.along` for the outputs `y` of the forward pass.
    fn tangent(&self, params: Dual<'_>, x: Dual<'_>, y: &[f64], n: usize, dy: &mut [f64]);
    /// Calls `found` for every place that is nearer than `within` to where the derivative jumps, distances being relative
    /// to the root mean square of what the layer compares over the row.
    fn kinks(&self, _found: &mut Kinks<'_>, _params: &[f64], _x: &[f64], _n: usize) {}
    /// A bound of ‖h(x) − h(x′)‖₂/‖x − x′‖₂ at these parameters; ∞ where none is known.
    fn lipschitz(&self, _params: &[f64]) -> f64 {
        f64::INFINITY
    }
    /// Adds to the lower triangle of `into` the inner products of gradients in this layer's trained parameters. `dy` holds
    /// one cotangent of the outputs for each member, `n` of them for each pass over the rows: member p·n + i is row i's.
    ///
    /// By default the gradients are made one by one; a layer whose gradient is a product of what came in and what comes back
    /// has its Gram matrix from those of the two.
    fn tangent_gram(&self, pass: Pass<'_>, parts: &[Part], dy: &[f64], into: &mut [f64]) {
        tangent::by_gradients(self, &self.params(), pass, parts, dy, into);
    }
    /// Whether outputs are affine in inputs, so that the pullback to the inputs is the same everywhere.
    fn is_affine(&self) -> bool {
        false
    }
    /// This layer and the first of those `after` it as one faster stage, with how many of those it takes in. Its
    /// parameters are the layers', one after the other.
    fn fuse(&self, _after: &[Box<dyn Layer>]) -> Option<(Box<dyn Stage>, usize)> {
        None
    }
}

/// Where a layer stands in the degree calculus.
#[derive(Debug)]
pub struct Rise {
    /// What is known of its output.
    pub piece: Piece,
    /// Degree in its own parameters.
    pub own_degree: f64,
    /// Degree in its input.
    pub input_degree: f64,
    /// Degree of the output's homogenization in each block alone: 0 where it drops the block, NaN where the block enters a
    /// sum with others and has none.
    pub blocks: Vec<f64>,
    /// The layer of the homogenized network, on the same blocks.
    pub limit: Box<dyn Layer>,
    /// What that drops or replaces.
    pub dropped: Vec<String>,
    /// The layers inside, with the degrees of their blocks within this layer.
    pub lines: Vec<Line>,
}

impl Rise {
    /// Of a layer without parameters that is homogeneous of degree 1 in its input.
    pub fn plain(piece: Piece, limit: Box<dyn Layer>) -> Rise {
        Rise {
            piece,
            own_degree: 0.0,
            input_degree: 1.0,
            blocks: Vec::new(),
            limit,
            dropped: Vec::new(),
            lines: Vec::new(),
        }
    }
}

/// One near-zero pre-activation (or near tie): a place where the derivative is about to jump.
#[derive(Clone, Debug, PartialEq)]
pub struct Kink {
    /// The row.
    pub row: usize,
    /// The layer's name.
    pub layer: String,
    /// The unit's index in the layer's output.
    pub unit: usize,
    /// Signed distance to the jump, relative to the root mean square of the layer's pre-activations over the row.
    pub distance: f64,
}

/// Collects kinks.
pub struct Kinks<'a> {
    /// Those found so far.
    pub list: &'a mut Vec<Kink>,
    /// Relative distance within which a kink counts.
    pub within: f64,
    /// Name of the layer that is being looked at.
    pub layer: String,
}

impl Kinks<'_> {
    /// Takes the kinks of one row: `compared` are signed distances to the jump, unit by unit.
    pub fn row(&mut self, row: usize, compared: impl Iterator<Item = f64> + Clone, rms: f64) {
        for (unit, value) in compared.enumerate() {
            if value.abs() <= self.within * rms {
                let distance = if rms > 0.0 { value / rms } else { 0.0 };
                self.list.push(Kink { row, layer: self.layer.clone(), unit, distance });
            }
        }
    }
}

/// `value` where z > 0, else 0, by a mask: a branch here would mispredict every other time. A NaN in z lets it pass, so that
/// it is seen.
#[inline(always)]
fn gate(z: f64, value: f64) -> f64 {
    f64::from_bits(value.to_bits() & u64::from(!(z <= 0.0)).wrapping_neg())
}

/// Root mean square.
pub fn rms(values: &[f64]) -> f64 {
    crate::numeric::norm(values) / (values.len().max(1) as f64).sqrt()
}

/// What layers need to know of the whole network.
#[derive(Clone, Copy, Debug)]
pub struct Building {
    /// Numbers in one output of the whole network: the width of a last layer that does not say its own.
    pub outputs: usize,
    /// Weight of the right-hand slope at a kink, in [0, 1]: one for the whole network.
    pub kink: f64,
}

/// The settings of a layer.
pub trait LayerSpec: Send + Sync {
    /// The layer for inputs of this shape.
    ///
    /// # Errors
    /// Settings that make no layer, and shapes that do not fit, naming both.
    fn build(&self, input: &[usize], building: &Building) -> Result<Box<dyn Layer>, Invalid>;
}

crate::catalogue! {
    /// A layer with settings of its own; [`AnyLayer`] adds the activations.
    pub AnyMap: LayerSpec, "layer" {
        "dense" => Dense,
        "conv2d" => Conv2d,
        "max-pool" => MaxPool,
        "avg-pool" => AvgPool,
        "flatten" => Flatten,
        "bias" => Bias,
        "scale" => Scale,
        "residual" => Residual,
        "parallel" => Parallel,
    }
}

/// A layer in a spec: one of the catalogue, or the name of an activation.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum AnyLayer {
    /// A layer with settings.
    Map(AnyMap),
    /// An activation.
    Activation(Nonlinearity),
}

impl AnyLayer {
    /// Every name that may stand in a list of layers.
    pub fn names() -> Vec<&'static str> {
        AnyMap::NAMES.iter().chain(Nonlinearity::NAMES).copied().collect()
    }

    /// The catalogue of the layers that are not activations.
    pub const MAPS: &'static [Listed] = AnyMap::LIST;
}

impl<T: Entry + Into<AnyMap>> From<T> for AnyLayer {
    fn from(layer: T) -> Self {
        AnyLayer::Map(layer.into())
    }
}

impl<'de> Deserialize<'de> for AnyLayer {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = toml::Value::deserialize(d)?;
        let names = Self::names();
        let (kind, _) = split_kind("layer", &names, value.clone()).map_err(D::Error::custom)?;
        let parsed = if Nonlinearity::NAMES.contains(&kind.as_str()) {
            value.try_into().map(AnyLayer::Activation)
        } else if AnyMap::NAMES.contains(&kind.as_str()) {
            value.try_into().map(AnyLayer::Map)
        } else {
            let text = format!("@kind@unknown layer `{kind}`, expected one of {}", quoted(&names));
            return Err(D::Error::custom(text));
        };
        parsed.map_err(|e| D::Error::custom(e.message()))
    }
}

impl LayerSpec for AnyLayer {
    fn build(&self, input: &[usize], building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        match self {
            AnyLayer::Map(map) => map.build().build(input, building),
            AnyLayer::Activation(function) => {
                function.check()?;
                Ok(Box::new(Activation::new(function, input, building.kink)))
            }
        }
    }
}

/// `1x28x28`.
pub fn sizes(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
