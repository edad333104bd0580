//! The loop: step, look, save, until an outcome.

use std::ops::ControlFlow;

use latephase_core::algorithm::Algorithm;
use latephase_core::probe::{End, Probe, Row, Snapshot, StepRecord};
use latephase_core::{Breakdown, Invalid, Iterate, Problem, RowSet, State, numeric};

use crate::cadence::CadenceState;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::stop::{Status, Stop};

/// Relative error of a margin's last digit, q_min·2⁻⁵², from which a row is flagged: weights of support vectors carry
/// an error of that order.
const FLAGGED: f64 = 1e-4;
/// From here on f64 cannot rank the support vectors, and the run ends.
const EXHAUSTED: f64 = 2e-3;

/// What the caller of the loop wants to know and to decide.
pub trait Sink {
    /// A look. `Break` ends the run after it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn row(&mut self, row: &Row) -> Result<ControlFlow<()>, Error>;
    /// After every step: go on, save a checkpoint, or end.
    fn tick(&mut self, status: &Status) -> Tick;
    /// A checkpoint.
    ///
    /// # Errors
    /// When it cannot be written.
    fn checkpoint(&mut self, state: State) -> Result<(), Error>;
    /// Every stored block at one of the levels of loss to keep.
    ///
    /// # Errors
    /// When it cannot be written.
    fn keep(&mut self, log10_loss: f64, stored: &[f64]) -> Result<(), Error>;
}

/// What to do after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Go on.
    Continue,
    /// Save and go on.
    Checkpoint,
    /// Save and end, for this reason.
    Stop(String),
}

/// One phase: an algorithm and when it gives way to the next.
pub struct Phase {
    /// What steps.
    pub algorithm: Box<dyn Algorithm>,
    /// When the next phase begins; none for the last.
    pub until: Option<Stop>,
}

/// A run, ready to go or to go on.
pub struct Run {
    /// Model, loss, data.
    pub problem: Problem,
    /// θ and its evaluations.
    pub at: Iterate,
    /// What steps, phase by phase.
    pub phases: Vec<Phase>,
    /// Index of the current phase.
    pub phase: usize,
    /// What measures.
    pub probes: Vec<Box<dyn Probe>>,
    /// When to look.
    pub cadence: CadenceState,
    /// When to end.
    pub stop: Stop,
    /// Levels of log10 loss at which θ is kept, descending; and how many have been.
    pub keep: Vec<f64>,
    /// How many levels have been kept.
    pub kept: usize,
    /// What the loop knows of where it stands.
    pub status: Status,
    /// Whether the row at hand has been written.
    pub looked: bool,
    /// Whether a step could no longer change θ.
    pub exhausted: bool,
}

impl Run {
    /// The columns that the loop itself writes, before the probes'.
    pub const COLUMNS: [&'static str; 12] = [
        "step",
        "epoch",
        "evaluations",
        "clock",
        "ln_time",
        "ln_loss",
        "log10_loss",
        "ln_loss_sum",
        "rho",
        "ln_rho",
        "precision",
        "phase",
    ];

    /// Runs to an outcome.
    ///
    /// # Errors
    /// Only what the sink cannot write.
    pub fn go(&mut self, sink: &mut dyn Sink) -> Result<Outcome, Error> {
        loop {
            if let Err(breakdown) = self.refresh() {
                return Ok(breakdown.into());
            }
            let kept = self.keep_levels(sink)?;
            let mut end = self.ending();
            // A θ that is kept has its row.
            let due = self.cadence.due(self.status.step, self.status.ln_loss, self.status.ln_rho) || kept;
            if (due || end.is_some()) && !self.looked {
                match self.look(sink)? {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => {
                        end = Some(Outcome::Interrupted { what: "asked to stop".into() })
                    }
                    Err(breakdown) => return Ok(breakdown.into()),
                }
                // A look may learn what the stop waits for: the loss of a mini-batch run, a residual.
                end = end.or_else(|| self.ending());
            }
            if end.is_none() && self.next_phase() {
                continue;
            }
            if let Some(outcome) = end {
                sink.checkpoint(self.save())?;
                return Ok(outcome);
            }
            if let Err(breakdown) = self.step() {
                if matches!(breakdown, Breakdown::Precision { .. }) {
                    // One more row, with the flag, even where this step has been looked at.
                    (self.exhausted, self.looked) = (true, false);
                }
                self.look_once(sink)?;
                sink.checkpoint(self.save())?;
                return Ok(breakdown.into());
            }
            match sink.tick(&self.status) {
                Tick::Continue => {}
                Tick::Checkpoint => sink.checkpoint(self.save())?,
                Tick::Stop(what) => {
                    sink.checkpoint(self.save())?;
                    return Ok(Outcome::Interrupted { what });
                }
            }
        }
    }

    /// One step of the current algorithm, seen by the probes that follow the path.
    fn step(&mut self) -> Result<(), Breakdown> {
        let follow = self.probes.iter().any(|p| p.follows_steps());
        let full =
            self.probes.iter().any(|p| p.follows_ends()) && self.phases[self.phase].algorithm.is_full_batch();
        let before = if follow { self.at.theta().to_vec() } else { Vec::new() };
        let from = if full { self.at.eval(&self.problem, &RowSet::Full).ok() } else { None };
        let from_field = self.phases[self.phase].algorithm.field().filter(|_| full).cloned();
        let step = self.at.clocks.step;
        self.phases[self.phase].algorithm.remember_steps(follow);
        self.phases[self.phase].algorithm.step(&self.problem, &mut self.at)?;
        if self.at.clocks.step != step {
            self.looked = false;
            // The next refresh asks for the same evaluation, and says so where it breaks down.
            let to = if full { self.at.eval(&self.problem, &RowSet::Full).ok() } else { None };
            let algorithm = &self.phases[self.phase].algorithm;
            let ends = from.as_deref().zip(to.as_deref()).map(|(from, to)| {
                [End { full: from, field: from_field.as_ref() }, End { full: to, field: algorithm.field() }]
            });
            let (before, after, taken) = (&before, self.at.theta(), algorithm.taken());
            let record = StepRecord { problem: &self.problem, before, after, taken, ends };
            self.probes.iter_mut().filter(|p| p.follows_steps()).for_each(|p| p.step(&record));
        }
        Ok(())
    }

    /// Brings the status up to date. The loss of the full set is known where the algorithm works on it, and after
    /// every epoch of mini-batches.
    fn refresh(&mut self) -> Result<(), Breakdown> {
        let clocks = self.at.clocks.clone();
        let algorithm = &self.phases[self.phase].algorithm;
        let fresh = clocks.epoch != self.status.epoch || self.status.ln_loss.is_nan();
        if algorithm.is_full_batch() {
            // The next step takes the gradient anyway.
            let ln_loss = self.at.eval(&self.problem, &RowSet::Full)?.ln_loss;
            self.status.ln_loss = self.at.ln_loss_beyond(ln_loss, self.problem.model.degree().order());
        } else if fresh {
            self.status.ln_loss = self.at.ln_loss(&self.problem)?;
        }
        self.status.step = clocks.step;
        self.status.epoch = clocks.epoch;
        self.status.clock = clocks.clock;
        self.status.ln_time = clocks.ln_time;
        if self.asks_for_rho() {
            self.status.ln_rho = numeric::norm(self.at.theta()).ln() + self.at.beyond;
        }
        Ok(())
    }

    /// Whether a look or an end depends on ln ρ.
    fn asks_for_rho(&self) -> bool {
        let ends = std::iter::once(&self.stop).chain(self.phases.iter().filter_map(|p| p.until.as_ref()));
        self.cadence.asks_for_rho() || ends.into_iter().any(|stop| stop.ln_rho.is_some())
    }

    fn ending(&self) -> Option<Outcome> {
        let reached = self.stop.reached(&self.status)?;
        let what = format!("{} = {}", reached.condition, crate::store::number(reached.target));
        if reached.is_budget() && self.stop.has_target() {
            return Some(Outcome::OutOfSteps { what });
        }
        Some(Outcome::Reached { what })
    }

    fn next_phase(&mut self) -> bool {
        let over = self.phases[self.phase].until.as_ref().is_some_and(|u| u.reached(&self.status).is_some());
        if over && self.phase + 1 < self.phases.len() {
            self.phase += 1;
            return true;
        }
        false
    }

    fn look_once(&mut self, sink: &mut dyn Sink) -> Result<(), Error> {
        if !self.looked {
            // A breakdown of the look itself adds nothing to the one that ended the run.
            let _ = self.look(sink)?;
        }
        Ok(())
    }

    /// Measures and writes a row.
    fn look(&mut self, sink: &mut dyn Sink) -> Result<Result<ControlFlow<()>, Breakdown>, Error> {
        let algorithm = self.phases[self.phase].algorithm.as_ref();
        let snapshot = match Snapshot::new(&self.problem, &mut self.at, Some(algorithm)) {
            Ok(snapshot) => snapshot,
            Err(breakdown) => return Ok(Err(breakdown)),
        };
        let (clocks, full, rho) = (&snapshot.clocks, &snapshot.full, snapshot.rho);
        // Where the temperature is held, the loss follows from homogeneity; what f64 cannot hold is not known.
        let (beyond, factor) = (snapshot.beyond, snapshot.growth());
        let known = |x: f64| if x.is_finite() { x } else { f64::NAN };
        let rounding = snapshot.q_min().abs() * 2f64.powi(-52);
        let cells = [
            clocks.step as f64,
            clocks.epoch as f64,
            clocks.evaluations,
            clocks.clock,
            clocks.ln_time,
            known(full.ln_loss * factor),
            known(full.ln_loss * factor / std::f64::consts::LN_10),
            known(full.ln_loss_sum * factor),
            if beyond == 0.0 { rho } else { known(rho * beyond.exp()) },
            rho.ln() + beyond,
            f64::from(u8::from(self.exhausted || rounding > FLAGGED || beyond > 0.0)),
            self.phase as f64,
        ];
        let mut row = Row::default();
        Run::COLUMNS.iter().zip(cells).for_each(|(name, value)| row.put(name, value));
        self.probes.iter_mut().for_each(|p| p.measure(&snapshot, &mut row));
        self.status.ln_loss = full.ln_loss * factor;
        self.status.kkt_epsilon = row.get("kkt_epsilon_fit");
        self.status.direction_speed = row.get("direction_speed");
        self.looked = true;
        let flow = sink.row(&row)?;
        if rounding > EXHAUSTED && snapshot.q_min() < 0.0 {
            // The wrong side of the same limit: nothing here is late.
            let what = format!("the least margin is {:.1e}, far on the wrong side", snapshot.q_min());
            return Ok(Err(Breakdown::Diverged { what }));
        }
        if rounding > EXHAUSTED {
            let what = format!(
                "at margins of {:.1e} an f64 can no longer rank the support vectors",
                snapshot.q_min()
            );
            return Ok(Err(Breakdown::Precision { what }));
        }
        Ok(Ok(flow))
    }

    /// Keeps θ at the levels that have just been passed; whether there were any.
    fn keep_levels(&mut self, sink: &mut dyn Sink) -> Result<bool, Error> {
        let before = self.kept;
        while let Some(&level) = self.keep.get(self.kept)
            && self.status.ln_loss <= level * std::f64::consts::LN_10
        {
            let mut theta = self.at.theta().to_vec();
            numeric::scale(self.at.beyond.exp(), &mut theta);
            sink.keep(level, &self.problem.model.export(&theta))?;
            self.kept += 1;
        }
        Ok(self.kept > before)
    }

    /// Everything that a resumed run needs.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.nest("iterate", self.at.save());
        for (k, phase) in self.phases.iter().enumerate() {
            state.nest(&format!("phase.{k}"), phase.algorithm.save());
        }
        for (k, probe) in self.probes.iter().enumerate() {
            state.nest(&format!("probe.{k}"), probe.save());
        }
        state.nest("cadence", self.cadence.save());
        state.put("status", &[self.status.ln_loss, self.status.kkt_epsilon, self.status.direction_speed]);
        let counts = [self.phase as u64, self.kept as u64, u64::from(self.looked), self.status.epoch];
        state.put_counts("loop", &counts);
        state
    }

    /// Takes a saved state; the run has been built from the same spec.
    ///
    /// # Errors
    /// When the checkpoint does not fit.
    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.at = Iterate::load(&self.problem, &state.part("iterate"))?;
        for (k, phase) in self.phases.iter_mut().enumerate() {
            phase.algorithm.load(&state.part(&format!("phase.{k}")))?;
        }
        for (k, probe) in self.probes.iter_mut().enumerate() {
            probe.load(&state.part(&format!("probe.{k}")))?;
        }
        self.cadence.load(&state.part("cadence"))?;
        [self.status.ln_loss, self.status.kkt_epsilon, self.status.direction_speed] =
            state.numbers("status")?;
        let [phase, kept, looked, epoch] = state.counters("loop")?;
        (self.phase, self.kept, self.looked) = (phase as usize, kept as usize, looked == 1);
        self.status.epoch = epoch;
        if self.phase >= self.phases.len() {
            return Err(Invalid::new("loop", "the checkpoint is of a spec with more phases"));
        }
        Ok(())
    }
}
