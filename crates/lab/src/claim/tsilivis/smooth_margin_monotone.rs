//! Steepest flow never lowers the smooth margin of its own norm.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/smooth-margin-monotone`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/smooth-margin-monotone",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "steepest flow in any norm never lowers the smooth margin of that norm after separation",
        formula: "d/dt ln(1/L)/|theta|^L >= 0 in the algorithm's own norm",
        assumes: "steepest flow; exactly homogeneous; exponential loss; loss below 1",
        cite: Some(TSILIVIS_2024),
        item: "Theorems 1, 9",
        needs: &[("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)
    },
    judge: |view| super::own_margin_rises(view),
};
