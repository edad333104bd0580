//! Schechtman & Schreuder 2025: constant-step subgradient descent.

super::claims! {
    criticality,
    general_steps,
    norm_identity,
    norm_log_growth,
    softmax_concentration,
}

use super::{Facts, Verdict, View, judge};

/// A1 and A2 with a constant step and fresh batches.
pub(super) fn setting(facts: &Facts) -> Result<(), String> {
    facts.homogeneous()?;
    facts.exponential_tail()?;
    facts.constant_step_sgd()
}

/// Whether a column stays in a band of factor 3 over the last decade of steps.
pub(super) fn band(view: &View<'_>, column: &str) -> Verdict {
    let (steps, last) = (view.rows.get("step"), view.rows.last("step"));
    let late = view.late();
    let known: Vec<usize> = late.iter().copied().filter(|&k| steps[k] >= last / 10.0).collect();
    let reaches = late.first().is_some_and(|&k| steps[k] <= last / 10.0);
    if !reaches || known.len() < 5 {
        return Verdict::undecided("shorter than a decade of steps after separation");
    }
    let values = known.iter().map(|&k| view.rows.get(column)[k]);
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(a, b), v| (a.min(v), b.max(v)));
    judge::limit(view, "the band", high / low, 3.0)
}
