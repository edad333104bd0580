//! Deep linear networks: f(x) = W_D ⋯ W_1 x, degree D.
//!
//! The end-to-end map is linear, the geometry of θ is not: gradient flow conserves W_{i+1}ᵀW_{i+1} − W_iW_iᵀ and the
//! layers align to rank one (Ji & Telgarsky 2020).

use serde::{Deserialize, Serialize};

use super::layer::{AnyLayer, Dense};
use super::{Architecture, Init, Layers, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, JI_TELGARSKY_2020};

/// A product of weight matrices, with the identity between them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepLinear {
    /// Widths of the hidden layers, from the input side.
    pub widths: Vec<usize>,
    /// Where θ₀ comes from, `lecun` being the scale-preserving choice here; `he` by default.
    #[serde(default)]
    pub init: Init,
    /// Blocks that are not trained, by name (`0.weight`) or layer (`0`); none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

impl Architecture for DeepLinear {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        let widths = || self.widths.iter().copied().chain([outputs]);
        if let Some(k) = widths().position(|w| w == 0) {
            return Err(Invalid::new(format!("widths[{k}]"), "a layer needs at least one neuron"));
        }
        let layers: Vec<AnyLayer> =
            widths().map(|width| Dense { width: Some(width), bias: false }.into()).collect();
        let inputs = [input_shape.iter().product()];
        Layers::network(&layers, &inputs, outputs, 0.0, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for DeepLinear {
    const ABOUT: &'static str = "product of weight matrices, degree = number of matrices";
    const EXAMPLE: &'static str = "widths = [6]";
    const CITE: &'static [Cite] = &[JI_TELGARSKY_2020];
}
