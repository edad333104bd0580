//! The direction is no faster than the gradients allow.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `lyu-li/direction-speed`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/direction-speed",
        kind: Kind::Static,
        mark: Mark::Derived,
        says: "the speed of the direction per unit of ln rho is bounded by the largest gradient over the margin",
        formula: "sqrt(1/beta^2 - 1) <= B_1/(L smooth_margin), B_1 = max |grad q_n|/rho^(L-1) at the current theta",
        assumes: "exactly homogeneous; exponential tail; loss below its threshold; any dynamics",
        cite: Some(LYU_LI_2020),
        item: "Lemma C.11, in the form without dynamics",
        needs: &[("b1", "theory"), ("beta", "alignment"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential_tail()
    },
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        judge::at_looks(view, &view.late(), |rows, k| {
            let beta = rows.get("beta")[k];
            let bound = rows.get("b1")[k] / (degree * rows.get("smooth_margin")[k]);
            // 1/β² − 1 has the roundings of β.
            let speed = (1.0 / (beta * beta) - 1.0 - 1e-13).max(0.0).sqrt();
            Some(Slack::of(bound, speed))
        })
    },
};
