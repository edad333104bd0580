//! Telgarsky 2022: low-rotation regimes of shallow ReLU networks.

super::claims! {
    balance,
    certified_escape,
    margin_ceiling,
    near_init_margin,
    neural_collapse_margin,
    rotation,
    rotation_free_margin,
}

use super::{Facts, Verdict, View, judge};

/// γ_gl, exactly.
pub(super) fn known_global(facts: &Facts) -> Result<f64, String> {
    let known = facts.truth.as_ref().and_then(|t| t.margin_global);
    known
        .or(facts.margin_global_bound)
        .ok_or_else(|| "needs margin_global, which these data do not know".into())
}

/// Whether the smoothed margin is at least a bound at the end.
pub(super) fn reaches(view: &View<'_>, bound: f64) -> Verdict {
    let ours = view.at_end("smooth_margin");
    match () {
        () if ours.is_nan() => Verdict::undecided(judge::NOT_SEPARATED),
        () if ours >= bound => Verdict::Holds { slack: ours / bound - 1.0 },
        () => Verdict::undecided(format!("the smoothed margin is {ours:.2e}, the bound {bound:.2e}")),
    }
}
