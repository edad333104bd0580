//! How loss and norm go with time.

use latephase_core::cite::LYU_LI_2020;

use crate::claim::{About, Kind, Mark, Stated, Verdict, judge};

/// Largest over least value within the last decade of ln t that still counts as one order of magnitude.
const BAND: f64 = 3.0;

/// `lyu-li/rate-asymptotic`.
pub static CLAIM: Stated = Stated {
    about: About {
        id: "lyu-li/rate-asymptotic",
        kind: Kind::Limit,
        mark: Mark::Paper,
        says: "the loss goes like 1/(t (ln t)^(2-2/L)), the norm like (ln t)^(1/L)",
        formula: "rho^L/ln t and L t (ln t)^(2-2/L) stay in a band of factor 3 over the last decade of ln t",
        assumes: "gradient flow, or descent; exactly homogeneous; exponential tail",
        cite: Some(LYU_LI_2020),
        item: "Theorem 4.3, A.10, E.5",
        needs: &[("rho", "margin")],
    },
    applies: super::flow_setting,
    judge: |view| {
        let degree = view.facts.order().unwrap_or(f64::NAN);
        let ln_time = view.rows.get("ln_time");
        let last = view.rows.last("ln_time");
        let known: Vec<usize> =
            view.late().into_iter().filter(|&k| ln_time[k] > 1.0 && ln_time[k] >= last / 10.0).collect();
        let reaches = known.first().is_some_and(|&k| ln_time[k] <= 0.15 * last);
        if !reaches || known.len() < 5 {
            return Verdict::undecided("shorter than a decade of ln t after separation");
        }
        let norm = |k: &usize| degree * view.rows.get("ln_rho")[*k] - ln_time[*k].ln();
        let loss = |k: &usize| {
            view.rows.get("ln_loss_sum")[*k] + ln_time[*k] + (2.0 - 2.0 / degree) * ln_time[*k].ln()
        };
        let band = |of: &dyn Fn(&usize) -> f64| {
            let values = known.iter().map(of);
            let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            high - low
        };
        let widest = band(&norm).max(band(&loss)).exp();
        judge::limit(view, "the wider band", widest, BAND)
    },
};
