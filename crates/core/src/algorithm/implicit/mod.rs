//! The gradient flow by an implicit method of second order, solved in the space of the margins.
//!
//! The field of the late flow is stiff: the weights of the margins react to a motion of 1/ρ^L of θ. Explicit steps pay for that,
//! and a bundle pays for its pieces, mixtures at the weights at which they were met. But the stiff part is a softmin of n margins,
//! and an implicit step
//!
//! > x = c + h ∇F(x), the maximum of F(x) − ‖x − c‖²/2h, F = ln(1/𝓛),
//!
//! on margins linearised at a point p near x is a concave programme whose dual has a weight for each margin in play: a few dozen
//! unknowns late in training, whatever the number of parameters, and the Gram matrix of the tangent kernel. The temperature is exact
//! in it. With
//!
//! > c = x_n + ω²/(1 + 2ω)·(x_n − x_{n−1}), step (1 + ω)/(1 + 2ω)·h, p = x_n + ω(x_n − x_{n−1}), ω = h/h_last
//!
//! this is the backward differentiation formula of order two for θ′ = ∇F in the clock s = ∫𝓛 dt; p is within O(h²) of x, so that
//! curvature of the margins costs no order. Steps are as long as the direction's own motion allows: between F and 10·F their number
//! is about constant, as the bundle's.
//!
//! # Kinks
//! For two-layer networks with a piecewise linear activation the programme has the kinks that attract, each with a share between its
//! two slopes, and a step slides along as many as it meets; kinks that repel have the slope of p's side (`kinked.rs`). Other
//! networks with kinks are refused: with the slope of one side alone a step chatters across kinks that attract.
//!
//! # Error control
//! The local error of a step, by the third divided difference of θ, is (h + h₁)²h²/(h₁ + 2h)·θ[n+1, n, n−1, n−2], of which the part
//! across θ counts. It is added up over windows (`errors.rs`), and κ follows it so that steps add `tolerance` times their way. A step
//! across kinks errs by a part of its turn besides, of which the difference sees little: no step turns the direction by more than a
//! tenth of the tolerance there, and of its root on smooth networks. As with the bundle, what the flow makes of an error later is not in the account.
//!
//! # References
//! Backward differentiation: Curtiss & Hirschfelder 1952; Hairer & Wanner, *Solving Ordinary Differential Equations II* (1996),
//! chapters V and VII. The dual of the proximal step is Lemaréchal's and Kiwiel's with an entropy in it.

use serde::{Deserialize, Serialize};

use self::errors::{Errors, Past};
use self::kinked::{Inputs, Kinked};
use self::local::{Local, Play};
use self::tangents::Tangents;
use super::{Algorithm, Field, late};
use crate::catalogue::Entry;
use crate::cite::{Cite, DAVIS_2020, HAIRER_WANNER_1996, LEMARECHAL_1975};
use crate::norm::{AnyNorm, L2};
use crate::numeric::{axpy, distance, dot, norm, scale, scaled_distance};
use crate::pace::positive;
use crate::quadratic::entropic::{Balance, Entropic};
use crate::{Breakdown, Eval, Invalid, Iterate, Problem, RowSet, State};

mod errors;
mod kinked;
mod local;
mod tangents;

/// Constraints with a part of the loss below e^{−NATS} of the largest are not in play, nor are those that a step cannot bring there:
/// margins change by REACH·κ of themselves against each other.
const NATS: f64 = 20.0;
const REACH: f64 = 4.0;
/// Kinks join as long as the model is off by more than this part of the rise.
const JOIN: f64 = 0.05;
const ROUNDS: usize = 8;
/// Smoothing of kinks in units of the last rise, and at most.
const SMOOTHING: f64 = 0.01;
const SMOOTHEST: f64 = 0.01;
/// The gap at which a programme counts as solved: this part of the last rise, at most so many nats, unless those are a smaller
/// part than anyone needs. Until it is known who joins, a rough one.
const CLOSED: f64 = 1e-4;
const OPEN: f64 = 1e-5;
const SHUT: f64 = 1e-6;
const ROUGH: f64 = 1e-2;
/// Part of the promised rise of F that makes a step.
const SERIOUS: f64 = 0.3;
/// The formula of order two is stable for ratios of steps below 2.4.
const GROW: f64 = 1.5;
/// A fresh start takes this part of κ.
const FRESH: f64 = 0.125;
/// κ before an error is known.
const FIRST: f64 = 1e-3;

/// The implicit flow in l2.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Implicit {
    /// Error control: the local error of the direction that steps may add while it turns by 1 rad. It sets κ, and does not go
    /// together with `kappa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Steps as a part of ‖θ‖, 0.004 by default: halve it to see the discretisation error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kappa: Option<f64>,
    /// 2, or 1 for the implicit Euler method.
    #[serde(default = "second")]
    pub order: u8,
    /// F = ln(1/𝓛) from which the temperature is held and ln ρ goes on by itself; 1e10 by default, infinity never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<f64>,
    #[serde(skip)]
    running: Option<Box<Running>>,
}

fn second() -> u8 {
    2
}

#[derive(Clone, Debug)]
struct Running {
    degree: f64,
    kappa: f64,
    errors: Errors,
    order: u8,
    hold: f64,
    /// The radius at which θ is held; infinite before.
    held: f64,
    /// Part of κ that steps may have after a refusal or a fresh start.
    trust: f64,
    /// Newest first, at most two.
    past: Vec<Past>,
    /// ‖d‖ and the rise h‖d‖² of the last step; 0 before there is one.
    speed: f64,
    rise: f64,
    /// λ of all constraints, and the kinks between their slopes.
    weights: Vec<f64>,
    kinks: Vec<(usize, usize, f64)>,
    inputs: Option<Inputs>,
    field: Field,
    dim: usize,
    outputs: usize,
    kept: u64,
    refused: u64,
    newton: u64,
}

/// The programme's answer at the end of a step.
struct Step {
    x: Vec<f64>,
    direction: Vec<f64>,
    /// F of the model at x.
    reached: f64,
    balance: Balance,
    places: Vec<usize>,
    cotangent: Vec<f64>,
    kinks: Vec<(usize, usize, f64)>,
}

impl Implicit {
    /// κ where neither that nor a tolerance is given.
    pub const KAPPA: f64 = 0.004;

    /// A flow with steps of κ‖θ‖.
    pub fn new(kappa: f64) -> Self {
        Implicit { tolerance: None, kappa: Some(kappa), order: second(), hold: None, running: None }
    }

    /// A flow under error control.
    pub fn within(tolerance: f64) -> Self {
        Implicit { tolerance: Some(tolerance), kappa: None, order: second(), hold: None, running: None }
    }

    fn running(&self) -> &Running {
        self.running.as_deref().expect("begin comes before step")
    }
}

impl Running {
    /// Solves the step with the margins linearised at `p` for the centre `c`.
    fn solve(
        &mut self,
        problem: &Problem,
        (p, eval): (&[f64], &Eval),
        c: &[f64],
        h: f64,
        kappa: f64,
        passes: &mut f64,
    ) -> Result<Step, Breakdown> {
        let risen = -eval.ln_loss_sum;
        let play = Play::of(problem, eval, NATS + REACH * kappa * risen.max(0.0));
        let places = play.places.clone();
        let slope = play.slope;
        let list = play.list.clone();
        let mut warm: Vec<f64> = match self.weights.is_empty() {
            true => play.offsets.iter().map(|b| (-b).exp()).collect(),
            false => places.iter().map(|k| self.weights[*k]).collect(),
        };
        let mut local: Box<dyn Local> = match &self.inputs {
            Some(inputs) => Box::new(Kinked::new(problem, inputs, p, c, play, &self.kinks)),
            None => {
                let ahead: Vec<f64> = c.iter().zip(p).map(|(c, p)| c - p).collect();
                let ahead = (c != p).then_some(&ahead[..]);
                Box::new(Tangents::new(problem, p, play, ahead)?)
            }
        };
        let smoothing = (SMOOTHING * self.rise).min(SMOOTHEST);
        let tight = (CLOSED * self.rise).min(OPEN.max(SHUT * self.rise));
        // Who joins does not need the last digits.
        let mut closed = tight.max(ROUGH * self.rise);
        let mut shares = local.shares().to_vec();
        for _ in 0..ROUNDS {
            let (matrix, linear) = (local.matrix(), local.linear());
            let programme = Entropic { matrix, length: h, linear, smoothing, closed };
            let balance = programme.solve(&warm, &shares);
            self.newton += balance.iterations as u64;
            let direction = local.combine(&balance.y)?;
            let mut x = c.to_vec();
            axpy(h, &direction, &mut x);
            let squared = dot(&direction, &direction);
            if local.join(&x, &balance.y, &balance.shares, JOIN * h * squared) > 0 {
                (shares, closed) = (local.shares().to_vec(), tight);
                warm.copy_from_slice(&balance.y.lambda);
                continue;
            }
            if closed > tight {
                (shares, closed) = (balance.shares, tight);
                warm.copy_from_slice(&balance.y.lambda);
                continue;
            }
            *passes += local.passes();
            let k = problem.model.outputs();
            let mut cotangent = vec![0.0; problem.train.n() * k];
            for (c, lambda) in list.iter().zip(&balance.y.lambda) {
                let to = &mut cotangent[c.example * k..(c.example + 1) * k];
                axpy(-slope * lambda, &problem.constraint_cotangent(c), to);
            }
            let kinks = local.between(&balance.y, &balance.shares);
            let reached = risen + balance.value + 0.5 * h * squared;
            return Ok(Step { x, direction, reached, balance, places, cotangent, kinks });
        }
        Err(Breakdown::Diverged { what: "kinks kept joining a step".into() })
    }

    fn refuse(&mut self) {
        self.trust *= 0.5;
        self.past.clear();
        self.refused += 1;
    }
}

impl Algorithm for Implicit {
    fn begin(&mut self, problem: &Problem, _seed: u64) -> Result<(), Invalid> {
        late::one_of(self.tolerance, self.kappa)?;
        positive("tolerance", self.tolerance.unwrap_or(1.0))?;
        let kappa = self.kappa.unwrap_or(if self.tolerance.is_some() { FIRST } else { Self::KAPPA });
        positive("kappa", kappa)?;
        if !(1..=2).contains(&self.order) {
            return Err(Invalid::new("order", format!("{} is not allowed; use 1 or 2", self.order)));
        }
        let hold = late::hold(self.hold)?;
        let Some(degree) = problem.model.degree().order() else {
            let text =
                format!("the implicit flow counts on a degree, and the model is {}", problem.model.degree());
            return Err(Invalid::new("kind", text));
        };
        let inputs = Inputs::of(problem);
        let is_kinked = || {
            let ones = vec![1.0; problem.dim()];
            let found = problem.model.kinks(&ones, problem.train.rows().slice(0, 1), f64::INFINITY);
            found.is_some_and(|kinks| !kinks.is_empty())
        };
        if inputs.is_none() && is_kinked() {
            let text = "the implicit flow knows the kinks of two-layer networks alone, and this model has others; use the bundle";
            return Err(Invalid::new("kind", text));
        }
        self.running = Some(Box::new(Running {
            degree,
            kappa,
            errors: Errors::new(self.tolerance, inputs.is_some()),
            order: self.order,
            hold,
            held: f64::INFINITY,
            trust: FRESH,
            past: Vec::new(),
            speed: 0.0,
            rise: 0.0,
            weights: Vec::new(),
            kinks: Vec::new(),
            inputs,
            field: Field { direction: Vec::new(), cotangent: Vec::new(), radius: 0.0, active: 0 },
            dim: problem.dim(),
            outputs: problem.train.n() * problem.model.outputs(),
            kept: 0,
            refused: 0,
            newton: 0,
        }));
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let run = self.running.as_deref_mut().expect("begin comes before step");
        let eval = at.eval(problem, &RowSet::Full)?;
        let (theta, risen) = (at.theta().to_vec(), -eval.ln_loss_sum);
        let rho = norm(&theta);
        if !(run.speed > 0.0) {
            run.speed = norm(&eval.grad);
        }
        if !(run.speed > 0.0) {
            let what = "no direction lowers the loss to first order";
            return Err(Breakdown::Stationary { what: what.into() });
        }
        let kappa = run.trust * run.errors.bounded(run.kappa);
        let mut h = kappa * rho / run.speed;
        late::resolved(kappa, "the steps")?;
        if !(run.rise > 0.0) {
            run.rise = h * run.speed * run.speed;
        }
        if run.held.is_infinite() && risen >= run.hold {
            run.held = rho;
        }
        let (mut p, mut c, mut length) = (theta.clone(), theta.clone(), h);
        if let Some(last) = run.past.first() {
            h = h.min(GROW * last.length);
            let ratio = h / last.length;
            let moved: Vec<f64> = theta.iter().zip(&last.theta).map(|(x, last)| x - last).collect();
            axpy(ratio, &moved, &mut p);
            length = h;
            if run.order == 2 {
                axpy(ratio * ratio / (1.0 + 2.0 * ratio), &moved, &mut c);
                length = (1.0 + ratio) / (1.0 + 2.0 * ratio) * h;
            }
        }
        let mut passes = 0.0;
        let met = if run.past.is_empty() { Ok(eval.clone()) } else { at.trial(problem, &p, &RowSet::Full) };
        let solved = met.and_then(|met| run.solve(problem, (&p, &met), &c, length, kappa, &mut passes));
        at.clocks.evaluations += passes;
        let step = match solved {
            Ok(step) => step,
            Err(Breakdown::Diverged { .. }) => {
                run.refuse();
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let mut x = step.x;
        // ρ of the trial over the radius at which it is evaluated.
        let grown = if run.held.is_finite() { norm(&x) / run.held } else { 1.0 };
        let (speed, ahead) = (distance(&x, &theta) / h, x.clone());
        scale(1.0 / grown, &mut x);
        let trial = match at.trial(problem, &x, &RowSet::Full) {
            Ok(trial) => trial,
            Err(Breakdown::Diverged { .. }) => {
                run.refuse();
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let reached = -trial.ln_loss_sum * grown.powf(run.degree);
        if !(reached > risen && reached - risen >= SERIOUS * (step.reached - risen)) {
            run.refuse();
            return Ok(());
        }
        // The flow keeps its form when θ is scaled and the clock with it.
        let slower = grown.powf(run.degree - 2.0);
        let way = scaled_distance(1.0 / norm(&x), &x, 1.0 / rho, &theta);
        run.kappa = run.errors.enter(&ahead, &theta, h, &run.past, way, run.kappa);
        run.speed = speed;
        run.rise = length * dot(&step.direction, &step.direction);
        run.past.insert(0, Past { theta, length: h });
        run.past.truncate(2);
        if grown != 1.0 {
            run.speed *= grown.recip() / slower;
            for past in &mut run.past {
                scale(1.0 / grown, &mut past.theta);
                past.length *= slower;
            }
        }
        run.weights.resize(problem.constraints(&trial).len(), 0.0);
        run.weights.fill(0.0);
        step.places.iter().zip(&step.balance.y.lambda).for_each(|(k, l)| run.weights[*k] = *l);
        run.kinks = step.kinks;
        run.trust = (GROW * run.trust).min(1.0);
        run.kept += 1;
        run.field = Field {
            direction: step.direction,
            cotangent: step.cotangent,
            radius: scaled_distance(1.0 / norm(&x), &x, 1.0 / norm(&p), &p),
            active: step.balance.y.lambda.iter().filter(|l| **l > 1e-6).count(),
        };
        let stride = late::Stride { ln_loss: eval.ln_loss, h, grown, degree: run.degree };
        late::arrive(at, x, trial, &stride);
        Ok(())
    }

    fn field(&self) -> Option<&Field> {
        let running = self.running.as_deref()?;
        (!running.field.direction.is_empty()).then_some(&running.field)
    }

    fn direction_error(&self) -> f64 {
        self.running.as_deref().map_or(f64::NAN, |r| r.errors.total)
    }

    fn norm(&self) -> AnyNorm {
        L2 {}.into()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let r = self.running();
        vec![
            ("kept_steps", r.kept),
            ("refused_steps", r.refused),
            ("newton_steps", r.newton),
            ("margins_with_weight", r.field.active as u64),
            ("kinks_between", r.kinks.len() as u64),
        ]
    }

    fn save(&self) -> State {
        let r = self.running();
        let mut state = State::default();
        state.put("numbers", &[r.kappa, r.held, r.trust, r.speed, r.rise, r.field.radius]);
        state.put_counts("counts", &[r.kept, r.refused, r.newton, r.field.active as u64]);
        state.nest("errors", r.errors.save());
        let lengths: Vec<f64> = r.past.iter().map(|p| p.length).collect();
        state.put("lengths", &lengths);
        state.put("past", &r.past.iter().flat_map(|p| &p.theta).copied().collect::<Vec<f64>>());
        state.put("weights", &r.weights);
        state.put_counts(
            "kinks",
            &r.kinks.iter().flat_map(|k| [k.0 as u64, k.1 as u64]).collect::<Vec<u64>>(),
        );
        state.put("shares", &r.kinks.iter().map(|k| k.2).collect::<Vec<f64>>());
        state.put("direction", &r.field.direction);
        state.put("cotangent", &r.field.cotangent);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let r = self.running.as_deref_mut().expect("begin comes before load");
        [r.kappa, r.held, r.trust, r.speed, r.rise, r.field.radius] = state.numbers("numbers")?;
        let active;
        [r.kept, r.refused, r.newton, active] = state.counters("counts")?;
        r.field.active = active as usize;
        r.errors.load(&state.part("errors"))?;
        let misfit = || Invalid::new("past", "the checkpoint is of another problem");
        let (lengths, past) = (state.get("lengths")?, state.get("past")?);
        if lengths.len() > 2 || past.len() != lengths.len() * r.dim {
            return Err(misfit());
        }
        let of = |(length, theta): (&f64, &[f64])| Past { theta: theta.to_vec(), length: *length };
        r.past = lengths.iter().zip(past.chunks(r.dim.max(1))).map(of).collect();
        r.weights = state.get("weights")?.to_vec();
        let (kinks, shares) = (state.counts("kinks")?, state.get("shares")?);
        if kinks.len() != 2 * shares.len() {
            return Err(misfit());
        }
        let pairs = kinks.chunks_exact(2).zip(shares);
        r.kinks = pairs.map(|(k, share)| (k[0] as usize, k[1] as usize, *share)).collect();
        r.field.direction = state.get("direction")?.to_vec();
        r.field.cotangent = state.get("cotangent")?.to_vec();
        let fits = |v: &[f64], size: usize| v.is_empty() || v.len() == size;
        match fits(&r.field.direction, r.dim) && fits(&r.field.cotangent, r.outputs) {
            true => Ok(()),
            false => Err(misfit()),
        }
    }
}

impl Entry for Implicit {
    const ABOUT: &'static str =
        "gradient flow by an implicit method of order two, solved in the space of the margins";
    const EXAMPLE: &'static str = "kappa = 0.004";
    const CITE: &'static [Cite] = &[HAIRER_WANNER_1996, LEMARECHAL_1975, DAVIS_2020];
}
