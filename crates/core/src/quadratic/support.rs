//! The members that carry weight, and the factor of their Gram matrix.
//!
//! A = G_S/unit + shift·eeᵀ. The shift is 0 for least squares. For the simplex it turns affine independence, all
//! that Wolfe's algorithm promises, into linear independence: A is positive definite although G_S is singular
//! when the affine hull contains 0, and A⁻¹e, scaled to sum 1, is the affine minimiser for every shift.

use super::{Gram, add_scaled, dot, factor::Factor};
use crate::Invalid;

/// Relative difference of inner products up to which a factor still describes them.
const SAME: f64 = 1e-13;
/// Relative size of a coordinate of a dependent member below which it is rounding.
const COORDINATE: f64 = 1e-9;

/// The support S in the order of its factor.
#[derive(Clone, Debug, Default)]
pub(super) struct Support {
    pub ids: Vec<usize>,
    /// G_S/unit as it was factored, packed like the factor.
    entries: Vec<f64>,
    factor: Factor,
    pub unit: f64,
    pub shift: f64,
    column: Vec<f64>,
}

impl Support {
    /// Empties the support and sets what its matrix is made of.
    pub fn reset(&mut self, unit: f64, shift: f64) {
        self.ids.clear();
        self.entries.clear();
        self.factor.clear();
        (self.unit, self.shift) = (unit, shift);
    }

    /// Lets member `j` join at the end.
    ///
    /// # Errors
    /// The pivot, when `j` depends on the support; [`coordinates`](Self::coordinates) then says how.
    pub fn admit(&mut self, gram: Gram<'_>, j: usize) -> Result<(), f64> {
        let (row, start) = (gram.row(j), self.entries.len());
        self.entries.extend(self.ids.iter().map(|&i| row[i] / self.unit));
        self.entries.push(row[j] / self.unit);
        self.column.clear();
        self.column.extend(self.entries[start..].iter().map(|x| x + self.shift));
        let diagonal = self.column.pop().unwrap_or(0.0);
        let admitted = self.factor.push(&mut self.column, diagonal);
        match admitted {
            Ok(()) => self.ids.push(j),
            Err(_) => self.entries.truncate(start),
        }
        admitted
    }

    /// Writes the coordinates z of the member refused last: it is Σ z_i·(member i), up to rounding.
    pub fn coordinates(&mut self, z: &mut Vec<f64>) {
        z.clone_from(&self.column);
        self.factor.backward(z);
    }

    /// Passes weight from the members to `j` = Σ z_i·(member i), in the proportions z, until one is empty; `j` takes
    /// its place. The transfer t changes the objective by −t·slope + t²·`pivot`/2.
    ///
    /// Returns false, with nothing changed, where that is no gain or no member ever gets empty.
    pub fn exchange(
        &mut self,
        gram: Gram<'_>,
        j: usize,
        z: &[f64],
        (slope, pivot): (f64, f64),
        weights: &mut Vec<f64>,
    ) -> bool {
        let (mut first, mut length) = (None, f64::INFINITY);
        // A coordinate of the size of rounding is none: its member stays, whatever little weight it has.
        let noise = COORDINATE * z.iter().fold(0.0, |m, z| f64::max(m, z.abs()));
        for (i, (w, z)) in weights.iter().zip(z).enumerate() {
            if *z > noise && w / z < length {
                (first, length) = (Some(i), w / z);
            }
        }
        let Some(first) = first.filter(|_| 2.0 * slope > pivot.max(0.0) * length) else { return false };
        for (w, z) in weights.iter_mut().zip(z) {
            *w = (*w - length * z).max(0.0);
        }
        self.dismiss(first);
        weights.remove(first);
        if self.admit(gram, j).is_ok() {
            weights.push(length);
        }
        true
    }

    /// Lets the member at `position` go.
    pub fn dismiss(&mut self, position: usize) {
        let mut kept = position * (position + 1) / 2;
        for i in position + 1..self.ids.len() {
            // Row i without its entry at `position`.
            let start = i * (i + 1) / 2;
            self.entries.copy_within(start..start + position, kept);
            self.entries.copy_within(start + position + 1..=start + i, kept + position);
            kept += i;
        }
        self.entries.truncate(kept);
        self.ids.remove(position);
        self.factor.remove(position);
    }

    /// Solves Ax = b in place.
    pub fn solve(&self, b: &mut [f64]) {
        self.factor.solve(b);
    }

    /// Solves Ax = b − τe in place, with the τ that makes Σx = 0.
    pub fn solve_level(&mut self, b: &mut [f64]) {
        // A = LLᵀ: Σx = ⟨L⁻¹e, L⁻¹b − τL⁻¹e⟩.
        let ones = &mut self.column;
        ones.clear();
        ones.resize(b.len(), 1.0);
        self.factor.forward(ones);
        self.factor.forward(b);
        add_scaled(b, -dot(ones, b) / dot(ones, ones), ones);
        self.factor.backward(b);
    }

    /// Whether the factor describes `gram`, up to one common scale, which is adopted.
    pub fn describes(&mut self, gram: Gram<'_>) -> bool {
        let own = |i: usize| self.entries[i * (i + 3) / 2];
        let Some(top) = (0..self.ids.len()).max_by(|&i, &j| own(i).total_cmp(&own(j))) else { return false };
        if self.ids.iter().any(|&i| i >= gram.k()) {
            return false;
        }
        let unit = gram.diagonal(self.ids[top]) / own(top);
        // Far from the largest member's scale the shift would be lost, or drown the rest.
        let drift = gram.unit() / unit;
        if !(drift > 1e-6 && drift < 1e6) {
            return false;
        }
        for (i, &member) in self.ids.iter().enumerate() {
            let (row, start) = (gram.row(member), i * (i + 1) / 2);
            let allowed = SAME * SAME * own(i);
            for (j, &other) in self.ids[..=i].iter().enumerate() {
                let difference = row[other] / unit - self.entries[start + j];
                if !(difference * difference <= allowed * own(j)) {
                    return false;
                }
            }
        }
        self.unit = unit;
        true
    }

    /// Moves `weights` towards `target` as far as they stay ≥ 0. Members that reach 0 leave both.
    ///
    /// Returns whether the target was reached.
    pub fn advance(&mut self, weights: &mut Vec<f64>, target: &mut Vec<f64>) -> bool {
        let step = |(w, t): (&f64, &f64)| if *t > 0.0 { 1.0 } else { w / (w - t) };
        let length = weights.iter().zip(&*target).map(step).fold(1.0, f64::min);
        if target.iter().all(|t| *t > 0.0) {
            weights.copy_from_slice(target);
            return true;
        }
        for i in (0..weights.len()).rev() {
            let blocks = !(step((&weights[i], &target[i])) > length);
            weights[i] += length * (target[i] - weights[i]);
            if (blocks && !(target[i] > 0.0)) || weights[i] < 0.0 {
                self.dismiss(i);
                weights.remove(i);
                target.remove(i);
            }
        }
        false
    }

    /// Drops member `k`, wherever it is.
    pub fn release(&mut self, k: usize) {
        if let Some(position) = self.ids.iter().position(|&i| i == k) {
            self.dismiss(position);
        }
    }

    /// The state as plain numbers: m, unit, shift, members, entries, factor.
    pub fn save(&self) -> Vec<f64> {
        let head = [self.ids.len() as f64, self.unit, self.shift];
        let ids = self.ids.iter().map(|&i| i as f64);
        head.into_iter().chain(ids).chain(self.entries.iter().chain(&self.factor.rows).copied()).collect()
    }

    /// Takes what [`save`](Self::save) gave.
    pub fn load(&mut self, saved: &[f64]) -> Result<(), Invalid> {
        let wrong = || Invalid::new("support", format!("{} numbers are no saved support", saved.len()));
        let (head, rest) = saved.split_at_checked(3).ok_or_else(wrong)?;
        let m = head[0] as usize;
        // m members, then two triangles of m(m+1)/2 numbers.
        if m as f64 != head[0] || m > rest.len() || rest.len() != m * (m + 2) {
            return Err(wrong());
        }
        let triangle = m * (m + 1) / 2;
        self.reset(head[1], head[2]);
        self.ids.extend(rest[..m].iter().map(|&i| i as usize));
        self.entries.extend_from_slice(&rest[m..m + triangle]);
        self.factor.rows.extend_from_slice(&rest[m + triangle..]);
        self.factor.order = m;
        Ok(())
    }
}
