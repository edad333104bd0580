//! Steepest flow with error control: dθ/ds = −‖∇ ln 𝓛‖⋆ d(θ), in the clock ds = 𝓛 dt.
//!
//! Embedded Runge–Kutta pairs; a step is kept when the estimated local error is at most rtol·‖θ‖. Where the field is
//! discontinuous (ReLU kinks, ties, l1 and l∞ everywhere) no step size satisfies an error bound of higher order: the
//! steps shrink for good, and the flow ends with the outcome *chattering* instead of crawling on. Three signs have to
//! come together: ln 𝓛 hardly falls, θ hardly moves, and yet the velocity keeps jumping. Late in training θ moves by 1/ρ^L
//! of itself in a step while ln 𝓛 falls by 1; on a plateau ln 𝓛 stands still while θ moves; towards a minimum the velocity
//! changes as little as θ does. None of these chatters. Where moving by all of ‖θ‖ would not lower ln 𝓛 either (data
//! that cannot be separated, an example that no active neuron sees), the point is stationary.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Algorithm;
use crate::catalogue::Entry;
use crate::cite::{Cite, DORMAND_PRINCE_1980, LYU_LI_2020};
use crate::norm::{AnyNorm, Norm};
use crate::numeric::{axpy, distance, ln_mean_exp, norm};
use crate::pace::positive;
use crate::{Breakdown, Eval, Invalid, Iterate, Problem, RowSet, State};

/// The Runge–Kutta pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tableau {
    /// Heun's method of order 2 with Euler's as its error estimate.
    Heun,
    /// Dormand and Prince's 5(4), first same as last.
    #[default]
    DormandPrince,
}

struct Coefficients {
    /// Rows of the Butcher tableau below the first stage; the last is the step itself (first same as last).
    rows: &'static [&'static [f64]],
    /// Step minus embedded step.
    error: &'static [f64],
    order: f64,
}

const HEUN: Coefficients =
    Coefficients { rows: &[&[1.0], &[0.5, 0.5]], error: &[-0.5, 0.5, 0.0], order: 2.0 };

const DORMAND_PRINCE: Coefficients = Coefficients {
    rows: &[
        &[1.0 / 5.0],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
        &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
        &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
    ],
    error: &[
        71.0 / 57600.0,
        0.0,
        -71.0 / 16695.0,
        71.0 / 1920.0,
        -17253.0 / 339200.0,
        22.0 / 525.0,
        -1.0 / 40.0,
    ],
    order: 5.0,
};

/// How many kept steps the chattering test looks back over.
const WINDOW: u64 = 200;

/// A relative slope ρ‖g‖⋆ below this is flat: about what is left where the error control of a stiff minimum lets the
/// velocity oscillate. At the kinks and ties of the late phase it is at least L·Σ w q, and large.
const FLAT: f64 = 0.3;

/// Mean relative change of the velocity in a step that means jumps: between two crossings of a kink the step regrows in
/// some ten steps, and the crossing changes the velocity by its own size. A stiff but smooth field keeps to about 0.01.
const JUMPY: f64 = 0.05;

/// Steepest flow in a norm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The geometry, `l2` (gradient flow) by default.
    #[serde(default)]
    pub norm: AnyNorm,
    /// `dormand-prince` (default) or `heun`.
    #[serde(default)]
    pub tableau: Tableau,
    /// Local error allowed in a step, relative to ‖θ‖₂; 1e-6 by default.
    #[serde(default = "millionth")]
    pub rtol: f64,
    /// The flow may be said to chatter when, over 200 kept steps, both the mean fall of ln 𝓛 and the mean ‖Δθ‖/‖θ‖ of a
    /// step are below this; √rtol/10 by default, 0 never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    #[serde(skip)]
    running: Option<Running>,
}

fn millionth() -> f64 {
    1e-6
}

#[derive(Clone, Debug, Default)]
struct Running {
    h: f64,
    /// Estimated local errors, relative to ‖θ‖, added up: the integrator's own error account.
    error: f64,
    kept: u64,
    refused: u64,
    /// Kept steps in the current window, and the sums over them of
    seen: u64,
    /// the fall of ln 𝓛, the relative motion of θ and the relative change of the velocity.
    sums: [f64; 3],
}

impl Flow {
    /// Gradient flow with these settings.
    pub fn new(norm: AnyNorm, tableau: Tableau, rtol: f64) -> Self {
        Flow { norm, tableau, rtol, floor: None, running: None }
    }

    /// The sum of estimated local errors so far, relative to ‖θ‖₂ at each step.
    pub fn accumulated_error(&self) -> f64 {
        self.running.as_ref().map_or(0.0, |r| r.error)
    }
}

/// The velocity −‖g‖⋆ d in the clock of ∇ ln 𝓛; returns its ‖g‖⋆.
fn velocity(norm: &dyn Norm, problem: &Problem, eval: &Eval) -> (Vec<f64>, f64) {
    let mut d = vec![0.0; eval.grad.len()];
    let dual = norm.steepest(&eval.grad, problem.model.layout(), &mut d);
    d.iter_mut().for_each(|d| *d *= -dual);
    (d, dual)
}

impl Algorithm for Flow {
    fn begin(&mut self, problem: &Problem, _seed: u64) -> Result<(), Invalid> {
        positive("rtol", self.rtol)?;
        crate::descent::built(&self.norm, problem.model.layout())?;
        if let Some(floor) = self.floor
            && !(floor >= 0.0)
        {
            return Err(Invalid::new("floor", format!("{floor} is not allowed; use 0 or more")));
        }
        self.running = Some(Running::default());
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let run = self.running.as_mut().expect("begin comes before step");
        let table = match self.tableau {
            Tableau::Heun => &HEUN,
            Tableau::DormandPrince => &DORMAND_PRINCE,
        };
        let floor = self.floor.unwrap_or(self.rtol.sqrt() / 10.0);
        let geometry = self.norm.build();
        let eval = at.eval(problem, &RowSet::Full)?;
        let (first, slope) = velocity(geometry.as_ref(), problem, &eval);
        if slope == 0.0 {
            return Err(Breakdown::Stationary { what: "the gradient of ln of the loss is exactly 0".into() });
        }
        let rho = norm(at.theta());
        if run.h == 0.0 {
            // A first guess that the error control corrects: a fall of ln 𝓛 by 0.01.
            run.h = 0.01 / (slope * slope);
        }
        loop {
            let h = run.h;
            if !h.is_finite() {
                // Shortening it would not make it finite.
                let what = format!("the slope {slope:.1e} asks for a longer flow step than f64 can hold");
                return Err(Breakdown::Precision { what });
            }
            let motion = h * norm(&first) / rho;
            if motion < 1e-15 {
                return Err(Breakdown::Chattering { step: motion, floor: 1e-15 });
            }
            let mut stages = vec![first.clone()];
            let mut last = None;
            for row in table.rows {
                let mut theta = at.theta().to_vec();
                for (c, k) in row.iter().zip(&stages) {
                    axpy(h * c, k, &mut theta);
                }
                match at.trial(problem, &theta, &RowSet::Full) {
                    Ok(eval) => {
                        stages.push(velocity(geometry.as_ref(), problem, &eval).0);
                        last = Some((theta, eval));
                    }
                    Err(Breakdown::Diverged { .. }) => {
                        last = None;
                        break;
                    }
                    Err(other) => return Err(other),
                }
            }
            let Some((theta, reached)) = last else {
                run.h = h / 4.0;
                run.refused += 1;
                continue;
            };
            let mut error = vec![0.0; theta.len()];
            for (c, k) in table.error.iter().zip(&stages) {
                axpy(h * c, k, &mut error);
            }
            let error = norm(&error) / rho;
            let ratio = error / self.rtol;
            let factor = (0.9 * ratio.powf(-1.0 / table.order)).clamp(0.2, 4.0);
            // An error that is not known is too large.
            run.h = h * if factor.is_nan() { 0.2 } else { factor };
            if !(ratio <= 1.0) {
                run.refused += 1;
                continue;
            }
            if theta == at.theta() {
                let what = format!("a flow step of length {h:.1e} no longer changes theta in f64");
                return Err(Breakdown::Precision { what });
            }
            run.kept += 1;
            run.error += error;
            run.seen += 1;
            // Both tableaux end with a stage at the new θ.
            let change = stages.last().map_or(0.0, |last| distance(last, &first) / norm(&first));
            for (sum, new) in run.sums.iter_mut().zip([eval.ln_loss - reached.ln_loss, motion, change]) {
                *sum += new;
            }
            at.move_to(theta, Some((&RowSet::Full, Arc::clone(&reached))));
            // dt = ds/𝓛, and ln 𝓛 falls nearly linearly over a step.
            at.clocks.advance(h, h.ln() + ln_mean_exp(-eval.ln_loss, -reached.ln_loss));
            at.clocks.epoch += 1;
            if run.seen == WINDOW {
                let [fall, motion, change] = run.sums.map(|sum| sum / WINDOW as f64);
                (run.seen, run.sums) = (0, [0.0; 3]);
                let still = fall < floor && motion < floor;
                if still && slope * rho < FLAT {
                    let what = format!(
                        "moving theta by its own length lowers ln of the loss by {:.1e} to first order; the model cannot \
                         separate the data, or an example is out of reach of every active neuron",
                        slope * rho
                    );
                    return Err(Breakdown::Stationary { what });
                }
                if still && change > JUMPY {
                    return Err(Breakdown::Chattering { step: motion, floor });
                }
            }
            return Ok(());
        }
    }

    fn norm(&self) -> AnyNorm {
        self.norm.clone()
    }

    fn direction_error(&self) -> f64 {
        self.running.as_ref().map_or(f64::NAN, |r| r.error)
    }

    fn cites_of_parts(&self) -> Vec<Cite> {
        self.norm.cite().to_vec()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let r = self.running.as_ref().expect("begin comes before counts");
        vec![("kept_steps", r.kept), ("refused_steps", r.refused)]
    }

    fn save(&self) -> State {
        let r = self.running.as_ref().expect("begin comes before save");
        let mut state = State::default();
        state.put("numbers", &[r.h, r.error, r.sums[0], r.sums[1], r.sums[2]]);
        state.put_counts("counts", &[r.kept, r.refused, r.seen]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let r = self.running.as_mut().expect("begin comes before load");
        [r.h, r.error, r.sums[0], r.sums[1], r.sums[2]] = state.numbers("numbers")?;
        [r.kept, r.refused, r.seen] = state.counters("counts")?;
        Ok(())
    }
}

impl Entry for Flow {
    const ABOUT: &'static str = "steepest flow with error control (Heun, Dormand-Prince)";
    const EXAMPLE: &'static str = "rtol = 1e-6";
    const CITE: &'static [Cite] = &[DORMAND_PRINCE_1980, LYU_LI_2020];
}
