//! Branches side by side, joined by a sum, a concatenation or a product.

use serde::{Deserialize, Serialize};

use super::branches::{Branches, Join};
use super::{AnyLayer, Building, Chain, Layer, LayerSpec};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite};
use crate::model::network::assembled;

/// Several lists of layers on the same input.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// The branches, each a list of layers; an empty one passes the input on.
    pub branches: Vec<Vec<AnyLayer>>,
    /// `sum` (default), `concat` (along the channels: a dense connection) or `product` (entry-wise: a gate).
    #[serde(default)]
    pub join: Join,
}

impl LayerSpec for Parallel {
    fn build(&self, input: &[usize], building: &Building) -> Result<Box<dyn Layer>, Invalid> {
        if self.branches.is_empty() {
            return Err(Invalid::new("branches", "at least one branch is needed"));
        }
        let mut branches = Vec::new();
        for (k, layers) in self.branches.iter().enumerate() {
            let built = assembled(layers, input, building, &format!("branches[{k}]"))?;
            branches.push((k.to_string(), Chain::new(input, built)));
        }
        let joined = Branches::new(branches, self.join);
        Ok(Box::new(
            joined.map_err(|e| {
                Invalid::new(format!("branches[{}]", e.field), format!("branch {}", e.message))
            })?,
        ))
    }
}

impl Entry for Parallel {
    const ABOUT: &'static str = "branches side by side: their sum, concatenation or product";
    const EXAMPLE: &'static str =
        "branches = [[{ kind = \"dense\", width = 3 }, \"relu\"], [{ kind = \"dense\", width = 3 }]]";
    const CITE: &'static [Cite] = &[CAI_2025];
}
