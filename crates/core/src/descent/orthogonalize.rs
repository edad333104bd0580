//! How a matrix is made orthogonal: exactly, or by the iteration that is used in practice.

use std::fmt::Debug;

use faer::{Mat, MatRef, Scale};
use serde::{Deserialize, Serialize};

use super::far::Far;
use super::settings::not_negative;
use crate::catalogue::Entry;
use crate::cite::{Cite, JORDAN_2024, TSILIVIS_2024};
use crate::{Frame, Invalid, matrix, numeric};

/// The factor of a matrix, as `unit`·2^`power` times what was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factored {
    /// In [1, 2).
    pub unit: f64,
    /// The power of two.
    pub power: i64,
}

/// From a matrix to a (nearly) orthogonal one of the same singular vectors.
pub trait Orthogonalize: Send + Sync + Debug {
    /// Writes the factor of the row-major rows × cols matrix `a`, which stands for size·a, and returns its unit. None
    /// when a kernel fails.
    fn factor(&self, a: &[f64], rows: usize, cols: usize, size: Frame, out: &mut [f64]) -> Option<Factored>;
    /// Checks the settings.
    ///
    /// # Errors
    /// No steps, coefficients that are not finite, a negative ε.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

const ONE: Factored = Factored { unit: 1.0, power: 0 };

/// The polar factor UVᵀ of A = UΣVᵀ by a singular value decomposition: all singular values are 1.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Svd {}

impl Orthogonalize for Svd {
    fn factor(&self, a: &[f64], rows: usize, cols: usize, _: Frame, out: &mut [f64]) -> Option<Factored> {
        matrix::polar(a, rows, cols, out).map(|_| ONE)
    }
}

/// Newton–Schulz: X ← aX + (bXXᵀ + c(XXᵀ)²)X from X = A/max(‖A‖_F, ε), in f64.
///
/// With the default coefficients singular values end between about 0.7 and 1.2, never exactly at 1; (15/8, −10/8, 3/8)
/// converges to 1. Without ε the iteration sees only A/‖A‖_F, so it is the same at every size of A.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewtonSchulz {
    /// Iterations, 5 by default.
    #[serde(default = "five")]
    pub steps: u32,
    /// a, b, c.
    #[serde(default = "steep")]
    pub coefficients: [f64; 3],
    /// ε, in the unit of the true gradient; 0 by default. The stock 1e-7 ends training once gradients are below it.
    #[serde(default)]
    pub epsilon: f64,
}

fn five() -> u32 {
    5
}

fn steep() -> [f64; 3] {
    [3.4445, -4.7750, 2.0315]
}

impl Default for NewtonSchulz {
    fn default() -> Self {
        NewtonSchulz { steps: five(), coefficients: steep(), epsilon: 0.0 }
    }
}

impl NewtonSchulz {
    /// Below this size X³ is nothing beside X, and the iteration is X ← aX.
    const LINEAR: i64 = -250;

    fn iterate(&self, mut x: Mat<f64>) -> Mat<f64> {
        let [a, b, c] = self.coefficients;
        for _ in 0..self.steps {
            let gram = &x * x.transpose();
            let update = Scale(b) * &gram + Scale(c) * (&gram * &gram);
            x = Scale(a) * &x + update * &x;
        }
        x
    }
}

impl Orthogonalize for NewtonSchulz {
    fn factor(&self, a: &[f64], rows: usize, cols: usize, size: Frame, out: &mut [f64]) -> Option<Factored> {
        let (levelled, power) = matrix::levelled(a)?;
        let norm = numeric::norm(&levelled);
        if norm == 0.0 {
            out.fill(0.0);
            return Some(ONE);
        }
        // ‖A‖_F/ε, where that is below 1.
        let true_norm = Far::of(norm).mul(Far::two_to(power)).mul(size.into());
        let ratio = true_norm.div(Frame::number(self.epsilon).into());
        let small = self.epsilon > 0.0 && ratio.x != 0.0 && ratio.exponent() < 0;
        if small && ratio.exponent() < Self::LINEAR {
            let slope = self.coefficients[0].powi(self.steps as i32) / norm;
            out.iter_mut().zip(&levelled).for_each(|(out, x)| *out = slope * x);
            let unit = ratio.mul(Far::two_to(-ratio.exponent())).to_f64();
            return Some(Factored { unit, power: ratio.exponent() });
        }
        let scale = if small { ratio.to_f64() / norm } else { 1.0 / norm };
        // The smaller of XXᵀ and XᵀX, as the stock routine does.
        let x = MatRef::from_row_major_slice(&levelled, rows, cols);
        let wide = rows <= cols;
        let x = Scale(scale) * if wide { x } else { x.transpose() };
        let x = self.iterate(x);
        for (i, row) in out.chunks_exact_mut(cols).enumerate() {
            row.iter_mut().enumerate().for_each(|(j, o)| *o = if wide { x[(i, j)] } else { x[(j, i)] });
        }
        Some(ONE)
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.steps == 0 || self.steps > 100 {
            return Err(Invalid::new("steps", format!("{} is not allowed; use 1 to 100", self.steps)));
        }
        if !numeric::all_finite(&self.coefficients) {
            let text = format!("{:?} is not allowed; use three finite numbers", self.coefficients);
            return Err(Invalid::new("coefficients", text));
        }
        not_negative("epsilon", self.epsilon)
    }
}

crate::catalogue! {
    /// How Muon makes its step orthogonal.
    pub AnyOrthogonalize: Orthogonalize, "orthogonalize" {
        "svd" => Svd,
        "newton-schulz" => NewtonSchulz,
    }
}

impl Default for AnyOrthogonalize {
    fn default() -> Self {
        Svd {}.into()
    }
}

impl Entry for Svd {
    const ABOUT: &'static str = "the exact polar factor";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024];
}

impl Entry for NewtonSchulz {
    const ABOUT: &'static str = "the iteration of practice, scale-free and in f64";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[JORDAN_2024];
}
