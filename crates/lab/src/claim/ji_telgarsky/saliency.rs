//! The saliency map converges.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `ji-telgarsky/saliency`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/saliency",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "the normalised gradient of the outputs in the inputs converges",
        formula: "change of the normalised saliency per unit of ln rho to 0; said to hold at 1e-2",
        assumes: "gradient flow; exactly homogeneous; exponential tail",
        cite: Some(JI_TELGARSKY_2020),
        item: "abstract",
        needs: &[("saliency_speed", "saliency")],
    },
    applies: super::flow_setting,
    judge: |view| {
        let speed = view.at_end("saliency_speed");
        judge::limit(view, "the change of the saliency per unit of ln rho", speed, 1e-2)
    },
};
