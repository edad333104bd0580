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

use super::Facts;

/// γ_gl, exactly.
pub(super) fn known_global(facts: &Facts) -> Result<f64, String> {
    let known = facts.truth.as_ref().and_then(|t| t.margin_global);
    known
        .or(facts.margin_global_bound)
        .ok_or_else(|| "needs margin_global, which these data do not know".into())
}
