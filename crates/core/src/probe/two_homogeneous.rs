//! The dual certificate of networks that are sums of 2-homogeneous neurons.
//!
//! Let every margin be p_i(θ) = Σ_j φ_i(w_j), φ_i of degree 2 in one neuron's weights w_j, and let w_i ∝ −ℓ'(p_i) sum to 1. With
//! G(w) = Σ_i w_i φ_i(w) and shares s_j = ‖w_j‖²/ρ²,
//!
//! > max over the unit sphere of G ≥ Σ_j s_j G(w_j/‖w_j‖) = Σ_i w_i p_i/ρ² ≥ γ̄.
//!
//! For any network of any width max G bounds γ̄ from above by weak duality, so that a *dual gap* max G − γ̄ of 0 certifies a
//! globally maximal margin. In the limit of the flow all neurons that stay alive have one value of G, the margin; the gap is 0 if
//! no direction has more (Ji & Telgarsky 2020, the 2-homogeneous case).
//!
//! The maximum is exact where G is a quadratic form (an eigenvalue) and where neurons are a·relu(⟨v, x⟩), both weights trained
//! (½ max|Σ w_i y_i relu(⟨β, x_i⟩)| by a search over sign patterns); otherwise it is the best of gradient ascents from many
//! directions, a lower bound.

use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{Cite, JI_TELGARSKY_2020};
use crate::exact::two_layer::price;
use crate::matrix::singular_values;
use crate::model::Tape;
use crate::numeric::{axpy, compensated_sum, dot, norm, scale};
use crate::rng::stream;
use crate::{Invalid, Problem, Rows};

/// `dual_gap` = max G − γ̄; `dual_spread` = (largest − least G over alive directions)/γ̄; `dual_alive`, the neurons with at least
/// `share` of ρ²; `dual_exact`, 1 where max G is an upper bound, 0 where it is the best that ascents have found.
///
/// NaN but for networks with one output that are sums of neurons of degree exactly 2 (two layers of degree 1 each, or one of
/// degree 2 under a frozen one); `dual_spread` also until γ̄ > 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoHomogeneous {
    /// Share of ρ² from which a neuron counts as alive; 1e-3 by default.
    #[serde(default = "thousandth")]
    pub share: f64,
    /// Random directions from which G is maximised, besides those of the 16 largest neurons; 16 by default.
    #[serde(default = "sixteen")]
    pub starts: usize,
    /// Sign choices that the search for the exact maximum may look at; 20000 by default.
    #[serde(default = "nodes")]
    pub nodes: usize,
    #[serde(skip)]
    neurons: Option<Neurons>,
}

fn thousandth() -> f64 {
    1e-3
}

fn sixteen() -> usize {
    16
}

fn nodes() -> usize {
    20_000
}

/// Neurons from whose directions G is maximised.
const LARGEST: usize = 16;
/// Steps of an ascent, and the relative gain at which it ends.
const STEPS: usize = 200;
const GAIN: f64 = 1e-13;
/// What counts as rounding when outputs are compared.
const ROUNDING: f64 = 1e-9;

const COLUMNS: [&str; 4] = ["dual_gap", "dual_spread", "dual_alive", "dual_exact"];

impl Default for TwoHomogeneous {
    fn default() -> Self {
        TwoHomogeneous { share: thousandth(), starts: sixteen(), nodes: nodes(), neurons: None }
    }
}

impl Probe for TwoHomogeneous {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if !(self.share >= 0.0 && self.share < 1.0) {
            let text = format!("{} is not allowed; use 0 or more, and less than 1", self.share);
            return Err(Invalid::new("share", text));
        }
        self.neurons = Neurons::of(context.problem);
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let values = self.values(at).unwrap_or([f64::NAN; COLUMNS.len()]);
        COLUMNS.iter().zip(values).for_each(|(column, value)| row.put(column, value));
    }
}

impl TwoHomogeneous {
    fn values(&self, at: &Snapshot<'_>) -> Option<[f64; COLUMNS.len()]> {
        let neurons = self.neurons.as_ref()?;
        let dual = Dual::new(at, neurons)?;
        let margin = at.q_min() / (at.rho * at.rho);
        // G(w_j) = ½⟨w_j, ∇_j Σ w_i p_i⟩, from the gradient that is there.
        let mut alive: Vec<(f64, f64, usize)> = Vec::new();
        for (j, places) in neurons.places.iter().enumerate() {
            let square = places.iter().map(|k| at.theta[*k] * at.theta[*k]).sum::<f64>();
            let along = places.iter().map(|k| at.theta[*k] * -at.full.grad[*k]).sum::<f64>();
            if square >= self.share * at.rho * at.rho && square > 0.0 {
                alive.push((square, 0.5 * along / (dual.sum * square), j));
            }
        }
        alive.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)));
        let values = || alive.iter().map(|a| a.1);
        let (low, high) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let (most, exact) = self.maximum(&dual, at, &alive)?;
        // Ascents start at the alive directions, whose values are known to be reached.
        let most = most.max(high);
        let spread = if margin > 0.0 { (high - low) / margin } else { f64::NAN };
        Some([most - margin, spread, alive.len() as f64, f64::from(u8::from(exact))])
    }

    /// max G over the sphere, and whether it is a bound from above.
    fn maximum(
        &self,
        dual: &Dual<'_>,
        at: &Snapshot<'_>,
        alive: &[(f64, f64, usize)],
    ) -> Option<(f64, bool)> {
        let mut rng = stream(0, "probe.two-homogeneous", 0);
        let size = dual.neurons.places[0].len();
        let mut draw = || {
            let mut v: Vec<f64> = (0..size).map(|_| rng.sample(StandardNormal)).collect();
            scale(1.0 / norm(&v), &mut v);
            v
        };
        if let Some(most) = dual.quadratic([draw(), draw()])? {
            return Some((most, true));
        }
        let mut best = f64::NEG_INFINITY;
        for (square, _, j) in alive.iter().take(LARGEST) {
            let own = dual.neurons.places[*j].iter().map(|k| at.theta[*k] / square.sqrt());
            best = best.max(dual.ascend(*j, own.collect())?);
        }
        for k in 0..self.starts {
            let of = dual.neurons.extreme[k % dual.neurons.extreme.len()];
            best = best.max(dual.ascend(of, draw())?);
        }
        if dual.neurons.relu
            && let Some(bound) = dual.relu_bound(best, self.nodes)
        {
            return Some((bound, true));
        }
        Some((best, false))
    }
}

/// Where the neurons lie in θ.
#[derive(Clone, Debug)]
struct Neurons {
    /// Indices of each neuron's weights: the incoming ones, its bias, the leaving one.
    places: Vec<Vec<usize>>,
    /// Neurons with the largest and the least frozen factor; one where all are alike.
    extreme: Vec<usize>,
    /// Whether they are a·relu(⟨v, x⟩ + b), with a trained.
    relu: bool,
    /// Whether the first layer has a bias.
    biased: bool,
}

impl Neurons {
    /// None for networks that are no sums of neurons of degree 2.
    fn of(problem: &Problem) -> Option<Neurons> {
        let (model, layout) = (&problem.model, problem.model.layout());
        let first = layout.blocks().first()?;
        let two = model.degree().is_exact() && model.degree().order() == Some(2.0) && model.outputs() == 1;
        if !(two && first.is_matrix() && first.cols == model.inputs()) {
            return None;
        }
        let (width, mut biased, mut trained) = (first.rows, false, false);
        let mut places: Vec<Vec<usize>> = (0..width)
            .map(|j| (0..first.cols).map(|c| first.offset + j * first.cols + c).collect())
            .collect();
        for block in &layout.blocks()[1..] {
            let is_bias = block.layer() == first.layer() && !block.is_matrix();
            let known = if is_bias { &mut biased } else { &mut trained };
            if block.len() != width || std::mem::replace(known, true) {
                return None;
            }
            places.iter_mut().enumerate().for_each(|(j, own)| own.push(block.offset + j));
        }
        let mut neurons = Neurons { places, extreme: vec![0], relu: false, biased };
        let mut rng = stream(0, "probe.two-homogeneous", 1);
        let theta: Vec<f64> = (0..layout.dim()).map(|_| rng.sample(StandardNormal)).collect();
        let whole = problem.outputs(&theta, problem.train.rows()).ok()?;
        let mut sum = vec![0.0; whole.len()];
        for (j, places) in neurons.places.iter().enumerate() {
            let own: Vec<f64> = places.iter().map(|k| theta[*k]).collect();
            axpy(1.0, &neurons.outputs(problem, j, &own)?, &mut sum);
        }
        let gap = sum.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if !(gap <= ROUNDING * norm(&whole).max(norm(&theta).powi(2))) {
            return None;
        }
        let own: Vec<f64> = neurons.places[0].iter().map(|k| theta[*k]).collect();
        if !trained {
            neurons.extreme = neurons.extremes(problem, &own)?;
        }
        neurons.relu = trained && neurons.is_relu(problem, &own)?;
        Some(neurons)
    }

    /// θ of neuron j alone.
    fn alone(&self, dim: usize, j: usize, own: &[f64]) -> Vec<f64> {
        let mut theta = vec![0.0; dim];
        self.places[j].iter().zip(own).for_each(|(k, w)| theta[*k] = *w);
        theta
    }

    /// The outputs of neuron j alone on the training set.
    fn outputs(&self, problem: &Problem, j: usize, own: &[f64]) -> Option<Vec<f64>> {
        problem.outputs(&self.alone(problem.dim(), j, own), problem.train.rows()).ok()
    }

    /// The neurons with the most positive and the most negative frozen factor: φ_j = c_j κ, and only κ's sign is common.
    fn extremes(&self, problem: &Problem, own: &[f64]) -> Option<Vec<usize>> {
        let all: Option<Vec<Vec<f64>>> =
            (0..self.places.len()).map(|j| self.outputs(problem, j, own)).collect();
        let all = all?;
        let largest = |out: &[f64]| (0..out.len()).max_by(|a, b| out[*a].abs().total_cmp(&out[*b].abs()));
        let at = all.iter().max_by(|a, b| norm(a).total_cmp(&norm(b))).and_then(|out| largest(out))?;
        let factor = |j: &usize| all[*j][at];
        let (low, high) = (0..all.len()).fold((0, 0), |(a, b), j| {
            (if factor(&j) < factor(&a) { j } else { a }, if factor(&j) > factor(&b) { j } else { b })
        });
        Some(if low == high { vec![low] } else { vec![high, low] })
    }

    /// Whether neuron 0 computes a·relu(⟨v, x⟩ + b).
    fn is_relu(&self, problem: &Problem, own: &[f64]) -> Option<bool> {
        let out = self.outputs(problem, 0, own)?;
        let (a, v) = own.split_last()?;
        let (inner, bias) = if self.biased { v.split_at(v.len() - 1) } else { (v, &[0.0][..]) };
        let rows = problem.train.rows();
        let same = |i: usize| {
            let z = dot(inner, rows.row(i)) + bias[0];
            (out[i] - a * z.max(0.0)).abs() <= ROUNDING * (a * z).abs().max(1e-300)
        };
        // All pre-activations of one sign would not tell a ReLU from the identity.
        let signs = [1.0, -1.0].map(|s| (0..rows.n()).any(|i| s * (dot(inner, rows.row(i)) + bias[0]) > 0.0));
        Some((0..rows.n()).all(same) && signs[0] && signs[1])
    }
}

/// G at a look.
struct Dual<'a> {
    neurons: &'a Neurons,
    problem: &'a Problem,
    /// y_i w_i with Σ w_i = 1: what G weighs outputs with.
    cot: Vec<f64>,
    /// Σ w_i before.
    sum: f64,
}

impl<'a> Dual<'a> {
    fn new(at: &Snapshot<'a>, neurons: &'a Neurons) -> Option<Self> {
        let sum = compensated_sum(at.full.cotangent.iter().map(|c| c.abs()));
        let cot = at.full.cotangent.iter().map(|c| -c / sum).collect();
        (sum > 0.0).then_some(Dual { neurons, problem: at.problem, cot, sum })
    }

    /// G and ∇G of neuron j.
    fn of(&self, j: usize, own: &[f64]) -> Option<(f64, Vec<f64>)> {
        let theta = self.neurons.alone(self.problem.dim(), j, own);
        let (rows, mut tape) = (self.problem.train.rows(), Tape::default());
        let (mut out, mut grad) = (vec![0.0; rows.n()], vec![0.0; theta.len()]);
        let model = &self.problem.model;
        model.forward(&theta, rows, &mut out, &mut tape).ok()?;
        model.pullback(&theta, rows, &mut tape, &self.cot, Some(&mut grad), None).ok()?;
        Some((dot(&self.cot, &out), self.neurons.places[j].iter().map(|k| grad[*k]).collect()))
    }

    /// The largest eigenvalue where G is a quadratic form: even, and with the parallelogram law, at two directions. Within a cell
    /// a squared ReLU has the second alone.
    fn quadratic(&self, [u, v]: [Vec<f64>; 2]) -> Option<Option<f64>> {
        let mut most = f64::NEG_INFINITY;
        for &j in &self.neurons.extreme {
            let sum: Vec<f64> = u.iter().zip(&v).map(|(a, b)| a + b).collect();
            let difference: Vec<f64> = u.iter().zip(&v).map(|(a, b)| a - b).collect();
            let opposite: Vec<f64> = u.iter().map(|a| -a).collect();
            let back = self.of(j, &opposite)?.0;
            let [g, h, p, m] =
                [self.of(j, &u)?.0, self.of(j, &v)?.0, self.of(j, &sum)?.0, self.of(j, &difference)?.0];
            let size = g.abs() + h.abs() + p.abs() + m.abs();
            let defect = (p + m - 2.0 * (g + h)).abs().max((g - back).abs());
            if !(defect <= ROUNDING * size) {
                return Some(None);
            }
            let n = u.len();
            let mut matrix = vec![0.0; n * n];
            for k in 0..n {
                let mut unit = vec![0.0; n];
                unit[k] = 1.0;
                let gradient = self.of(j, &unit)?.1;
                matrix[k * n..(k + 1) * n].iter_mut().zip(gradient).for_each(|(m, g)| *m = 0.5 * g);
            }
            // Shifted to be positive semidefinite, singular values are eigenvalues.
            let shift = norm(&matrix);
            (0..n).for_each(|k| matrix[k * n + k] += shift);
            most = most.max(singular_values(&matrix, n, n)?.into_iter().fold(0.0, f64::max) - shift);
        }
        Some(Some(most))
    }

    /// A local maximum of G of neuron j on the sphere, by ascent with step control.
    fn ascend(&self, j: usize, mut own: Vec<f64>) -> Option<f64> {
        let (mut value, mut gradient) = self.of(j, &own)?;
        let mut step = 1.0 / norm(&gradient).max(1e-300);
        for _ in 0..STEPS {
            let radial = dot(&gradient, &own);
            let mut tangent = gradient.clone();
            axpy(-radial, &own, &mut tangent);
            let gain = dot(&tangent, &tangent) * step;
            if !(gain > GAIN * value.abs()) {
                break;
            }
            let mut next = own.clone();
            axpy(step, &tangent, &mut next);
            let length = norm(&next);
            scale(1.0 / length, &mut next);
            let (reached, slope) = self.of(j, &next)?;
            if reached > value {
                (own, value, gradient) = (next, reached, slope);
                step *= 2.0;
            } else {
                step *= 0.25;
            }
        }
        Some(value)
    }

    /// An upper bound of max G for neurons a·relu(⟨v, x⟩ + b), tight to 1e-9; none where the search is cut short.
    fn relu_bound(&self, found: f64, nodes: usize) -> Option<f64> {
        let rows = self.problem.train.rows();
        let wide: Vec<f64> = (0..rows.n())
            .flat_map(|i| rows.row(i).iter().copied().chain(self.neurons.biased.then_some(1.0)))
            .collect();
        let x = Rows::new(&wide, rows.row(0).len() + usize::from(self.neurons.biased));
        let opposite: Vec<f64> = self.cot.iter().map(|c| -c).collect();
        // a·H(v) on the sphere is at most ½ max|H|.
        let mut most = 2.0 * found.max(0.0);
        for c in [&self.cot, &opposite] {
            for _ in 0..64 {
                let priced = price(x, c, most * (1.0 + 1e-9), nodes);
                if priced.bound <= most * (1.0 + 2e-9) {
                    break;
                }
                if priced.value <= most {
                    return None;
                }
                most = priced.value;
            }
        }
        Some(0.5 * most * (1.0 + 2e-9))
    }
}

impl Entry for TwoHomogeneous {
    const ABOUT: &'static str =
        "dual gap of sums of 2-homogeneous neurons: 0 certifies a globally maximal margin";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[JI_TELGARSKY_2020];
}
