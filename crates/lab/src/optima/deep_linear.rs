//! Deep linear networks of L layers: the margin of θ is that of the product W = W_L ⋯ W_1, which a norm of θ confines.
//!
//! | column | products that ‖θ‖ ≤ 1 allows | maximal margin |
//! |---|---|---|
//! | `margin` | Σ‖W_l‖_F² ≤ 1 iff ‖W‖_{S_{2/L}} ≤ L^{−L/2}, the Schatten quasi-norm of power 2/L | γ(ℓ2)/L^{L/2} with one output; γ(nuclear)/2 for L = 2 |
//! | `margin_product` | Π‖W_l‖_F ≤ 1 iff ‖W‖_{S_{2/L}} ≤ 1 | the same without L^{L/2} |
//! | `margin_spectral` | σ_1(W_l) ≤ 1 iff σ_1(W) ≤ 1 | γ(spectral) |
//! | `margin_linf` | with one output, entries ≤ 1 iff ‖w‖_∞ ≤ H, the product of the hidden widths | H γ(ℓ∞) |
//! | `margin_l1` | with one output, Σ‖W_l‖_1 ≤ 1 iff ‖w‖_1 ≤ L^{−L} | γ(ℓ1)/L^L |
//!
//! The least Σ‖W_l‖_F² of a product W is L Σ σ_i^{2/L} (arithmetic and geometric means over balanced factors of the singular
//! value decomposition). With several outputs and L > 2 the quasi-norm is not convex: it is at least the nuclear norm, so
//! γ(nuclear) bounds from above, and the margin of the nuclear solution over its own quasi-norm is attained. Hidden layers
//! narrower than a solution's rank leave the upper bound.

use latephase_core::exact::{Failure, Geometry, max_margin};
use latephase_core::matrix::singular_values;
use latephase_core::model::AnyModel;

use super::linear::unit;
use super::{Bounds, Known, Reference, Scope, Setting, constraints, without};

/// A product of weight matrices.
pub struct DeepLinear;

/// The hidden widths, where nothing is frozen.
fn widths<'a>(setting: &Setting<'a>) -> Option<&'a [usize]> {
    match &setting.spec.model {
        AnyModel::DeepLinear(net) if net.freeze.is_empty() => Some(&net.widths),
        _ => None,
    }
}

impl Reference for DeepLinear {
    fn name(&self) -> &'static str {
        "deep-linear"
    }

    fn about(&self) -> &'static str {
        "deep linear network: maximal margin of its product, by the norm that theta's allows"
    }

    fn applies(&self, setting: &Setting<'_>) -> Result<(), String> {
        match (&setting.spec.model, widths(setting)) {
            (_, Some(_)) => Ok(()),
            (AnyModel::DeepLinear(_), None) => Err("it has frozen blocks".into()),
            (other, None) => Err(format!("the model is {}, not deep-linear", other.name())),
        }
    }

    fn columns(&self, setting: &Setting<'_>) -> Vec<String> {
        let one = setting.problem.model.outputs() == 1;
        let known = |c: &String| match setting.norm(c).and_then(Geometry::of) {
            Some(Geometry::L2 | Geometry::Spectral) => true,
            Some(Geometry::L1 | Geometry::Linf) => one,
            _ => false,
        };
        let mut columns: Vec<String> = setting.columns().into_iter().filter(known).collect();
        columns.push("margin_product".into());
        columns
    }

    fn compute(&self, setting: &Setting<'_>, column: &str) -> Known {
        let a = match constraints(setting, false) {
            Ok(a) => a,
            Err(failure) => return without(column, failure),
        };
        let hidden = widths(setting).unwrap_or_default();
        let layers = hidden.len() as f64 + 1.0;
        let one = a.shape().0 == 1;
        let (geometry, factor) = match setting.norm(column).and_then(Geometry::of) {
            _ if column == "margin_product" => (Geometry::L2, 1.0),
            Some(Geometry::L2) => (Geometry::L2, layers.powf(-layers / 2.0)),
            Some(Geometry::Linf) => (Geometry::Linf, hidden.iter().map(|w| *w as f64).product()),
            Some(Geometry::L1) => (Geometry::L1, layers.powf(-layers)),
            Some(Geometry::Spectral) => (Geometry::Spectral, 1.0),
            _ => return without(column, Failure::Stalled("no such norm".into())),
        };
        let geometry = match geometry {
            Geometry::L2 if !one && layers > 1.0 => Geometry::Nuclear,
            other => other,
        };
        let found = max_margin(&a, geometry);
        let solution = found.as_ref().ok().map(|o| o.solution.clone());
        let mut known = Known::from_optimum(&a, found, factor, format!("{factor:.6} {}", unit(geometry)));
        let (Ok(bounds), Some(solution)) = (&mut known.result, solution) else { return known };
        if one {
            return known;
        }
        let sigma = singular_values(&solution, a.shape().0, a.shape().1).unwrap_or_default();
        let rank = sigma.iter().filter(|s| **s > 1e-12 * sigma[0]).count();
        if geometry == Geometry::Nuclear && layers > 2.0 {
            // ‖W‖_{S_{2/L}} of a W of nuclear norm 1.
            let power = 2.0 / layers;
            let quasi = sigma.iter().map(|s| s.powf(power)).sum::<f64>().powf(1.0 / power);
            *bounds = Bounds { value: bounds.value / quasi, bound: bounds.bound };
            known.scope = Scope::Local;
        }
        if hidden.iter().any(|width| *width < rank) {
            *bounds = Bounds { value: f64::NAN, bound: bounds.bound };
            known.scope = Scope::Local;
        }
        known
    }
}
