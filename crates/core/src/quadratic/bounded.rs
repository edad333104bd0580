//! min ½‖g − Σ μ_j a_j‖² subject to 0 ≤ μ_j ≤ u_j, for vectors in few dimensions.
//!
//! The residual r is the answer to max { ⟨g, β⟩ − Σ u_j⟨a_j, β⟩₊ : ‖β‖ ≤ 1 }, with u_j = ∞ standing for the constraint
//! ⟨a_j, β⟩ ≤ 0: the maximum is ‖r‖, attained at r/‖r‖. Any μ within its bounds makes ‖g − Σ μ_j a_j‖ an upper bound of it.
//!
//! Columns rest at a bound or are free, and the free ones are independent; one that violates its sign condition most is
//! freed, and the free ones move towards their least squares until one meets a bound (Stark & Parker 1995).

use crate::numeric::{axpy, dot, norm};

/// Below this times ‖a_j‖·‖g‖ a slope ⟨a_j, r⟩ is 0.
const FLAT: f64 = 1e-13;

/// Where a column rests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Zero,
    Free,
    Most,
}

/// The solver, with its buffers.
///
/// # Examples
/// Of the cone spanned by (1, 0) and (0, 1) the point nearest to (1, −1) is (1, 0):
/// ```
/// use latephase_core::quadratic::Bounded;
/// let mut solver = Bounded::default();
/// let length = solver.solve(&[1.0, -1.0], &[1.0, 0.0, 0.0, 1.0], &[f64::INFINITY; 2]);
/// assert_eq!((length, solver.residual(), solver.multipliers()), (1.0, &[0.0, -1.0][..], &[1.0, 0.0][..]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Bounded {
    at: Vec<At>,
    mu: Vec<f64>,
    residual: Vec<f64>,
    sizes: Vec<f64>,
    free: Vec<usize>,
    /// An orthonormal basis of the free columns and the triangle that makes them of it, column after column.
    basis: Vec<f64>,
    triangle: Vec<f64>,
}

impl Bounded {
    /// Returns ‖r‖ for g of length d and columns `a`, one after the other, with the bounds `most` (∞ allowed).
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn solve(&mut self, g: &[f64], a: &[f64], most: &[f64]) -> f64 {
        let (d, k) = (g.len(), most.len());
        assert_eq!(a.len(), d * k, "{k} columns of {d} numbers");
        let column = |j: usize| &a[j * d..(j + 1) * d];
        self.at.clear();
        self.at.resize(k, At::Zero);
        self.mu.clear();
        self.mu.resize(k, 0.0);
        self.sizes.clear();
        self.sizes.extend((0..k).map(|j| norm(column(j))));
        self.free.clear();
        self.basis.clear();
        self.refresh(g, a);
        let size = norm(g);
        // Every round frees a column or stops; the objective falls with each, so no set of free columns comes twice.
        for _ in 0..20 * (k + d) {
            let mut worst = (0.0, usize::MAX);
            for j in 0..k {
                let slope = match self.at[j] {
                    At::Free => continue,
                    At::Zero if most[j] > 0.0 => dot(column(j), &self.residual),
                    At::Zero => continue,
                    At::Most => -dot(column(j), &self.residual),
                };
                let slope = slope / self.sizes[j].max(f64::MIN_POSITIVE);
                if slope > FLAT * size && slope > worst.0 {
                    worst = (slope, j);
                }
            }
            let (_, j) = worst;
            if j == usize::MAX || self.free.len() == d {
                break;
            }
            self.at[j] = At::Free;
            self.free.push(j);
            if !self.settle(g, a, most) {
                break;
            }
        }
        norm(&self.residual)
    }

    /// r of the last call.
    pub fn residual(&self) -> &[f64] {
        &self.residual
    }

    /// μ of the last call.
    pub fn multipliers(&self) -> &[f64] {
        &self.mu
    }

    /// r = g − Σ μ_j a_j.
    fn refresh(&mut self, g: &[f64], a: &[f64]) {
        let d = g.len();
        self.residual.clear();
        self.residual.extend_from_slice(g);
        for (j, mu) in self.mu.iter().enumerate().filter(|(_, mu)| **mu != 0.0) {
            axpy(-mu, &a[j * d..(j + 1) * d], &mut self.residual);
        }
    }

    /// Moves the free columns to their least squares, fixing those that meet a bound on the way. False where they are
    /// not independent in f64: the column that came last goes back.
    fn settle(&mut self, g: &[f64], a: &[f64], most: &[f64]) -> bool {
        let d = g.len();
        loop {
            if !self.factor(a, d) {
                if let Some(j) = self.free.pop() {
                    self.basis.truncate(self.free.len() * d);
                    self.at[j] = if self.mu[j] > 0.0 { At::Most } else { At::Zero };
                }
                return false;
            }
            let f = self.free.len();
            // The step of each free column: R·step = Qᵀr.
            let mut step: Vec<f64> =
                (0..f).map(|i| dot(&self.basis[i * d..(i + 1) * d], &self.residual)).collect();
            for i in (0..f).rev() {
                for later in i + 1..f {
                    step[i] -= self.triangle[later * d + i] * step[later];
                }
                step[i] /= self.triangle[i * d + i];
            }
            let mut share = (1.0, usize::MAX);
            for (i, &j) in self.free.iter().enumerate() {
                let to = self.mu[j] + step[i];
                let reach = if to < 0.0 {
                    self.mu[j] / -step[i]
                } else if to > most[j] {
                    (most[j] - self.mu[j]) / step[i]
                } else {
                    continue;
                };
                if reach < share.0 {
                    share = (reach, i);
                }
            }
            for (i, &j) in self.free.iter().enumerate() {
                self.mu[j] = (self.mu[j] + share.0 * step[i]).clamp(0.0, most[j]);
            }
            if share.1 == usize::MAX {
                self.refresh(g, a);
                return true;
            }
            let j = self.free.remove(share.1);
            self.basis.truncate(share.1 * d);
            (self.at[j], self.mu[j]) =
                if step[share.1] < 0.0 { (At::Zero, 0.0) } else { (At::Most, most[j]) };
            self.refresh(g, a);
        }
    }

    /// An orthonormal basis of the free columns, by Gram and Schmidt twice; what is there of the first ones is kept.
    fn factor(&mut self, a: &[f64], d: usize) -> bool {
        let known = self.basis.len() / d;
        self.triangle.truncate(known * d);
        self.triangle.resize(self.free.len() * d, 0.0);
        for (i, &j) in self.free.iter().enumerate().skip(known) {
            let mut q = a[j * d..(j + 1) * d].to_vec();
            for _ in 0..2 {
                for (k, earlier) in self.basis.chunks_exact(d).enumerate() {
                    let along = dot(earlier, &q);
                    self.triangle[i * d + k] += along;
                    axpy(-along, earlier, &mut q);
                }
            }
            let rest = norm(&q);
            if !(rest > 1e-12 * self.sizes[j]) {
                return false;
            }
            self.triangle[i * d + i] = rest;
            self.basis.extend(q.iter().map(|x| x / rest));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand::Rng;

    #[test]
    fn the_optimality_conditions_hold() {
        let mut solver = Bounded::default();
        for seed in 0..200 {
            let mut rng = stream(seed, "bounded", 0);
            let (d, k) = (rng.random_range(1..7), rng.random_range(0..30));
            let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
            let (g, mut a) = (numbers(d), numbers(d * k));
            let most: Vec<f64> =
                numbers(k).iter().map(|u| if *u > 0.3 { f64::INFINITY } else { u.abs() * 0.3 }).collect();
            if k > 3 {
                // Repeated and opposite columns.
                let first = a[..d].to_vec();
                a[d..2 * d].copy_from_slice(&first);
                a[2 * d..3 * d].iter_mut().zip(&first).for_each(|(a, b)| *a = -b);
            }
            let length = solver.solve(&g, &a, &most);
            let r = solver.residual();
            assert!((length - norm(r)).abs() < 1e-14);
            for j in 0..k {
                let (mu, slope) = (solver.multipliers()[j], dot(&a[j * d..(j + 1) * d], r));
                assert!((0.0..=most[j]).contains(&mu));
                assert!(
                    mu == 0.0 || slope > -1e-11,
                    "seed {seed}: column {j} has weight and slope {slope:e}"
                );
                assert!(
                    mu == most[j] || slope < 1e-11,
                    "seed {seed}: column {j} would lower it by {slope:e}"
                );
            }
        }
    }
}
