//! The radial part of the gradient is at least what the loss says.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/euler-bound`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/euler-bound",
        kind: Kind::Static,
        mark: Mark::Paper,
        says: "sum w q is at least the least margin, which is at least ln(1/L); and alignment is at most 1 in every norm",
        formula: "<theta, g> = L sum w q >= L q_min >= L u; |g|_* >= L u/|theta|",
        assumes: "exactly homogeneous; exponential loss; any dynamics",
        cite: Some(TSILIVIS_2024),
        item: "equation 28",
        needs: &[("nu_rel", "alignment"), ("q_min", "margin")],
    },
    applies: |facts| {
        facts.homogeneous()?;
        facts.exponential()
    },
    judge: |view| {
        let looks = judge::usable(view.rows);
        let radial = judge::at_looks(view, &looks, |rows, k| {
            let q = rows.get("q_min")[k];
            Some(Slack::sized(rows.get("nu_rel")[k], q, q.abs().max(1.0)))
        });
        let least = judge::at_looks(view, &looks, |rows, k| {
            let q = rows.get("q_min")[k];
            Some(Slack::sized(q, -rows.get("ln_loss_sum")[k], q.abs().max(1.0)))
        });
        let pairing = super::alignments(view.rows).into_iter().map(|column| {
            judge::at_looks(view, &looks, move |rows, k| Some(Slack::of(1.0, rows.get(&column)[k])))
        });
        judge::both([radial, least].into_iter().chain(pairing))
    },
};
