//! Two-sided bounds of the speed of the loss.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `lyu-li/rate-sandwich`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/rate-sandwich",
        kind: Kind::FlowInequality,
        mark: Mark::Derived,
        says: "the gradient is at least and at most what the loss says: the rate of the loss is pinned from both sides",
        formula: "L^2 smooth_margin(t0)^(2/L) u^(2-2/L) <= |g|^2 <= B_1^2 (u/smooth_margin)^(2-2/L)",
        assumes: "gradient flow for the lower half; exactly homogeneous; exponential loss; loss below its threshold",
        cite: Some(LYU_LI_2020),
        item: "Lemma B.6",
        needs: &[("b1", "theory"), ("grad_norm", "theory"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)
    },
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        let late = view.late();
        let Some(&start) = late.first() else { return Verdict::undecided(judge::NOT_SEPARATED) };
        let power = 2.0 - 2.0 / degree;
        let upper = judge::at_looks(view, &late, |rows, k| {
            let u = -rows.get("ln_loss_sum")[k];
            let bound = 2.0 * rows.get("b1")[k].ln() + power * (u / rows.get("smooth_margin")[k]).ln();
            let square = 2.0 * rows.get("grad_norm")[k].ln();
            Some(Slack::sized(bound, square, 1.0))
        });
        let first = view.rows.get("smooth_margin")[start];
        let lower = judge::flow(view, |rows, window| {
            let u = -rows.get("ln_loss_sum")[window.to];
            let bound = 2.0 * degree.ln() + 2.0 / degree * first.ln() + power * u.ln();
            Some(Slack::sized(2.0 * rows.get("grad_norm")[window.to].ln(), bound, 1.0))
        });
        judge::both([upper, lower])
    },
};
