//! Misalignment, added up over ln ρ, is paid for by the margin.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::judge::{self, Slack};
use crate::claim::{About, Kind, Mark, Stated};

/// `lyu-li/integrated-alignment`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/integrated-alignment",
        kind: Kind::FlowInequality,
        mark: Mark::Derived,
        says: "the integral of 1/beta^2 - 1 over ln rho is at most the logarithmic gain of the smoothed margin over L",
        formula: "int (1/beta^2 - 1) d ln rho <= ln(smooth_margin(t2)/smooth_margin(t1))/L",
        assumes: "gradient flow; smooth and exactly homogeneous; exponential tail; loss below its threshold",
        cite: Some(LYU_LI_2020),
        item: "Lemma C.9, Corollary C.10",
        needs: &[("turning", "theory"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        super::flow_setting(facts)?;
        facts.needs_smooth()
    },
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        judge::flow(view, |rows, window| {
            let margin = rows.get("smooth_margin");
            let gain = (margin[window.to] / margin[window.from]).ln() / degree;
            let turned = window.gain(rows, "turning") - window.gain(rows, "turning_error").abs();
            let size = 1.0 + rows.get("turning")[window.to].abs() + margin[window.to].ln().abs();
            Some(Slack::sized(gain, turned, size))
        })
    },
};
