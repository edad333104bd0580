//! Cai et al. 2025: near-homogeneous networks.

super::claims! {
    defect_bound,
    direction,
    gd_step_certificate,
    key_inequality,
    kkt_homogenized,
    margin_gaps,
    modified_margin_monotone,
    rates,
}

use super::Facts;

/// The ℓ2 flow on a near-homogeneous network with a loss of exponential tail.
pub(super) fn flow_setting(facts: &Facts) -> Result<(), String> {
    facts.near_homogeneous()?;
    facts.exponential_tail()?;
    facts.follows_flow("l2")
}
