//! Every window contains a well-aligned moment.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `tsilivis/window-alignment`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/window-alignment",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "some moment of every window is as well aligned as the gain of the smooth margin over it says",
        formula: "min of 1/a - 1 over the window <= ln(smooth(t2)/smooth(t1))/(L int |d theta|/|theta|)",
        assumes: "steepest flow; exactly homogeneous; exponential loss; loss below 1; one gradient is the velocity",
        cite: Some(TSILIVIS_2024),
        item: "Lemma 17",
        needs: &[("margin", "margin"), ("min_turning", "theory")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)?;
        facts.needs_smooth()
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let degree = own.degree;
        judge::flow(view, |rows, window| {
            let smooth = rows.get(&own.smooth);
            let gain = (smooth[window.to] / smooth[window.from]).ln() / degree;
            // In l2 the least turning is of 1/β² − 1, at least 1/β − 1, and the path is at least the growth of ln ρ.
            let (least, path) = match own.is_euclidean {
                true => {
                    let turning = rows.get("min_turning")[window.to];
                    ((1.0 + turning).sqrt() - 1.0, window.gain(rows, "ln_rho"))
                }
                false => {
                    let column = format!("min_turning_{}", own.norm);
                    let least = rows.get(&column).get(window.to).copied()?;
                    (least, window.gain(rows, &format!("norm_path_{}", own.norm)))
                }
            };
            (window.to == window.from + 1)
                .then(|| Slack::sized(gain, least * path, 1.0 + smooth[window.to].ln().abs()))
        })
    },
};
