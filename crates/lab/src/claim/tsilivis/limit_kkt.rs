//! Limit directions are KKT points in the algorithm's norm.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/limit-kkt`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/limit-kkt",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "every limit direction of steepest flow is that of a KKT point of min |theta|^2/2 subject to q_i >= 1, in its own norm",
        formula: "defects of the fitted multipliers to 0: off the face, and sum lambda (q - 1); said to hold at 1e-2",
        assumes: "steepest flow; exactly homogeneous; exponential loss",
        cite: Some(TSILIVIS_2024),
        item: "Theorems 4, 20",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)
    },
    judge: |view| super::stationarity(view, &["stationarity_dual", "stationarity_pairing", "stationarity_support", "kkt_delta_sum_fit"]),
};
