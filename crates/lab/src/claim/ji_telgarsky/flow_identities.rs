//! How the smoothed margin moves with ln ρ.

use latephase_core::cite::JI_TELGARSKY_2020;

use crate::claim::judge::{self, Slack};
use crate::findings::Columns;
use crate::claim::{About, Kind, Mark, Stated, tail};

/// `ji-telgarsky/flow-identities`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "ji-telgarsky/flow-identities",
        kind: Kind::FlowIdentity,
        mark: Mark::Derived,
        says: "the logarithmic slope of the smoothed margin in rho is what norm and alignment of the gradient say",
        formula: "d ln smooth_margin/d ln rho = L nu/(G f'(G) beta^2) - L, by the trapezoid between looks, to within the change of the slope",
        assumes: "gradient flow; smooth and exactly homogeneous; exponential tail; loss below its threshold",
        cite: Some(JI_TELGARSKY_2020),
        item: "identities of the proof of Theorem 3.1",
        needs: &[("beta", "alignment"), ("smooth_margin", "margin")],
    },
    applies: |facts| {
        super::flow_setting(facts)?;
        facts.needs_smooth()
    },
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        let slope = |rows: &Columns, k: usize| {
            let inverse = rows.get("smooth_margin")[k] * rows.get("rho")[k].powf(degree);
            let beta = rows.get("beta")[k];
            let along = inverse * tail::slope(view.facts.tail, inverse);
            degree * (rows.get("nu_rel")[k] / (along * beta * beta) - 1.0)
        };
        judge::flow(view, |rows, window| {
            let margin = rows.get("smooth_margin");
            let (a, b) = (slope(rows, window.from), slope(rows, window.to));
            let run = window.gain(rows, "ln_rho");
            let gain = (margin[window.to] / margin[window.from]).ln();
            // The trapezoid of a monotone integrand is off by at most half its change; twice that leaves room for a turn.
            let allowed = (b - a).abs() * run;
            let size = 1.0 + degree * rows.get("ln_rho")[window.to].abs();
            Some(Slack::sized(allowed, (gain - 0.5 * (a + b) * run).abs(), size))
        })
    },
};
