//! The norms that a margin may be divided by.

use crate::matrix::singular_values;
use crate::norm::AnyNorm;
use crate::numeric::{compensated_sum, norm};

/// The norm ‖θ‖ ≤ 1 of a maximal margin; matrix norms are of W, outputs × inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Geometry {
    /// Σ|θ_j|.
    L1,
    /// √Σθ_j², the Frobenius norm of W.
    L2,
    /// max|θ_j|.
    Linf,
    /// (Σ|θ_j|^p)^{1/p}, 1 < p < ∞.
    Lp(f64),
    /// The largest singular value of W.
    Spectral,
    /// The sum of the singular values of W.
    Nuclear,
}

impl Geometry {
    /// The geometry of a norm of a spec over one matrix; none where it is made of several norms.
    pub fn of(norm: &AnyNorm) -> Option<Geometry> {
        match norm {
            AnyNorm::L1(_) => Some(Geometry::L1),
            AnyNorm::L2(_) | AnyNorm::FrobeniusMax(_) => Some(Geometry::L2),
            AnyNorm::Linf(_) => Some(Geometry::Linf),
            AnyNorm::Lp(lp) if lp.p == 1.0 => Some(Geometry::L1),
            AnyNorm::Lp(lp) if lp.p == 2.0 => Some(Geometry::L2),
            AnyNorm::Lp(lp) => Some(Geometry::Lp(lp.p)),
            AnyNorm::Spectral(_) => Some(Geometry::Spectral),
            AnyNorm::Nuclear(_) => Some(Geometry::Nuclear),
            AnyNorm::Blockwise(_) | AnyNorm::External(_) => None,
        }
    }

    /// ‖v‖ for a rows × cols matrix.
    pub fn norm(self, v: &[f64], (rows, cols): (usize, usize)) -> f64 {
        match self {
            Geometry::L1 => compensated_sum(v.iter().map(|x| x.abs())),
            Geometry::L2 => norm(v),
            Geometry::Linf => v.iter().fold(0.0, |m, x| x.abs().max(m)),
            Geometry::Lp(p) => power_norm(v, p),
            Geometry::Spectral | Geometry::Nuclear => match singular_values(v, rows, cols) {
                None => f64::NAN,
                Some(sigma) if self == Geometry::Spectral => sigma.first().copied().unwrap_or(0.0),
                Some(sigma) => compensated_sum(sigma),
            },
        }
    }

    /// The geometry of the dual norm.
    pub fn dual(self) -> Geometry {
        match self {
            Geometry::L1 => Geometry::Linf,
            Geometry::L2 => Geometry::L2,
            Geometry::Linf => Geometry::L1,
            Geometry::Lp(p) => Geometry::Lp(p / (p - 1.0)),
            Geometry::Spectral => Geometry::Nuclear,
            Geometry::Nuclear => Geometry::Spectral,
        }
    }

    /// A bound of the relative rounding of [`norm`](Geometry::norm), in units of 2⁻⁵³.
    pub(super) fn roundings(self, (rows, cols): (usize, usize)) -> f64 {
        match self {
            Geometry::L1 | Geometry::Linf => 4.0,
            // A sum in lanes of squares, and a root.
            Geometry::L2 => 8.0 + (rows * cols) as f64 / 8.0,
            // (x/m)^p repeats the rounding of the quotient p times, and the power of the sum divides it again.
            Geometry::Lp(p) => 16.0 + 8.0 * p.max(p / (p - 1.0)),
            Geometry::Spectral | Geometry::Nuclear => 8.0 * rows.max(cols) as f64,
        }
    }
}

fn power_norm(v: &[f64], p: f64) -> f64 {
    let largest = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * compensated_sum(v.iter().map(|x| (x.abs() / largest).powf(p))).powf(1.0 / p)
}
