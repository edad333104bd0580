//! Weights concentrate on the least margins.

use latephase_core::cite::SCHECHTMAN_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Tail};

/// `schechtman/softmax-concentration`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "schechtman/softmax-concentration",
        kind: Kind::Static,
        mark: Mark::Derived,
        says: "the weight of an example is exponentially small in how far its margin is above the least",
        formula: "lambda_i <= C e^{-(p_i - m)}: C = 1 (exp), 2 (logistic, p >= 0), number of classes (cross-entropy)",
        assumes: "exponential tail; any dynamics",
        cite: Some(SCHECHTMAN_2025),
        item: "with Proposition 4",
        needs: &[("softmax_excess", "sgd"), ("q_min", "margin")],
    },
    applies: |facts| facts.exponential_tail(),
    judge: |view| {
        let (looks, allowed) = match view.facts.tail {
            Tail::Exponential => (judge::usable(view.rows), 0.0),
            Tail::Logistic => (view.late(), 2f64.ln()),
            _ => (view.late(), (view.facts.classes as f64).ln()),
        };
        judge::at_looks(view, &looks, |rows, k| {
            let q = rows.get("q_min")[k];
            if q < 0.0 && view.facts.tail != Tail::Exponential {
                return None;
            }
            Some(Slack::sized(allowed, rows.get("softmax_excess")[k], q.abs().max(1.0)))
        })
    },
};
