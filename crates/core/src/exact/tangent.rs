//! Margins on tangent features of two-layer ReLU networks: how well the linearisation at an initialisation separates.
//!
//! For f(x) = Σ_{j≤m} a_jσ(⟨v_j, x⟩) the feature of neuron j is φ_j(x) = (σ(⟨v_j, x⟩), a_j 1[⟨v_j, x⟩ > 0] x), its gradient.
//! With weights of order 1 for each neuron ([`Neurons::unit`]):
//!
//! | margin | formula | how |
//! |---|---|---|
//! | γ_F(m) | (1/√m) max { min_i y_i Σ_j ⟨w_j, φ_j(x_i)⟩ : ‖w‖ ≤ 1 } | shortest vector of a hull, from the kernel |
//! | γ_{2,∞}(m) | (1/m) max { min_i y_i Σ_j ⟨w_j, φ_j(x_i)⟩ : ‖w_j‖ ≤ 1 for all j }, at most γ_F(m) | a second-order cone programme |
//! | γ_F(∞) | the limit of the first: the margin of the kernel E⟨φ(x), φ(x')⟩ | arc-cosine kernels of degrees 0 and 1 |
//!
//! Every answer has bounds from both sides, worked out from the data: multipliers λ bound γ_F by ‖Σλ_i y_i φ(x_i)‖/√m and γ_{2,∞}
//! by (1/m)Σ_j‖Σ_i λ_i y_i φ_j(x_i)‖.
//!
//! # References
//! Telgarsky 2022 (the two finite forms are derived from its NTK margin); Y. Cho, L. Saul, *Kernel methods for deep
//! learning* (NeurIPS 2009) for the kernels.

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::{self, NonnegativeConeT, SecondOrderConeT, ZeroConeT};
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver};

use super::{Failure, Optimum, kernel};
use crate::numeric::{axpy, dot, norm, scale};
use crate::{Invalid, Rows};

/// The neurons of a two-layer ReLU network at an initialisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Neurons {
    /// Outer weights, m.
    pub a: Vec<f64>,
    /// Inner weights, m × d.
    pub v: Vec<f64>,
    /// d.
    pub dim: usize,
}

impl Neurons {
    /// From θ = (v, a), the order of a bias-free two-layer perceptron with one output.
    ///
    /// # Errors
    /// A length that is no multiple of `dim` + 1.
    pub fn of(theta: &[f64], dim: usize) -> Result<Neurons, Invalid> {
        let m = theta.len() / (dim + 1);
        if dim == 0 || m == 0 || m * (dim + 1) != theta.len() {
            let text = format!("{} weights are no neurons of {} inputs and one output", theta.len(), dim);
            return Err(Invalid::new("theta", text));
        }
        let (v, a) = theta.split_at(m * dim);
        Ok(Neurons { a: a.to_vec(), v: v.to_vec(), dim })
    }

    /// m.
    pub fn width(&self) -> usize {
        self.a.len()
    }

    /// Each layer scaled so that Σ a_j² = Σ ‖v_j‖² = m: weights of order 1 for each neuron, whatever the initialisation's scale.
    pub fn unit(mut self) -> Neurons {
        let root = (self.width() as f64).sqrt();
        for layer in [&mut self.a, &mut self.v] {
            let size = norm(layer);
            if size > 0.0 {
                scale(root / size, layer);
            }
        }
        self
    }

    /// Writes y·φ_j(x), d + 1 numbers.
    fn feature(&self, j: usize, x: &[f64], y: f64, to: &mut [f64]) {
        let z = dot(&self.v[j * self.dim..(j + 1) * self.dim], x);
        to[0] = y * z.max(0.0);
        let slope = if z > 0.0 { y * self.a[j] } else { 0.0 };
        to[1..].iter_mut().zip(x).for_each(|(to, x)| *to = slope * x);
    }

    /// (1/m) Σ_j ⟨φ_j(x), φ_j(x')⟩: n × n, row-major.
    pub fn kernel(&self, x: Rows<'_>) -> Vec<f64> {
        let (n, m, d) = (x.n(), self.width(), self.dim);
        // ⟨φ(x), φ(x')⟩ = Σ_j σσ' + ⟨x, x'⟩ Σ_j a_j² 1·1': two small Gram matrices.
        let (mut on, mut lit) = (vec![0.0; n * m], vec![0.0; n * m]);
        for i in 0..n {
            for j in 0..m {
                let z = dot(&self.v[j * d..(j + 1) * d], x.row(i));
                on[i * m + j] = z.max(0.0);
                lit[i * m + j] = if z > 0.0 { self.a[j] } else { 0.0 };
            }
        }
        let (mut kernel, slopes) = (crate::matrix::gram(&on, n, m), crate::matrix::gram(&lit, n, m));
        for i in 0..n {
            for k in 0..n {
                let inner = dot(x.row(i), x.row(k));
                kernel[i * n + k] = (kernel[i * n + k] + inner * slopes[i * n + k]) / m as f64;
            }
        }
        kernel
    }
}

/// The maximal margin of a kernel, max { min_i y_i⟨w, φ(x_i)⟩ : ‖w‖ ≤ 1 }: γ_F for that of [`Neurons::kernel`] or [`infinite`].
/// `solution` are the coefficients of w in the y_iφ(x_i).
///
/// # Errors
/// [`Failure::NotSeparable`] where a convex combination of the y_iφ(x_i) is 0 to rounding.
///
/// # Examples
/// ```
/// use latephase_core::exact::tangent::{frobenius, infinite};
/// use latephase_core::Rows;
/// let x = [1.0, 0.0, 0.0, 1.0];
/// let found = frobenius(&infinite(Rows::new(&x, 2), 1.0, 0.5), &[1.0, -1.0])?;
/// assert!(found.value > 0.3 && found.gap() < 1e-9);
/// # Ok::<(), latephase_core::exact::Failure>(())
/// ```
pub fn frobenius(gram: &[f64], y: &[f64]) -> Result<Optimum, Failure> {
    let n = y.len();
    if n == 0 || gram.len() != n * n {
        let text = format!("{} numbers are no kernel of {n} examples", gram.len());
        return Err(Invalid::new("kernel", text).into());
    }
    let signed: Vec<f64> = (0..n * n).map(|k| y[k / n] * y[k % n] * gram[k]).collect();
    kernel::max_margin(&signed, n)
}

/// The kernel E⟨φ(x), φ(x')⟩ of infinitely many neurons with E a² = `outer` and v ~ N(0, `inner`·I):
/// inner·‖x‖‖x'‖(sin t + (π − t)cos t)/2π + outer·⟨x, x'⟩(π − t)/2π, t the angle between x and x'. n × n, row-major.
pub fn infinite(x: Rows<'_>, outer: f64, inner: f64) -> Vec<f64> {
    let n = x.n();
    let sizes: Vec<f64> = (0..n).map(|i| norm(x.row(i))).collect();
    let unit = |i: usize| -> Vec<f64> {
        let size = if sizes[i] > 0.0 { sizes[i] } else { 1.0 };
        x.row(i).iter().map(|v| v / size).collect()
    };
    let units: Vec<Vec<f64>> = (0..n).map(unit).collect();
    let mut kernel = vec![0.0; n * n];
    for i in 0..n {
        for k in 0..=i {
            // Half-angles keep the digits that an arc cosine near 0 and π would lose.
            let difference: Vec<f64> = units[i].iter().zip(&units[k]).map(|(a, b)| a - b).collect();
            let sum: Vec<f64> = units[i].iter().zip(&units[k]).map(|(a, b)| a + b).collect();
            let angle = 2.0 * norm(&difference).atan2(norm(&sum));
            let rest = std::f64::consts::PI - angle;
            let length = sizes[i] * sizes[k];
            let first = length * (angle.sin() + rest * angle.cos());
            let value = (inner * first + outer * dot(x.row(i), x.row(k)) * rest) / std::f64::consts::TAU;
            (kernel[i * n + k], kernel[k * n + i]) = (value, value);
        }
    }
    kernel
}

/// γ_{2,∞}(m) = (1/m) max { min_i y_i Σ_j ⟨w_j, φ_j(x_i)⟩ : ‖w_j‖ ≤ 1 }. `solution` are the w_j, d + 1 numbers each.
///
/// # Errors
/// [`Failure::NotSeparable`], and [`Failure::Stalled`] where the cone solver gives no multipliers.
pub fn per_node(x: Rows<'_>, y: &[f64], neurons: &Neurons) -> Result<Optimum, Failure> {
    let (n, m, k) = (x.n(), neurons.width(), neurons.dim + 1);
    if x.dim != neurons.dim || y.len() != n {
        let text = format!("{n} inputs of {} numbers, {} labels, neurons of {}", x.dim, y.len(), neurons.dim);
        return Err(Invalid::new("data", text).into());
    }
    // features[(j·n + i)·k..]: y_i φ_j(x_i).
    let mut features = vec![0.0; m * n * k];
    for (place, to) in features.chunks_exact_mut(k).enumerate() {
        let (j, i) = (place / n, place % n);
        neurons.feature(j, x.row(i), y[i], to);
    }
    let size = features.iter().fold(f64::MIN_POSITIVE, |s, f| f.abs().max(s));
    // min (1/m)Σ t_j: λ ≥ 0, Σ λ = 1, (t_j, Σ_i λ_i f_ij) in a second-order cone. Variables λ, t.
    let (mut rows, mut cols, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut put = |r: usize, c: usize, v: f64| {
        rows.push(r);
        cols.push(c);
        values.push(v);
    };
    (0..n).for_each(|i| put(0, i, 1.0));
    (0..n).for_each(|i| put(1 + i, i, -1.0));
    let mut cones: Vec<SupportedConeT<f64>> = vec![ZeroConeT(1), NonnegativeConeT(n)];
    for j in 0..m {
        let first = 1 + n + j * (k + 1);
        put(first, n + j, -1.0);
        for i in 0..n {
            for (c, f) in features[(j * n + i) * k..][..k].iter().enumerate().filter(|(_, f)| **f != 0.0) {
                put(first + 1 + c, i, -f / size);
            }
        }
        cones.push(SecondOrderConeT(k + 1));
    }
    let height = 1 + n + m * (k + 1);
    let a = CscMatrix::new_from_triplets(height, n + m, rows, cols, values);
    let (mut right, mut cost) = (vec![0.0; height], vec![0.0; n + m]);
    right[0] = 1.0;
    cost[n..].fill(1.0 / m as f64);
    let settings = DefaultSettingsBuilder::default()
        .verbose(false)
        .tol_gap_abs(1e-11)
        .tol_gap_rel(1e-11)
        .tol_feas(1e-11)
        .build()
        .map_err(|e| Failure::Stalled(e.to_string()))?;
    let p = CscMatrix::zeros((n + m, n + m));
    let mut solver = DefaultSolver::new(&p, &cost, &a, &right, &cones, settings)
        .map_err(|e| Failure::Stalled(e.to_string()))?;
    solver.solve();
    let dual: Vec<f64> = solver.solution.x[..n].iter().map(|l| l.max(0.0)).collect();
    let total: f64 = dual.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        return Err(Failure::Stalled("the cone programme ended without multipliers".into()));
    }
    let dual: Vec<f64> = dual.iter().map(|l| l / total).collect();
    // The multipliers of the cones are m·(t, w); the sums' own directions are the other candidate.
    let from_cones = (0..m).flat_map(|j| {
        let z = &solver.solution.z[1 + n + j * (k + 1)..][..k + 1];
        z[1..].iter().map(|w| -w * m as f64).collect::<Vec<f64>>()
    });
    let sums = node_sums(&features, &dual, m, k);
    let bound = sums.chunks_exact(k).map(norm).sum::<f64>() / m as f64;
    let candidates = [from_cones.collect::<Vec<f64>>(), sums];
    let scored = candidates.into_iter().enumerate().map(|(which, mut w)| {
        for w in w.chunks_exact_mut(k) {
            let length = norm(w);
            if length > 1.0 || (which == 1 && length > 0.0) {
                scale(1.0 / length, w);
            }
        }
        (least(&features, &w, n, m, k), w)
    });
    let (value, solution) = scored.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
    if !(bound > 1e-9 * size) {
        return Err(Failure::NotSeparable { weights: dual, residual: bound / size });
    }
    Ok(Optimum { solution, value, dual, bound })
}

/// Σ_i λ_i y_i φ_j(x_i) for every neuron.
fn node_sums(features: &[f64], lambda: &[f64], m: usize, k: usize) -> Vec<f64> {
    let (n, mut sums) = (lambda.len(), vec![0.0; m * k]);
    for (j, sum) in sums.chunks_exact_mut(k).enumerate() {
        for (i, l) in lambda.iter().enumerate() {
            axpy(*l, &features[(j * n + i) * k..][..k], sum);
        }
    }
    sums
}

/// min_i (1/m) Σ_j ⟨w_j, y_i φ_j(x_i)⟩.
fn least(features: &[f64], w: &[f64], n: usize, m: usize, k: usize) -> f64 {
    let margin = |i: usize| {
        let of = |j: usize| dot(&w[j * k..(j + 1) * k], &features[(j * n + i) * k..][..k]);
        (0..m).map(of).sum::<f64>() / m as f64
    };
    (0..n).map(margin).fold(f64::INFINITY, f64::min)
}
