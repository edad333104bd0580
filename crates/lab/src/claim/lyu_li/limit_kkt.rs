//! Limit directions are KKT points.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, judge, kkt_residual};

/// How small ε/‖θ̃‖ has to be to say that a KKT point is reached.
const TOLERANCE: f64 = 1e-2;

/// `lyu-li/limit-kkt`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/limit-kkt",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "every limit direction is that of a KKT point of min |theta|^2/2 subject to q_n >= 1",
        formula: "epsilon/|theta~| of the best multipliers to 0; said to hold at 1e-2",
        assumes: "gradient flow, or gradient descent on a smooth network; exactly homogeneous; exponential tail",
        cite: Some(LYU_LI_2020),
        item: "Theorem 4.4, A.8",
        needs: &[("kkt_relative", "kkt")],
    },
    applies: super::flow_setting,
    judge: |view| judge::limit(view, "epsilon/|theta~| of the best multipliers", kkt_residual(view), TOLERANCE),
};
