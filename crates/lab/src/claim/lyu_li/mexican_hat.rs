//! The Mexican hat.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict, direction};

/// `lyu-li/mexican-hat`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/mexican-hat",
        kind: Kind::Negative,
        mark: Mark::Paper,
        says: "on a smooth homogeneous function that is not definable the smoothed margin rises and the direction keeps turning",
        formula: "lyu-li/smoothed-margin-monotone holds, and ji-telgarsky/direction-converges does not come out as yes",
        assumes: "gradient flow; homogeneous, and not definable",
        cite: Some(LYU_LI_2020),
        item: "Appendix I",
        needs: &[("direction_speed", "direction"), ("smooth_margin", "margin")],
    },
    applies: super::super::ji_telgarsky::not_definable,
    judge: |view| {
        let rises = judge::flow(view, |rows, window| {
            let margin = rows.get("smooth_margin");
            Some(Slack::of(margin[window.to], margin[window.from]))
        });
        let turns = match direction::converges(view) {
            Verdict::Holds { slack } => Verdict::Violated { at: view.rows.last("step"), by: slack },
            _ => Verdict::Holds { slack: 0.0 },
        };
        judge::both([rises, turns])
    },
};
