//! A window of ln ρ contains an approximate KKT point.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, Verdict, judge};

/// `lyu-li/finite-time-kkt`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/finite-time-kkt",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "some time within a window of ln rho is an (epsilon, delta)-KKT point",
        formula: "min over the run of 1/beta^2 - 1 <= ln(smooth_margin(end)/smooth_margin(t0)) / (L ln(rho(end)/rho(t0)))",
        assumes: "gradient flow; exactly homogeneous; exponential tail; one gradient is the flow's velocity (no kinks, or the bundle)",
        cite: Some(LYU_LI_2020),
        item: "Theorem A.9, E.4; explicit window derived from Corollary C.10",
        needs: &[("beta", "alignment"), ("smooth_margin", "margin")],
    },
    applies: super::flow_setting,
    judge: |view| {
        let late = view.late();
        let (Some(&a), Some(&b)) = (late.first(), late.last()) else {
            return Verdict::undecided(judge::NOT_SEPARATED);
        };
        let degree = view.facts.order().unwrap_or(f64::NAN);
        let margin = view.rows.get("smooth_margin");
        let ln_rho = view.rows.get("ln_rho");
        let bound = (margin[b] / margin[a]).ln() / (degree * (ln_rho[b] - ln_rho[a]));
        let column = view.velocity_beta();
        let turning = |k: &usize| view.rows.get(column).get(*k).map_or(f64::NAN, |b| 1.0 / (b * b) - 1.0);
        let least = late.iter().map(turning).filter(|t| t.is_finite()).fold(f64::INFINITY, f64::min);
        if least <= bound {
            return Verdict::Holds { slack: bound - least };
        }
        Verdict::undecided(format!("no look has 1/beta^2 - 1 at or below {bound:.1e}; the least is {least:.1e}"))
    },
};
