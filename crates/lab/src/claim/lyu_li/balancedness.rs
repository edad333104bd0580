//! What the flow conserves.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `lyu-li/balancedness`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/balancedness",
        kind: Kind::FlowIdentity,
        mark: Mark::Derived,
        says: "gradient flow conserves differences of squared norms of layers, or of a neuron's two sides",
        formula: "|w_i|^2/k_i - |w_j|^2/k_j constant; a_j^2 - |v_j|^2; W_{i+1}' W_{i+1} - W_i W_i'",
        assumes: "gradient flow; a model that knows what it conserves",
        cite: Some(LYU_LI_2020),
        item: "with Theorem B.4",
        needs: &[("balance_drift", "balance")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.follows_flow("l2")
    },
    judge: |view| judge::flow_identity(view, |rows, k| rows.get("balance_drift")[k]),
};
