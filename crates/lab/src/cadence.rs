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
        CadenceState { settings: self.clone(), cells: [f64::NEG_INFINITY; 4] }
    }
}

/// Which cells of each spacing have been looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct CadenceState {
    settings: Cadence,
    /// The furthest cell entered: of steps, ln(1/loss), ln ρ and `every`.
    cells: [f64; 4],
}

/// The cell of x ≥ 1 in a log-spaced grid. The shift keeps 10^k at the start of its cell whatever log10 rounds to.
fn log_cell(x: f64, per_decade: u32) -> f64 {
    if per_decade == 0 || x.is_nan() || x < 1.0 {
        return f64::NEG_INFINITY;
    }
    (f64::from(per_decade) * x.log10() + 1e-9).floor()
}

impl CadenceState {
    /// Whether this iterate enters a cell beyond all before it, in any spacing.
    ///
    /// A loss that rises and falls again is not looked at twice; a number that is NaN or infinite counts for nothing.
    pub fn due(&mut self, step: u64, ln_loss: f64, ln_rho: f64) -> bool {
        let s = &self.settings;
        let reached = [
            log_cell(step as f64, s.per_decade_of_step),
            log_cell(-ln_loss, s.per_decade_of_ln_loss),
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
        due
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
        Ok(())
    }
}
