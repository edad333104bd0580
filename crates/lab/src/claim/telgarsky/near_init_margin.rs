//! The NTK margin bounds the margin that is reached near initialisation.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::{About, Kind, Mark, Stated};

/// `telgarsky/near-init-margin`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "telgarsky/near-init-margin",
        kind: Kind::Limit,
        mark: Mark::Recalled,
        says: "near initialisation gradient flow reaches a constant times the (squared) NTK margin",
        formula: "smooth_margin >= margin_ntk^2/4096 at the end, margin_ntk over tangent features at the start, per-node weights of order one",
        assumes: "gradient flow; two-layer ReLU, wide; exponential or logistic loss",
        cite: Some(TELGARSKY_2022),
        item: "near-initialisation theorem",
        needs: &[("margin_ntk_fro", "ntk"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.follows_flow("l2")?;
        facts.two_layer().map(|_| ())
    },
    judge: |view| {
        let ntk = view.rows.get("margin_ntk_fro")[0];
        super::reaches(view, ntk * ntk / 4096.0)
    },
};
