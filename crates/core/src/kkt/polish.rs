//! Newton's method for the KKT point nearby.
//!
//! With a set S of constraints taken as equalities and a set P of pre-activations pinned to 0, a KKT point solves
//!
//! > θ − Σ_S λ_i ∇q_i(θ) − Σ_P ν_p ∇z_p = 0, q_i(θ) = 1, z_p(θ) = 0
//!
//! where ∇q_i has the left slope at pinned places and ν_p = Σ λ_i strength_i s_i carries the rest. z is linear in θ, so that
//! on the pins the q_i are smooth; elsewhere the sides of the kinks are held while Newton's method runs. S and P start from the
//! best multipliers. Pre-activations that have crossed 0 join P, members whose ν no slopes between the one-sided ones explain
//! leave it for the side that would, constraints that fall below 1 join S, and those whose λ is negative leave it.

use std::collections::HashMap;

use faer::Mat;

use super::{Point, Reach, constraints};
use crate::Breakdown;
use crate::loss::Constraint;
use crate::matrix::eigen;
use crate::numeric::{axpy, dot, norm};

/// Most weights of a dense system.
pub(super) const UNKNOWNS: usize = 600;
/// Most equations of one: the weights, the constraints with weight and the pins, of which a neuron of d weights may have d.
const EQUATIONS: usize = 2 * UNKNOWNS;
/// Newton steps for one active set, changes of it, and the relative residual that ends them.
const STEPS: usize = 25;
const CHANGES: usize = 100;
const CONVERGED: f64 = 1e-12;
/// Relative residual of the polished point by the convex programme of the multipliers.
pub(super) const ACCEPTED: f64 = 1e-9;
/// Neurons shorter than this times ‖θ‖ after the last step are 0: what Newton's method leaves of a dead one.
const SILENT: f64 = 1e-9;

/// Equalities around a point.
pub(super) struct System<'p, 'a> {
    pub point: &'p Point<'a>,
    /// S.
    pub active: Vec<Constraint>,
    /// P: neuron and example.
    pub pins: Vec<(usize, usize)>,
    /// Coordinates that take part: all but those of neurons that are exactly 0.
    pub free: Vec<usize>,
    /// Whether neuron r is taken to be active on an example.
    sides: HashMap<(usize, usize), bool>,
}

impl<'a> Point<'a> {
    /// The KKT point nearby, to about 1e-12: None where there are more than 600 weights, where Newton's method does not
    /// converge, and where kinks are near that it does not know (of networks of more than two layers).
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    pub fn polish(&self) -> Result<Option<Point<'a>>, Breakdown> {
        let Some(fit) = self.clarke() else { return Ok(None) };
        if self.theta.len() > UNKNOWNS {
            return Ok(None);
        }
        let mut system = System::around(self, &fit.lambda);
        let largest = fit.lambda.iter().fold(0.0f64, |m, l| m.max(*l));
        let mut lambda: Vec<f64> = fit.lambda.iter().copied().filter(|l| *l > 1e-9 * largest).collect();
        let mut nu: Vec<f64> =
            system.pins.iter().map(|pin| self.pressure(*pin, &fit.lambda, &fit.slopes)).collect();
        let mut theta = self.theta.clone();
        for _ in 0..CHANGES {
            if system.free.len() + system.active.len() + system.pins.len() > EQUATIONS
                || !system.newton(&mut theta, &mut lambda, &mut nu)?
            {
                return Ok(None);
            }
            if !system.exchange(&theta, &mut lambda, &mut nu)? {
                return self.accepted(theta);
            }
        }
        Ok(None)
    }

    /// The polished point, if it is one.
    fn accepted(&self, mut theta: Vec<f64>) -> Result<Option<Point<'a>>, Breakdown> {
        if let Some(two) = &self.two {
            let size = norm(&theta);
            for r in (0..two.width).filter(|r| two.size(&theta, *r) <= SILENT * size).collect::<Vec<_>>() {
                two.places(r).for_each(|p| theta[p] = 0.0);
            }
        }
        let reach = Reach { within: 1e-8, kink: 1e-9, ..self.reach };
        let point = Point::at(self.problem, &theta, reach)?;
        Ok(point.filter(|p| p.clarke().is_some_and(|fit| fit.epsilon <= ACCEPTED * norm(&p.theta))))
    }

    /// ν of a pin: Σ λ_i strength_i s_i.
    fn pressure(&self, pin: (usize, usize), lambda: &[f64], slopes: &[f64]) -> f64 {
        let of_edge = |(edge, s): (&super::Edge, &f64)| {
            let l = lambda[edge.constraint];
            let is_pin = (edge.unit, self.constraints[edge.constraint].example) == pin;
            if is_pin && l > 0.0 { l * edge.strength * s } else { 0.0 }
        };
        self.edges.iter().zip(slopes).map(of_edge).sum()
    }
}

impl<'p, 'a> System<'p, 'a> {
    /// The constraints with weight, and the kinks in their gradients.
    pub fn around(point: &'p Point<'a>, lambda: &[f64]) -> System<'p, 'a> {
        let largest = lambda.iter().fold(0.0f64, |m, l| m.max(*l));
        let weighs = |k: usize| lambda[k] > 1e-9 * largest;
        let active = (0..lambda.len()).filter(|k| weighs(*k)).map(|k| point.constraints[k]).collect();
        let mut pins: Vec<(usize, usize)> = Vec::new();
        for edge in point.edges.iter().filter(|e| weighs(e.constraint)) {
            let pin = (edge.unit, point.constraints[edge.constraint].example);
            if !pins.contains(&pin) {
                pins.push(pin);
            }
        }
        let mut free: Vec<usize> = (0..point.theta.len()).collect();
        if let Some(two) = &point.two {
            let silent = (0..two.width).filter(|r| two.size(&point.theta, *r) == 0.0);
            let places: Vec<usize> = silent.flat_map(|r| two.places(r).collect::<Vec<_>>()).collect();
            free.retain(|p| !places.contains(p));
        }
        let mut system = System { point, active, pins, free, sides: HashMap::new() };
        system.take_sides(&point.theta);
        system
    }

    /// Takes the sides that θ is on, for examples that have none.
    fn take_sides(&mut self, theta: &[f64]) {
        let Some(two) = &self.point.two else { return };
        for c in &self.active {
            let x = self.point.input(two, c);
            for r in 0..two.width {
                self.sides.entry((r, c.example)).or_insert_with(|| two.pre(theta, r, &x) > 0.0);
            }
        }
    }

    /// q of every constraint in S, with the sides that are held.
    fn values(&self, theta: &[f64]) -> Result<Vec<f64>, Breakdown> {
        let Some(two) = &self.point.two else {
            let all = constraints(self.point.problem, theta)?;
            return Ok(self.active.iter().map(|c| value_of(&all, c)).collect());
        };
        let of = |c: &Constraint| {
            let (x, cot) = (self.point.input(two, c), self.point.problem.constraint_cotangent(c));
            let unit = |r: usize| {
                let along: f64 = cot.iter().enumerate().map(|(o, u)| u * theta[two.outer(o, r)]).sum();
                along * self.slope(theta, c.example, r, &x) * two.pre(theta, r, &x)
            };
            (0..two.width).map(unit).sum()
        };
        Ok(self.active.iter().map(of).collect())
    }

    /// ∇q of a constraint, with the left slope at pins.
    pub fn gradient(&self, theta: &[f64], c: &Constraint) -> Result<Vec<f64>, Breakdown> {
        let Some(two) = &self.point.two else { return self.point.problem.margin_gradient(theta, c) };
        let x = self.point.input(two, c);
        let side = |r: usize| {
            let slope = self.slope(theta, c.example, r, &x);
            (slope, slope * two.pre(theta, r, &x))
        };
        Ok(self.point.gradient(two, theta, c, &x, side))
    }

    fn slope(&self, theta: &[f64], example: usize, r: usize, x: &[f64]) -> f64 {
        let Some(two) = &self.point.two else { return f64::NAN };
        match (self.pins.contains(&(r, example)), self.sides.get(&(r, example))) {
            (true, _) => two.slopes[0],
            (false, Some(right)) => two.slopes[usize::from(*right)],
            (false, None) => two.slope(two.pre(theta, r, x)),
        }
    }

    /// ∇z of a pin.
    fn normal(&self, pin: (usize, usize)) -> Vec<f64> {
        let mut normal = vec![0.0; self.point.theta.len()];
        if let Some(two) = &self.point.two {
            let x = two.input(self.point.problem.train.rows().row(pin.1));
            x.iter().enumerate().for_each(|(i, x)| normal[two.inner(pin.0, i)] = *x);
        }
        normal
    }

    /// The gradients of all equalities: constraints, then pins.
    pub fn equalities(&self, theta: &[f64]) -> Result<Vec<Vec<f64>>, Breakdown> {
        let mut rows = Vec::new();
        for c in &self.active {
            rows.push(self.gradient(theta, c)?);
        }
        rows.extend(self.pins.iter().map(|pin| self.normal(*pin)));
        Ok(rows)
    }

    /// I − Σ λ_i ∇²q_i over the free coordinates.
    pub fn hessian(&self, theta: &[f64], lambda: &[f64]) -> Result<Mat<f64>, Breakdown> {
        let n = self.free.len();
        let mut whole = Mat::<f64>::identity(n, n);
        let mut place = vec![usize::MAX; theta.len()];
        self.free.iter().enumerate().for_each(|(k, p)| place[*p] = k);
        if let Some(two) = &self.point.two {
            for (c, l) in self.active.iter().zip(lambda) {
                let (x, cot) = (self.point.input(two, c), self.point.problem.constraint_cotangent(c));
                for r in (0..two.width).filter(|r| place[two.inner(*r, 0)] != usize::MAX) {
                    let s = self.slope(theta, c.example, r, &x);
                    for (o, u) in cot.iter().enumerate() {
                        for (i, x) in x.iter().enumerate() {
                            let (a, b) = (place[two.inner(r, i)], place[two.outer(o, r)]);
                            whole[(a, b)] -= l * u * s * x;
                            whole[(b, a)] -= l * u * s * x;
                        }
                    }
                }
            }
            return Ok(whole);
        }
        // Central differences of the gradient: exact to rounding for outputs of degree 3 and less.
        for (j, &p) in self.free.iter().enumerate() {
            let [down, up] = self.beside(theta, p).map(|theta| self.total(&theta, lambda));
            let (up, down) = (up?, down?);
            let width = 2.0 * self.step(theta, p);
            for (i, &q) in self.free.iter().enumerate() {
                let second = 0.5 * (up[q] - down[q]) / width;
                whole[(i, j)] -= second;
                whole[(j, i)] -= second;
            }
        }
        Ok(whole)
    }

    /// Σ λ_i ∇q_i.
    fn total(&self, theta: &[f64], lambda: &[f64]) -> Result<Vec<f64>, Breakdown> {
        let mut sum = vec![0.0; theta.len()];
        for (c, l) in self.active.iter().zip(lambda) {
            axpy(*l, &self.gradient(theta, c)?, &mut sum);
        }
        Ok(sum)
    }

    /// Length of a difference in a coordinate: a power of two, so that θ ± h are ±h from θ but for rounding of θ.
    fn step(&self, theta: &[f64], p: usize) -> f64 {
        let size = 6e-6 * (norm(theta) / (self.free.len() as f64).sqrt()).max(theta[p].abs());
        f64::exp2(size.log2().round())
    }

    /// θ with one coordinate moved down and up.
    fn beside(&self, theta: &[f64], p: usize) -> [Vec<f64>; 2] {
        [-1.0, 1.0].map(|side| {
            let mut moved = theta.to_vec();
            moved[p] += side * self.step(theta, p);
            moved
        })
    }

    /// Whether Σ λ_i ∇q_i has a derivative here: differences to both sides agree. Of a squared ReLU at 0 they do not, and a
    /// Hessian says nothing.
    pub fn has_hessian(&self, theta: &[f64], lambda: &[f64]) -> Result<bool, Breakdown> {
        if self.point.two.is_some() || self.point.problem.model.is_polynomial() {
            return Ok(true);
        }
        let here = self.total(theta, lambda)?;
        for &p in &self.free {
            let [down, up] = self.beside(theta, p).map(|theta| self.total(&theta, lambda));
            let (up, down) = (up?, down?);
            let bend =
                self.free.iter().map(|&q| (up[q] - 2.0 * here[q] + down[q]).powi(2)).sum::<f64>().sqrt();
            if !(bend <= 1e-3 * self.step(theta, p)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Newton's method for these equalities; whether it converged.
    fn newton(&self, theta: &mut [f64], lambda: &mut [f64], nu: &mut [f64]) -> Result<bool, Breakdown> {
        let (n, s) = (self.free.len(), self.active.len());
        let size = n + s + self.pins.len();
        let mut before = f64::INFINITY;
        for step in 0..STEPS {
            let rows = self.equalities(theta)?;
            let values = self.values(theta)?;
            let mut first = theta.to_vec();
            let weights = || lambda.iter().chain(nu.iter());
            rows.iter().zip(weights()).for_each(|(row, w)| axpy(-w, row, &mut first));
            let mut right = vec![0.0; size];
            self.free.iter().enumerate().for_each(|(k, p)| right[k] = -first[*p]);
            values.iter().enumerate().for_each(|(k, q)| right[n + k] = q - 1.0);
            for (k, row) in rows[s..].iter().enumerate() {
                right[n + s + k] = dot(row, theta);
            }
            let unit = norm(theta);
            let left = norm(&right[..n]) / unit + right[n..].iter().fold(0.0f64, |m, x| m.max(x.abs()));
            // A residual that no longer falls is rounding.
            if !left.is_finite() || left <= 1e-15 || (left <= CONVERGED && left >= 0.5 * before) {
                return Ok(left <= CONVERGED);
            }
            if step + 1 == STEPS {
                return Ok(left <= CONVERGED);
            }
            before = left;
            let block = self.hessian(theta, lambda)?;
            let mut matrix = Mat::<f64>::zeros(size, size);
            matrix.as_mut().submatrix_mut(0, 0, n, n).copy_from(block.as_ref());
            for (k, row) in rows.iter().enumerate() {
                for (j, p) in self.free.iter().enumerate() {
                    matrix[(n + k, j)] = -row[*p];
                    matrix[(j, n + k)] = -row[*p];
                }
            }
            let Some(step) = least_squares(&matrix, &right) else { return Ok(false) };
            self.free.iter().zip(&step).for_each(|(p, d)| theta[*p] += d);
            lambda.iter_mut().chain(nu.iter_mut()).zip(&step[n..]).for_each(|(w, d)| *w += d);
        }
        Ok(false)
    }

    /// Changes the active set where a kink has been crossed, a sign is wrong or a constraint is broken; whether it did.
    fn exchange(
        &mut self,
        theta: &[f64],
        lambda: &mut Vec<f64>,
        nu: &mut Vec<f64>,
    ) -> Result<bool, Breakdown> {
        let crossed = self.crossed(theta);
        for &(pin, right) in &crossed {
            // Where the neuron was active the left slope of a pin leaves out what it did.
            nu.push(if right { self.whole(theta, pin, lambda) } else { 0.0 });
            self.pins.push(pin);
        }
        if !crossed.is_empty() {
            return Ok(true);
        }
        let largest = lambda.iter().fold(0.0f64, |m, l| m.max(l.abs()));
        let excess = |k: usize| {
            let (low, high) = self.range(theta, self.pins[k], lambda);
            (low - nu[k]).max(nu[k] - high)
        };
        let worst = (0..self.pins.len()).max_by(|a, b| excess(*a).total_cmp(&excess(*b)));
        if let Some(k) = worst.filter(|k| excess(*k) > 1e-9 * largest * norm(theta)) {
            let whole = self.whole(theta, self.pins[k], lambda);
            let right = (nu[k] - whole).abs() < nu[k].abs();
            nu.remove(k);
            let pin = self.pins.remove(k);
            self.sides.insert(pin, right);
            return Ok(true);
        }
        let lowest = (0..lambda.len()).min_by(|a, b| lambda[*a].total_cmp(&lambda[*b]));
        if let Some(k) = lowest.filter(|k| lambda[*k] < -1e-9 * largest) {
            lambda.remove(k);
            let left = self.active.remove(k).example;
            // Pins belong to examples in S.
            if self.active.iter().all(|c| c.example != left) {
                let kept: Vec<bool> = self.pins.iter().map(|pin| pin.1 != left).collect();
                let mut keep = kept.iter();
                nu.retain(|_| keep.next().copied().unwrap_or(true));
                self.pins.retain(|pin| pin.1 != left);
                self.sides.retain(|(_, example), _| *example != left);
            }
            return Ok(true);
        }
        let is_new =
            |c: &&Constraint| !self.active.iter().any(|a| (a.example, a.rival) == (c.example, c.rival));
        let values = constraints(self.point.problem, theta)?;
        let broken = values.iter().filter(is_new).min_by(|a, b| a.value.total_cmp(&b.value));
        if let Some(c) = broken.filter(|c| c.value < 1.0 - 1e-9) {
            self.active.push(*c);
            lambda.push(0.0);
            self.take_sides(theta);
            return Ok(true);
        }
        Ok(false)
    }

    /// Pre-activations that are on the other side than is held, with that side.
    fn crossed(&self, theta: &[f64]) -> Vec<((usize, usize), bool)> {
        let Some(two) = &self.point.two else { return Vec::new() };
        let mut list = Vec::new();
        let unit = norm(theta);
        for c in &self.active {
            let x = self.point.input(two, c);
            let size = norm(&x) * unit;
            for r in 0..two.width {
                let (pin, z) = ((r, c.example), two.pre(theta, r, &x));
                let Some(&right) = self.sides.get(&pin) else { continue };
                let is_off = (z > 0.0) != right && z.abs() > 1e-9 * size;
                if is_off && !self.pins.contains(&pin) && !list.contains(&(pin, right)) {
                    list.push((pin, right));
                }
            }
        }
        list
    }

    /// ν of a pin with the right-hand slope for every constraint.
    fn whole(&self, theta: &[f64], pin: (usize, usize), lambda: &[f64]) -> f64 {
        let (low, high) = self.range(theta, pin, lambda);
        low + high
    }

    /// What ν of a pin can be: Σ λ_i strength_i s_i for s_i ∈ [0, 1].
    fn range(&self, theta: &[f64], pin: (usize, usize), lambda: &[f64]) -> (f64, f64) {
        let Some(two) = &self.point.two else { return (0.0, 0.0) };
        let jump = two.slopes[1] - two.slopes[0];
        self.active.iter().zip(lambda).filter(|(c, _)| c.example == pin.1).fold(
            (0.0, 0.0),
            |(low, high), (c, l)| {
                let cot = self.point.problem.constraint_cotangent(c);
                let along: f64 = cot.iter().enumerate().map(|(o, u)| u * theta[two.outer(o, pin.0)]).sum();
                let most = l * along * jump;
                (low + most.min(0.0), high + most.max(0.0))
            },
        )
    }
}

/// The value of a constraint in a list of all.
pub(super) fn value_of(values: &[Constraint], c: &Constraint) -> f64 {
    let same = |v: &&Constraint| (v.example, v.rival) == (c.example, c.rival);
    values.iter().find(same).map_or(f64::NAN, |v| v.value)
}

/// The shortest x that solves the symmetric system best; eigenvalues up to 1e-12 of the largest count as 0.
pub(super) fn least_squares(matrix: &Mat<f64>, right: &[f64]) -> Option<Vec<f64>> {
    let (values, vectors) = eigen(matrix.as_ref())?;
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let mut x = vec![0.0; right.len()];
    for (k, value) in values.iter().enumerate().filter(|(_, v)| v.abs() > 1e-12 * largest) {
        let along: f64 = right.iter().enumerate().map(|(i, r)| r * vectors[(i, k)]).sum();
        x.iter_mut().enumerate().for_each(|(i, x)| *x += along / value * vectors[(i, k)]);
    }
    Some(x)
}
