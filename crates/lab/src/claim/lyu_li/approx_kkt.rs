//! How near θ is to a KKT point, in closed form.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Tail, Verdict};

/// `lyu-li/approx-kkt`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/approx-kkt",
        kind: Kind::Identity,
        mark: Mark::Paper,
        says: "with the multipliers of the gradient, theta is an (epsilon, delta)-KKT point, both in closed form",
        formula: "epsilon = margin^(-1/L) sqrt(2(1-beta)); delta <= c/(e L margin^(2/L) q_min), and along the exp flow delta <= 1/(e L smooth_margin(t0)^(2/L) u)",
        assumes: "exactly homogeneous; exponential tail; q_min > 0; the last bound: gradient flow, exponential loss",
        cite: Some(LYU_LI_2020),
        item: "Lemma C.8; the identity and the static bound derived",
        needs: &[("kkt_epsilon", "kkt"), ("beta", "alignment"), ("margin", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential_tail()
    },
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        let looks = judge::usable(view.rows);
        let gap = |rows: &crate::findings::Columns, k: usize| {
            let epsilon = rows.get("kkt_epsilon")[k];
            epsilon * epsilon * rows.get("margin")[k].powf(2.0 / degree) / 2.0
        };
        // 1 − β has the roundings of β.
        let identity = judge::at_looks(view, &looks, |rows, k| {
            let off = (gap(rows, k) - (1.0 - rows.get("beta")[k])).abs();
            Some(Slack::sized(0.0, off, 1.0))
        });
        let classes = view.facts.classes as f64;
        let fixed = judge::at_looks(view, &looks, |rows, k| {
            let (q, margin) = (rows.get("q_min")[k], rows.get("margin")[k]);
            let c = match view.facts.tail {
                Tail::Exponential => 1.0,
                Tail::Logistic => 1.0 + (-q).exp(),
                _ => 1.0 + (classes - 1.0) * (-q).exp(),
            };
            let bound = c / (std::f64::consts::E * degree * margin.powf(2.0 / degree) * q);
            Some(Slack::of(bound, rows.get("kkt_delta")[k]))
        });
        let along = || -> Verdict {
            let Some(start) = view.separation() else { return Verdict::undecided(judge::NOT_SEPARATED) };
            let first = view.rows.get("smooth_margin")[start];
            judge::flow(view, |rows, window| {
                let u = -rows.get("ln_loss_sum")[window.to];
                let bound = 1.0 / (std::f64::consts::E * degree * first.powf(2.0 / degree) * u);
                Some(Slack::of(bound, rows.get("kkt_delta")[window.to]))
            })
        };
        let is_flow = view.facts.tail == Tail::Exponential && view.facts.follows_flow("l2").is_ok();
        judge::both([identity, fixed].into_iter().chain((is_flow && !view.rows.get("smooth_margin").is_empty()).then(along)))
    },
};
