//! Descent × pace × batches: θ ← θ − h·d.

use serde::{Deserialize, Serialize};

use std::sync::Arc;

use super::{Algorithm, Taken};
use crate::batches::{BatchStream, Batches};
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::descent::{AnyDescent, Descent, Direction, Place, built, kernel_failed};
use crate::iterate::Clocks;
use crate::norm::{AnyNorm, Norm};
use crate::numeric::{self, norm};
use crate::pace::{AnyPace, Pace, StepView, Trial, Verdict};
use crate::{Breakdown, Eval, Invalid, Iterate, Problem, RowSet, State};

/// Below this part of ‖θ‖ an update is looked at for being absorbed by rounding.
const ABSORBED: f64 = 1e-10;
/// Epochs' worth of mini-batches in a row that may leave θ as it is. One such batch says only that its examples are far
/// from the boundary.
const IDLE_EPOCHS: u64 = 32;

/// Where to go, how far, and on which examples.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stepped {
    /// Where to go; steepest descent in l2 by default.
    #[serde(default)]
    pub descent: AnyDescent,
    /// How far.
    pub pace: AnyPace,
    /// On which examples; all of them by default.
    #[serde(default)]
    pub batch: Batches,
    #[serde(skip)]
    running: Option<Box<Running>>,
}

#[derive(Debug)]
struct Running {
    descent: Box<dyn Descent>,
    /// The descent's norm, for steps along the gradient instead.
    norm: Arc<dyn Norm>,
    pace: Box<dyn Pace>,
    batches: BatchStream,
    /// The direction, where it is not a multiple of the gradient.
    d: Vec<f64>,
    /// Room for where a step leads, where a trial may be refused.
    next: Vec<f64>,
    remembers: bool,
    taken: Option<Taken>,
    /// Mini-batches in a row whose step θ did not feel.
    idle: u64,
    refused: u64,
    fallbacks: u64,
    epochs_refused: u64,
}

/// The settings alone: a clone has not begun.
impl Clone for Stepped {
    fn clone(&self) -> Self {
        Stepped::new(self.descent.clone(), self.pace.clone(), self.batch.clone())
    }
}

impl Stepped {
    /// An algorithm from its parts.
    pub fn new(descent: AnyDescent, pace: AnyPace, batch: Batches) -> Self {
        Stepped { descent, pace, batch, running: None }
    }

    fn running(&self) -> &Running {
        self.running.as_deref().expect("begin comes before step")
    }

    fn running_mut(&mut self) -> &mut Running {
        self.running.as_deref_mut().expect("begin comes before step")
    }
}

impl Running {
    /// One step on the batch at hand.
    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let rows = self.batches.current();
        let eval = at.eval(problem, &rows)?;
        let ln_loss = eval.ln_loss;
        self.step_from(problem, at, rows, eval, ln_loss)
    }

    fn step_from(
        &mut self,
        problem: &Problem,
        at: &mut Iterate,
        rows: RowSet,
        eval: Arc<Eval>,
        ln_loss_full: f64,
    ) -> Result<(), Breakdown> {
        if eval.grad.iter().all(|g| *g == 0.0) {
            return Err(Breakdown::Stationary { what: "the gradient of ln of the loss is exactly 0".into() });
        }
        let (direction, factor) = self.direction(problem, at, &eval)?;
        let view = StepView {
            ln_loss: eval.ln_loss,
            ln_loss_full,
            slope: direction.slope,
            ln_scale: direction.ln_scale,
            step: at.clocks.step,
        };
        let h = match self.pace.judges() {
            true => self.tried(problem, at, &rows, &eval, &view, factor)?,
            false => self.moved(at, &rows, &eval, &view, factor)?,
        };
        let ln_dt = h.ln() - direction.ln_scale;
        at.clocks.advance((ln_dt + eval.ln_loss).exp(), ln_dt);
        if !self.remembers {
            problem.recycle(eval);
        } else if let Some(before) = self.taken.replace(Taken { rows, eval, ln_rate: ln_dt }) {
            problem.recycle(before.eval);
        }
        Ok(())
    }

    /// Where to go, in `d` or as this many times the gradient.
    fn direction(
        &mut self,
        problem: &Problem,
        at: &Iterate,
        eval: &Eval,
    ) -> Result<(Direction, Option<f64>), Breakdown> {
        let layout = problem.model.layout();
        let place = Place::new(at.theta(), &eval.grad, eval.ln_loss, layout);
        if let Some((direction, factor)) = self.descent.multiple(&place) {
            return Ok((direction, Some(factor)));
        }
        self.d.resize(eval.grad.len(), 0.0);
        let mut direction = self.descent.direction(&place, &mut self.d)?;
        if self.pace.judges() && direction.slope <= 0.0 {
            // Momentum may point uphill, where a predicted fall means nothing: follow the gradient for this step.
            let slope = self.norm.steepest(&eval.grad, layout, &mut self.d);
            if slope.is_nan() {
                return Err(kernel_failed());
            }
            direction = Direction { slope, ln_scale: eval.ln_loss + slope.ln() };
            self.fallbacks += 1;
        }
        Ok((direction, None))
    }

    /// The vector of a direction and what it is multiplied with.
    fn vector<'a>(&'a self, eval: &'a Eval, factor: Option<f64>) -> (&'a [f64], f64) {
        match factor {
            Some(factor) => (&eval.grad, factor),
            None => (&self.d, 1.0),
        }
    }

    /// Moves θ by the length that the pace gives, in place, and returns it.
    fn moved(
        &mut self,
        at: &mut Iterate,
        rows: &RowSet,
        eval: &Eval,
        view: &StepView,
        factor: Option<f64>,
    ) -> Result<f64, Breakdown> {
        let h = finite(self.pace.length(view))?;
        let (d, factor) = self.vector(eval, factor);
        if at.shift(-h, d, factor) || !is_absorbed(h * factor * norm(d), at.theta()) {
            self.idle = 0;
        } else if self.may_idle(rows) {
            self.idle += 1;
        } else {
            return Err(absorbed(h));
        }
        // A step that has changed no number is a step.
        at.forget();
        Ok(h)
    }

    /// Tries lengths until the pace accepts one, moves there and returns it.
    fn tried(
        &mut self,
        problem: &Problem,
        at: &mut Iterate,
        rows: &RowSet,
        eval: &Eval,
        view: &StepView,
        factor: Option<f64>,
    ) -> Result<f64, Breakdown> {
        let mut refused_here = false;
        loop {
            let h = finite(self.pace.length(view))?;
            let mut theta = std::mem::take(&mut self.next);
            theta.clear();
            theta.extend_from_slice(at.theta());
            let (d, factor) = self.vector(eval, factor);
            if !numeric::shift(&mut theta, -h, d, factor) {
                let length = h * factor * norm(d);
                if is_absorbed(length, at.theta()) {
                    // However short, a refused step does not do what the gradient promises: the field jumps right here.
                    let step = length / norm(at.theta());
                    return Err(match refused_here {
                        true => Breakdown::Chattering { step, floor: f64::EPSILON },
                        false => absorbed(h),
                    });
                }
            }
            let predicted = h * view.slope;
            // A trial that diverges is one to refuse; a model that fails is not mended by a shorter step.
            let trial = match at.trial(problem, &theta, rows) {
                Ok(trial) => Some(trial),
                Err(Breakdown::Diverged { .. }) => None,
                Err(other) => return Err(other),
            };
            let actual = trial.as_ref().map_or(f64::NEG_INFINITY, |t| eval.ln_loss - t.ln_loss);
            if self.pace.accept(&Trial { predicted, actual }) {
                self.next = at.move_to(theta, trial.map(|eval| (rows, eval)));
                return Ok(h);
            }
            trial.into_iter().for_each(|trial| problem.recycle(trial));
            self.next = theta;
            self.refused += 1;
            refused_here = true;
        }
    }

    /// Whether a step that is lost to rounding is one of easy examples rather than the end.
    fn may_idle(&self, rows: &RowSet) -> bool {
        let patience = IDLE_EPOCHS * self.batches.per_epoch();
        matches!(rows, RowSet::Batch(..)) && !self.pace.judges() && self.idle < patience
    }

    /// A whole epoch, then the pace's verdict on it.
    fn epoch(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let before = self.judged(problem, at)?;
        let (start, descent) = (at.clone(), self.descent.save());
        let outcome = self.epoch_steps(problem, at, before);
        let after = match outcome.and_then(|()| self.judged(problem, at)) {
            Ok(ln_loss) => ln_loss,
            // A network that a long step has killed has no gradient left, and its loss is that of chance: a failed epoch.
            Err(Breakdown::Diverged { .. } | Breakdown::Stationary { .. }) => f64::NAN,
            Err(other) => return Err(other),
        };
        match self.pace.epoch_end(before, after) {
            Verdict::Keep => Ok(()),
            verdict => {
                let evaluations = at.clocks.evaluations;
                *at = start;
                at.clocks = Clocks { evaluations, ..at.clocks.clone() };
                self.descent.load(&descent).expect("a state saved by the same descent fits it");
                self.batches.restart_epoch();
                self.epochs_refused += 1;
                if verdict == Verdict::GiveUp {
                    let what = "no learning rate lowers the loss over an epoch any more (alpha underflowed)";
                    return Err(Breakdown::Precision { what: what.into() });
                }
                Ok(())
            }
        }
    }

    /// ln 𝓛 of the full set, by which an epoch is judged; with its gradient only where the next step takes it anyway.
    fn judged(&mut self, problem: &Problem, at: &mut Iterate) -> Result<f64, Breakdown> {
        match self.batches.current() {
            RowSet::Full => Ok(at.eval(problem, &RowSet::Full)?.ln_loss),
            RowSet::Batch(..) => at.ln_loss(problem),
        }
    }

    fn epoch_steps(&mut self, problem: &Problem, at: &mut Iterate, ln_full: f64) -> Result<(), Breakdown> {
        loop {
            let rows = self.batches.current();
            let eval = at.eval(problem, &rows)?;
            self.step_from(problem, at, rows, eval, ln_full)?;
            if self.batches.advance() {
                at.clocks.epoch += 1;
                return Ok(());
            }
        }
    }
}

fn finite(h: f64) -> Result<f64, Breakdown> {
    match h.is_finite() {
        true => Ok(h),
        false => Err(Breakdown::Diverged { what: format!("the length {h} of a step is no longer finite") }),
    }
}

/// Whether a step that has changed no number is lost to rounding, and not on the way from one number to the next.
fn is_absorbed(length: f64, theta: &[f64]) -> bool {
    length < ABSORBED * norm(theta)
}

fn absorbed(h: f64) -> Breakdown {
    let what = format!(
        "a step of length {h:.1e} no longer changes theta in f64. A constant learning rate does this at small losses: use the \
         pace loss-scaled or unit-decrease"
    );
    Breakdown::Precision { what }
}

impl Algorithm for Stepped {
    fn begin(&mut self, problem: &Problem, seed: u64) -> Result<(), Invalid> {
        let n = problem.train.n();
        self.batch.check(n)?;
        let pace = self.pace.build();
        pace.check().map_err(|e| Invalid::new(format!("pace.{}", e.field), e.message))?;
        let layout = problem.model.layout();
        let mut descent = self.descent.build();
        let within = |e: Invalid| Invalid::new(format!("descent.{}", e.field), e.message);
        descent.begin(layout).map_err(within)?;
        let norm = built(&descent.norm(), layout).map_err(within)?;
        self.running = Some(Box::new(Running {
            descent,
            norm,
            pace,
            batches: BatchStream::new(self.batch.clone(), self.batch.seed(seed), n),
            d: Vec::new(),
            next: Vec::new(),
            remembers: true,
            taken: None,
            idle: 0,
            refused: 0,
            fallbacks: 0,
            epochs_refused: 0,
        }));
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let running = self.running_mut();
        if running.pace.judges_epochs() {
            return running.epoch(problem, at);
        }
        running.step(problem, at)?;
        if running.batches.advance() {
            at.clocks.epoch += 1;
        }
        Ok(())
    }

    fn remember_steps(&mut self, remember: bool) {
        let running = self.running_mut();
        running.remembers = remember;
        if !remember {
            running.taken = None;
        }
    }

    /// A whole epoch that the pace judges is not a single step.
    fn taken(&self) -> Option<&Taken> {
        let running = self.running();
        running.taken.as_ref().filter(|_| !running.pace.judges_epochs())
    }

    fn multiplier(&self) -> Option<Vec<f64>> {
        self.running().descent.multiplier()
    }

    fn weight_decay(&self) -> f64 {
        self.running().descent.weight_decay()
    }

    fn is_full_batch(&self) -> bool {
        self.batch == Batches::Full
    }

    fn norm(&self) -> AnyNorm {
        self.descent.build().norm()
    }

    fn cites_of_parts(&self) -> Vec<Cite> {
        [self.descent.cite(), self.norm().cite(), self.pace.cite()].concat()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let r = self.running();
        let counts = [
            ("refused_trials", r.refused),
            ("refused_epochs", r.epochs_refused),
            ("steps_along_the_gradient_instead", r.fallbacks),
        ];
        let told = counts.into_iter().filter(|(_, n)| *n > 0);
        told.chain(r.pace.counts()).collect()
    }

    fn save(&self) -> State {
        let r = self.running();
        let mut state = State::default();
        state.nest("descent", r.descent.save());
        state.nest("pace", r.pace.save());
        state.nest("batches", r.batches.save());
        state.put_counts("counts", &[r.refused, r.fallbacks, r.epochs_refused]);
        state.put_counts("idle", &[r.idle]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let r = self.running_mut();
        r.descent.load(&state.part("descent"))?;
        r.pace.load(&state.part("pace"))?;
        r.batches.load(&state.part("batches"))?;
        [r.refused, r.fallbacks, r.epochs_refused] = state.counters("counts")?;
        [r.idle] = state.counters("idle")?;
        Ok(())
    }
}

impl Entry for Stepped {
    const ABOUT: &'static str = "discrete steps: a descent, a pace and batches";
    const EXAMPLE: &'static str = "pace = { kind = \"unit-decrease\", eta = 0.02 }";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
