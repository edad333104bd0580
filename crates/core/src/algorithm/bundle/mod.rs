//! The gradient flow through kinks and ties, by the minimum-norm element of a bundle of nearby gradients.
//!
//! Late in training F = ln(1/𝓛) is nearly the minimum of many smooth pieces, and explicit steps chatter between them.
//! The flow does not: it is θ' ∈ conv{limits of ∇F} (Filippov), it takes the minimum-norm element, and it slides. A step
//! is the proximal step of the cutting-plane model that the bundle makes of F:
//!
//! 1. keep the members with ‖u_k − u‖ ≤ ε and at most K of them, leaving out those behind a kink that repels;
//! 2. h = min(1.5 × the last h, κρ/‖d‖), and d = Σ λ_k g_k with λ in the simplex minimising ½‖d‖² + Σ λ_k e_k/h, where
//!    e_k ≥ 0 is how far member k's linearisation stands off F(θ): a member counts as far as a step of length h can
//!    reach its piece;
//! 3. try θ + h·d; the trial's gradient joins the bundle in any case;
//! 4. keep the trial when F rises by at least 0.3 of what the model promises, h‖d‖² + Σ λ_k e_k, else h ← 0.7·h and
//!    back to 2.
//!
//! As κ goes to 0 this is the Filippov flow in the clock s = ∫𝓛dt, where a kept step has length h: where F is smooth it
//! is an implicit Euler step, where pieces meet as a minimum it slides along them. Its cost is bounded by the curvature
//! of the pieces and not by the temperature 1/ρ^L: loss e^{−F} costs O(log F).
//!
//! Without the term e_k/h the direction is the minimum-norm element of all gradients within ε, which lags behind wherever
//! F curves: an error of order ε that does not shrink with the step. DESIGN.md has the comparison.
//!
//! # Other norms
//! In another norm the least element is that of least dual norm, and d is a steepest direction of it that raises every member: a
//! saddle problem in place of the quadratic programme (`geometry.rs`).
//!
//! # Error control
//! κ is given, or follows from the error that is allowed in the direction (`account.rs`); then ε = 8κ, and there are as many members
//! as memory allows, at most 300.
//!
//! # Temperature zero
//! Margins of 10^10 and more differ by roundings that weigh in e^{−q}. From F = `hold` on θ therefore stays at the radius that it
//! has reached, and ln ρ goes on by itself ([`Iterate::beyond`]): by homogeneity the pieces at any radius are those at the held one,
//! times a power of the ratio, and what is followed is the flow of ln of the margin in the clock ln ρ, with pieces told apart down
//! to 1/`hold` of the margin. Rows are flagged from there on.
//!
//! # Kinks that repel
//! Where pieces meet as a maximum the flow leaves with one gradient. A member on the far side shows in the sign of its
//! linearisation error (see `members.rs`): its plane lies below F at θ, by ‖g_k − g‖ times the distance of θ *from the
//! kink*. The term |e_k|/h lets go of it once that distance is of order κρ; leaving it out earlier removes most of the
//! lag. The distance is only a part of ‖θ_k − θ‖, and a small one where θ̂ passes the kink at a slant or along it, so a
//! test for a large part of ‖g_k − g‖·‖θ_k − θ‖ finds nothing there. What has to be let through is a piece that ties as a
//! minimum, whose e_k ≥ 0 is lowered by its own curvature: a part of about ‖u_k − u‖ ≤ ε of the same product, which sets
//! the scale of `repel`.
//!
//! # References
//! The sets are Goldstein's ε-subdifferentials, inner approximations as in Lemaréchal 1975 and Burke, Lewis & Overton
//! 2005; taking |e_k| for a function that is not concave is Lemaréchal's and Mifflin's device; the minimum-norm property
//! of the flow is in Davis, Drusvyatskiy, Kakade & Lee 2020.

use serde::{Deserialize, Serialize};

mod account;
mod geometry;
mod members;
mod running;

use super::{Algorithm, Field, late};
use account::Account;
use geometry::Geometry;
use running::Running;

use crate::catalogue::Entry;
use crate::cite::{BURKE_2005, Cite, DAVIS_2020, LEMARECHAL_1975, TSILIVIS_2024, WOLFE_1976};
use crate::norm::AnyNorm;
use crate::pace::positive;
use crate::{Breakdown, Invalid, Iterate, Problem, RowSet, State};

/// Part of the predicted rise that makes a step serious.
const SERIOUS: f64 = 0.3;
/// Growth of h after a serious step, shrinkage after a null step.
const GROW: f64 = 1.5;
const SHRINK: f64 = 0.7;

/// Radius of the bundle under error control in units of κ: a narrower one costs null steps in the late phase, a fixed wide one
/// an error in the early phase that does not shrink with κ.
const REACH: f64 = 8.0;
/// The same in other norms. There the direction moves by about κ a step whatever the flow does, as soon as one entry turns: 4κ
/// would keep the pieces of four steps, and every second step would be refused.
const FAR: f64 = 16.0;
/// Members kept under error control, and the numbers that they may hold together: half a gigabyte.
const MEMBERS: usize = 300;
const LEAST_MEMBERS: usize = 40;
const NUMBERS: usize = 128_000_000;

/// The steepest flow of a norm, ℓ2 by default, by a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Error control: the error of the direction that may be added while the direction turns by 1 rad, by the method's own
    /// estimate; 0.015 by default. It sets κ from window to window, and does not go together with `kappa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Longest step as a part of ‖θ‖. It switches the error control off: halve it to see the discretisation error. 0.002 by
    /// default in other norms than ℓ2, which have no error control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kappa: Option<f64>,
    /// Radius of the bundle on the unit sphere; 4κ by default, 8κ under error control, 16κ in other norms than ℓ2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Most members; 80 by default, 300 under error control (fewer for models of more than 100,000 parameters). It has to
    /// exceed the number of pieces that slide together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<usize>,
    /// A member is left out when its linearisation error is below −`repel`·‖g_k − g‖·‖θ_k − θ‖; 0.02 by default, infinity
    /// keeps all. Larger values miss kinks that θ̂ passes at a slant, and lag behind them.
    #[serde(default = "fiftieth")]
    pub repel: f64,
    /// F = ln(1/𝓛) from which the temperature is held and ln ρ goes on by itself; 1e10 by default, infinity never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<f64>,
    /// The norm whose steepest flow is followed, `l2` by default. ‖θ‖, κ and ε are in this norm.
    #[serde(default, skip_serializing_if = "is_l2")]
    pub norm: AnyNorm,
    #[serde(skip)]
    running: Option<Box<Running>>,
}

fn is_l2(norm: &AnyNorm) -> bool {
    matches!(norm, AnyNorm::L2(_))
}

fn fiftieth() -> f64 {
    0.02
}

impl Bundle {
    /// The tolerance where neither that nor κ is given.
    pub const TOLERANCE: f64 = 0.015;
    /// κ in other norms than ℓ2, where that is not given.
    pub const KAPPA: f64 = 0.002;
    /// F from which the temperature is held where that is not given.
    pub const HOLD: f64 = late::HOLD;

    /// A bundle flow with these settings.
    pub fn new(kappa: f64, epsilon: f64, members: usize) -> Self {
        Bundle {
            tolerance: None,
            kappa: Some(kappa),
            epsilon: Some(epsilon),
            members: Some(members),
            repel: fiftieth(),
            hold: None,
            norm: AnyNorm::default(),
            running: None,
        }
    }

    /// κ, where it is fixed.
    fn fixed(&self) -> Option<f64> {
        self.kappa.or((!is_l2(&self.norm)).then_some(Self::KAPPA))
    }

    /// The tolerance, where κ is not fixed.
    fn allowed(&self) -> Option<f64> {
        if self.fixed().is_some() { None } else { Some(self.tolerance.unwrap_or(Self::TOLERANCE)) }
    }

    /// The radius that goes with κ.
    fn radius(&self, kappa: f64) -> f64 {
        let of_kappa = match (is_l2(&self.norm), self.kappa) {
            (false, _) => FAR * kappa,
            (true, Some(_)) => 4.0 * kappa,
            (true, None) => REACH * kappa,
        };
        self.epsilon.unwrap_or(of_kappa)
    }

    fn running(&self) -> &Running {
        self.running.as_deref().expect("begin comes before step")
    }
}

impl Algorithm for Bundle {
    fn begin(&mut self, problem: &Problem, _seed: u64) -> Result<(), Invalid> {
        late::one_of(self.tolerance, self.kappa)?;
        if self.tolerance.is_some() && !is_l2(&self.norm) {
            let text = "the error control is for l2; give kappa in another norm";
            return Err(Invalid::new("tolerance", text));
        }
        let allowed = self.allowed();
        positive("tolerance", allowed.unwrap_or(Self::TOLERANCE))?;
        let account = Account::new(allowed);
        let kappa = self.fixed().unwrap_or(account.first_step());
        positive("kappa", kappa)?;
        let epsilon = self.radius(kappa);
        positive("epsilon", epsilon)?;
        let room = (NUMBERS / (2 * problem.dim().max(1))).clamp(LEAST_MEMBERS, MEMBERS);
        let most = self.members.unwrap_or(if allowed.is_some() { room } else { 80 });
        if most < 2 {
            return Err(Invalid::new("members", format!("{most} is too few; use at least 2")));
        }
        if !(self.repel >= 0.0) {
            return Err(Invalid::new("repel", format!("{} is not allowed; use 0 or more", self.repel)));
        }
        let hold = late::hold(self.hold)?;
        let Some(degree) = problem.model.degree().order() else {
            let text =
                format!("the bundle rescales by the degree, and the model is {}", problem.model.degree());
            return Err(Invalid::new("kind", text));
        };
        let field = Field {
            direction: vec![0.0; problem.dim()],
            cotangent: vec![0.0; problem.train.n() * problem.model.outputs()],
            radius: 0.0,
            active: 0,
        };
        let mut running = Running::new(degree, most, field, account);
        (running.kappa, running.epsilon, running.repel) = (kappa, epsilon, self.repel);
        running.hold = hold;
        if !is_l2(&self.norm) {
            running.geometry = Some(Geometry::new(&self.norm, problem.model.layout())?);
        }
        self.running = Some(Box::new(running));
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let fixed = self.fixed();
        let run = self.running.as_deref_mut().expect("begin comes before step");
        let eval = at.eval(problem, &RowSet::Full)?;
        if run.members.slots() == 0 {
            run.begin_at(at.theta(), &eval)?;
        } else if run.here.unit.is_empty() {
            run.arrive(at.theta());
        }
        let (rho, length) = (run.here.rho, run.speed());
        if !(length > 0.0) {
            let what =
                "the bundle of nearby gradients contains 0: no direction lowers the loss to first order";
            return Err(Breakdown::Stationary { what: what.into() });
        }
        let h = run.length();
        let step = h * length / rho;
        late::resolved(step, "the bundle's steps")?;
        if run.held.is_infinite() && -eval.ln_loss_sum >= run.hold {
            run.held = rho;
        }
        let mut theta = std::mem::take(&mut run.spare);
        theta.resize(at.theta().len(), 0.0);
        run.ahead(at.theta(), h, &mut theta);
        // ρ of the trial over the radius at which it is evaluated.
        let grown = if run.held.is_finite() { run.size(&theta) / run.held } else { 1.0 };
        if grown != 1.0 {
            crate::numeric::scale(1.0 / grown, &mut theta);
        }
        let trial = match at.trial(problem, &theta, &RowSet::Full) {
            Ok(trial) => trial,
            Err(Breakdown::Diverged { .. }) => {
                run.h = SHRINK * h;
                run.null += 1;
                run.spare = theta;
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        run.attempt(&theta);
        let moved = run.moved();
        let rise = eval.ln_loss_sum - trial.ln_loss_sum * grown.powf(run.degree);
        if rise >= SERIOUS * (h * length * length + run.standoff) {
            let ln_rho = (run.trial.rho * grown).ln() + at.beyond;
            let window = run.account.enter(&run.field.direction, &run.here.unit, moved, step, ln_rho);
            if window {
                run.kappa = run.account.step(run.kappa);
            }
            run.h = GROW * h;
            run.serious += 1;
            run.advance(h, grown, moved, &trial)?;
            let stride = late::Stride { ln_loss: eval.ln_loss, h, grown, degree: run.degree };
            run.spare = late::arrive(at, theta, trial, &stride);
            problem.recycle(eval);
            if window && fixed.is_none() {
                run.epsilon = self.epsilon.unwrap_or(REACH * run.kappa);
            }
        } else {
            run.h = SHRINK * h;
            run.null += 1;
            run.learn(moved, &trial, eval.ln_loss_sum)?;
            problem.recycle(trial);
            run.spare = theta;
        }
        Ok(())
    }

    fn field(&self) -> Option<&Field> {
        let running = self.running.as_deref()?;
        (running.members.slots() > 0).then_some(&running.field)
    }

    fn direction_error(&self) -> f64 {
        let running = self.running.as_deref().filter(|r| r.geometry.is_none());
        running.map_or(f64::NAN, |r| r.account.error)
    }

    fn norm(&self) -> AnyNorm {
        self.norm.clone()
    }

    fn cites_of_parts(&self) -> Vec<Cite> {
        self.norm.cite().to_vec()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let r = self.running();
        let mut counts = vec![
            ("serious_steps", r.serious),
            ("null_steps", r.null),
            ("members_left_out_as_repelling", r.repelled),
            ("members_with_weight", r.field.active as u64),
        ];
        if let Some(geometry) = &r.geometry {
            counts.extend([("newton_steps", geometry.newton), ("saddles_left_open", geometry.open)]);
        }
        if self.fixed().is_none() {
            counts.extend([
                ("windows", r.account.windows),
                ("windows_above_tolerance", r.account.above),
                ("tolerance_exceeded", u64::from(r.account.exceeded())),
            ]);
        }
        counts
    }

    fn save(&self) -> State {
        let r = self.running();
        let mut state = State::default();
        state.nest("members", r.members.save());
        state.put("solver", &r.solver.save());
        state.nest("account", r.account.save());
        if let Some(geometry) = &r.geometry {
            state.nest("geometry", geometry.save());
        }
        state.put("numbers", &[r.h, r.squared, r.standoff, r.here.rho, r.kappa, r.epsilon, r.held]);
        state.put_counts("counts", &[r.serious, r.null, r.repelled, r.current as u64]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let run = self.running.as_deref_mut().expect("begin comes before load");
        run.account.load(&state.part("account"))?;
        run.members.load(&state.part("members"))?;
        run.solver.load(state.get("solver")?)?;
        if let Some(geometry) = &mut run.geometry {
            geometry.load(&state.part("geometry"))?;
        }
        [run.h, run.squared, run.standoff, run.here.rho, run.kappa, run.epsilon, run.held] =
            state.numbers("numbers")?;
        let [serious, null, repelled, current] = state.counters("counts")?;
        (run.serious, run.null, run.repelled, run.current) = (serious, null, repelled, current as usize);
        if run.members.slots() > 0 {
            let fits = run.current < run.members.slots() && run.members.get(run.current).live;
            let member = run.members.get(if fits { run.current } else { 0 });
            if !fits
                || member.cotangent.len() != run.field.cotangent.len()
                || member.unit.len() != run.field.direction.len()
            {
                return Err(Invalid::new("members", "the checkpoint is of another problem"));
            }
            run.aggregate();
        }
        Ok(())
    }
}

impl Entry for Bundle {
    const ABOUT: &'static str = "gradient flow through kinks and ties, by a bundle of nearby gradients";
    const EXAMPLE: &'static str = "tolerance = 0.02";
    const CITE: &'static [Cite] = &[LEMARECHAL_1975, WOLFE_1976, BURKE_2005, DAVIS_2020, TSILIVIS_2024];
}
