//! What the direction turns, the smoothed margin pays back.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `lyu-li/margin-growth-vs-rotation`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/margin-growth-vs-rotation",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "the norm grows, and the smoothed margin grows at least by the square of the rotation",
        formula: "d ln smooth_margin >= L |d theta_hat|^2 / d ln rho, between looks by Cauchy-Schwarz",
        assumes: "gradient flow; exactly homogeneous; exponential tail; loss below its threshold",
        cite: Some(LYU_LI_2020),
        item: "Lemma 5.1, B.1",
        needs: &[("smooth_margin", "margin"), ("direction_chord", "direction")],
    },
    applies: super::flow_setting,
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        let growth = judge::flow(view, |rows, window| {
            let ln_rho = rows.get("ln_rho");
            Some(Slack::of(ln_rho[window.to], ln_rho[window.from]))
        });
        let rotation = judge::flow(view, |rows, window| {
            // The chord is between consecutive looks, and no longer than the path, which counts chattering too.
            if window.to != window.from + 1 {
                return None;
            }
            let margin = rows.get("smooth_margin");
            let (a, b) = (margin[window.from].ln(), margin[window.to].ln());
            let chord = rows.get("direction_chord")[window.to];
            let bound = degree * chord * chord / window.gain(rows, "ln_rho");
            let size = a.abs().max(b.abs()).max(rows.get("ln_rho")[window.to].abs()).max(1.0);
            Some(Slack::sized(b - a, bound, size))
        });
        judge::both([growth, rotation])
    },
};
