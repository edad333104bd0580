//! A working set of constraints that grows by those that the answer over it violates.

use super::{Constraints, Optimum};

/// Constraints by index, in the order of joining.
pub(super) struct Working {
    pub ids: Vec<usize>,
    is_in: Vec<bool>,
}

impl Working {
    /// The constraints of least margin at a solution that is near: `times` as many as carry a multiplier there, at least
    /// `least`.
    pub fn nearest(a: &Constraints<'_>, near: &Optimum, times: usize, least: usize) -> Working {
        let margins = a.margins(&near.solution);
        let support = near.dual.iter().filter(|l| **l > 0.0).count();
        let mut working = Working { ids: Vec::new(), is_in: vec![false; a.len()] };
        working.join((0..a.len()).collect(), &margins, (times * support).max(least));
        working
    }

    /// The least margin within.
    pub fn least(&self, margins: &[f64]) -> f64 {
        self.ids.iter().map(|c| margins[*c]).fold(f64::INFINITY, f64::min)
    }

    /// Multipliers of all constraints from those within, 0 outside.
    pub fn spread(&self, inner: &[f64]) -> Vec<f64> {
        let mut lambda = vec![0.0; self.is_in.len()];
        self.ids.iter().zip(inner).for_each(|(c, l)| lambda[*c] = *l);
        lambda
    }

    /// Those within, from the multipliers of all constraints.
    pub fn select(&self, lambda: &[f64]) -> Vec<f64> {
        self.ids.iter().map(|c| lambda[*c]).collect()
    }

    /// Lets the `most` least margins outside join that are below `least` by more than the fraction `within`; whether there
    /// were any.
    pub fn join_violated(&mut self, margins: &[f64], least: f64, within: f64, most: usize) -> bool {
        let level = least - within * least.abs();
        let below = |c: &usize| !self.is_in[*c] && margins[*c] < level;
        let violated: Vec<usize> = (0..margins.len()).filter(below).collect();
        let any = !violated.is_empty();
        self.join(violated, margins, most);
        any
    }

    fn join(&mut self, mut new: Vec<usize>, margins: &[f64], most: usize) {
        new.sort_by(|c, d| margins[*c].total_cmp(&margins[*d]).then(c.cmp(d)));
        new.truncate(most);
        new.iter().for_each(|c| self.is_in[*c] = true);
        self.ids.extend(new);
    }
}
