//! Every window contains a well-aligned moment.

use latephase_core::cite::TSILIVIS_2024;

use crate::claim::{About, Kind, Mark, Stated, Verdict, judge};

/// `tsilivis/window-alignment`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "tsilivis/window-alignment",
        kind: Kind::FlowInequality,
        mark: Mark::Paper,
        says: "some moment of a window is as well aligned as the gain of the smooth margin over it says",
        formula: "min of 1/a - 1 <= ln(smooth(t2)/smooth(t1))/(L ln(|theta(t2)|/|theta(t1)|))",
        assumes: "steepest flow; exactly homogeneous; exponential loss; loss below 1; one gradient is the velocity",
        cite: Some(TSILIVIS_2024),
        item: "Lemma 17, with the growth of the norm below the path",
        needs: &[("margin", "margin")],
    },
    applies: |facts| {
        facts.exponential()?;
        super::flow_setting(facts)
    },
    judge: |view| {
        let own = super::Own::of(view.facts);
        let late = view.late();
        let (Some(&a), Some(&b)) = (late.first(), late.last()) else {
            return Verdict::undecided(judge::NOT_SEPARATED);
        };
        let alignment = view.rows.get(&own.alignment);
        if alignment.is_empty() {
            return Verdict::undecided(format!("needs the column {}: add the probe `geometry`", own.alignment));
        }
        let size = |k: usize| (view.rows.get("q_min")[k] / view.rows.get(&own.margin)[k]).ln() / own.degree;
        let smooth = view.rows.get(&own.smooth);
        let bound = (smooth[b] / smooth[a]).ln() / (own.degree * (size(b) - size(a)));
        let least = late.iter().map(|&k| 1.0 / alignment[k] - 1.0).filter(|x| x.is_finite()).fold(f64::INFINITY, f64::min);
        if least <= bound {
            return Verdict::Holds { slack: bound - least };
        }
        Verdict::undecided(format!("no look has 1/a - 1 at or below {bound:.1e}; the least is {least:.1e}"))
    },
};
