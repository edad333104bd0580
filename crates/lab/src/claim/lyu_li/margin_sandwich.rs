//! The smoothed margin is the margin, up to ln N/ρ^L.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Tail, tail};

/// `lyu-li/margin-sandwich`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/margin-sandwich",
        kind: Kind::Static,
        mark: Mark::Paper,
        says: "the loss knows the least margin up to ln N",
        formula: "f(q_min) - ln N <= ln 1/L <= f(q_min); cross-entropy: q_min - ln(C-1) in the lower half",
        assumes: "exponential tail; any network, any dynamics",
        cite: Some(LYU_LI_2020),
        item: "Lemma A.5; Appendix F for several classes",
        needs: &[("q_min", "margin")],
    },
    applies: |facts| facts.exponential_tail(),
    judge: |view| {
        let facts = view.facts;
        let n = (facts.n as f64).ln();
        let rivals = match facts.tail {
            Tail::CrossEntropy => ((facts.classes - 1) as f64).ln(),
            _ => 0.0,
        };
        let looks = judge::usable(view.rows);
        let upper = judge::at_looks(view, &looks, |rows, k| {
            let q = rows.get("q_min")[k];
            Some(Slack::sized(tail::exponent(facts.tail, q), -rows.get("ln_loss_sum")[k], q.abs().max(1.0)))
        });
        let lower = judge::at_looks(view, &looks, |rows, k| {
            let q = rows.get("q_min")[k];
            let bound = tail::exponent(facts.tail, q - rivals) - n;
            Some(Slack::sized(-rows.get("ln_loss_sum")[k], bound, q.abs().max(1.0)))
        });
        judge::both([upper, lower])
    },
};
