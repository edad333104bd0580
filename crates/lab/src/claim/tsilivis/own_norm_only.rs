//! Only the algorithm's own margin is guaranteed to rise.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `tsilivis/own-norm-only`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/own-norm-only",
        kind: Kind::Negative,
        mark: Mark::Paper,
        says: "the margin of another geometry may fall, and that violates nothing",
        formula: "some smooth margin of another norm falls after separation",
        assumes: "steepest flow; exactly homogeneous; exponential tail",
        cite: Some(TSILIVIS_2024),
        item: "Remark 2",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.exponential_tail()?;
        super::flow_setting(facts)
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let late = view.late();
        let others = super::margin_suffixes(view.rows).into_iter().map(|s| format!("smooth_margin{s}"));
        let fall = others.filter(|c| *c != own.smooth).map(|column| {
            let values = view.rows.get(&column);
            late.windows(2).map(|w| (values[w[0]] - values[w[1]]) / values[w[0]].abs()).fold(0.0, f64::max)
        });
        match fall.fold(0.0, f64::max) {
            fall if fall > 1e-9 => Verdict::Holds { slack: fall },
            _ => Verdict::undecided("no other geometry's margin falls in this run"),
        }
    },
};
