//! When a run is looked at: log-spaced in steps, in ln(1/loss) and in ln ρ.
//!
//! The late phase is long in every clock, so looks are spread over decades. With u = ln(1/𝓛), going from u = 1 to
//! a loss of 1e-1000 (u = 2302) is 3.36 decades: 67 looks at 20 a decade.

use latephase_core::{Invalid, State};
use serde::{Deserialize, Serialize};

/// The settings of `look`; 0 switches a spacing off. The first and the last iterate are always looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cadence {
    /// Looks in a decade of steps, 10 by default.
    pub per_decade_of_step: u32,
    /// Looks in a decade of ln(1/loss), from ln(1/loss) = 1 on; 20 by default.
    pub per_decade_of_ln_loss: u32,
    /// Looks in a unit of ln ‖θ‖₂, none by default; more where the direction is the question.
    pub per_unit_of_ln_rho: u32,
    /// A look every so many steps besides; for short runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

impl Default for Cadence {
    fn default() -> Self {
        Cadence { per_decade_of_step: 10, per_decade_of_ln_loss: 20, per_unit_of_ln_rho: 0, every: None }
    }
}

impl Cadence {
    /// Checks the settings.
    ///
    /// # Errors
    /// `every = 0`.
    pub fn check(&self) -> Result<(), Invalid> {
        match self.every {
            Some(0) => Err(Invalid::new("every", "0 steps apart is no spacing; use 1 or more")),
            _ => Ok(()),
        }
    }

    /// The cadence at the start of a run.
    pub fn start(&self) -> CadenceState {
        CadenceState { settings: self.clone(), cells: [f64::NEG_INFINITY; 4], within: [1.0; 2] }
    }
}

/// Which cells of each spacing have been looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct CadenceState {
    settings: Cadence,
    /// The furthest cell entered: of steps, ln(1/loss), ln ρ and `every`.
    cells: [f64; 4],
    /// Of the log-spaced: below this an x is surely in no cell beyond that, and needs no logarithm.
    within: [f64; 2],
}

/// The cell of x ≥ 1 in a log-spaced grid. The shift keeps 10^k at the start of its cell whatever log10 rounds to.
fn log_cell(x: f64, per_decade: u32) -> f64 {
    if per_decade == 0 || x.is_nan() || x < 1.0 {
        return f64::NEG_INFINITY;
    }
    (f64::from(per_decade) * x.log10() + 1e-9).floor()
}

/// An x below which [`log_cell`] is at most `cell`, just below the first beyond.
fn cell_end(cell: f64, per_decade: u32) -> f64 {
    match per_decade {
        0 => f64::INFINITY,
        per => 10f64.powf((cell + 1.0 - 1e-6) / f64::from(per)).max(1.0),
    }
}

impl CadenceState {
    /// Whether this iterate enters a cell beyond all before it, in any spacing.
    ///
    /// A loss that rises and falls again is not looked at twice; a number that is NaN or infinite counts for nothing.
    pub fn due(&mut self, step: u64, ln_loss: f64, ln_rho: f64) -> bool {
        let s = &self.settings;
        let log_spaced = [(step as f64, s.per_decade_of_step), (-ln_loss, s.per_decade_of_ln_loss)];
        let [of_step, of_ln_loss] = std::array::from_fn(|k| match log_spaced[k] {
            (x, _) if x < self.within[k] => f64::NEG_INFINITY,
            (x, per_decade) => log_cell(x, per_decade),
        });
        let reached = [
            of_step,
            of_ln_loss,
            match s.per_unit_of_ln_rho {
                0 => f64::NEG_INFINITY,
                per => (f64::from(per) * ln_rho + 1e-9).floor(),
            },
            match s.every {
                None | Some(0) => f64::NEG_INFINITY,
                Some(every) => (step / every) as f64,
            },
        ];
        let mut due = false;
        for (cell, reached) in self.cells.iter_mut().zip(reached) {
            if reached.is_finite() && reached > *cell {
                *cell = reached;
                due = true;
            }
        }
        for (k, (x, per_decade)) in log_spaced.into_iter().enumerate() {
            if x >= self.within[k] {
                self.within[k] = cell_end(self.cells[k], per_decade);
            }
        }
        due
    }

    /// Whether it looks at ln ρ.
    pub fn asks_for_rho(&self) -> bool {
        self.settings.per_unit_of_ln_rho > 0
    }

    /// Saves what a checkpoint needs.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.put("cells", &self.cells);
        state
    }

    /// Loads it.
    ///
    /// # Errors
    /// When the checkpoint does not fit.
    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.cells = state.numbers("cells")?;
        self.within = [1.0; 2];
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_without_a_logarithm_are_those_with_one() {
        for per in [1, 3, 10, 20, 33] {
            let settings =
                Cadence { per_decade_of_step: per, per_decade_of_ln_loss: 2 * per, ..Cadence::default() };
            let mut state = settings.start();
            let mut cells = [f64::NEG_INFINITY; 2];
            for step in 0..30_000u64 {
                // Falls from e to below e^-1000, with rises on the way, an unknown number and a loss of 0.
                let ln_loss = match step {
                    700 => f64::NAN,
                    29_998 => f64::NEG_INFINITY,
                    _ => 1.0 - step as f64 * 0.04 * (1.0 + 0.3 * (step as f64 * 0.01).sin()),
                };
                let reached = [log_cell(step as f64, per), log_cell(-ln_loss, 2 * per)];
                let mut due = false;
                for (cell, reached) in cells.iter_mut().zip(reached) {
                    if reached.is_finite() && reached > *cell {
                        *cell = reached;
                        due = true;
                    }
                }
                if step == 15_000 {
                    let saved = state.save();
                    state = settings.start();
                    state.load(&saved).unwrap();
                }
                assert_eq!(state.due(step, ln_loss, 0.0), due, "step {step}, {per} in a decade");
            }
        }
    }
}
