//! All margins share one limit.

use latephase_core::cite::CAI_2025;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Tail};

/// `cai/margin-gaps`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "cai/margin-gaps",
        kind: Kind::Static,
        mark: Mark::Derived,
        says: "modified, plain and homogenised margins differ by no more than the gap of the homogenization and ln n",
        formula: "modified_margin <= margin <= modified_margin + (p_a + ln n)/rho^M (exp); |margin - margin_homogenized| <= p_a/rho^M",
        assumes: "near-homogeneous; exponential tail; any dynamics",
        cite: Some(CAI_2025),
        item: "from the definitions",
        needs: &[("modified_margin", "near"), ("margin_gap_ratio", "near")],
    },
    applies: |facts| {
        facts.near_homogeneous()?;
        facts.exponential_tail()
    },
    judge: |view| {
        let order = view.facts.order().unwrap_or(f64::NAN);
        let looks = judge::usable(view.rows);
        let below = judge::at_looks(view, &looks, |rows, k| {
            Some(Slack::of(rows.get("margin")[k], rows.get("modified_margin")[k]))
        });
        let gap = judge::at_looks(view, &looks, |rows, k| {
            Some(Slack::of(1.0, rows.get("margin_gap_ratio")[k]))
        });
        let entropy = (view.facts.n as f64).ln();
        let above = (view.facts.tail == Tail::Exponential).then(|| {
            judge::at_looks(view, &looks, |rows, k| {
                let height = rows.get("rho")[k].powf(order);
                // (φ − p_a)/ρ^M + (p_a + ln n)/ρ^M: p_a cancels.
                let bound = (entropy - rows.get("ln_loss_sum")[k]) / height;
                Some(Slack::of(bound, rows.get("margin")[k]))
            })
        });
        judge::both([below, gap].into_iter().chain(above))
    },
};
