//! The same for losses with exponential tails.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::{About, Kind, Mark, Stated, Tail};

/// `tsilivis/general-loss`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/general-loss",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "steepest flow never lowers the smooth margin of its own norm, for other losses with exponential tails",
        formula: "d/dt Phi^-1(ln 1/L)/|theta|^L >= 0",
        assumes: "steepest flow; exactly homogeneous; logistic loss or cross-entropy; loss below its threshold",
        cite: Some(TSILIVIS_2024),
        item: "Definition 21, Theorem 22",
        needs: &[("smooth_margin", "margin")],
    },
    applies: |facts| {
        match facts.tail {
            Tail::Logistic | Tail::CrossEntropy => super::flow_setting(facts),
            _ => Err("is about losses other than the exponential".into()),
        }
    },
    judge: |view| super::own_margin_rises(view),
};
