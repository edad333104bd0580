//! Lyu & Li 2020: gradient flow and descent on homogeneous networks.

super::claims! {
    approx_kkt,
    balancedness,
    direction_speed,
    finite_time_kkt,
    gd_margin,
    integrated_alignment,
    limit_kkt,
    loss_decomposition,
    margin_growth_vs_rotation,
    margin_sandwich,
    mexican_hat,
    multi_homogeneous_margin,
    norm_growth,
    ntk_svm,
    rate_asymptotic,
    rate_sandwich,
    robustness_bound,
    smoothed_margin_monotone,
    two_layer_kkt_structure,
}

use super::judge::{self, Slack};
use super::{Facts, Verdict, View, tail};

/// (A1)–(A3) of the flow: an exactly homogeneous network, a loss with an exponential tail, the ℓ2 flow.
pub(super) fn flow_setting(facts: &Facts) -> Result<(), String> {
    facts.homogeneous()?;
    facts.exponential_tail()?;
    facts.follows_flow("l2")
}

/// ν = Σ w q is at least G f'(G), G = ℓ⁻¹(𝓛), after separation (Theorem B.4).
pub(super) fn nu_is_large(view: &View<'_>) -> Verdict {
    let degree = view.facts.order().unwrap_or(f64::NAN);
    judge::at_looks(view, &view.late(), |rows, k| {
        let inverse = rows.get("smooth_margin")[k] * rows.get("rho")[k].powf(degree);
        let bound = inverse * tail::slope(view.facts.tail, inverse);
        Some(Slack::sized(rows.get("nu_rel")[k], bound, rows.get("q_min")[k]))
    })
}
