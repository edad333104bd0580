//! The bundle's error account: what its steps have added to the error of the direction, and the step that keeps it small.
//!
//! A step of length κρ along d is Euler's: it misses the flow by ½κ·(change of d/‖d‖ over the step) on the sphere. Summed step
//! by step that counts the wobble of the direction, which comes from pieces that are met one at a time and averages out; the
//! sum over a window telescopes, so what is entered is [`SAFETY`]·½κ·‖d̂_end − d̂_start‖, tangentially, for windows in which the
//! direction has gone [`WINDOW`] or ln ρ has changed by 1. The factor is for the lag of the members, which is of the same order,
//! and for what the flow makes of an error later: against small explicit steps on ReLU² networks errors were 1.6 to 2.5 times
//! ½κ‖d̂_end − d̂_start‖. A kink that repels can part two solutions by any amount, and no account of single steps sees that.
//!
//! Under error control κ follows the last window, so that one adds less than `tolerance` times the way of the direction in it. As
//! the direction slows down, so does the turning of d, and κ grows.

use crate::numeric::{axpy, dot, norm, scale};
use crate::{Invalid, State};

/// Way of the direction, in radians, after which a window ends.
const WINDOW: f64 = 0.02;
/// What is entered, in units of the local errors.
const SAFETY: f64 = 2.5;
/// Part of the tolerance that the next window is planned for.
const PART: f64 = 0.75;
/// Growth of ln ρ after which it ends in any case.
const LN_RHO: f64 = 1.0;
/// How much κ may change from window to window.
const GROW: f64 = 1.5;
const SHRINK: f64 = 0.5;
/// Between these κ is chosen. Beyond the larger one the bundle reaches so far that the direction comes to rest at a margin that is
/// 4 % too low, and nothing in the account shows it: it had .0627 where steps of .02, .01 and .005 agree on .0652 to .0653 (300
/// digits, F = 1e8).
const LEAST: f64 = 1e-7;
const MOST: f64 = 0.02;

#[derive(Clone, Debug)]
pub(super) struct Account {
    tolerance: Option<f64>,
    /// The error of the direction so far, in radians, and the way that it has gone in the windows closed.
    pub error: f64,
    way: f64,
    /// Windows closed, and those that added more than the tolerance.
    pub windows: u64,
    pub above: u64,
    /// d/‖d‖ and ln ρ where the window began.
    start: Vec<f64>,
    ln_rho: f64,
    /// The way of the direction in the window, the sum of the steps relative to ρ, and their number.
    path: f64,
    steps: f64,
    count: f64,
    /// Error and way of the last window.
    last: [f64; 2],
}

impl Account {
    pub fn new(tolerance: Option<f64>) -> Self {
        Account {
            tolerance,
            error: 0.0,
            way: 0.0,
            windows: 0,
            above: 0,
            start: Vec::new(),
            ln_rho: 0.0,
            path: 0.0,
            steps: 0.0,
            count: 0.0,
            last: [0.0; 2],
        }
    }

    /// κ before anything is known.
    pub fn first_step(&self) -> f64 {
        (0.1 * self.tolerance.unwrap_or(0.0)).clamp(LEAST, MOST)
    }

    /// Enters a step of length `step`·ρ along `direction` that took the unit vector by `moved` from `unit`, and ln ρ to `ln_rho`.
    /// Returns whether a window has ended with it.
    pub fn enter(&mut self, direction: &[f64], unit: &[f64], moved: f64, step: f64, ln_rho: f64) -> bool {
        let length = norm(direction);
        let fresh = self.start.is_empty();
        if fresh {
            (self.ln_rho, self.path, self.steps, self.count) = (ln_rho, 0.0, 0.0, 0.0);
            self.start.extend(direction.iter().map(|d| d / length));
        }
        self.path += moved;
        self.steps += step;
        self.count += 1.0;
        if fresh || !(self.path >= WINDOW || (ln_rho - self.ln_rho).abs() >= LN_RHO) {
            return false;
        }
        // Δ = d̂ − d̂_start, less its part along u.
        let change = &mut self.start;
        scale(-1.0, change);
        axpy(1.0 / length, direction, change);
        let radial = dot(change, unit);
        axpy(-radial, unit, change);
        let error = SAFETY * 0.5 * self.steps / self.count * norm(change);
        self.error += error;
        self.way += self.path;
        self.windows += 1;
        if self.tolerance.is_some_and(|t| error > t * self.path) {
            self.above += 1;
        }
        self.last = [error, self.path];
        self.start.clear();
        self.start.extend(direction.iter().map(|d| d / length));
        (self.ln_rho, self.path, self.steps, self.count) = (ln_rho, 0.0, 0.0, 0.0);
        true
    }

    /// Whether more has been entered than the tolerance allows for the way so far.
    pub fn exceeded(&self) -> bool {
        self.tolerance.is_some_and(|t| self.error > t * self.way)
    }

    /// κ for the next window, given that of the last.
    pub fn step(&self, kappa: f64) -> f64 {
        let Some(tolerance) = self.tolerance else { return kappa };
        let [error, path] = self.last;
        // What is entered grows in proportion to κ.
        let factor = PART * tolerance * path / error;
        let factor = if factor.is_nan() { 1.0 } else { factor.clamp(SHRINK, GROW) };
        (kappa * factor).clamp(LEAST, MOST)
    }

    pub fn save(&self) -> State {
        let mut state = State::default();
        state.put("start", &self.start);
        let [error, path] = self.last;
        state.put(
            "numbers",
            &[self.error, self.ln_rho, self.path, self.steps, self.count, error, path, self.way],
        );
        state.put_counts("counts", &[self.windows, self.above]);
        state
    }

    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.start = state.get("start")?.to_vec();
        let last = &mut self.last;
        [self.error, self.ln_rho, self.path, self.steps, self.count, last[0], last[1], self.way] =
            state.numbers("numbers")?;
        [self.windows, self.above] = state.counters("counts")?;
        Ok(())
    }
}
