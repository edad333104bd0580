//! The gradient aligns with θ.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `ji-telgarsky/alignment`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/alignment",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "theta and the negative gradient align",
        formula: "1 - beta to 0; said to hold at 1e-2",
        assumes: "gradient flow; locally Lipschitz gradients; exactly homogeneous; exponential tail",
        cite: Some(JI_TELGARSKY_2020),
        item: "Theorem 4.1",
        needs: &[("beta", "alignment")],
    },
    applies: |facts| {
        super::flow_setting(facts)?;
        facts.needs_smooth()
    },
    judge: |view| {
        let beta = view.at_end("beta");
        judge::limit(view, "1 - beta", 1.0 - beta, 1e-2)
    },
};
