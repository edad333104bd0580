//! The Kurdyka–Łojasiewicz exponent of the approach.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::{About, Kind, Mark, Stated, direction};

/// `ji-telgarsky/kl-exponent`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/kl-exponent",
        kind: Kind::Diagnostic,
        mark: Mark::Recalled,
        says: "what is left of the path of the direction is a power of what is left of the smoothed margin",
        formula: "slope of ln(path ahead) against ln(limit - smooth_margin)",
        assumes: "gradient flow; definable and exactly homogeneous; exponential tail",
        cite: Some(JI_TELGARSKY_2020),
        item: "the inequalities of Section 3",
        needs: &[("direction_path", "direction"), ("smooth_margin", "margin")],
    },
    applies: super::flow_setting,
    judge: |view| direction::kl_exponent(view),
};
