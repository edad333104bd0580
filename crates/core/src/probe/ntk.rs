//! The tangent kernel along a run: its spectrum, how far it has moved, and the support vector machine of the limit.
//!
//! All of it is of θ/ρ: for a network of degree L the kernel at θ is ρ^{2(L−1)} times that. The hard-margin support vector
//! machine on the tangent features ∇q_n(θ/ρ) has a solution that a KKT direction is a multiple of (Lyu & Li 2020,
//! Corollary 4.5), so `ntk_svm_angle` goes to 0 where `kkt_epsilon` does. At ReLU kinks neither can: one gradient is not the
//! Clarke element.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{CRISTIANINI_2001, Cite, JACOT_2018, LYU_LI_2020, ROY_VETTERLI_2007};
use crate::exact::tangent::{self, Neurons};
use crate::numeric::{angle, dot, norm};
use crate::quadratic::{Gram, MinNorm};
use crate::{Invalid, Problem, State, exact, matrix, ntk};

/// With K the kernel of the outputs on the training set, n·k members, at θ/ρ:
/// `ntk_trace`; `ntk_top` and `ntk_least`, its extreme eigenvalues; `ntk_rank`, the exponential of the entropy of the
/// eigenvalues over their sum; `ntk_drift` = ‖K/‖K‖_F − K₀/‖K₀‖_F‖_F, K₀ at θ₀; `ntk_alignment` = ⟨K, ttᵀ⟩/(‖K‖_F‖t‖²), t the
/// labels ±1 or, of several outputs, the classes' indicators less 1/k.
///
/// `ntk_margin` = max { min_n ⟨w, ∇q_n(θ/ρ)⟩ : ‖w‖ = 1 } over all margin constraints, and `ntk_svm_angle`, the angle in radians
/// between θ and that w: NaN where the tangent features are not separable.
///
/// Of a bias-free two-layer ReLU network with one output also `margin_ntk_fro` and `margin_ntk_node`, the margins γ_F(m) and
/// γ_{2,∞}(m) of the tangent features at θ₀, with weights of order 1 for each neuron ([`exact::tangent`]): the same at every
/// look. NaN for other networks, and the second one where its cone programme would have more than `node` numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntk {
    /// Most members (examples times outputs), 1500 by default: memory grows with the square, time with the cube.
    #[serde(default = "most")]
    pub most: usize,
    /// Most numbers (neurons times examples times inputs) in the programme of `margin_ntk_node`, 60000 by default.
    #[serde(default = "node")]
    pub node: usize,
    /// (γ_F, γ_{2,∞}).
    #[serde(skip)]
    margins: [f64; 2],
    /// K₀/‖K₀‖_F.
    #[serde(skip)]
    start: Vec<f64>,
}

fn most() -> usize {
    1500
}

fn node() -> usize {
    60_000
}

impl Default for Ntk {
    fn default() -> Self {
        Ntk { most: most(), node: node(), margins: [f64::NAN; 2], start: Vec::new() }
    }
}

const COLUMNS: [&str; 10] = [
    "ntk_trace",
    "ntk_top",
    "ntk_least",
    "ntk_rank",
    "ntk_drift",
    "ntk_alignment",
    "ntk_margin",
    "ntk_svm_angle",
    "margin_ntk_fro",
    "margin_ntk_node",
];

impl Probe for Ntk {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        let problem = context.problem;
        let (n, k) = (problem.train.n(), problem.model.outputs());
        if n * k > self.most {
            let text = format!(
                "the tangent kernel of {n} examples and {k} outputs has {} members, above `most` = {}; train on fewer \
                 examples, or raise it",
                n * k,
                self.most
            );
            return Err(Invalid::new("most", text));
        }
        let start = kernel(problem, context.theta).unwrap_or_default();
        self.margins = margins(problem, context.theta, &start, self.node);
        self.start = over_norm(&start).0;
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let values = self.values(at).unwrap_or([f64::NAN; COLUMNS.len() - 2]);
        COLUMNS
            .iter()
            .zip(values.into_iter().chain(self.margins))
            .for_each(|(column, value)| row.put(column, value));
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("start", &self.start);
        state.put("margins", &self.margins);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.start = state.get("start")?.to_vec();
        let margins = state.get("margins")?;
        self.margins = [0, 1].map(|k| margins.get(k).copied().unwrap_or(f64::NAN));
        Ok(())
    }
}

impl Ntk {
    fn values(&self, at: &Snapshot<'_>) -> Option<[f64; COLUMNS.len() - 2]> {
        let problem = at.problem;
        let order = problem.model.degree().order().unwrap_or(1.0);
        // A power of ρ for each of the two gradients: their product may be beyond f64.
        let one = at.rho.powf(1.0 - order);
        let mut kernel = kernel(problem, at.theta)?;
        kernel.iter_mut().for_each(|k| *k = *k * one * one);
        let members = problem.train.n() * problem.model.outputs();
        let trace: f64 = (0..members).map(|a| kernel[a * members + a]).sum();
        let (values, _) = matrix::eigen(faer::MatRef::from_row_major_slice(&kernel, members, members))?;
        let positive = values.iter().map(|v| v.max(0.0)).filter(|v| *v > 0.0);
        let entropy: f64 = positive.map(|v| -(v / trace) * (v / trace).ln()).sum();
        let (shape, size) = over_norm(&kernel);
        let drift = match self.start.len() == shape.len() {
            true => crate::numeric::distance(&shape, &self.start),
            false => f64::NAN,
        };
        let target = target(problem);
        let along: f64 =
            kernel.chunks_exact(members).zip(&target).map(|(row, t)| t * dot(row, &target)).sum();
        let (margin, angle) = machine(at, &kernel).unwrap_or((f64::NAN, f64::NAN));
        let (least, top) = (*values.first()?, *values.last()?);
        let alignment = along / (size * dot(&target, &target));
        Some([trace, top, least, entropy.exp(), drift, alignment, margin, angle])
    }
}

fn kernel(problem: &Problem, theta: &[f64]) -> Option<Vec<f64>> {
    let kernel = ntk::outputs(problem.model.as_ref(), theta, problem.train.rows()).ok()?;
    crate::numeric::all_finite(&kernel).then_some(kernel)
}

/// γ_F(m) and γ_{2,∞}(m) at θ₀; NaN where the network is not Σ a_jσ(⟨v_j, x⟩), which its kernel shows.
fn margins(problem: &Problem, theta: &[f64], kernel: &[f64], most: usize) -> [f64; 2] {
    let (data, unknown) = (&problem.train, [f64::NAN; 2]);
    let blocks = problem.model.layout().blocks();
    let dim = data.dim();
    let is_like = problem.model.outputs() == 1
        && blocks.len() == 2
        && blocks[0].cols == dim
        && blocks[1].len() == blocks[0].rows;
    let Some(neurons) = is_like.then(|| Neurons::of(theta, dim).ok()).flatten() else { return unknown };
    let m = neurons.width() as f64;
    let size = norm(kernel);
    let own = neurons.kernel(data.rows());
    if own.len() != kernel.len() || !own.iter().zip(kernel).all(|(a, b)| (m * a - b).abs() <= 1e-10 * size) {
        return unknown;
    }
    let (neurons, y) = (neurons.unit(), (0..data.n()).map(|i| data.sign(i)).collect::<Vec<f64>>());
    let value = |found: Result<exact::Optimum, exact::Failure>| found.map_or(f64::NAN, |o| o.value);
    let fro = value(tangent::frobenius(&neurons.kernel(data.rows()), &y));
    let is_small = neurons.width() * data.n() * (dim + 1) <= most;
    let node = if is_small { value(tangent::per_node(data.rows(), &y, &neurons)) } else { f64::NAN };
    [fro, node]
}

/// K/‖K‖_F and ‖K‖_F.
fn over_norm(kernel: &[f64]) -> (Vec<f64>, f64) {
    let size = norm(kernel);
    (kernel.iter().map(|k| k / size).collect(), size)
}

/// What the outputs should be like.
fn target(problem: &Problem) -> Vec<f64> {
    let (data, k) = (&problem.train, problem.model.outputs());
    if k == 1 {
        return (0..data.n()).map(|i| data.sign(i)).collect();
    }
    let indicator =
        |label: u32| (0..k).map(move |c| f64::from(u8::from(c == label as usize)) - 1.0 / k as f64);
    data.labels().iter().flat_map(|label| indicator(*label)).collect()
}

/// Margin and angle to θ of the support vector machine on the gradients of the margins, those at θ/ρ.
fn machine(at: &Snapshot<'_>, outputs: &[f64]) -> Option<(f64, f64)> {
    let constraints = at.constraints();
    let m = constraints.len();
    let gram = ntk::margins_of_outputs(at.problem, outputs, constraints);
    let mut solver = MinNorm::new();
    let found = solver.solve(Gram::new(&gram, m, m), &[], &[]);
    let lambda = found.lambda.to_vec();
    let slopes: Vec<f64> = gram.chunks_exact(m).map(|row| dot(row, &lambda)).collect();
    let length = dot(&slopes, &lambda).max(0.0).sqrt();
    let least = slopes.iter().copied().fold(f64::INFINITY, f64::min);
    let longest = (0..m).map(|a| gram[a * m + a]).fold(0.0, f64::max).sqrt();
    // Below this the hull contains 0 as far as the kernel's rounding lets one see.
    if !(length > 1e-7 * longest && least > 0.0) {
        return None;
    }
    let w = ntk::combination(at.problem, at.theta, constraints, &lambda).ok()?;
    let angle = angle(at.theta, &w);
    (!angle.is_nan()).then_some((least / length, angle))
}

impl Entry for Ntk {
    const ABOUT: &'static str =
        "tangent kernel: spectrum, drift, alignment with the labels, angle to its support vector machine";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[JACOT_2018, LYU_LI_2020, CRISTIANINI_2001, ROY_VETTERLI_2007];
}
