//! Linear models: f(x) = W x, degree 1.

use serde::{Deserialize, Serialize};

use super::layer::Dense;
use super::{Architecture, Init, Layers, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, SOUDRY_2018};

/// f(x) = W x (+ b). Its maximum-margin direction is that of the hard-margin support vector machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Whether to add a bias, which counts as a weight on a constant input; off by default.
    #[serde(default)]
    pub bias: bool,
    /// Where θ₀ comes from, `he` by default.
    #[serde(default)]
    pub init: Init,
    /// Blocks that are not trained, by name (`0.weight`) or layer (`0`); none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

impl Architecture for Linear {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        let layer = Dense { width: Some(outputs), bias: self.bias };
        let inputs = [input_shape.iter().product()];
        Layers::network(&[layer.into()], &inputs, outputs, 0.0, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for Linear {
    const ABOUT: &'static str = "linear model f(x) = W x, degree 1";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[SOUDRY_2018];
}
