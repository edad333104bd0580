//! Complementary slackness in closed form, in any norm.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/approx-kkt`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/approx-kkt",
        kind: Kind::Static,
        mark: Mark::Paper,
        says: "the slackness of the closed-form multipliers goes to 0 like 1/ln(1/L)",
        formula: "sum lambda (q - 1) <= m/(e L margin^(2/L) q_min); along the flow <= m/(e L smooth_margin(t0)^(2/L) u)",
        assumes: "exactly homogeneous; exponential loss; q_min > 0; the second bound: steepest flow",
        cite: Some(TSILIVIS_2024),
        item: "equations 64, 78; the static bound derived",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential()?;
        facts.any_norm().map(|_| ())
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let delta = format!("kkt_delta_sum_{}", own.norm);
        if let Some(unknown) = view.lacks(&delta, "geometry") {
            return unknown;
        }
        let count = view.facts.n as f64 / (std::f64::consts::E * own.degree);
        let fixed = judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            let (q, margin) = (rows.get("q_min")[k], rows.get(&own.margin)[k]);
            let bound = count / (margin.powf(2.0 / own.degree) * q);
            (q > 0.0).then(|| Slack::of(bound, rows.get(&delta)[k]))
        });
        let start = view.separation();
        let along = start.filter(|_| view.facts.flow_norm().is_ok()).map(|start| {
            let first = view.rows.get(&own.smooth)[start];
            judge::flow(view, |rows, window| {
                let bound = count / (first.powf(2.0 / own.degree) * -rows.get("ln_loss_sum")[window.to]);
                Some(Slack::of(bound, rows.get(&delta)[window.to]))
            })
        });
        judge::both(std::iter::once(fixed).chain(along))
    },
};
