//! The smoothed margin never falls after separation.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, judge};

/// `lyu-li/smoothed-margin-monotone`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/smoothed-margin-monotone",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "gradient flow never lowers the smoothed margin after separation",
        formula: "d smooth_margin/dt >= 0, smooth_margin = l^-1(L)/rho^L",
        assumes: "gradient flow; exactly homogeneous; exponential tail; loss below its threshold",
        cite: Some(LYU_LI_2020),
        item: "Theorem 4.1, A.7",
        needs: &[("smooth_margin", "margin")],
    },
    applies: super::flow_setting,
    judge: |view| judge::never_falls(view, "smooth_margin"),
};
