//! Multi-layer perceptrons of any depth.
//!
//! f(x) = W_D σ(W_{D−1} … σ(W_1 x)). With σ homogeneous of degree p, the degree in θ follows h ← p·h + 1: for ReLU it
//! is the number of weight matrices.

use serde::{Deserialize, Serialize};

use super::layer::{AnyLayer, Dense, Nonlinearity};
use super::{Architecture, Init, Layers, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, HE_2015, LYU_LI_2020};

/// Which layers carry a bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// No layer: homogeneous.
    #[default]
    None,
    /// The first layer only, which keeps the network homogeneous.
    First,
    /// Every layer: near-homogeneous.
    All,
}

impl Bias {
    /// Whether layer k of those with weights has one.
    pub fn in_layer(&self, k: usize) -> bool {
        match self {
            Bias::None => false,
            Bias::First => k == 0,
            Bias::All => true,
        }
    }
}

/// A perceptron with these hidden widths.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Widths of the hidden layers, from the input side; empty is a linear model.
    pub widths: Vec<usize>,
    /// The activation, `relu` by default.
    #[serde(default)]
    pub activation: Nonlinearity,
    /// Which layers have a bias: `none` (default), `first` or `all`.
    #[serde(default)]
    pub bias: Bias,
    /// Weight of the right-hand slope at a kink, in [0, 1]: ReLU'(0), 0 by default.
    #[serde(default)]
    pub kink: f64,
    /// Where θ₀ comes from, `he` by default.
    #[serde(default)]
    pub init: Init,
    /// Blocks that are not trained, by name (`0.weight`) or layer (`0`); none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

impl Architecture for Mlp {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        let widths = || self.widths.iter().copied().chain([outputs]);
        if let Some(k) = widths().position(|w| w == 0) {
            return Err(Invalid::new(format!("widths[{k}]"), "a layer needs at least one neuron"));
        }
        self.activation.check()?;
        let mut layers: Vec<AnyLayer> = Vec::new();
        for (k, width) in widths().enumerate() {
            if k > 0 {
                layers.push(AnyLayer::Activation(self.activation.clone()));
            }
            layers.push(Dense { width: Some(width), bias: self.bias.in_layer(k) }.into());
        }
        // A perceptron reads an image as one vector.
        let inputs = [input_shape.iter().product()];
        Layers::network(&layers, &inputs, outputs, self.kink, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for Mlp {
    const ABOUT: &'static str = "multi-layer perceptron: dense layers with an activation between them";
    const EXAMPLE: &'static str = "widths = [8]";
    const CITE: &'static [Cite] = &[LYU_LI_2020, HE_2015];
}
