//! Ji & Telgarsky 2020: directional convergence and alignment.

super::claims! {
    alignment,
    deep_linear,
    definability_boundary,
    direction_converges,
    flow_identities,
    kl_exponent,
    radial_excess,
    saliency,
    two_homogeneous_dual,
}

use super::Facts;
use super::lyu_li::flow_setting;

/// The flow on a homogeneous model that is not definable.
pub(super) fn not_definable(facts: &Facts) -> Result<(), String> {
    if facts.definable {
        return Err("is about models that are not definable".into());
    }
    flow_setting(facts)
}
