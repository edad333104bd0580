//! The global maximal margin of two-layer ReLU networks, with a certificate.
//!
//! γ_gl = max { min_i y_i Σ_j α_j σ(⟨β_j, x_i⟩) : ‖α‖₁ ≤ 1, ‖β_j‖ = 1 }, over any number of neurons. It is a linear programme in
//! a measure on the sphere, and its dual is
//!
//! γ_gl = min { max_{±, ‖β‖≤1} ±Σ_i λ_i y_i σ(⟨β, x_i⟩) : λ ≥ 0, Σ λ = 1 }:
//!
//! a network bounds it from below and multipliers from above. *Columns are generated*: the programme over the neurons at hand
//! gives λ, and a neuron that λ prices above the value joins, until there is none. Pricing is exact: the pieces of
//! β ↦ Σ c_i σ(⟨β, x_i⟩) are the cells of the arrangement of the hyperplanes ⟨β, x_i⟩ = 0, on each of which the maximum is the
//! length of a projection, and a search over signs leaves out whole parts of the arrangement by a bound (`pricing`).
//!
//! As Σ|a_j|‖v_j‖ ≤ ½‖θ‖², **no two-layer ReLU network has a normalised margin q_min/‖θ‖² above γ_gl/2**.
//!
//! # References
//! The measure and its dual: F. Bach, *Breaking the curse of dimensionality with convex neural networks* (JMLR 18, 2017);
//! activation arrangements: M. Pilanci, T. Ergen, *Neural networks are convex regularizers* (ICML 2020); γ_gl as what
//! gradient flow is compared with: Telgarsky 2022.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Failure, Optimum};
use crate::numeric::{dot, norm, scale};
use crate::rng::stream;
use crate::{Data, Invalid, Rows};

mod columns;
mod pricing;
mod verify;

use columns::Columns;
pub use pricing::Branch;
use pricing::{Limits, Pricing};
pub use verify::{ceiling, value};

/// One neuron: α σ(⟨β, x⟩) with ‖β‖ = 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Neuron {
    /// Its outer weight; the absolute values sum to 1.
    pub alpha: f64,
    /// Its unit inner weights.
    pub beta: Vec<f64>,
}

/// The global maximal margin between two bounds.
#[derive(Clone, Debug)]
pub struct TwoLayer {
    /// The network of the lower bound.
    pub neurons: Vec<Neuron>,
    /// `solution` is the neurons as (α, β) one after the other; `value` ≤ γ_gl ≤ `bound`; `dual` are the λ of `bound`.
    pub optimum: Optimum,
    /// Why no neuron is priced above `bound`: a tree of sign choices for +Σ λ_i y_i σ and one for −Σ λ_i y_i σ.
    pub trees: [Vec<Branch>; 2],
    /// Sign choices looked at in all.
    pub nodes: usize,
}

impl TwoLayer {
    /// (γ_gl from below, γ_gl from above), both recomputed from the data, the neurons, the multipliers and the trees by code
    /// that shares nothing with the search ([`value`], [`ceiling`]). None where the certificate does not hold together.
    pub fn verified(&self, x: Rows<'_>, y: &[f64]) -> Option<(f64, f64)> {
        let lambda = &self.optimum.dual;
        let total: f64 = lambda.iter().sum();
        if lambda.len() != y.len() || lambda.iter().any(|l| !(*l >= 0.0)) || (total - 1.0).abs() > 1e-12 {
            return None;
        }
        let mut bound = 0.0f64;
        for (sign, tree) in [1.0, -1.0].into_iter().zip(&self.trees) {
            let c: Vec<f64> = lambda.iter().zip(y).map(|(l, y)| sign * l * y).collect();
            bound = bound.max(ceiling(x, &c, tree)?);
        }
        Some((value(x, y, &self.neurons), bound))
    }
}

/// How long to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Most sign choices that one pricing looks at, 20000 by default; with fewer the upper bound is looser, never wrong.
    pub nodes: usize,
    /// Most rounds of the master programme, 400 by default.
    pub rounds: usize,
    /// Relative gap at which to stop, 1e-8 by default.
    pub tolerance: f64,
}

impl Default for Effort {
    fn default() -> Self {
        Effort { nodes: 20_000, rounds: 400, tolerance: 1e-8 }
    }
}

/// γ_gl of a binary data set.
///
/// # Errors
/// Data that no two-layer ReLU network separates (some λ prices every neuron at 0), that have more than two classes, or whose
/// inputs are all 0.
///
/// # Examples
/// Two orthogonal unit inputs, one of each class: a neuron for each shares α, so the margin is ½.
/// ```
/// use latephase_core::Data;
/// use latephase_core::exact::two_layer::{self, Effort};
/// let data = Data::new(vec![1.0, 0.0, 0.0, 1.0], vec![0, 1], vec!["+".into(), "-".into()], vec![2])?;
/// let found = two_layer::of(&data, &Effort::default())?;
/// assert!((found.optimum.value - 0.5).abs() < 1e-8 && found.optimum.gap() < 1e-7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn of(data: &Data, effort: &Effort) -> Result<TwoLayer, Failure> {
    if data.classes.len() != 2 {
        let text = format!("the global margin is of two classes, and the data have {}", data.classes.len());
        return Err(Invalid::new("data", text).into());
    }
    let y: Vec<f64> = (0..data.n()).map(|i| data.sign(i)).collect();
    maximal(data.rows(), &y, effort)
}

/// γ_gl of inputs with labels ±1.
///
/// # Errors
/// As [`of`].
pub fn maximal(x: Rows<'_>, y: &[f64], effort: &Effort) -> Result<TwoLayer, Failure> {
    let (n, d) = (x.n(), x.dim);
    assert_eq!(n, y.len(), "a label for each example");
    let longest = (0..n).map(|i| norm(x.row(i))).fold(0.0, f64::max);
    if !(longest > 0.0) {
        return Err(Invalid::new("data", "every input is 0").into());
    }
    let pricing = Pricing::new(x);
    let mut columns = Columns::new(d);
    for i in 0..n {
        let mut beta = x.row(i).to_vec();
        if normalise(&mut beta) {
            columns.add(x, y, y[i], &beta);
        }
    }
    let limits = |above: f64, column: bool| Limits { above, column, nodes: effort.nodes };
    let uniform = vec![1.0 / n as f64; n];
    let mut best: Option<TwoLayer> = None;
    let mut nodes = 0;
    // The multipliers that price the dearest neuron met lowest.
    let mut center = (f64::INFINITY, uniform.clone());
    for round in 0..effort.rounds.max(1) {
        let (lower, alphas, lambda) = columns.solve(n)?;
        // What prices above this is worth another round.
        let above = (lower * (1.0 + effort.tolerance)).max(1e-11 * longest);
        let mut joined = 0;
        // Multipliers of the programme jump about; half-way to the best ones so far they price more usefully.
        let blend = |center: &Vec<f64>| -> Vec<f64> {
            center.iter().zip(&lambda).map(|(c, l)| 0.5 * (c + l)).collect()
        };
        for at in [blend(&center.1), lambda.clone()] {
            let mut dearest = 0.0f64;
            for (k, sign) in [1.0, -1.0].into_iter().enumerate() {
                let (c, own) = (weights(&at, y, sign), weights(&lambda, y, sign));
                let mut starts = columns.heaviest(&alphas);
                let mut rng = stream(k as u64, "exact.two-layer", round as u64);
                starts.extend((0..16).map(|_| (0..d).map(|_| StandardNormal.sample(&mut rng)).collect()));
                starts.extend((0..8).map(|_| x.row(rng.random_range(0..n)).to_vec()));
                let mut found: Vec<(f64, Vec<f64>)> =
                    starts.iter().map(|start| pricing.climb(&c, start)).collect();
                found.sort_by(|a, b| b.0.total_cmp(&a.0));
                dearest = found.first().map_or(dearest, |f| f.0.max(dearest));
                found.retain(|(_, beta)| pricing.price(&own, beta) > above);
                found.dedup_by(|a, b| dot(&a.1, &b.1) > 1.0 - 1e-12);
                for (_, beta) in found.iter().take(8) {
                    joined += usize::from(columns.add(x, y, sign, beta));
                }
            }
            if dearest < center.0 {
                center = (dearest, at);
            }
            if joined > 0 {
                break;
            }
        }
        let last = round + 1 >= effort.rounds;
        if joined > 0 && !last {
            columns.purge(&lambda, lower);
            continue;
        }
        let mut trees = [Vec::new(), Vec::new()];
        let mut bound = 0.0f64;
        for (k, sign) in [1.0, -1.0].into_iter().enumerate() {
            let c = weights(&lambda, y, sign);
            let mut priced = pricing.ceiling(&c, &limits(above, !last));
            nodes += priced.nodes;
            if priced.best.0 > above && !last {
                if columns.add(x, y, sign, &priced.best.1) {
                    joined += 1;
                } else {
                    // The programme has it and is not more precise than this: what is left is the bound.
                    priced = pricing.ceiling(&c, &limits(above, false));
                    nodes += priced.nodes;
                }
            }
            bound = bound.max(priced.bound);
            trees[k] = priced.tree;
        }
        if joined > 0 && !last {
            continue;
        }
        best = Some(columns.found(x, y, &alphas, (lambda, bound), trees, nodes));
        break;
    }
    let mut best = best.ok_or_else(|| Failure::Stalled("no round of the master programme ended".into()))?;
    // Uniform multipliers are optimal for symmetric data, where those of the programme are one choice of many; and a search
    // that ended early has better ones behind it.
    for other in [uniform, center.1] {
        if best.optimum.gap() <= effort.tolerance {
            break;
        }
        let above = best.optimum.value * (1.0 + effort.tolerance);
        let priced =
            [1.0, -1.0].map(|sign| pricing.ceiling(&weights(&other, y, sign), &limits(above, false)));
        let bound = priced[0].bound.max(priced[1].bound);
        best.nodes += priced[0].nodes + priced[1].nodes;
        if bound < best.optimum.bound {
            best.optimum.bound = bound;
            best.optimum.dual = other;
            best.trees = priced.map(|p| p.tree);
        }
    }
    if best.optimum.bound <= 1e-9 * longest {
        let residual = best.optimum.bound / longest;
        return Err(Failure::NotSeparable { weights: best.optimum.dual, residual });
    }
    Ok(best)
}

/// The dearest neuron for given multipliers.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// The dearest unit β met; 0 where every neuron met costs nothing or less.
    pub beta: Vec<f64>,
    /// Σ c_i σ(⟨β, x_i⟩) there.
    pub value: f64,
    /// No unit β is dearer.
    pub bound: f64,
}

/// max_{‖β‖=1} Σ c_i σ(⟨β, x_i⟩) between two bounds, from at most `nodes` sign choices. A search for whether the maximum is at
/// most `above`: parts of the sphere that cannot exceed it are left, and a neuron above it ends the search.
///
/// # Examples
/// Two opposite inputs, one of each sign: the neuron sees the first alone.
/// ```
/// use latephase_core::Rows;
/// use latephase_core::exact::two_layer::price;
/// let found = price(Rows::new(&[2.0, 0.0, -1.0, 0.0], 2), &[1.0, -1.0], 0.0, 100);
/// assert!((found.value - 2.0).abs() < 1e-12 && found.beta[0] > 1.0 - 1e-12);
/// ```
pub fn price(x: Rows<'_>, c: &[f64], above: f64, nodes: usize) -> Price {
    let priced = Pricing::new(x).ceiling(c, &Limits { above, column: true, nodes });
    let (value, beta) = priced.best;
    Price { beta, value, bound: priced.bound }
}

/// γ_gl = 1/√(8d) of 2-sparse parity on the whole cube x ∈ {±1/√d}^d, y = d·x_1x_2: the network that attains it.
///
/// The bound is analytic, for uniform weights λ: with z = ⟨β, x⟩, σ(z) = (z + |z|)/2 and E yz = 0,
/// |E yσ(z)| ≤ ½·max(E[|z|; y = 1], E[|z|; y = −1]) ≤ ½√(½·E[z²; y = ±1]), and E[z²; y = ±1] = (‖β‖² ± 2β_1β_2)/(2d) ≤ 1/d.
/// The same bound is what the first node of [`maximal`]'s search evaluates.
///
/// # Errors
/// `dim` below 2.
///
/// # Examples
/// ```
/// let found = latephase_core::exact::two_layer::parity(4)?;
/// assert_eq!(found.0.len(), 4);
/// assert_eq!(found.1, 1.0 / 32f64.sqrt());
/// # Ok::<(), latephase_core::Invalid>(())
/// ```
pub fn parity(dim: usize) -> Result<(Vec<Neuron>, f64), Invalid> {
    if dim < 2 {
        return Err(Invalid::new(
            "dim",
            format!("2-sparse parity needs two coordinates, and there are {dim}"),
        ));
    }
    let neuron = |(a, b): (f64, f64)| {
        let mut beta = vec![0.0; dim];
        (beta[0], beta[1]) = (a * 0.5f64.sqrt(), b * 0.5f64.sqrt());
        Neuron { alpha: 0.25 * a * b, beta }
    };
    let signs = [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)];
    Ok((signs.map(neuron).to_vec(), 1.0 / (8.0 * dim as f64).sqrt()))
}

fn weights(lambda: &[f64], y: &[f64], sign: f64) -> Vec<f64> {
    lambda.iter().zip(y).map(|(l, y)| sign * l * y).collect()
}

/// Whether there is a direction; then at length 1.
fn normalise(v: &mut [f64]) -> bool {
    let size = norm(v);
    if size > 0.0 {
        scale(1.0 / size, v);
    }
    size > 0.0
}
