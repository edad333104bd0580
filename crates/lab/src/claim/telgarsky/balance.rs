//! Both sides of a neuron grow together.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `telgarsky/balance`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "telgarsky/balance",
        kind: Kind::FlowIdentity,
        mark: Mark::Derived,
        says: "gradient flow conserves a_j^2 - |v_j|^2 of every neuron",
        formula: "a_j^2 - |v_j|^2 (rotation-free: a_j^2 - b_j^2) constant",
        assumes: "gradient flow; two-layer ReLU, or rotation-free",
        cite: Some(TELGARSKY_2022),
        item: "with the rotation-free flow",
        needs: &[("balance_drift", "balance")],
    },
    applies: |facts| {
        facts.follows_flow("l2")?;
        if facts.rotation_free { Ok(()) } else { facts.two_layer().map(|_| ()) }
    },
    judge: |view| judge::flow_identity(view, |rows, k| rows.get("balance_drift")[k]),
};
