//! Tsilivis et al. 2024: steepest descent in any norm.

super::claims! {
    approx_kkt,
    bregman_gap,
    euler_bound,
    flow_identities,
    general_loss,
    limit_kkt,
    margin_sandwich,
    own_norm_only,
    rate_integral,
    smooth_margin_monotone,
    smooth_norm_kkt,
    stationarity_by_norm,
    window_alignment,
}

use super::judge;
use super::{Facts, Verdict, View, kkt_residual};
use crate::findings::Columns;

/// (A1) and (A2) with the steepest flow in some norm.
pub(super) fn flow_setting(facts: &Facts) -> Result<(), String> {
    facts.homogeneous()?;
    facts.flow_norm().map(|_| ())
}

/// The columns of the algorithm's own norm.
pub(super) struct Own {
    pub norm: String,
    pub is_euclidean: bool,
    pub degree: f64,
    pub margin: String,
    pub smooth: String,
    pub alignment: String,
}

impl Own {
    pub fn of(facts: &Facts) -> Own {
        let norm = facts.any_norm().unwrap_or("l2").to_owned();
        let is_euclidean = norm == "l2";
        let column = |name: &str| if is_euclidean { name.to_owned() } else { format!("{name}_{norm}") };
        Own {
            margin: column("margin"),
            smooth: column("smooth_margin"),
            alignment: if is_euclidean { "beta".into() } else { format!("alignment_{norm}") },
            degree: facts.order().unwrap_or(f64::NAN),
            is_euclidean,
            norm,
        }
    }
}

/// The smooth margin of the own norm never falls after separation.
pub(super) fn own_margin_rises(view: &View<'_>) -> Verdict {
    let own = Own::of(view.facts);
    view.lacks(&own.smooth, "margin").unwrap_or_else(|| judge::never_falls(view, &own.smooth))
}

/// Whether the defects of the fitted multipliers are small in the own norm; in ℓ2, the residual of the best ones.
pub(super) fn stationarity(view: &View<'_>, names: &[&str]) -> Verdict {
    const TOLERANCE: f64 = 1e-2;
    let own = Own::of(view.facts);
    if own.is_euclidean {
        return judge::limit(view, "epsilon/|theta~| of the best multipliers", kkt_residual(view), TOLERANCE);
    }
    let at = |name: &str| view.at_end(&format!("{name}_{}", own.norm));
    judge::both(names.iter().map(|name| judge::limit(view, name, at(name), TOLERANCE)))
}

/// Alignments in every norm that was measured.
pub(super) fn alignments(rows: &Columns) -> Vec<String> {
    let names = rows.0.iter().map(|(name, _)| name);
    names.filter(|n| *n == "beta" || n.starts_with("alignment_")).cloned().collect()
}

/// Norms whose margin and smooth margin were both measured, as what follows `margin` in the column.
pub(super) fn margin_suffixes(rows: &Columns) -> Vec<String> {
    let suffix = |(name, _): &(String, Vec<f64>)| name.strip_prefix("smooth_margin").map(str::to_owned);
    let has_margin = |s: &String| !rows.get(&format!("margin{s}")).is_empty() && s != "_product";
    rows.0.iter().filter_map(suffix).filter(has_margin).collect()
}

/// p of the ℓp norm of the flow, at least 2 and finite.
pub(super) fn exponent(facts: &Facts) -> Result<f64, String> {
    let norm = facts.flow_norm()?;
    let p = norm.strip_prefix('l').and_then(|p| p.replace('_', ".").parse::<f64>().ok());
    match p {
        Some(p) if p >= 2.0 && p.is_finite() => Ok(p),
        _ => Err(format!("needs a smooth norm, l_p with 2 <= p < inf; this is {norm}")),
    }
}
