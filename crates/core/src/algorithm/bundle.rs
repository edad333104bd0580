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

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::members::{Member, Members};
use super::{Algorithm, Field};
use crate::catalogue::Entry;
use crate::cite::{BURKE_2005, Cite, DAVIS_2020, LEMARECHAL_1975, WOLFE_1976};
use crate::norm::{AnyNorm, L2};
use crate::numeric::{axpy, dot, ln_mean_exp, norm};
use crate::pace::positive;
use crate::quadratic::{Gram, MinNorm};
use crate::{Breakdown, Eval, Invalid, Iterate, Problem, RowSet, State};

/// Part of the predicted rise that makes a step serious.
const SERIOUS: f64 = 0.3;
/// Growth of h after a serious step, shrinkage after a null step.
const GROW: f64 = 1.5;
const SHRINK: f64 = 0.7;
/// Shortest relative step, ‖Δθ‖/ρ: ten times the spacing of f64.
const FLOOR: f64 = 2e-15;

/// Radius of the bundle under error control in units of κ: a narrower one costs null steps in the late phase, a fixed wide one
/// an error in the early phase that does not shrink with κ.
const REACH: f64 = 8.0;
/// Members kept under error control, and the numbers that they may hold together: half a gigabyte.
const MEMBERS: usize = 300;
const LEAST_MEMBERS: usize = 40;
const NUMBERS: usize = 64_000_000;

/// The bundle flow in l2.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Error control: the error of the direction that may be added while the direction turns by 1 rad, by the method's own
    /// estimate; 0.015 by default. It sets κ from window to window, and does not go together with `kappa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Longest step as a part of ‖θ‖. It switches the error control off: halve it to see the discretisation error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kappa: Option<f64>,
    /// Radius of the bundle on the unit sphere; 4κ by default, 8κ under error control.
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
    #[serde(skip)]
    running: Option<Box<Running>>,
}

fn fiftieth() -> f64 {
    0.02
}

#[derive(Clone, Debug)]
struct Running {
    degree: f64,
    kappa: f64,
    /// The radius where it is given, else what follows from κ.
    epsilon: f64,
    most: usize,
    repel: f64,
    hold: f64,
    /// The radius at which θ is held; infinite before.
    held: f64,
    account: Account,
    members: Members,
    solver: MinNorm,
    /// The length to try next, before the cap κρ/‖d‖; infinite at the start.
    h: f64,
    /// Which member is the current iterate.
    current: usize,
    field: Field,
    /// ‖d‖² at radius 1.
    squared: f64,
    /// Σ λ_k e_k.
    standoff: f64,
    /// ρ of the current iterate.
    rho: f64,
    /// Linear term of the quadratic programme.
    linear: Vec<f64>,
    serious: u64,
    null: u64,
    repelled: u64,
}

impl Bundle {
    /// The tolerance where neither that nor κ is given.
    pub const TOLERANCE: f64 = 0.015;
    /// F from which the temperature is held where that is not given: weights are then known to about 1e-5.
    pub const HOLD: f64 = 1e10;

    /// A bundle flow with these settings.
    pub fn new(kappa: f64, epsilon: f64, members: usize) -> Self {
        Bundle {
            tolerance: None,
            kappa: Some(kappa),
            epsilon: Some(epsilon),
            members: Some(members),
            repel: fiftieth(),
            hold: None,
            running: None,
        }
    }

    /// The tolerance, where κ is not fixed.
    fn allowed(&self) -> Option<f64> {
        if self.kappa.is_some() { None } else { Some(self.tolerance.unwrap_or(Self::TOLERANCE)) }
    }

    /// The radius that goes with κ.
    fn radius(&self, kappa: f64) -> f64 {
        let of_kappa = if self.kappa.is_none() { REACH * kappa } else { 4.0 * kappa };
        self.epsilon.unwrap_or(of_kappa)
    }

    fn running(&self) -> &Running {
        self.running.as_deref().expect("begin comes before step")
    }
}

impl Running {
    /// Takes an evaluation in as a member, `reach` away from the current unit vector.
    fn admit(&mut self, theta: &[f64], eval: &Eval, current: Option<&[f64]>, reach: f64) {
        let rho = norm(theta);
        let scale = rho.powf(self.degree - 1.0);
        let unit: Vec<f64> = theta.iter().map(|t| t / rho).collect();
        let slope: Vec<f64> = eval.grad.iter().map(|g| -g / scale).collect();
        let euler = dot(&slope, &unit);
        self.members.push(Member {
            error: 0.0,
            entropy: -eval.ln_loss_sum - euler * rho.powf(self.degree) / self.degree,
            along: current.map_or(euler, |u| dot(&slope, u)),
            euler,
            reach,
            unit,
            slope,
            cotangent: eval.cotangent.clone(),
        });
        if current.is_none() {
            self.current = self.members.list.len() - 1;
        }
    }

    /// Drops what is out of reach, repelling, or beyond the number, oldest first.
    fn prune(&mut self, at: &Point<'_>) {
        let mut keep = self.members.within(at.unit, self.epsilon);
        keep[self.current] = true;
        self.rho = at.rho;
        let height = at.rho.powf(self.degree);
        for k in (0..keep.len()).filter(|&k| k != self.current) {
            let m = &self.members.list[k];
            let piece = height * (m.along - (1.0 - 1.0 / self.degree) * m.euler) + m.entropy;
            let error = piece + at.ln_loss_sum;
            let largest = height * self.members.gap(k, self.current) * m.reach;
            if keep[k] && error < -self.repel * largest {
                keep[k] = false;
                self.repelled += 1;
            }
            self.members.list[k].error = error.abs();
        }
        let mut over = keep.iter().filter(|k| **k).count().saturating_sub(self.most);
        for k in (0..keep.len()).filter(|&k| k != self.current) {
            if over > 0 && keep[k] {
                keep[k] = false;
                over -= 1;
            }
        }
        for k in (0..keep.len()).rev().filter(|&k| !keep[k]) {
            self.solver.forget(k);
        }
        self.members.list[self.current].error = 0.0;
        self.current = keep[..self.current].iter().filter(|k| **k).count();
        self.members.retain(&keep);
    }

    /// The longest h with ‖h·d‖ ≤ κρ, at most what the last steps allow.
    fn length(&self) -> f64 {
        self.h.min(self.kappa * self.rho / (self.squared.sqrt() * self.rho.powf(self.degree - 1.0)))
    }

    /// Solves the quadratic programme for the length that would be tried with the last direction, and aggregates the
    /// field of the current iterate.
    fn solve(&mut self) {
        let k = self.members.list.len();
        self.linear.clear();
        if k > 1 {
            let per_error = 1.0 / (self.length() * self.rho.powf(2.0 * (self.degree - 1.0)));
            self.linear.extend(self.members.list.iter().map(|m| m.error * per_error));
        }
        let gram = Gram::new(&self.members.gram, k, k);
        let solution = self.solver.solve(gram, &self.linear, &self.members.lambda);
        self.squared = solution.norm_squared;
        self.members.lambda.copy_from_slice(solution.lambda);
        let errors = self.members.list.iter().zip(&self.members.lambda);
        self.standoff = errors.map(|(m, l)| l * m.error).sum();
        self.aggregate();
    }

    fn aggregate(&mut self) {
        let field = &mut self.field;
        self.members.direction(&mut field.direction);
        crate::numeric::scale(self.rho.powf(self.degree - 1.0), &mut field.direction);
        field.cotangent.fill(0.0);
        (field.radius, field.active) = (0.0, 0);
        for (member, &lambda) in self.members.list.iter().zip(&self.members.lambda) {
            if lambda > 0.0 {
                axpy(lambda, &member.cotangent, &mut field.cotangent);
                field.radius = field.radius.max(member.reach);
                field.active += 1;
            }
        }
    }
}

/// The current iterate in polar coordinates.
struct Point<'a> {
    unit: &'a [f64],
    rho: f64,
    ln_loss_sum: f64,
}

fn unit_of(theta: &[f64]) -> (f64, Vec<f64>) {
    let rho = norm(theta);
    (rho, theta.iter().map(|t| t / rho).collect())
}

impl Algorithm for Bundle {
    fn begin(&mut self, problem: &Problem, _seed: u64) -> Result<(), Invalid> {
        if self.tolerance.is_some() && self.kappa.is_some() {
            let text = "kappa fixes the step and tolerance chooses it; give one of them";
            return Err(Invalid::new("tolerance", text));
        }
        let allowed = self.allowed();
        positive("tolerance", allowed.unwrap_or(Self::TOLERANCE))?;
        let account = Account::new(allowed);
        let kappa = self.kappa.unwrap_or(account.first_step());
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
        if self.hold.is_some_and(|hold| !(hold > 0.0)) {
            let text = format!("{} is not allowed; use a positive number, or inf", self.hold.unwrap_or(0.0));
            return Err(Invalid::new("hold", text));
        }
        let Some(degree) = problem.model.degree().order() else {
            let text =
                format!("the bundle rescales by the degree, and the model is {}", problem.model.degree());
            return Err(Invalid::new("kind", text));
        };
        self.running = Some(Box::new(Running {
            degree,
            kappa,
            epsilon,
            most,
            repel: self.repel,
            hold: self.hold.unwrap_or(Self::HOLD),
            held: f64::INFINITY,
            account,
            members: Members::default(),
            solver: MinNorm::new(),
            h: f64::INFINITY,
            current: 0,
            field: Field {
                direction: vec![0.0; problem.dim()],
                cotangent: vec![0.0; problem.train.n() * problem.model.outputs()],
                radius: 0.0,
                active: 0,
            },
            squared: 0.0,
            standoff: 0.0,
            rho: 0.0,
            linear: Vec::new(),
            serious: 0,
            null: 0,
            repelled: 0,
        }));
        Ok(())
    }

    fn step(&mut self, problem: &Problem, at: &mut Iterate) -> Result<(), Breakdown> {
        let run = self.running.as_deref_mut().expect("begin comes before step");
        let eval = at.eval(problem, &RowSet::Full)?;
        let (rho, unit) = unit_of(at.theta());
        if run.members.list.is_empty() {
            run.admit(at.theta(), &eval, None, 0.0);
            run.rho = rho;
            run.solve();
        }
        let squared = run.squared * rho.powf(2.0 * (run.degree - 1.0));
        let length = squared.sqrt();
        if !(length > 0.0) {
            let what =
                "the bundle of nearby gradients contains 0: no direction lowers the loss to first order";
            return Err(Breakdown::Stationary { what: what.into() });
        }
        let h = run.length();
        if h * length < FLOOR * rho {
            let what = format!(
                "the bundle's steps shrank to {:.1e} of the norm of theta; f64 cannot resolve shorter ones",
                h * length / rho
            );
            return Err(Breakdown::Precision { what });
        }
        if run.held.is_infinite() && -eval.ln_loss_sum >= run.hold {
            run.held = rho;
        }
        let mut theta = at.theta().to_vec();
        axpy(h, &run.field.direction, &mut theta);
        // ρ of the trial over the radius at which it is evaluated.
        let grown = if run.held.is_finite() { norm(&theta) / run.held } else { 1.0 };
        crate::numeric::scale(1.0 / grown, &mut theta);
        let trial = match at.trial(problem, &theta, &RowSet::Full) {
            Ok(trial) => trial,
            Err(Breakdown::Diverged { .. }) => {
                run.h = SHRINK * h;
                run.null += 1;
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let (new_rho, new_unit) = unit_of(&theta);
        let moved = crate::numeric::distance(&unit, &new_unit);
        let rise = eval.ln_loss_sum - trial.ln_loss_sum * grown.powf(run.degree);
        let mut widen = false;
        if rise >= SERIOUS * (h * squared + run.standoff) {
            let factor = h * rho.powf(run.degree - 1.0);
            for k in 0..run.members.list.len() {
                // ⟨ĝ_k, θ + h·d⟩ from the Gram matrix: no pass over the parameters.
                let along = rho * run.members.list[k].along + factor * run.members.gram_lambda(k);
                let member = &mut run.members.list[k];
                member.along = along / (new_rho * grown);
                member.reach += moved;
            }
            if run.account.enter(
                &run.field.direction,
                &unit,
                moved,
                h * length / rho,
                (new_rho * grown).ln() + at.beyond,
            ) {
                run.kappa = run.account.step(run.kappa);
                widen = true;
            }
            run.admit(&theta, &trial, None, 0.0);
            run.h = GROW * h;
            run.serious += 1;
            // dt = ds/𝓛, and ln 𝓛 falls nearly linearly over a step.
            let before = at.ln_loss_beyond(eval.ln_loss, Some(run.degree));
            let ln_radius = at.beyond;
            at.beyond += grown.ln();
            let after = at.ln_loss_beyond(trial.ln_loss, Some(run.degree));
            // A step of κρ takes less time where d is longer, by the power of the degree.
            let shorter = (2.0 - run.degree) * ln_radius;
            let ln_dt = h.ln() + shorter + ln_mean_exp(-before, -after);
            let point = Point { unit: &new_unit, rho: new_rho, ln_loss_sum: trial.ln_loss_sum };
            run.prune(&point);
            run.solve();
            at.move_to(theta, Some((&RowSet::Full, Arc::clone(&trial))));
            at.clocks.advance(h * shorter.exp(), ln_dt);
            at.clocks.epoch += 1;
        } else {
            run.admit(&theta, &trial, Some(&unit), moved);
            run.h = SHRINK * h;
            run.null += 1;
            let point = Point { unit: &unit, rho, ln_loss_sum: eval.ln_loss_sum };
            run.prune(&point);
            run.solve();
        }
        if widen {
            let kappa = run.kappa;
            let epsilon = self.radius(kappa);
            self.running.as_deref_mut().expect("begin comes before step").epsilon = epsilon;
        }
        Ok(())
    }

    fn field(&self) -> Option<&Field> {
        let running = self.running.as_deref()?;
        (!running.members.list.is_empty()).then_some(&running.field)
    }

    fn direction_error(&self) -> f64 {
        self.running.as_deref().map_or(f64::NAN, |r| r.account.error)
    }

    fn norm(&self) -> AnyNorm {
        L2 {}.into()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let r = self.running();
        let mut counts = vec![
            ("serious_steps", r.serious),
            ("null_steps", r.null),
            ("members_left_out_as_repelling", r.repelled),
            ("members_with_weight", r.field.active as u64),
        ];
        if self.kappa.is_none() {
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
        state.put("numbers", &[r.h, r.squared, r.standoff, r.rho, r.kappa, r.epsilon, r.held]);
        state.put_counts("counts", &[r.serious, r.null, r.repelled, r.current as u64]);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let run = self.running.as_deref_mut().expect("begin comes before load");
        run.account.load(&state.part("account"))?;
        run.members = Members::load(&state.part("members"))?;
        run.solver.load(state.get("solver")?)?;
        [run.h, run.squared, run.standoff, run.rho, run.kappa, run.epsilon, run.held] =
            state.numbers("numbers")?;
        let [serious, null, repelled, current] = state.counters("counts")?;
        (run.serious, run.null, run.repelled, run.current) = (serious, null, repelled, current as usize);
        if let Some(member) = run.members.list.get(run.current) {
            if member.cotangent.len() != run.field.cotangent.len()
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
    const CITE: &'static [Cite] = &[LEMARECHAL_1975, WOLFE_1976, BURKE_2005, DAVIS_2020];
}
