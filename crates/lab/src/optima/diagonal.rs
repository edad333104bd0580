//! Diagonal linear networks f(x) = ⟨u^k − v^k, x⟩: the margin of θ = (u, v) is that of w = u^k − v^k.
//!
//! The least Σu² + Σv² of a w is Σ|w_j|^{2/k} for k ≥ 2, where each w_j takes u_j or v_j alone, and ½Σw_j² for k = 1. So
//! `margin` is the maximal margin in ℓ1 for k = 2, in ℓ2 times √2 for k = 1. For k > 2 the quasi-norm (Σ|w_j|^{2/k})^{k/2} is
//! not convex. It is at least ‖w‖₁, so γ(ℓ1) bounds from above; from below stands what reweighted ℓ1 problems reach from the
//! ℓ1 and the ℓ2 solution, each a step of majorisation that never loses margin.
//!
//! `margin_linf`: |u|, |v| ≤ 1 allow |w_j| ≤ 1 where k is even and 2 where it is odd: γ(ℓ∞) times that.
//!
//! # References
//! E. Candès, M. Wakin, S. Boyd, *Enhancing sparsity by reweighted ℓ1 minimization*, J. Fourier Analysis and Applications 14
//! (2008)

use latephase_core::exact::{Constraints, Failure, Geometry, max_margin};
use latephase_core::model::AnyModel;

use super::linear::unit;
use super::{Bounds, Known, Reference, Scope, Setting, constraints, without};

/// u^k − v^k, element by element.
pub struct Diagonal;

/// Steps of majorisation: they end earlier where the margin no longer grows.
const STEPS: usize = 40;

fn depth(setting: &Setting<'_>) -> Option<u32> {
    match &setting.spec.model {
        AnyModel::Diagonal(net) if net.freeze.is_empty() => Some(net.depth),
        _ => None,
    }
}

impl Reference for Diagonal {
    fn name(&self) -> &'static str {
        "diagonal"
    }

    fn about(&self) -> &'static str {
        "diagonal network: maximal margin of u^k - v^k; l1 for k = 2, a local optimum beyond"
    }

    fn applies(&self, setting: &Setting<'_>) -> Result<(), String> {
        match (&setting.spec.model, depth(setting)) {
            (_, Some(_)) => Ok(()),
            (AnyModel::Diagonal(_), None) => Err("it has frozen blocks".into()),
            (other, None) => Err(format!("the model is {}, not diagonal", other.name())),
        }
    }

    fn columns(&self, setting: &Setting<'_>) -> Vec<String> {
        let known = |c: &String| {
            matches!(setting.norm(c).and_then(Geometry::of), Some(Geometry::L2 | Geometry::Linf))
        };
        setting.columns().into_iter().filter(known).collect()
    }

    fn compute(&self, setting: &Setting<'_>, column: &str) -> Known {
        let (a, k) = match (constraints(setting, false), depth(setting)) {
            (Ok(a), Some(k)) => (a, k),
            (Err(failure), _) => return without(column, failure),
            (_, None) => return without(column, Failure::Stalled("no such model".into())),
        };
        let exact = |geometry: Geometry, factor: f64| {
            let text = if factor == 1.0 { unit(geometry) } else { format!("{factor:.6} {}", unit(geometry)) };
            Known::from_optimum(&a, max_margin(&a, geometry), factor, text)
        };
        match setting.norm(column).and_then(Geometry::of) {
            Some(Geometry::Linf) => exact(Geometry::Linf, if k % 2 == 1 { 2.0 } else { 1.0 }),
            Some(Geometry::L2) if k == 1 => exact(Geometry::L2, 2f64.sqrt()),
            Some(Geometry::L2) if k == 2 => exact(Geometry::L1, 1.0),
            Some(Geometry::L2) => {
                let mut known = exact(Geometry::L1, 1.0);
                if let Ok(bounds) = &mut known.result {
                    *bounds = Bounds { value: local(&a, 2.0 / f64::from(k)), bound: bounds.bound };
                    known.scope = Scope::Local;
                    known.unit = format!("(sum |w|^(2/{k}))^({k}/2) = 1");
                }
                known
            }
            _ => without(column, Failure::Stalled("no such norm".into())),
        }
    }
}

/// The best margin of a local optimum over (Σ|w|^power)^{1/power} ≤ 1, power < 1; NaN where none was found.
fn local(a: &Constraints<'_>, power: f64) -> f64 {
    let starts = [Geometry::L1, Geometry::L2].map(|geometry| max_margin(a, geometry));
    let ends = starts.into_iter().flatten().map(|start| {
        let (mut w, mut best) = (start.solution, f64::NAN);
        for _ in 0..STEPS {
            let size = w.iter().map(|x| x.abs().powf(power)).sum::<f64>().powf(1.0 / power);
            let margin = a.margins(&w).into_iter().fold(f64::INFINITY, f64::min) / size;
            if !(margin > best * (1.0 + 1e-12) || best.is_nan()) {
                break;
            }
            best = margin;
            // Σ|w|^p ≤ Σp|w̄|^{p−1}|w| + const, with equality at w̄: an ℓ1 problem in w_j over factors |w̄_j|^{1−p}.
            let factors: Vec<f64> = w.iter().map(|x| (x.abs() / size).powf(1.0 - power)).collect();
            let Ok(next) = max_margin(&a.scaled(&factors), Geometry::L1) else { break };
            w = next.solution.iter().zip(&factors).map(|(x, f)| x * f).collect();
        }
        best
    });
    ends.fold(f64::NAN, f64::max)
}
