//! A residual block: y = body(x) + shortcut(x).
//!
//! The body has more layers, hence the larger degree in θ: the homogenization of a residual network drops every shortcut
//! whose degree is lower than its body's. uᵀ(x + Vσ(Wx)) has order 3, the defect −2uᵀx, p′ = 2‖x‖ρ and p_a = ‖x‖ρ.

use serde::{Deserialize, Serialize};

use super::branches::{Branches, Join};
use super::{AnyLayer, Building, Chain, Layer, LayerSpec};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::model::network::assembled;

/// y = body(x) + shortcut(x).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// The layers of the body. A dense layer in it has by default as many outputs as the block has inputs.
    pub body: Vec<AnyLayer>,
    /// The layers of the shortcut; the input itself by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<AnyLayer>,
}

impl LayerSpec for Residual {
    fn build(&self, input: &[usize], building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        if self.body.is_empty() {
            return Err(Invalid::new("body", "a residual block needs at least one layer in its body"));
        }
        let inside = Building { outputs: input[0], ..*building };
        let chain = |layers: &[AnyLayer], field: &str| {
            Ok::<_, Invalid>((field.to_owned(), Chain::new(input, assembled(layers, input, &inside, field)?)))
        };
        let branches = vec![chain(&self.body, "body")?, chain(&self.shortcut, "shortcut")?];
        Ok(Box::new(Branches::new(branches, Join::Sum)?))
    }
}

impl Entry for Residual {
    const ABOUT: &'static str = "y = body(x) + shortcut(x)";
    const EXAMPLE: &'static str = "body = [\"dense\", \"relu\", \"dense\"]";
    const CITE: &'static [Cite] = &[CAI_2025];
}
