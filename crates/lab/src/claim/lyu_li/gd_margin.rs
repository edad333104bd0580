//! Gradient descent: the norm grows by an identity.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `lyu-li/gd-margin`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/gd-margin",
        kind: Kind::Step,
        mark: Mark::Derived,
        says: "a step of gradient descent raises rho^2 by 2 eta L nu and the square of the step",
        formula: "rho'^2 - rho^2 = 2 eta L nu + eta^2 |grad L|^2, the lower half of (P2)",
        assumes: "gradient descent; exactly homogeneous. The GD-modified margin needs constants that are only recalled: see cai/gd-step-certificate",
        cite: Some(LYU_LI_2020),
        item: "Appendix E, (P2)",
        needs: &[("norm_identity", "sgd")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.gradient_descent()
    },
    judge: |view| {
        judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            Some(Slack::sized(1e-12, rows.get("norm_identity")[k], 1.0))
        })
    },
};
