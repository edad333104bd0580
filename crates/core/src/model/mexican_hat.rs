//! The Mexican hat: a smooth homogeneous function whose gradient flow need not settle on a direction.
//!
//! θ = (u, v, z) and f(x; θ) = (x_1 + … + x_d)·h(θ) with h(θ) = ρ^L(1 − f(θ̂)). In polar coordinates (r, φ) of (u, v)/ρ, with
//! s = 1 − r² and ψ = φ − 1/s,
//!
//! > f = e^{−1/s}(1 − A sin ψ), A = 4r⁴/(4r⁴ + s^e), for r < 1, and 0 otherwise
//!
//! is smooth (three times differentiable at r = 0) but not definable in an o-minimal structure: sin ψ oscillates for ever as
//! r → 1. On data with x_1 + … + x_d = y every margin is h. Gradient flow then rolls down the valleys of f, which wind around the
//! rim: convergence of the direction (Ji & Telgarsky 2020, Theorem 3.1) needs definability, and Lyu & Li 2020, appendix I, give
//! this example after Absil, Mahony & Andrews 2005.
//!
//! With e = 3 the curve ψ = 0 is invariant for the flow on the sphere; e = 4 is the exponent of the planar original.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::layer::Kink;
use super::{Architecture, Init, Model, Tape};
use crate::catalogue::Entry;
use crate::cite::{ABSIL_2005, Cite, LYU_LI_2020};
use crate::{Breakdown, Degree, Invalid, Layout, Rows, numeric};

/// f(x; u, v, z) = (Σx)·ρ^L(1 − f((u, v)/ρ)).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MexicanHat {
    /// L, any positive number; 1 by default. The direction turns by about ln(ln ρ/L): a small L shows more of it within f64.
    #[serde(default = "one")]
    pub degree: f64,
    /// e, 3 by default.
    #[serde(default = "three")]
    pub exponent: u32,
    /// r of θ₀, strictly between 0 and 1; ½ by default. θ₀ lies on the unit sphere with ψ = 0 and z > 0.
    #[serde(default = "half")]
    pub start: f64,
    #[serde(skip)]
    init: Init,
}

fn one() -> f64 {
    1.0
}

fn three() -> u32 {
    3
}

fn half() -> f64 {
    0.5
}

impl Default for MexicanHat {
    fn default() -> Self {
        MexicanHat { degree: one(), exponent: three(), start: half(), init: Init::default() }
    }
}

impl Architecture for MexicanHat {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        if !(self.degree > 0.0 && self.degree.is_finite()) {
            return Err(Invalid::new(
                "degree",
                format!("{} is not allowed; use a positive number", self.degree),
            ));
        }
        if self.exponent == 0 {
            return Err(Invalid::new("exponent", "0 is not allowed; use 3 or 4"));
        }
        if !(self.start > 0.0 && self.start < 1.0) {
            let text = format!("{} is not allowed; use a radius strictly between 0 and 1", self.start);
            return Err(Invalid::new("start", text));
        }
        if outputs != 1 {
            let text = format!("the hat has one output, and this loss asks for {outputs}; use exponential");
            return Err(Invalid::new("kind", text));
        }
        let mut layout = Layout::default();
        layout.push("hat", &[3], self.degree);
        Ok(Box::new(Hat {
            degree: Degree::Exact { degree: self.degree },
            power: self.degree,
            exponent: self.exponent as i32,
            start: self.start,
            inputs: input_shape.iter().product(),
            layout,
        }))
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for MexicanHat {
    const ABOUT: &'static str =
        "a smooth homogeneous function that is not definable: the direction keeps turning";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020, ABSIL_2005];
}

/// Below this s, e^{−1/s} is 0 in f64.
const RIM: f64 = 1e-3;

#[derive(Debug)]
struct Hat {
    degree: Degree,
    power: f64,
    exponent: i32,
    start: f64,
    inputs: usize,
    layout: Layout,
}

impl Hat {
    /// f and ∇f at a point of the unit sphere; f is constant along rays, so that ∇f is tangent.
    fn dent(&self, [a, b, c]: [f64; 3]) -> (f64, [f64; 3]) {
        let (s, square) = (c * c, a * a + b * b);
        if s < RIM {
            return (0.0, [0.0; 3]);
        }
        let (sin, cos) = (b.atan2(a) - 1.0 / s).sin_cos();
        let (depth, edge) = ((-1.0 / s).exp(), s.powi(self.exponent));
        let whole = 4.0 * square * square + edge;
        let share = 4.0 * square * square / whole;
        let f = depth * (1.0 - share * sin);
        // dA/ds with r² = 1 − s; the derivatives of f in s at fixed φ, and in φ over r².
        let e = f64::from(self.exponent);
        let slope = -4.0 * square * edge * (2.0 + e * square / s) / (whole * whole);
        let of_s = depth * ((1.0 - share * sin - share * cos) / (s * s) - slope * sin);
        let of_phi = -depth * 4.0 * square / whole * cos;
        let gradient =
            [-2.0 * a * s * of_s - b * of_phi, -2.0 * b * s * of_s + a * of_phi, 2.0 * c * square * of_s];
        (f, gradient)
    }

    /// h and ∇h.
    fn height(&self, theta: &[f64]) -> (f64, [f64; 3]) {
        let rho = numeric::norm(theta);
        if rho == 0.0 {
            return (0.0, [0.0; 3]);
        }
        let unit = [theta[0] / rho, theta[1] / rho, theta[2] / rho];
        let (f, dent) = self.dent(unit);
        let slope = rho.powf(self.power - 1.0);
        let gradient = [0, 1, 2].map(|k| slope * (self.power * (1.0 - f) * unit[k] - dent[k]));
        (rho.powf(self.power) * (1.0 - f), gradient)
    }
}

impl Model for Hat {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn degree(&self) -> &Degree {
        &self.degree
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        1
    }

    fn init(&self, _rng: &mut ChaCha8Rng) -> Vec<f64> {
        let r = self.start;
        let s = 1.0 - r * r;
        let (sin, cos) = (1.0 / s).sin_cos();
        vec![r * cos, r * sin, s.sqrt()]
    }

    fn forward(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        out: &mut [f64],
        _tape: &mut Tape,
    ) -> Result<(), Breakdown> {
        let (h, _) = self.height(theta);
        out.iter_mut().enumerate().for_each(|(i, out)| *out = h * x.row(i).iter().sum::<f64>());
        Ok(())
    }

    fn pullback(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        _tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        let (h, gradient) = self.height(theta);
        if let Some(grad) = grad {
            let total: f64 = cot.iter().enumerate().map(|(i, c)| c * x.row(i).iter().sum::<f64>()).sum();
            numeric::axpy(total, &gradient, grad);
        }
        if let Some(dx) = dx {
            for (row, c) in dx.chunks_exact_mut(self.inputs).zip(cot) {
                row.fill(c * h);
            }
        }
        Ok(())
    }

    fn kinks(&self, _theta: &[f64], _x: Rows<'_>, _within: f64) -> Option<Vec<Kink>> {
        Some(Vec::new())
    }

    fn is_definable(&self) -> bool {
        false
    }

    fn lipschitz(&self, theta: &[f64]) -> f64 {
        self.height(theta).0.abs() * (self.inputs as f64).sqrt()
    }

    fn row_size(&self) -> usize {
        1
    }
}
