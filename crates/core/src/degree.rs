//! Degree of homogeneity, as the degree calculus derives it from the layers.

use serde::Serialize;

use crate::Posynomial;

/// How a model's outputs grow with ‖θ‖: f(cθ) = c^L f(θ) for all c > 0, nearly so, or not at all.
///
/// Derived from the layers, never typed in by hand. Measures that need L use the order M for `Near`, and say so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Degree {
    /// f(cθ) = c^L f(θ).
    Exact {
        /// L.
        degree: f64,
    },
    /// Near-homogeneous of order M (Cai et al. 2025, Definition 1): f(cθ)/c^M has a limit, the homogenization.
    Near {
        /// M.
        order: f64,
        /// What is left out of the homogenization.
        defect: Defect,
    },
    /// No degree; measures that need one are not offered.
    None {
        /// The reason.
        why: String,
    },
}

/// The lower-order part of a near-homogeneous network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Defect {
    /// The highest power of ‖θ‖ in |⟨∇f, θ⟩ − M f|.
    pub power: f64,
    /// p′(ρ): |⟨∇f, θ⟩ − M f| ≤ p′(‖θ‖) for every input whose norm is within the radius that was asked for.
    pub bound: Posynomial,
    /// Where it comes from.
    pub why: String,
}

impl Degree {
    /// L, or the order M of a near-homogeneous network; none for `None`.
    pub fn order(&self) -> Option<f64> {
        match self {
            Degree::Exact { degree } => Some(*degree),
            Degree::Near { order, .. } => Some(*order),
            Degree::None { .. } => None,
        }
    }

    /// Whether the homogeneity is exact.
    pub fn is_exact(&self) -> bool {
        matches!(self, Degree::Exact { .. })
    }

    /// p′(ρ), a bound of |⟨∇f, θ⟩ − M f|; 0 where the homogeneity is exact, none without an order.
    pub fn defect(&self) -> Option<Posynomial> {
        match self {
            Degree::Exact { .. } => Some(Posynomial::ZERO),
            Degree::Near { defect, .. } => Some(defect.bound.clone()),
            Degree::None { .. } => None,
        }
    }

    /// p_a(ρ) = Σ b_i/(M − i) ρ^i for p′(ρ) = Σ b_i ρ^i: a bound of |f − f_H|. From d/dr[f(rθ)/r^M] =
    /// (⟨∇f(rθ), rθ⟩ − M f(rθ))/r^{M+1}, integrated from 1 to ∞.
    pub fn gap(&self) -> Option<Posynomial> {
        Some(self.defect()?.integrated(self.order()?))
    }
}

impl std::fmt::Display for Degree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Degree::Exact { degree } => write!(f, "homogeneous of degree {degree}"),
            Degree::Near { order, defect } => {
                write!(f, "near-homogeneous of order {order} (defect ~ rho^{}: {})", defect.power, defect.why)
            }
            Degree::None { why } => write!(f, "not homogeneous: {why}"),
        }
    }
}
