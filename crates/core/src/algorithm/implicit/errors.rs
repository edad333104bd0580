//! What the steps add to the error of the direction, and the step that keeps it small.
//!
//! The local error of a step is a vector across θ. Along a kink it has a part that changes its sign from step to step, as shares are
//! found and lost, and that averages out: vectors are added over a window, and the length of the sum is entered.

use crate::numeric::{axpy, distance, dot, norm};
use crate::{Invalid, State};

/// Way of the direction, in radians, and steps after which a window ends; and steps that end it in any case.
const WINDOW: f64 = 0.01;
const STEPS: u64 = 6;
const MOST_STEPS: u64 = 40;
/// Part of the tolerance that the next window is planned for.
const PART: f64 = 0.75;
/// Errors of a window that are rounding.
const ROUNDING: f64 = 1e-12;
/// How far a step may turn the direction: this part of the tolerance where it errs to first order, of its root elsewhere.
const TURN: f64 = 0.1;
/// How much κ may change from window to window, and its bounds.
const GROW: f64 = 3.0;
const SHRINK: f64 = 0.5;
const LEAST: f64 = 1e-7;
const MOST: f64 = 0.05;

#[derive(Clone, Debug)]
pub(super) struct Errors {
    tolerance: Option<f64>,
    /// In radians, so far.
    pub total: f64,
    /// Whether steps cross kinks.
    has_kinks: bool,
    /// Largest κ that does not turn the direction too far.
    most: f64,
    /// Sum of the window's errors, way and steps.
    sum: Vec<f64>,
    way: f64,
    steps: u64,
}

/// Where the flow was, and how long the step from there took.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub theta: Vec<f64>,
    pub length: f64,
}

impl Errors {
    pub fn new(tolerance: Option<f64>, has_kinks: bool) -> Errors {
        Errors { tolerance, total: 0.0, has_kinks, most: f64::INFINITY, sum: Vec::new(), way: 0.0, steps: 0 }
    }

    /// κ, at most what the last step allows. Where kinks are crossed a step errs by a part of its turn, which no difference of third
    /// order tells; and elsewhere a difference over steps that turn far tells little of what is between them.
    pub fn bounded(&self, kappa: f64) -> f64 {
        kappa.min(self.most)
    }

    /// Enters the step of length `h` from `at` to `x`, after the two of `past`, in which the direction went `way`. Returns κ for
    /// the next step.
    pub fn enter(&mut self, x: &[f64], at: &[f64], h: f64, past: &[Past], way: f64, kappa: f64) -> f64 {
        if let Some(tolerance) = self.tolerance {
            let turn = TURN * if self.has_kinks { tolerance } else { tolerance.sqrt() };
            self.most = (turn * distance(x, at) / (norm(at) * way)).max(LEAST);
        }
        let [one, two] = past else { return kappa };
        let (h1, h2) = (one.length, two.length);
        // h²(h + h₁)²/(h₁ + 2h) times the divided difference over the times 0, −h, −h − h₁, −h − h₁ − h₂.
        let rho = norm(x);
        let size = h * h * (h + h1) * (h + h1) / (h1 + 2.0 * h) / rho;
        let of = [
            size / (h * (h + h1) * (h + h1 + h2)),
            -size / (h * h1 * (h1 + h2)),
            size / ((h + h1) * h1 * h2),
            -size / ((h + h1 + h2) * (h1 + h2) * h2),
        ];
        self.sum.resize(x.len(), 0.0);
        let points = [x, at, &one.theta, &two.theta];
        let radial: f64 = of.iter().zip(points).map(|(c, v)| c * dot(v, x)).sum::<f64>() / (rho * rho);
        of.iter().zip(points).for_each(|(c, v)| axpy(*c, v, &mut self.sum));
        axpy(-radial, x, &mut self.sum);
        self.way += way;
        self.steps += 1;
        if self.steps < STEPS {
            return kappa;
        }
        let error = norm(&self.sum);
        let planned = self.tolerance.map(|tolerance| (PART * tolerance * self.way + ROUNDING) / error);
        let factor = planned.map_or(1.0, f64::sqrt);
        // A step that is much too short need not wait until the direction has gone some way.
        if self.way < WINDOW && self.steps < MOST_STEPS && !(factor >= GROW) {
            return kappa;
        }
        self.total += error;
        let next = match self.tolerance {
            Some(_) if !factor.is_nan() => {
                (self.bounded(kappa) * factor.clamp(SHRINK, GROW)).clamp(LEAST, MOST)
            }
            _ => kappa,
        };
        self.sum.clear();
        (self.way, self.steps) = (0.0, 0);
        next
    }

    pub fn save(&self) -> State {
        let mut state = State::default();
        state.put("sum", &self.sum);
        state.put("numbers", &[self.total, self.most, self.way]);
        state.put_counts("steps", &[self.steps]);
        state
    }

    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.sum = state.get("sum")?.to_vec();
        [self.total, self.most, self.way] = state.numbers("numbers")?;
        [self.steps] = state.counters("steps")?;
        Ok(())
    }
}
