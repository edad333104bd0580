//! θ together with what has been evaluated at it.

use std::sync::Arc;

use crate::{Breakdown, Eval, Invalid, Problem, RowSet, State, numeric};

/// Where a run stands on its several clocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Clocks {
    /// Accepted steps.
    pub step: u64,
    /// Passes over the training set.
    pub epoch: u64,
    /// Evaluations of the loss, in units of the full set (a mini-batch counts as its share). One that needs no gradient, the
    /// verdict on an epoch, counts as a whole one though it costs a third.
    pub evaluations: f64,
    /// ∫ 𝓛 dt, the clock of ∇ ln 𝓛.
    pub clock: f64,
    /// ln ∫ dt, the true time.
    pub ln_time: f64,
}

impl Default for Clocks {
    fn default() -> Self {
        Clocks { step: 0, epoch: 0, evaluations: 0.0, clock: 0.0, ln_time: f64::NEG_INFINITY }
    }
}

impl Clocks {
    /// Lets a time of e^{ln_dt} pass, `ds` on the clock of ∇ ln 𝓛.
    pub fn advance(&mut self, ds: f64, ln_dt: f64) {
        self.step += 1;
        self.clock += ds;
        self.ln_time = numeric::ln_add_exp(self.ln_time, ln_dt);
    }
}

/// What a saved iterate knew of the full set.
const EVALUATED: u64 = 1;
const LOSS_ALONE: u64 = 2;

/// θ and, memoised, its evaluations. Moving θ drops them; nothing is evaluated twice.
#[derive(Clone, Debug)]
pub struct Iterate {
    theta: Vec<f64>,
    full: Option<Arc<Eval>>,
    /// ln 𝓛 of the full set, where that alone has been asked for.
    full_loss: Option<f64>,
    batch: Option<(u64, Arc<Eval>)>,
    /// Steps, epochs, evaluations and times so far.
    pub clocks: Clocks,
    /// Where the temperature is held: the run's θ is e^{beyond} times [`theta`](Iterate::theta), which stays at the radius that
    /// f64 resolves best. 0 otherwise.
    pub beyond: f64,
}

impl Iterate {
    /// A fresh iterate at θ₀.
    pub fn new(theta: Vec<f64>) -> Self {
        Iterate { theta, full: None, full_loss: None, batch: None, clocks: Clocks::default(), beyond: 0.0 }
    }

    /// θ.
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// The evaluation on these rows, made if it is not there yet.
    ///
    /// # Errors
    /// When the evaluation breaks down.
    pub fn eval(&mut self, problem: &Problem, rows: &RowSet) -> Result<Arc<Eval>, Breakdown> {
        match rows {
            RowSet::Full => {
                if let Some(full) = &self.full {
                    return Ok(full.clone());
                }
            }
            RowSet::Batch(id, _) => {
                if let Some((known, eval)) = &self.batch
                    && known == id
                {
                    return Ok(eval.clone());
                }
            }
        }
        self.count(problem, rows);
        if let RowSet::Batch(..) = rows
            && let Some((_, former)) = self.batch.take()
        {
            problem.recycle(former);
        }
        let eval = problem.eval_shared(&self.theta, rows)?;
        self.remember(rows, eval.clone());
        Ok(eval)
    }

    /// ln 𝓛 of the full set, without a gradient if that is not there yet. Counts as an evaluation.
    ///
    /// # Errors
    /// When the evaluation breaks down.
    pub fn ln_loss(&mut self, problem: &Problem) -> Result<f64, Breakdown> {
        if let Some(known) = self.full.as_ref().map(|full| full.ln_loss).or(self.full_loss) {
            return Ok(known);
        }
        self.count(problem, &RowSet::Full);
        let ln_loss = problem.ln_loss(&self.theta, &RowSet::Full)?;
        self.full_loss = Some(ln_loss);
        Ok(ln_loss)
    }

    /// The evaluation at another θ, counted but not remembered.
    ///
    /// # Errors
    /// When the evaluation breaks down.
    pub fn trial(&mut self, problem: &Problem, theta: &[f64], rows: &RowSet) -> Result<Arc<Eval>, Breakdown> {
        self.count(problem, rows);
        problem.eval_shared(theta, rows)
    }

    fn count(&mut self, problem: &Problem, rows: &RowSet) {
        self.clocks.evaluations += problem.count(rows) as f64 / problem.train.n() as f64;
    }

    /// The ln of the loss `ln_loss` at [`theta`](Iterate::theta) as it is at the run's θ, for outputs of degree `degree`: at
    /// temperature zero all margins grow by one factor. −∞ where f64 ends.
    pub fn ln_loss_beyond(&self, ln_loss: f64, degree: Option<f64>) -> f64 {
        ln_loss * growth(self.beyond, degree)
    }

    /// Moves to `theta`, where `known` has already been evaluated, if anything has, and hands back where it was.
    pub fn move_to(&mut self, theta: Vec<f64>, known: Option<(&RowSet, Arc<Eval>)>) -> Vec<f64> {
        self.forget();
        if let Some((rows, eval)) = known {
            self.remember(rows, eval);
        }
        std::mem::replace(&mut self.theta, theta)
    }

    /// Moves by c·(f·d) in place; whether that changed any number. Where it did not, what is known of θ stays.
    pub fn shift(&mut self, c: f64, d: &[f64], f: f64) -> bool {
        let changed = numeric::shift(&mut self.theta, c, d, f);
        if changed {
            self.forget();
        }
        changed
    }

    /// Drops what has been evaluated.
    pub fn forget(&mut self) {
        self.full = None;
        self.full_loss = None;
        self.batch = None;
    }

    fn remember(&mut self, rows: &RowSet, eval: Arc<Eval>) {
        match rows {
            RowSet::Full => self.full = Some(eval),
            RowSet::Batch(id, _) => self.batch = Some((*id, eval)),
        }
    }

    /// Saves θ and the clocks.
    pub fn save(&self) -> State {
        let c = &self.clocks;
        let mut state = State::default();
        state.put("theta", &self.theta);
        state.put("clocks", &[c.clock, c.ln_time, c.evaluations]);
        // What of the full set counts as evaluated: a resumed run must not count it twice.
        let known = match (&self.full, self.full_loss) {
            (Some(_), _) => EVALUATED,
            (None, Some(_)) => LOSS_ALONE,
            (None, None) => 0,
        };
        state.put_counts("counts", &[c.step, c.epoch, known]);
        if self.beyond != 0.0 {
            state.put("beyond", &[self.beyond]);
        }
        state
    }

    /// Loads θ and the clocks; evaluations that were known are made again without being counted.
    ///
    /// # Errors
    /// When arrays are missing or θ has another length.
    pub fn load(problem: &Problem, state: &State) -> Result<Self, Invalid> {
        let theta = state.get("theta")?.to_vec();
        if theta.len() != problem.dim() {
            let text = format!("{} numbers, but the model has {}", theta.len(), problem.dim());
            return Err(Invalid::new("theta", text));
        }
        let [clock, ln_time, evaluations] = state.numbers("clocks")?;
        let [step, epoch, known] = state.counters("counts")?;
        let mut at = Iterate::new(theta);
        let again = match known {
            EVALUATED => at.eval(problem, &RowSet::Full).map(|_| ()),
            LOSS_ALONE => at.ln_loss(problem).map(|_| ()),
            _ => Ok(()),
        };
        again.map_err(|b| Invalid::new("theta", b.to_string()))?;
        at.clocks = Clocks { step, epoch, evaluations, clock, ln_time };
        // Checkpoints of runs that hold nothing lack it.
        at.beyond = state.number("beyond").unwrap_or(0.0);
        Ok(at)
    }
}

/// What margins of outputs of degree `degree` grow by while ln ρ grows by `beyond`; 1 where nothing is held, whatever the degree.
pub(crate) fn growth(beyond: f64, degree: Option<f64>) -> f64 {
    if beyond == 0.0 { 1.0 } else { (degree.unwrap_or(1.0) * beyond).exp() }
}
