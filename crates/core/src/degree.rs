//! The degree of homogeneity in θ, derived from the layers.
//!
//! f is homogeneous of degree L when f(cθ; x) = c^L f(θ; x) for c > 0. The degree calculus: a composite of pieces of
//! degrees (M₁, N₁) after (M₂, N₂) in (parameters, input) has (M₁ + N₁·M₂, N₁·N₂); in a sum the largest parameter
//! degree wins and the lower branches are a defect. Hence depth-L ReLU^p follows h ← p·h + 1.

use serde::Serialize;

/// Degree of homogeneity of the network's outputs in θ.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
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

    /// The network with a linear map of its own parameters put on top: (1 + M, N).
    pub fn then_dense(self) -> Degree {
        self.map(|h| h + 1.0)
    }

    /// The network under an activation that is homogeneous of degree `p` in its input.
    pub fn then_power(self, p: f64) -> Degree {
        // (z + e)^p = z^p + p z^{p-1} e + …: the defect's power grows by (p − 1)·M.
        match self {
            Degree::Near { order, defect } => {
                let power = (p - 1.0) * order + defect.power;
                Degree::Near { order: p * order, defect: Defect { power, ..defect } }
            }
            other => other.map(|h| p * h),
        }
    }

    /// The network plus a bias of its own: a summand of degree 1, or of degree 0 where it is frozen.
    pub fn then_bias(self, name: &str, bias: f64) -> Degree {
        let (order, old) = match self {
            Degree::Exact { degree } if degree == bias => return Degree::Exact { degree },
            Degree::Exact { degree } => (degree, None),
            Degree::Near { order, defect } if order == bias => return Degree::Near { order, defect },
            Degree::Near { order, defect } => (order, Some(defect)),
            none => return none,
        };
        // In a sum the highest degree wins, and what is below it joins the defect.
        let (high, low) = (order.max(bias), order.min(bias));
        let power = old.map_or(low, |d| d.power.max(low));
        let why = format!("the bias {name} has degree {bias} beside a sum of degree {order}");
        Degree::Near { order: high, defect: Defect { power, why } }
    }

    fn map(self, change: impl Fn(f64) -> f64) -> Degree {
        match self {
            Degree::Exact { degree } => Degree::Exact { degree: change(degree) },
            Degree::Near { order, defect } => {
                let power = defect.power + (change(order) - order);
                Degree::Near { order: change(order), defect: Defect { power, ..defect } }
            }
            none => none,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relu_squared_networks_of_n_layers_have_degree_two_to_the_n_minus_one() {
        let mut degree = Degree::Exact { degree: 0.0 }.then_dense();
        for layers in 2..7 {
            degree = degree.then_power(2.0).then_dense();
            assert_eq!(degree, Degree::Exact { degree: f64::powi(2.0, layers) - 1.0 });
        }
    }

    #[test]
    fn a_bias_keeps_the_degree_only_in_the_first_layer() {
        let first = Degree::Exact { degree: 0.0 }.then_dense().then_bias("0.bias", 1.0);
        assert!(first.is_exact());
        let second = first.then_power(1.0).then_dense().then_bias("2.bias", 1.0);
        assert_eq!(second.order(), Some(2.0));
        assert!(!second.is_exact());
    }

    #[test]
    fn a_frozen_bias_is_a_constant_beside_what_is_trained() {
        let defect = |degree: &Degree| match degree {
            Degree::Near { defect, .. } => defect.power,
            _ => f64::NAN,
        };
        // W x + b, b frozen, then a linear map on top; and a frozen map below a trained bias.
        let first = Degree::Exact { degree: 0.0 }.then_dense().then_bias("0.bias", 0.0);
        assert_eq!((first.order(), defect(&first)), (Some(1.0), 0.0));
        let second = first.then_power(1.0).then_dense();
        assert_eq!((second.order(), defect(&second)), (Some(2.0), 1.0));
        let below = Degree::Exact { degree: 0.0 }.then_bias("0.bias", 1.0);
        assert_eq!((below.order(), defect(&below)), (Some(1.0), 0.0));
        // A frozen bias on frozen features changes nothing.
        assert_eq!(Degree::Exact { degree: 0.0 }.then_bias("0.bias", 0.0), Degree::Exact { degree: 0.0 });
        // A trained bias on a frozen map of a network of degree 1 is a summand of its own degree.
        assert_eq!(Degree::Exact { degree: 1.0 }.then_bias("2.bias", 1.0), Degree::Exact { degree: 1.0 });
    }
}
