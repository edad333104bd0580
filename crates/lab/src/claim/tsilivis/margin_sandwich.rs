//! The smooth margin is the margin, in every norm.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/margin-sandwich`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/margin-sandwich",
        kind: Kind::Static,
        mark: Mark::Paper,
        says: "in every norm the smooth margin is the margin up to ln m over the height",
        formula: "(q_min - ln m)/|theta|^L <= smooth margin <= margin",
        assumes: "a degree; exponential loss; any dynamics",
        cite: Some(TSILIVIS_2024),
        item: "Lemma 11, Corollary 12",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.near_homogeneous()?;
        facts.exponential()
    },
    judge: |view| {
        let looks = judge::usable(view.rows);
        let entropy = (view.facts.n as f64).ln();
        let norms = super::margin_suffixes(view.rows).into_iter().flat_map(|suffix| {
            let (margin, smooth) = (format!("margin{suffix}"), format!("smooth_margin{suffix}"));
            let below = {
                let (margin, smooth) = (margin.clone(), smooth.clone());
                judge::at_looks(view, &looks, move |rows, k| {
                    Some(Slack::of(rows.get(&margin)[k], rows.get(&smooth)[k]))
                })
            };
            let above = judge::at_looks(view, &looks, move |rows, k| {
                let q = rows.get("q_min")[k];
                let bound = rows.get(&margin)[k] * (q - entropy) / q;
                (q != 0.0).then(|| Slack::sized(rows.get(&smooth)[k], bound, rows.get(&margin)[k]))
            });
            [below, above]
        });
        judge::both(norms)
    },
};
