//! The largest Frobenius norm of the blocks: every layer moves at the same speed.
//!
//! `{ kind = "blockwise", combine = "max", inner = "l2" }` under its own name. d_l = G_l/‖G_l‖_F in every block.

use serde::{Deserialize, Serialize};

use super::{Blockwise, Combine, L2, Norm};
use crate::catalogue::Entry;
use crate::cite::{Cite, TSILIVIS_2024};
use crate::{Invalid, Layout};

/// max_l ‖θ_l‖₂ over the blocks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrobeniusMax {}

fn blockwise() -> Blockwise {
    Blockwise::new(Combine::Max, L2 {}.into())
}

impl Norm for FrobeniusMax {
    fn of(&self, v: &[f64], layout: &Layout) -> f64 {
        blockwise().of(v, layout)
    }

    fn steepest(&self, g: &[f64], layout: &Layout, d: &mut [f64]) -> f64 {
        blockwise().steepest(g, layout, d)
    }

    fn dual(&self, g: &[f64], layout: &Layout) -> f64 {
        blockwise().dual(g, layout)
    }

    fn subgradient(&self, v: &[f64], layout: &Layout, target: &[f64], within: f64, k: &mut [f64]) {
        blockwise().subgradient(v, layout, target, within, k);
    }

    fn column(&self) -> String {
        "frobenius_max".into()
    }

    fn check(&self, layout: &Layout) -> Result<(), Invalid> {
        blockwise().check(layout)
    }
}

impl Entry for FrobeniusMax {
    const ABOUT: &'static str = "largest Euclidean norm of the blocks";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024];
}
