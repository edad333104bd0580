//! The Mexican hat.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, direction, judge};

/// `lyu-li/mexican-hat`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/mexican-hat",
        kind: Kind::Negative,
        mark: Mark::Paper,
        says: "on a smooth homogeneous function that is not definable the smoothed margin rises and the direction keeps turning",
        formula: "lyu-li/smoothed-margin-monotone holds, and ji-telgarsky/direction-converges does not come out as yes",
        assumes: "gradient flow; homogeneous, and not definable",
        cite: Some(LYU_LI_2020),
        item: "Appendix I",
        needs: &[("direction_speed", "direction"), ("smooth_margin", "margin")],
    },
    applies: super::super::ji_telgarsky::not_definable,
    judge: |view| {
        judge::both([judge::never_falls(view, "smooth_margin"), direction::not_shown(view)])
    },
};
