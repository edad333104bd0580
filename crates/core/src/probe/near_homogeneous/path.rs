//! What holds from step to step: the margin certificate, the key inequality, and the modified margin with its replacement.

use crate::algorithm::Taken;
use crate::loss::Constraint;
use crate::numeric::{compensated_sum, dot, norm};
use crate::probe::StepRecord;
use crate::probe::sgd::{is_gradient_step, rate};
use crate::{Eval, Invalid, Posynomial, Problem, State};

/// Roundings that an evaluation may add to ln 𝓛 and to margins, in units of 2⁻⁵²·(1 + |ln 𝓛| + |q| + S).
const ROUNDINGS: f64 = 64.0;

/// The bounds of the calculus for the margins.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    /// M.
    pub order: f64,
    /// p′: |⟨∇q, θ⟩ − M q| ≤ p′(ρ).
    pub defect: Posynomial,
    /// p_a: |q − q_H| ≤ p_a(ρ).
    pub gap: Posynomial,
}

/// What is known at one θ of the path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub rho: f64,
    /// ln Σℓ_i.
    pub ln_loss: f64,
    /// φ = ℓ⁻¹(𝓛_sum); ln(1/𝓛_sum) for the exponential loss.
    pub phi: f64,
    /// S = ⟨θ, −∇ ln 𝓛⟩.
    pub slope: f64,
    /// Σ w_i q_i.
    pub nu: f64,
    /// Size of the numbers that rounding is relative to.
    pub scale: f64,
}

impl Point {
    pub fn new(problem: &Problem, theta: &[f64], eval: &Eval, constraints: &[Constraint]) -> Point {
        let slope = -dot(theta, &eval.grad);
        let largest = constraints.iter().map(|c| c.value.abs()).fold(0.0, f64::max);
        Point {
            rho: norm(theta),
            ln_loss: eval.ln_loss_sum,
            phi: problem.loss.inverse(-eval.ln_loss_sum),
            slope,
            nu: compensated_sum(constraints.iter().map(|c| c.weight * c.value)),
            scale: 1.0 + eval.ln_loss_sum.abs() + largest + slope.abs(),
        }
    }

    /// (φ − p_a(ρ))/ρ^M.
    pub fn modified(&self, bounds: &Bounds) -> f64 {
        (self.phi - bounds.gap.at(self.rho)) / self.rho.powf(bounds.order)
    }

    /// Mφ − p′(ρ), at most S. Where Σ w q is smaller than φ, as for the logistic loss at ordinary losses, it takes its place.
    pub fn lower(&self, bounds: &Bounds) -> f64 {
        bounds.order * self.phi.min(self.nu) - bounds.defect.at(self.rho)
    }

    /// Δ = |Σ w_i(⟨∇q_i, θ⟩ − M q_i)|.
    fn off(&self, bounds: &Bounds) -> f64 {
        (self.slope - bounds.order * self.nu).abs()
    }

    fn rounding(&self) -> f64 {
        ROUNDINGS * f64::EPSILON * self.scale
    }
}

/// A full-batch gradient step of which the loss after it is not yet known.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pending {
    before: Point,
    /// h: the step is −h ∇ ln 𝓛.
    rate: f64,
    /// ‖∇ ln 𝓛‖².
    square: f64,
    /// ln(ρ′/ρ), formed from the step itself.
    growth: f64,
    /// ρ′, by which the next evaluation is recognised.
    rho: f64,
}

/// The least slack since the last look, ∞ where nothing was checked, and violations since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Checked {
    pub slack: f64,
    pub violations: u64,
}

impl Checked {
    const NOTHING: Checked = Checked { slack: f64::INFINITY, violations: 0 };

    /// `left` ≥ `right` up to `rounding`.
    fn see(&mut self, left: f64, right: f64, rounding: f64) {
        let slack = (left - right) / left.abs().max(right.abs()).max(f64::MIN_POSITIVE);
        self.slack = if slack.is_nan() { f64::NAN } else { self.slack.min(slack) };
        self.violations += u64::from(!(left - right >= -rounding));
    }

    /// The slack, NaN where nothing was checked; the next look starts anew.
    pub fn take(&mut self) -> f64 {
        let slack = std::mem::replace(&mut self.slack, f64::INFINITY);
        if slack == f64::INFINITY { f64::NAN } else { slack }
    }
}

/// Follows the path, from one θ whose full-set loss is known to the next.
#[derive(Clone, Debug)]
pub(super) struct Path {
    last: Option<Point>,
    pending: Option<Pending>,
    /// `cai/gd-step-certificate`.
    pub certificate: Checked,
    /// `cai/key-inequality`.
    pub key: Checked,
    /// Falls of the modified margin after strong separability, and the largest relative one.
    pub falls: u64,
    pub largest_fall: f64,
    /// φ where strong separability was first met; NaN before.
    pub separated_at: f64,
    /// ∫ Δ(r) r^{−M−1} dr along the path so far.
    pub integral: f64,
    /// (φ/ρ^M + integral, φ) at every look.
    looks: Vec<f64>,
    /// Memory for a step.
    constraints: Vec<Constraint>,
}

impl Default for Path {
    fn default() -> Self {
        Path {
            last: None,
            pending: None,
            certificate: Checked::NOTHING,
            key: Checked::NOTHING,
            falls: 0,
            largest_fall: 0.0,
            separated_at: f64::NAN,
            integral: 0.0,
            looks: Vec::new(),
            constraints: Vec::new(),
        }
    }
}

impl Path {
    /// A step; only those of the full set are of use, and only gradient steps are certified.
    pub fn step(&mut self, step: &StepRecord<'_>, taken: &Taken, bounds: &Bounds) {
        step.problem.constraints_into(&taken.eval, &mut self.constraints);
        let before = Point::new(step.problem, step.before, &taken.eval, &self.constraints);
        self.meet(before, bounds);
        if !is_gradient_step(step, taken) {
            return;
        }
        let moved = step.before.iter().zip(step.after).map(|(a, b)| (b - a) * (b + a));
        let growth = 0.5 * (compensated_sum(moved) / (before.rho * before.rho)).ln_1p();
        self.pending = Some(Pending {
            before,
            rate: rate(taken),
            square: dot(&taken.eval.grad, &taken.eval.grad),
            growth,
            rho: norm(step.after),
        });
    }

    /// A θ at which the full-set loss is known.
    pub fn meet(&mut self, here: Point, bounds: &Bounds) {
        // The norm's bits tell whether this is where the step led.
        if let Some(pending) = self.pending.take().filter(|p| p.rho == here.rho) {
            self.certify(&pending, &here, bounds);
        }
        let modified = here.modified(bounds);
        if let Some(last) = self.last.filter(|last| (last.rho, last.ln_loss) != (here.rho, here.ln_loss)) {
            // Δ enters as the larger of the ends: it is known where the loss is, and not between.
            let shrink = last.rho.powf(-bounds.order) - here.rho.powf(-bounds.order);
            let off = last.off(bounds).max(here.off(bounds));
            self.integral += off * shrink.max(0.0) / bounds.order;
            let before = last.modified(bounds);
            let rounding = (last.rounding() + here.rounding()) / last.rho.powf(bounds.order);
            if before > 0.0 && before - modified > rounding {
                self.falls += 1;
                self.largest_fall = self.largest_fall.max((before - modified) / before);
            }
        }
        if self.separated_at.is_nan() && modified > 0.0 {
            self.separated_at = here.phi;
        }
        self.last = Some(here);
    }

    /// ln(𝓛/𝓛′) ≥ c·S·ln(ρ′/ρ) with c = r/(1 + hS/(2ρ²)) and r = (1 − 𝓛′/𝓛)/(h‖g‖²), where S, r > 0; and with Mφ − p′ for S.
    fn certify(&mut self, pending: &Pending, after: &Point, bounds: &Bounds) {
        let Pending { before, rate, square, growth, .. } = *pending;
        let fall = before.ln_loss - after.ln_loss;
        let share = -(-fall).exp_m1() / (rate * square);
        let slope = before.slope;
        if !(slope > 0.0 && share > 0.0) {
            return;
        }
        let factor = share / (1.0 + 0.5 * rate * slope / (before.rho * before.rho));
        // The losses' roundings, and θ′'s, which moves ln ρ′ by up to 2⁻⁵².
        let rounding = before.rounding() + after.rounding() + 2.0 * f64::EPSILON * factor * slope;
        self.certificate.see(fall, factor * slope * growth, rounding);
        let lower = before.lower(bounds);
        if growth > 0.0 && lower > 0.0 {
            self.key.see(fall, factor * lower * growth, rounding);
        }
    }

    /// Notes a look at the last point met. Returns m = φ/ρ^M + ∫Δr^{−M−1}dr, which a flow never lowers; the bound
    /// B = ∫Δr^{−M−1}dr + p_a(ρ)/ρ^M of where that integral ends; and φ at the first look with m > B, NaN if there is none:
    /// from there on φ exceeded c(ρ) = ρ^M∫_ρ^∞ Δr^{−M−1}dr, Δ being at most p′ beyond this look.
    pub fn look(&mut self, bounds: &Bounds) -> (f64, f64, f64) {
        let Some(here) = self.last else { return (f64::NAN, f64::NAN, f64::NAN) };
        let height = here.rho.powf(bounds.order);
        let mark = here.phi / height + self.integral;
        self.looks.extend([mark, here.phi]);
        let bound = self.integral + bounds.gap.at(here.rho) / height;
        let first = self.looks.chunks_exact(2).find(|look| look[0] > bound);
        (mark, bound, first.map_or(f64::NAN, |look| look[1]))
    }

    pub fn save(&self) -> State {
        let numbers = |p: &Point| [p.rho, p.ln_loss, p.phi, p.slope, p.nu, p.scale];
        let mut state = State::default();
        state.put(
            "seen",
            &[self.certificate.slack, self.key.slack, self.largest_fall, self.separated_at, self.integral],
        );
        state.put_counts("counts", &[self.certificate.violations, self.key.violations, self.falls]);
        state.put("looks", &self.looks);
        if let Some(last) = &self.last {
            state.put("last", &numbers(last));
        }
        if let Some(p) = &self.pending {
            state.put("pending.before", &numbers(&p.before));
            state.put("pending.step", &[p.rate, p.square, p.growth, p.rho]);
        }
        state
    }

    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let point = |name: &str| -> Result<Point, Invalid> {
            let [rho, ln_loss, phi, slope, nu, scale] = state.numbers(name)?;
            Ok(Point { rho, ln_loss, phi, slope, nu, scale })
        };
        [self.certificate.slack, self.key.slack, self.largest_fall, self.separated_at, self.integral] =
            state.numbers("seen")?;
        [self.certificate.violations, self.key.violations, self.falls] = state.counters("counts")?;
        self.looks = state.get("looks")?.to_vec();
        self.last = if state.get("last").is_ok() { Some(point("last")?) } else { None };
        self.pending = match state.get("pending.step").is_ok() {
            true => {
                let [rate, square, growth, rho] = state.numbers("pending.step")?;
                Some(Pending { before: point("pending.before")?, rate, square, growth, rho })
            }
            false => None,
        };
        Ok(())
    }
}
