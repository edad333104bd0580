//! What a bundle flow remembers between its steps.

use super::account::Account;
use super::geometry::{Found, Geometry};
use super::members::{Member, Members, Met};
use crate::numeric::{axpy, norm, shifted};
use crate::quadratic::{Gram, MinNorm};
use crate::{Breakdown, Eval, algorithm::Field};

/// Relative difference of two gradients up to which they are one: a few roundings of f32.
const SAME: f64 = 1e-7;

/// A point in polar coordinates.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    pub rho: f64,
    pub unit: Vec<f64>,
}

impl Point {
    /// Goes to θ of norm `rho`.
    fn go_to(&mut self, theta: &[f64], rho: f64) {
        self.rho = rho;
        self.unit.clear();
        let per_rho = 1.0 / self.rho;
        self.unit.extend(theta.iter().map(|t| t * per_rho));
    }
}

#[derive(Clone, Debug)]
pub(super) struct Running {
    pub degree: f64,
    pub kappa: f64,
    /// The radius where it is given, else what follows from κ.
    pub epsilon: f64,
    pub most: usize,
    pub repel: f64,
    pub hold: f64,
    /// The radius at which θ is held; infinite before.
    pub held: f64,
    pub account: Account,
    pub members: Members,
    pub solver: MinNorm,
    /// The geometry where it is not ℓ2.
    pub geometry: Option<Geometry>,
    /// The length to try next, before the cap κρ/‖d‖; infinite at the start.
    pub h: f64,
    /// The slot of the current iterate.
    pub current: usize,
    pub field: Field,
    /// ‖d‖² at radius 1, or ‖Σλ_k ĝ_k‖⋆².
    pub squared: f64,
    /// Σ λ_k e_k.
    pub standoff: f64,
    /// The current iterate, and the last trial.
    pub here: Point,
    pub trial: Point,
    pub serious: u64,
    pub null: u64,
    pub repelled: u64,
    /// A vector of the size of θ to try the next one in.
    pub spare: Vec<f64>,
    /// Linear term of the quadratic programme, who stays, and ⟨ĝ_k, d̂⟩: buffers.
    linear: Vec<f64>,
    keep: Vec<bool>,
    products: Vec<f64>,
}

impl Running {
    pub fn new(degree: f64, most: usize, field: Field, account: Account) -> Running {
        Running {
            degree,
            kappa: f64::NAN,
            epsilon: f64::NAN,
            most,
            repel: f64::INFINITY,
            hold: f64::INFINITY,
            held: f64::INFINITY,
            account,
            members: Members::new(most + 1),
            solver: MinNorm::new(),
            geometry: None,
            h: f64::INFINITY,
            current: 0,
            field,
            squared: 0.0,
            standoff: 0.0,
            here: Point::default(),
            trial: Point::default(),
            serious: 0,
            null: 0,
            repelled: 0,
            spare: Vec::new(),
            linear: Vec::new(),
            keep: Vec::new(),
            products: Vec::new(),
        }
    }

    /// ‖θ‖.
    pub fn size(&self, theta: &[f64]) -> f64 {
        self.geometry.as_ref().map_or_else(|| norm(theta), |g| g.of(theta))
    }

    /// Makes θ the current iterate.
    pub fn arrive(&mut self, theta: &[f64]) {
        let rho = self.size(theta);
        self.here.go_to(theta, rho);
    }

    /// Makes θ the trial.
    pub fn attempt(&mut self, theta: &[f64]) {
        let rho = self.size(theta);
        self.trial.go_to(theta, rho);
    }

    /// Writes θ + h·d.
    pub fn ahead(&self, theta: &[f64], h: f64, to: &mut [f64]) {
        match &self.geometry {
            None => shifted(theta, h, &self.field.direction, to),
            Some(g) => shifted(theta, h * self.speed(), g.direction(), to),
        }
    }

    /// ‖d‖ at the current iterate.
    pub fn speed(&self) -> f64 {
        self.squared.sqrt() * self.here.rho.powf(self.degree - 1.0)
    }

    /// Takes the first evaluation in.
    pub fn begin_at(&mut self, theta: &[f64], eval: &Eval) -> Result<(), Breakdown> {
        self.arrive(theta);
        self.current = self.admit_at(true, eval);
        self.solve()
    }

    /// Takes the evaluation of the last trial in as the next iterate; its unit vector is `moved` away from the last one, and it
    /// is h·d from the last θ, divided by `grown`.
    pub fn advance(&mut self, h: f64, grown: f64, moved: f64, eval: &Eval) -> Result<(), Breakdown> {
        // ⟨ĝ_k, θ + h·d⟩ from the Gram matrix or the saddle: no pass over the parameters.
        let (rho, new_rho) = (self.here.rho, self.trial.rho);
        let factor = h * rho.powf(self.degree - 1.0);
        match &self.geometry {
            None => self.members.gram_lambda(&mut self.products),
            Some(g) => {
                let dual_norm = self.squared.sqrt();
                self.products.clear();
                self.products.extend(g.rises.iter().map(|rise| dual_norm * rise));
            }
        }
        for k in 0..self.members.slots() {
            let member = self.members.get_mut(k);
            member.along = (rho * member.along + factor * self.products[k]) / (new_rho * grown);
            member.reach += moved;
        }
        std::mem::swap(&mut self.here, &mut self.trial);
        self.current = self.admit_at(true, eval);
        self.prune(eval.ln_loss_sum);
        self.solve()
    }

    /// Takes the evaluation of the last trial in as a lesson: the iterate, with this ln 𝓛, stays.
    pub fn learn(&mut self, moved: f64, eval: &Eval, ln_loss_sum: f64) -> Result<(), Breakdown> {
        let k = self.admit_at(false, eval);
        self.members.get_mut(k).reach = moved;
        self.prune(ln_loss_sum);
        self.solve()
    }

    fn admit_at(&mut self, is_here: bool, eval: &Eval) -> usize {
        let at = if is_here { &self.here } else { &self.trial };
        let met = Met {
            unit: &at.unit,
            gradient: &eval.grad,
            factor: -at.rho.powf(1.0 - self.degree),
            cotangent: &eval.cotangent,
        };
        let k = self.members.admit(&met);
        let along_here =
            if is_here { self.members.get(k).euler } else { self.members.along_newest(&self.here.unit) };
        let height = at.rho.powf(self.degree);
        let member = self.members.get_mut(k);
        member.along = along_here;
        member.entropy = -eval.ln_loss_sum - member.euler * height / self.degree;
        k
    }

    /// Drops what is out of reach, repelling, or beyond the number, oldest first. ln 𝓛 is that of the iterate.
    fn prune(&mut self, ln_loss_sum: f64) {
        let (unit, geometry) = (&self.here.unit, &self.geometry);
        let distance = |m: &Member| match geometry {
            None => m.distance(unit),
            Some(g) => g.distance(m.unit.iter().map(|u| f64::from(*u)), unit),
        };
        self.members.within(self.epsilon, distance, &mut self.keep);
        self.keep[self.current] = true;
        let height = self.here.rho.powf(self.degree);
        let own = self.members.length(self.current);
        let mut kept = 0;
        for k in 0..self.members.slots() {
            let m = self.members.get(k);
            if !m.live {
                continue;
            }
            if k == self.current {
                kept += 1;
                continue;
            }
            let piece = height * (m.along - (1.0 - 1.0 / self.degree) * m.euler) + m.entropy;
            let error = piece + ln_loss_sum;
            let gap = self.members.gap(k, self.current);
            // ‖u_k − u‖₂, or a bound of it.
            let apart = || if self.geometry.is_some() { m.distance(&self.here.unit) } else { m.reach };
            if self.keep[k] && error < 0.0 && error < -self.repel * height * gap * apart() {
                self.keep[k] = false;
                self.repelled += 1;
            }
            // A plane that f32 cannot tell from the iterate's own says nothing new, and would stay when the piece is left.
            self.keep[k] &= gap > SAME * own;
            self.members.get_mut(k).error = error.abs();
            if self.keep[k] {
                kept += 1;
            } else {
                self.drop(k);
            }
        }
        for _ in self.most..kept {
            let others = self.members.live().filter(|(k, _)| *k != self.current);
            if let Some((oldest, _)) = others.min_by_key(|(_, m)| m.age) {
                self.drop(oldest);
            }
        }
        self.members.get_mut(self.current).error = 0.0;
    }

    fn drop(&mut self, k: usize) {
        self.members.release(k);
        self.solver.release(k);
    }

    /// The longest h with ‖h·d‖ ≤ κρ, at most what the last steps allow.
    pub fn length(&self) -> f64 {
        self.h.min(self.kappa * self.here.rho / self.speed())
    }

    /// Solves the quadratic programme (or the saddle) for the length that would be tried with the last direction, and aggregates
    /// the field of the current iterate.
    fn solve(&mut self) -> Result<(), Breakdown> {
        if self.geometry.is_some() {
            self.solve_saddle()?;
        } else {
            self.solve_programme();
        }
        let weighted = self.members.live().filter(|(k, _)| self.members.lambda[*k] > 0.0);
        self.standoff = weighted.map(|(k, m)| self.members.lambda[k] * m.error).sum();
        self.aggregate();
        Ok(())
    }

    fn solve_saddle(&mut self) -> Result<(), Breakdown> {
        let speed = self.speed();
        let Some(geometry) = &mut self.geometry else { return Ok(()) };
        let power = self.here.rho.powf(self.degree - 1.0);
        // The first direction has no length before it, and none is needed: nothing has been refused yet.
        let last = if self.squared > 0.0 { speed } else { f64::INFINITY };
        let r = (self.h * last).min(self.kappa * self.here.rho);
        self.linear.clear();
        self.linear.extend((0..self.members.slots()).map(|k| self.members.get(k).error / (r * power)));
        let Found { dual_norm, lambda } = geometry.solve(&self.members, &self.linear)?;
        self.members.lambda.copy_from_slice(&lambda);
        self.squared = dual_norm * dual_norm;
        self.h = r / (dual_norm * power);
        Ok(())
    }

    fn solve_programme(&mut self) {
        let k = self.members.slots();
        self.linear.clear();
        if k > 1 {
            let per_error = 1.0 / (self.length() * self.here.rho.powf(2.0 * (self.degree - 1.0)));
            self.linear.extend((0..k).map(|k| self.members.get(k).error * per_error));
        }
        let (gram, stride) = self.members.gram();
        let solution = self.solver.solve(Gram::new(gram, k, stride), &self.linear, &self.members.lambda);
        self.squared = solution.norm_squared;
        self.members.lambda.copy_from_slice(solution.lambda);
    }

    pub fn aggregate(&mut self) {
        let field = &mut self.field;
        self.members.direction(self.here.rho.powf(self.degree - 1.0), &mut field.direction);
        field.cotangent.fill(0.0);
        (field.radius, field.active) = (0.0, 0);
        for (k, member) in self.members.live() {
            let lambda = self.members.lambda[k];
            if lambda > 0.0 {
                axpy(lambda, &member.cotangent, &mut field.cotangent);
                field.radius = field.radius.max(member.reach);
                field.active += 1;
            }
        }
    }

    /// ‖u′ − u‖ of the last trial.
    pub fn moved(&self) -> f64 {
        match &self.geometry {
            None => crate::numeric::distance(&self.here.unit, &self.trial.unit),
            Some(g) => g.distance(self.trial.unit.iter().copied(), &self.here.unit),
        }
    }
}
