//! No two-layer ReLU network has more than half the global margin.

use latephase_core::cite::TELGARSKY_2022;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated, Verdict};

/// `telgarsky/margin-ceiling`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "telgarsky/margin-ceiling",
        kind: Kind::Static,
        mark: Mark::Derived,
        says: "the normalised margin of a two-layer ReLU network is at most half of margin_global",
        formula: "margin <= margin_global/2",
        assumes: "two-layer ReLU without biases; margin_global known, or bounded from above",
        cite: Some(TELGARSKY_2022),
        item: "from |a||v| <= (a^2 + |v|^2)/2",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        if facts.two_layer().is_ok_and(|a| a == "relu") || facts.rotation_free {
            Ok(())
        } else {
            Err("is about two-layer ReLU networks without biases".into())
        }
    },
    judge: |view| {
        let Ok(global) = super::known_global(view.facts) else {
            return Verdict::undecided("needs the column margin_global_bound: add the probe `global`");
        };
        judge::at_looks(view, &judge::usable(view.rows), |rows, k| {
            Some(Slack::of(global / 2.0, rows.get("margin")[k]))
        })
    },
};
