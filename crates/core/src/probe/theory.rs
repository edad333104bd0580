//! What the statements about gradient flow and steepest flow are made of, in the frame of the loss.
//!
//! With g = −∇ ln 𝓛, w_n = −ℓ'(q_n)/𝓛_sum and u = ln(1/𝓛), every quantity here is a number of ordinary size at any loss.
//! Integrals along the path are sums over *steps*, by the trapezoidal rule, whatever lies between two looks:
//!
//! - along the flow du/ds = ‖g‖², hence Δu = ∫‖g‖·‖dθ‖, and of that ∫⟨θ̂, g⟩dρ is radial (Lyu & Li 2020, Lemma 5.1);
//! - ∫(β⁻² − 1) d ln ρ ≤ (1/L) Δ ln γ̃ after separation (their Lemma C.9), hence some β in every window is near 1;
//! - in another norm 1/a − 1 takes the place of β⁻² − 1 and ∫‖dθ‖/‖θ‖ that of ln ρ (Tsilivis et al. 2024, Lemma 17).
//!
//! Where the algorithm has an aggregated direction (the bundle), that is g along the path: the element of the subdifferential
//! that the flow follows, where a single gradient is none.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kkt::{Scale, multipliers};
use super::{Context, End, Probe, Row, Snapshot, StepRecord};
use crate::catalogue::Entry;
use crate::cite::{Cite, JI_TELGARSKY_2020, LYU_LI_2020, TSILIVIS_2024};
use crate::norm::Norm;
use crate::numeric::{axpy, compensated_sum, dot, norm};
use crate::{Eval, Invalid, Layout, Problem, State};

/// At a look, of the single gradient:
///
/// | column | what it is |
/// |---|---|
/// | `grad_norm` | ‖g‖₂ |
/// | `radial_grad` | ⟨θ̂, g⟩ |
/// | `loss_inverse` | ℓ⁻¹(𝓛_sum) |
/// | `weight_sum` | Σ w_n, over pairs of an example and a wrong class where there are several classes |
/// | `weight_entropy` | −Σ p_n ln p_n of p_n = w_n/Σw. Exponential loss: Σ w_n q_n = u + this (Ji & Telgarsky 2020) |
/// | `b0`, `b1` | max_n \|q_n\|/ρ^L and max_n ‖∇q_n‖/ρ^{L−1} at this θ; over all pairs of an example and a wrong class |
/// | `norm_N`, `dual_norm_N` | ‖θ‖ and ‖g‖⋆ in every norm N ≠ ℓ2 of the algorithm |
/// | `lambda_sum` | LΣλ_n/‖θ̃‖² of the fitted multipliers of the probe `kkt`: 1 at a KKT point |
/// | `neuron_structure` | max \|‖z_r‖ − 1\|, z_r = Σ λ_n y_n x_n over the examples active on neuron r, over the neurons with more than 1e-6 of ρ²; for f = Σ a_r σ(⟨v_r, x⟩) of degree 2: 0 at a KKT point |
///
/// Along the steps, where the algorithm works on the full training set:
///
/// | column | what it is |
/// |---|---|
/// | `work`, `work_error` | Σ ½(‖g‖ + ‖g'‖)‖Δθ‖ from the start: Δ ln(1/𝓛) along the flow, more than that for any other path |
/// | `radial_work` | Σ ½(⟨θ̂, g⟩ + ⟨θ̂', g'⟩)Δρ from the start |
/// | `turning`, `turning_error` | ∫(β⁻² − 1) d ln ρ from the first θ with 𝓛_sum below the loss's threshold; NaN before |
/// | `min_turning` | least β⁻² − 1 at the ends of the steps since the last look |
/// | `work_N`, `work_error_N` | the same as `work` with ‖g‖⋆ and ‖Δθ‖ in the norm N |
/// | `norm_path_N` | Σ ½(1/‖θ‖ + 1/‖θ'‖)‖Δθ‖ from the start |
/// | `min_turning_N` | least 1/a − 1 at the ends of the steps since the last look, a the alignment in that norm |
///
/// Each `_error` bounds the error of the rule from the values at the ends of this step and of the one before (and, of `work`, from
/// the angle between the gradients and a straight step). A path with steps that were not seen in full is NaN for good. Columns that
/// need a degree are NaN without one; networks of order M use M. `lambda_sum` and `neuron_structure` are NaN until q_min > 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Theory {
    /// Relative width of the near-support band of the fit, 0.03 by default, as in the probe `kkt`.
    #[serde(default = "three_hundredths")]
    pub within: f64,
    /// Most constraints in the fit, the nearest ones; 128 by default.
    #[serde(default = "most")]
    pub most: usize,
    /// Most constraints whose gradients are taken for `b1`, which is NaN where there are more; 4096 by default.
    #[serde(default = "gradients")]
    pub gradients: usize,
    /// The algorithm's norms but ℓ2, by column.
    #[serde(skip)]
    norms: Vec<(String, Arc<dyn Norm>)>,
    #[serde(skip)]
    path: Path,
    #[serde(skip)]
    room: Room,
}

/// Memory for a step.
#[derive(Clone, Debug, Default)]
struct Room {
    moved: Vec<f64>,
    /// The force at either end, where it has to be made, and what a pull needs besides.
    forces: [Vec<f64>; 2],
    unit: Vec<f64>,
    tangent: Vec<f64>,
}

fn three_hundredths() -> f64 {
    0.03
}

fn most() -> usize {
    128
}

fn gradients() -> usize {
    4096
}

/// Neurons with less of ρ² than this have died out, and no multiplier says anything about them.
const SHARE: f64 = 1e-6;

/// Relative defect of v_r·∂q/∂v_r = a_r·∂q/∂a_r above which neurons are not of degree 1 in each layer.
const SPLIT: f64 = 1e-9;

const COLUMNS: [&str; 15] = [
    "grad_norm",
    "radial_grad",
    "loss_inverse",
    "weight_sum",
    "weight_entropy",
    "b0",
    "b1",
    "lambda_sum",
    "neuron_structure",
    "work",
    "work_error",
    "radial_work",
    "turning",
    "turning_error",
    "min_turning",
];
const OF_A_NORM: [&str; 6] = ["norm", "dual_norm", "work", "work_error", "norm_path", "min_turning"];

impl Default for Theory {
    fn default() -> Self {
        Theory {
            within: three_hundredths(),
            most: most(),
            gradients: gradients(),
            norms: Vec::new(),
            path: Path::default(),
            room: Room::default(),
        }
    }
}

/// What the steps have added up to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Path {
    work: Sum,
    radial: Sum,
    /// NaN until the loss has passed its threshold.
    turning: Sum,
    /// Least value since the last look; ∞ before the first step.
    least_turning: f64,
    others: Vec<Other>,
}

/// The same in another norm.
#[derive(Clone, Debug, Default, PartialEq)]
struct Other {
    work: Sum,
    path: Sum,
    least_turning: f64,
}

/// A trapezoidal sum with a bound of its error.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sum {
    value: f64,
    error: f64,
    /// Value at the start of the last step, and its width: what the curvature is estimated from. NaN before the first.
    last: [f64; 2],
}

impl Default for Sum {
    fn default() -> Self {
        Sum { value: 0.0, error: 0.0, last: [f64::NAN; 2] }
    }
}

impl Sum {
    const UNKNOWN: Sum = Sum { value: f64::NAN, error: f64::NAN, last: [f64::NAN; 2] };

    /// Half the difference of the two ends' sums bounds the error of an integrand that rises or falls throughout the step. One
    /// that turns within it is off by f''w³/12: twice that, from the slope of the step before, or half the difference again
    /// where there was none.
    fn add(&mut self, [from, to]: [f64; 2], width: f64) {
        self.value += 0.5 * (from + to) * width;
        let half = 0.5 * ((to - from) * width).abs();
        let [before, wide] = self.last;
        let curvature = ((to - from) / width - (from - before) / wide) / (0.5 * (width + wide));
        let bent = (curvature * width.powi(3)).abs() / 6.0;
        self.error += half + if bent.is_finite() { bent } else { half };
        self.last = [from, width];
    }

    fn numbers(&self) -> [f64; 4] {
        [self.value, self.error, self.last[0], self.last[1]]
    }

    fn of(numbers: &[f64]) -> Sum {
        Sum { value: numbers[0], error: numbers[1], last: [numbers[2], numbers[3]] }
    }
}

impl Path {
    fn new(norms: usize) -> Self {
        let other = Other { least_turning: f64::INFINITY, ..Other::default() };
        let turning = Sum::UNKNOWN;
        Path { turning, least_turning: f64::INFINITY, others: vec![other; norms], ..Path::default() }
    }

    /// Starts the turning at the first θ from which on the theory of the late phase holds.
    fn begin_turning(&mut self, full: &Eval, problem: &Problem) {
        let is_new = self.turning.value.is_nan() && !self.work.value.is_nan();
        if is_new && full.ln_loss_sum < problem.loss.ln_threshold() {
            self.turning = Sum::default();
        }
    }

    /// What a step that has not been seen in full leaves known.
    fn lose(&mut self) {
        (self.work, self.radial, self.turning) = (Sum::UNKNOWN, Sum::UNKNOWN, Sum::UNKNOWN);
        self.least_turning = f64::NAN;
        for other in &mut self.others {
            *other = Other { work: Sum::UNKNOWN, path: Sum::UNKNOWN, least_turning: f64::NAN };
        }
    }
}

/// What a straight step lacks of the path's length: on an arc, a third of what ½(‖g‖ + ‖g'‖)‖Δθ‖ exceeds ½⟨g + g', Δθ⟩ by. Half
/// of that is allowed for; a step that does not go along g exceeds it by all.
fn chord(sizes: [f64; 2], length: f64, pulls: &[Pull<'_>; 2], moved: &[f64]) -> f64 {
    let along = 0.5 * (dot(pulls[0].force, moved) + dot(pulls[1].force, moved));
    0.5 * (0.5 * (sizes[0] + sizes[1]) * length - along).abs()
}

/// The smaller one, NaN if either is.
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// g at one end of a step, and how it stands to θ.
struct Pull<'a> {
    force: &'a [f64],
    size: f64,
    /// ⟨θ̂, g⟩.
    radial: f64,
    /// β⁻² − 1, from the tangent part itself: at β = 1 − 1e-12 a difference from 1 has no digits left.
    turning: f64,
}

impl<'a> Pull<'a> {
    fn new(
        theta: &[f64],
        end: &End<'a>,
        room: &'a mut Vec<f64>,
        unit: &mut Vec<f64>,
        tangent: &mut Vec<f64>,
    ) -> Self {
        let force = match end.field {
            Some(field) => &field.direction,
            None => written(room, end.full.grad.iter().map(|g| -g)),
        };
        let rho = norm(theta);
        let unit = written(unit, theta.iter().map(|t| t / rho));
        let radial = dot(unit, force);
        written(tangent, force.iter().copied());
        axpy(-radial, unit, tangent);
        let turning = (norm(tangent) / radial).powi(2);
        Pull { size: norm(force), force, radial, turning }
    }
}

/// The numbers, in memory that is used again.
fn written(room: &mut Vec<f64>, numbers: impl Iterator<Item = f64>) -> &[f64] {
    room.clear();
    room.extend(numbers);
    room
}

impl Probe for Theory {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if !(self.within >= 0.0 && self.within.is_finite()) {
            return Err(Invalid::new("within", format!("{} is not allowed; use 0 or more", self.within)));
        }
        if self.most == 0 {
            return Err(Invalid::new("most", "0 is not allowed; use at least 1 constraint"));
        }
        self.norms.clear();
        for norm in &context.norms {
            let norm: Arc<dyn Norm> = norm.build().into();
            let column = norm.column();
            if column != "l2" && self.norms.iter().all(|(known, _)| *known != column) {
                self.norms.push((column, norm));
            }
        }
        self.path = Path::new(self.norms.len());
        let mut columns = COLUMNS.map(String::from).to_vec();
        for (column, _) in &self.norms {
            columns.extend(OF_A_NORM.iter().map(|name| format!("{name}_{column}")));
        }
        Ok(columns)
    }

    fn follows_steps(&self) -> bool {
        true
    }

    fn follows_ends(&self) -> bool {
        true
    }

    fn step(&mut self, step: &StepRecord<'_>) {
        let path = &mut self.path;
        let Some(ends) = &step.ends else { return path.lose() };
        let Room { moved, forces: [first, second], unit, tangent } = &mut self.room;
        let pulls = [
            Pull::new(step.before, &ends[0], first, unit, tangent),
            Pull::new(step.after, &ends[1], second, unit, tangent),
        ];
        let both = |of: fn(&Pull<'_>) -> f64| [of(&pulls[0]), of(&pulls[1])];
        let moved = written(moved, step.before.iter().zip(step.after).map(|(a, b)| b - a));
        let rho = norm(step.before);
        // (‖θ'‖² − ‖θ‖²)/ρ² as a product: a step far below ρ still has its digits, and no square overflows.
        let terms = moved.iter().zip(step.before.iter().zip(step.after));
        let growth = compensated_sum(terms.map(|(d, (a, b))| (d / rho) * ((a + b) / rho)));
        let length = norm(moved);
        path.work.add(both(|p| p.size), length);
        path.work.error += chord(both(|p| p.size), length, &pulls, moved);
        path.radial.add(both(|p| p.radial), growth * rho / (1.0 + norm(step.after) / rho));
        path.begin_turning(ends[0].full, step.problem);
        path.turning.add(both(|p| p.turning), 0.5 * growth.ln_1p());
        path.least_turning = both(|p| p.turning).into_iter().fold(path.least_turning, least);
        let layout = step.problem.model.layout();
        for ((_, norm), other) in self.norms.iter().zip(&mut path.others) {
            let length = norm.of(moved, layout);
            let duals = [&pulls[0], &pulls[1]].map(|p| norm.dual(p.force, layout));
            other.work.add(duals, length);
            other.work.error += chord(duals, length, &pulls, moved);
            other.path.add([step.before, step.after].map(|theta| 1.0 / norm.of(theta, layout)), length);
            let off = |theta, p: &Pull<'_>| excess(norm.misalignment(theta, p.force, layout));
            let turnings = [off(step.before, &pulls[0]), off(step.after, &pulls[1])];
            other.least_turning = turnings.into_iter().fold(other.least_turning, least);
        }
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let problem = at.problem;
        let degree = problem.model.degree().order().unwrap_or(f64::NAN);
        row.put("grad_norm", norm(&at.full.grad));
        let radial = at.theta.iter().zip(&at.full.grad).map(|(t, g)| -(t / at.rho) * g);
        row.put("radial_grad", compensated_sum(radial));
        row.put("loss_inverse", problem.loss.inverse(-at.full.ln_loss_sum));
        let sum = compensated_sum(at.constraints().iter().map(|c| c.weight));
        row.put("weight_sum", sum);
        row.put("weight_entropy", entropy(at.constraints().iter().map(|c| c.weight / sum)));
        let largest = at.constraints().iter().fold(0.0, |m, c| f64::max(m, c.value.abs()));
        row.put("b0", largest / at.height(degree));
        row.put("b1", self.steepest(at) * at.rho.powf(1.0 - degree));
        let [sum, structure] = self.structure(at, degree);
        row.put("lambda_sum", sum);
        row.put("neuron_structure", structure);
        let path = &mut self.path;
        path.begin_turning(&at.full, problem);
        row.put("work", path.work.value);
        row.put("work_error", path.work.error);
        row.put("radial_work", path.radial.value);
        row.put("turning", path.turning.value);
        row.put("turning_error", path.turning.error);
        row.put("min_turning", taken(&mut path.least_turning));
        for ((column, norm), other) in self.norms.iter().zip(&mut path.others) {
            let layout = problem.model.layout();
            let cells = [
                norm.of(at.theta, layout),
                norm.dual(&at.full.grad, layout),
                other.work.value,
                other.work.error,
                other.path.value,
                taken(&mut other.least_turning),
            ];
            OF_A_NORM.iter().zip(cells).for_each(|(name, value)| row.put(&format!("{name}_{column}"), value));
        }
    }

    fn save(&self) -> State {
        let path = &self.path;
        let mut state = State::default();
        state.put("sums", &[path.work, path.radial, path.turning].map(|s| s.numbers()).concat());
        state.put("least", &[path.least_turning]);
        let numbers = |o: &Other| [&o.work.numbers()[..], &o.path.numbers(), &[o.least_turning]].concat();
        state.put("others", &path.others.iter().flat_map(numbers).collect::<Vec<f64>>());
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let path = &mut self.path;
        let sums: [f64; 12] = state.numbers("sums")?;
        (path.work, path.radial, path.turning) =
            (Sum::of(&sums[..4]), Sum::of(&sums[4..8]), Sum::of(&sums[8..]));
        path.least_turning = state.number("least")?;
        let others = state.get("others")?;
        if others.len() != 9 * path.others.len() {
            let text =
                format!("{} numbers, expected nine for each of {} norms", others.len(), path.others.len());
            return Err(Invalid::new("others", text));
        }
        for (other, saved) in path.others.iter_mut().zip(others.chunks_exact(9)) {
            (other.work, other.path) = (Sum::of(&saved[..4]), Sum::of(&saved[4..8]));
            other.least_turning = saved[8];
        }
        Ok(())
    }
}

/// The least value since the last look, NaN where no step has been seen since; a new count begins.
fn taken(value: &mut f64) -> f64 {
    let seen = std::mem::replace(value, f64::INFINITY);
    if seen == f64::INFINITY { f64::NAN } else { seen }
}

/// 1/a − 1, given 1 − a.
fn excess(misalignment: f64) -> f64 {
    misalignment / (1.0 - misalignment)
}

/// −Σ p ln p; 0 ln 0 = 0.
fn entropy(shares: impl Iterator<Item = f64>) -> f64 {
    -compensated_sum(shares.map(|p| if p == 0.0 { 0.0 } else { p * p.ln() }))
}

impl Theory {
    /// max_n ‖∇q_n‖ over all constraints.
    fn steepest(&self, at: &Snapshot<'_>) -> f64 {
        if at.constraints().len() > self.gradients {
            return f64::NAN;
        }
        let sizes =
            at.constraints().iter().map(|c| at.problem.margin_gradient(at.theta, c).map(|g| norm(&g)));
        sizes.fold(0.0, |m, size| match size {
            Ok(size) if !size.is_nan() && !m.is_nan() => f64::max(m, size),
            _ => f64::NAN,
        })
    }

    /// LΣλ/‖θ̃‖² and max_r |‖z_r‖ − 1|, of the fitted multipliers.
    fn structure(&self, at: &Snapshot<'_>, degree: f64) -> [f64; 2] {
        let scale = Scale { rho: at.rho, q_min: at.q_min(), degree };
        if !(scale.q_min > 0.0 && degree > 0.0) {
            return [f64::NAN; 2];
        }
        let Some(near) = at.near(self.within, self.most) else { return [f64::NAN; 2] };
        let (_, _, lambda) = multipliers(at.theta, &near, &scale);
        let size = at.rho / scale.q_min.powf(1.0 / degree);
        let sum = degree * compensated_sum(lambda.iter().copied()) / (size * size);
        // Σ λ ∇q at θ. For degree 2, z_r = (Σ λ ∇_{v_r} q)/a_r whatever the scale of θ.
        let mut pull = vec![0.0; at.theta.len()];
        lambda.iter().zip(&near.gradients).for_each(|(l, h)| axpy(*l, h, &mut pull));
        let structure = Neurons::of(at.problem).map_or(f64::NAN, |neurons| neurons.defect(at, &pull));
        [sum, structure]
    }
}

/// Where the neurons of f = Σ a_r σ(⟨v_r, x⟩) lie in θ.
struct Neurons<'a> {
    layout: &'a Layout,
    width: usize,
}

impl<'a> Neurons<'a> {
    /// None for other networks. That σ is of degree 1 is left to [`Neurons::defect`].
    fn of(problem: &'a Problem) -> Option<Self> {
        let (model, layout) = (&problem.model, problem.model.layout());
        let (inner, outer) = (layout.blocks().first()?, layout.blocks().last()?);
        let bias = layout.blocks().iter().find(|b| b.layer() == inner.layer() && !b.is_matrix());
        let is_two_layer = model.degree().is_exact()
            && model.degree().order() == Some(2.0)
            && model.outputs() == 1
            && layout.blocks().len() == 2 + usize::from(bias.is_some())
            && inner.is_matrix()
            && inner.cols == model.inputs()
            && outer.layer() != inner.layer()
            && [Some(inner.rows), bias.map(|b| b.len())].into_iter().flatten().all(|m| m == outer.len());
        is_two_layer.then_some(Neurons { layout, width: outer.len() })
    }

    /// The parts of a flat vector that belong to neuron r: v_r with its bias, and a_r.
    fn parts(&self, r: usize, flat: &[f64]) -> (Vec<f64>, f64) {
        let (outer, inner) = self.layout.blocks().split_last().expect("there are two layers");
        let rows = inner.iter().flat_map(|block| {
            let cols = block.len() / self.width;
            &block.of(flat)[r * cols..(r + 1) * cols]
        });
        (rows.copied().collect(), outer.of(flat)[r])
    }

    fn defect(&self, at: &Snapshot<'_>, pull: &[f64]) -> f64 {
        let mut largest = 0.0f64;
        for r in 0..self.width {
            let ((v, a), (dv, da)) = (self.parts(r, at.theta), self.parts(r, pull));
            let share = (norm(&v).powi(2) + a * a) / (at.rho * at.rho);
            if share <= SHARE {
                continue;
            }
            let split = (dot(&v, &dv) - a * da).abs();
            if !(split <= SPLIT * (norm(&v) * norm(&dv)).max((a * da).abs())) {
                return f64::NAN;
            }
            if a == 0.0 {
                return f64::NAN;
            }
            largest = largest.max((norm(&dv) / a.abs() - 1.0).abs());
        }
        largest
    }
}

impl Entry for Theory {
    const ABOUT: &'static str =
        "work, turning, slopes and bounds that the statements about flows are made of";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020, JI_TELGARSKY_2020, TSILIVIS_2024];
}
