//! One side of a Shampoo preconditioner: S = εI + Σ AAᵀ and a power of it, with a common exponent for the matrix.

use super::far::{Far, split};
use crate::matrix::{gram, levelled, product, symmetric_power};
use crate::{Breakdown, Frame, Invalid, State, power_of_two};

use super::kernel_failed;

/// A matrix 2^power·m, the largest entry of m between 1 and 2. The power need not be whole: a quarter of one is exact.
#[derive(Clone, Debug)]
pub(crate) struct Powered {
    pub m: Vec<f64>,
    pub power: f64,
}

impl Powered {
    /// Scales to a largest entry between 1 and 2. None where an entry is not finite.
    pub fn new(m: &[f64], power: f64) -> Option<Powered> {
        let (m, taken) = levelled(m)?;
        Some(Powered { m, power: power + taken as f64 })
    }

    /// c·m entries as numbers without an end to their exponents.
    pub fn entries(&self) -> impl Iterator<Item = Far> + '_ {
        let (whole, part) = split(self.power);
        self.m.iter().map(move |x| Far::of(x * part).mul(Far::two_to(whole)))
    }
}

/// The statistics of one side and the root in use.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    n: usize,
    /// S = 2^exponent·statistic.
    statistic: Vec<f64>,
    exponent: i64,
    root: Vec<f64>,
    root_power: f64,
}

impl Side {
    /// S = εI, n × n.
    pub fn new(n: usize, epsilon: f64) -> Side {
        let Frame { exponent, factor } = Frame::number(epsilon);
        let mut statistic = vec![0.0; n * n];
        (0..n).for_each(|i| statistic[i * n + i] = factor);
        Side { n, statistic, exponent, root: vec![0.0; n * n], root_power: 0.0 }
    }

    /// S ← S + AAᵀ for A of n rows.
    pub fn add(&mut self, a: &Powered) {
        let (whole, part) = split(2.0 * a.power);
        let mut new = gram(&a.m, self.n, a.m.len() / self.n);
        new.iter_mut().for_each(|x| *x *= part);
        let empty = |m: &[f64]| m.iter().all(|x| *x == 0.0);
        if empty(&new) {
            return;
        }
        if empty(&self.statistic) {
            self.exponent = whole;
        }
        let exponent = self.exponent.max(whole);
        let (old, fresh) = (power_of_two(self.exponent - exponent), power_of_two(whole - exponent));
        self.statistic.iter_mut().zip(&new).for_each(|(s, x)| *s = *s * old + x * fresh);
        let (m, taken) = levelled(&self.statistic).expect("sums of squares of numbers below 2 are finite");
        (self.statistic, self.exponent) = (m, exponent + taken);
    }

    /// Makes S^p the root in use.
    ///
    /// # Errors
    /// When the eigenvalue decomposition does not converge.
    pub fn take_root(&mut self, p: f64) -> Result<(), Breakdown> {
        self.root = symmetric_power(&self.statistic, self.n, p).ok_or_else(kernel_failed)?;
        self.root_power = p * self.exponent as f64;
        Ok(())
    }

    /// The root in use times A, for A of n rows.
    pub fn apply(&self, a: &Powered) -> Option<Powered> {
        let m = product(&self.root, &a.m, self.n, self.n, a.m.len() / self.n);
        Powered::new(&m, a.power + self.root_power)
    }

    /// Saves statistics and root.
    pub fn save(&self) -> State {
        let mut state = State::default();
        state.put("statistic", &self.statistic);
        state.put("root", &self.root);
        state.put("root_power", &[self.root_power]);
        state.put_counts("exponent", &[self.exponent as u64]);
        state
    }

    /// Loads them.
    pub fn load(&mut self, state: &State) -> Result<(), Invalid> {
        for (name, own) in [("statistic", &mut self.statistic), ("root", &mut self.root)] {
            let found = state.get(name)?;
            if found.len() != own.len() {
                return Err(Invalid::new(name, format!("{} numbers, expected {}", found.len(), own.len())));
            }
            own.copy_from_slice(found);
        }
        self.root_power = state.number("root_power")?;
        let [exponent] = state.counters("exponent")?;
        self.exponent = exponent as i64;
        Ok(())
    }
}
