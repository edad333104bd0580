//! Every step of gradient descent pays for its growth.

use latephase_core::cite::CAI_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `cai/gd-step-certificate`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/gd-step-certificate",
        kind: Kind::Step,
        mark: Mark::Derived,
        says: "a step of gradient descent of any size lowers the loss by a certified multiple of the growth of the norm",
        formula: "ln(L/L') >= r S/(1 + h S/(2 rho^2)) ln(rho'/rho), r = (1 - L'/L)/(h |g|^2)",
        assumes: "full-batch gradient descent; any network",
        cite: Some(CAI_2025),
        item: "step certificate",
        needs: &[("step_violations", "near")],
    },
    applies: |facts| facts.gradient_descent(),
    judge: |view| {
        let counted = view.rows.get("step_certificate").iter().any(|s| s.is_finite());
        if !counted {
            return Verdict::undecided("no step was certified");
        }
        // The probe allows for the roundings of both evaluations.
        judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            Some(Slack::sized(0.0, rows.get("step_violations")[k], 1.0))
        })
    },
};
