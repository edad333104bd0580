//! What an optimiser remembers, entry by entry, exact over any range of the loss.
//!
//! True gradients of different steps differ by 𝓛/𝓛', which may be e^{±2000} from one step to the next. A memory holds
//! one [`Far`] per entry: a coordinate whose gradient was last felt at 𝓛 = 1 keeps that history, one that was never felt
//! before has the new one to full precision, and both are exact in the same step.

use super::far::Far;
use super::{Direction, Place};
use crate::numeric::{all_finite, dot, wide};
use crate::{Breakdown, Frame, Invalid, State, power_of_two};

/// Up to 2^{±500} a step is written as it is, so that a rate means what it means in every textbook.
const MODERATE: i64 = 500;

/// A vector of [`Far`] numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    x: Vec<f64>,
    k: Vec<i64>,
}

impl Memory {
    /// Zeros.
    pub fn new(n: usize) -> Self {
        Memory::filled(n, Far::NULL)
    }

    /// n times the same number.
    pub fn filled(n: usize, value: Far) -> Self {
        Memory { x: vec![value.x; n], k: vec![value.k; n] }
    }

    pub fn len(&self) -> usize {
        self.x.len()
    }

    #[inline(always)]
    pub fn get(&self, i: usize) -> Far {
        Far { x: self.x[i], k: self.k[i] }
    }

    #[inline(always)]
    pub fn set(&mut self, i: usize, value: Far) {
        (self.x[i], self.k[i]) = (value.x, value.k);
    }

    /// Writes `new(i, former value)` to every entry i.
    #[inline(always)]
    pub fn update(&mut self, new: impl Fn(usize, Far) -> Far) {
        wide(|| {
            for (i, (x, k)) in self.x.iter_mut().zip(&mut self.k).enumerate() {
                let value = new(i, Far { x: *x, k: *k });
                (*x, *k) = (value.x, value.k);
            }
        });
    }

    /// Adds c·v.
    pub fn add_scaled(&mut self, c: f64, v: &[f64]) {
        if c != 0.0 {
            let (v, c) = (&v[..self.len()], Far::of(c));
            self.update(|i, own| own.add(Far::of(v[i]).mul(c)));
        }
    }

    /// Mantissas and steps of some entries.
    #[inline(always)]
    pub fn slices(&self, start: usize, n: usize) -> (&[f64], &[i64]) {
        (&self.x[start..start + n], &self.k[start..start + n])
    }

    /// The same, to write to.
    #[inline(always)]
    pub fn slices_mut(&mut self, start: usize, n: usize) -> (&mut [f64], &mut [i64]) {
        (&mut self.x[start..start + n], &mut self.k[start..start + n])
    }

    /// The power p with 2^p ≤ largest |entry| < 2^{p+1}; None when all entries are 0.
    pub fn top(&self) -> Option<i64> {
        let k = self.k.iter().copied().max()?;
        let size = |(x, own): (&f64, &i64)| if *own == k { x.abs() } else { 0.0 };
        let x = self.x.iter().zip(&self.k).map(size).fold(0.0, f64::max);
        (x > 0.0).then(|| Far { x, k }.exponent())
    }

    /// Writes some of the entries, with the largest of them between 1 and 2, and returns the power of two taken out.
    pub fn level_range(&self, range: std::ops::Range<usize>, d: &mut [f64]) -> i64 {
        let top = range.clone().map(|i| self.get(i)).filter(|a| a.x != 0.0).map(Far::exponent).max();
        let power = top.unwrap_or(0);
        d.iter_mut().zip(range).for_each(|(d, i)| *d = self.get(i).times_power(-power));
        power
    }

    /// Writes the entries times 2^{−power}.
    pub fn write(&self, power: i64, d: &mut [f64]) {
        assert_eq!(d.len(), self.len(), "a direction of another length");
        let first = self.k.first().copied().unwrap_or(0);
        let e = first.saturating_mul(512).saturating_sub(power);
        if (-700..=700).contains(&e) && self.k.iter().all(|k| *k == first) {
            let factor = power_of_two(e);
            wide(|| d.iter_mut().zip(&self.x).for_each(|(d, x)| *d = x * factor));
            return;
        }
        d.iter_mut().enumerate().for_each(|(i, d)| *d = self.get(i).times_power(-power));
    }

    /// Writes the entries with the largest between 1 and 2, and returns the power of two that was taken out.
    pub fn level(&self, d: &mut [f64]) -> i64 {
        let power = self.top().unwrap_or(0);
        self.write(power, d);
        power
    }

    /// Writes a step Δ as 2^K·d, with K = 0 exactly where the largest entry of Δ is within 2^{±500}.
    ///
    /// # Errors
    /// When an entry is infinite: a quotient whose denominator is exactly 0.
    pub fn finish(&self, at: &Place<'_>, d: &mut [f64]) -> Result<Direction, Breakdown> {
        if !all_finite(&self.x) {
            let what = "a denominator of the optimiser's step is exactly 0 (use an epsilon above 0)".into();
            return Err(Breakdown::Diverged { what });
        }
        let top = self.top().unwrap_or(0);
        let power = if top.abs() <= MODERATE { 0 } else { top };
        self.write(power, d);
        Ok(Direction { slope: dot(at.grad, d), ln_scale: power as f64 * std::f64::consts::LN_2 })
    }

    /// Writes the signs of the entries, 0 for 0 as in sign descent.
    pub fn signs(&self, d: &mut [f64]) {
        wide(|| {
            d.iter_mut().zip(&self.x).for_each(|(d, x)| *d = if *x == 0.0 { 0.0 } else { x.signum() });
        });
    }

    /// Entries scaled so that the largest is 1; None when all are 0.
    pub fn relative(&self) -> Option<Vec<f64>> {
        let mut out = vec![0.0; self.len()];
        self.write(self.top()?, &mut out);
        let largest = out.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        out.iter_mut().for_each(|x| *x /= largest);
        Some(out)
    }

    /// Saves the entries under a name.
    pub fn save(&self, state: &mut State, name: &str) {
        state.put(name, &self.x);
        state.put_counts(&format!("{name}.k"), &self.k.iter().map(|k| *k as u64).collect::<Vec<_>>());
    }

    /// Loads as many entries as there are.
    ///
    /// # Errors
    /// When the arrays are missing or have another length.
    pub fn load(&mut self, state: &State, name: &str) -> Result<(), Invalid> {
        let (x, k) = (state.get(name)?, state.counts(&format!("{name}.k"))?);
        if x.len() != self.len() || k.len() != self.len() {
            let text =
                format!("{} numbers with {} exponents, expected {} of each", x.len(), k.len(), self.len());
            return Err(Invalid::new(name, text));
        }
        self.x.copy_from_slice(x);
        self.k.iter_mut().zip(k).for_each(|(own, k)| *own = *k as i64);
        Ok(())
    }
}

/// 1/(√(v/gathered) + ε), the largest scaled to 1; 0 where v is 0 and so is ε. None before the first step.
pub(crate) fn inverse_roots(v: &Memory, t: u64, gathered: f64, epsilon: Far) -> Option<Vec<f64>> {
    if t == 0 {
        return None;
    }
    let mut inverse = Memory::new(v.len());
    inverse.update(|i, _| {
        let root = v.get(i).over(gathered).sqrt().add(epsilon);
        if root.x == 0.0 { Far::NULL } else { Far::of(1.0).div(root) }
    });
    inverse.relative()
}

/// The entries of the true gradient 𝓛·∇ ln 𝓛, made one by one.
#[derive(Clone, Copy)]
pub(crate) struct Gradient<'a> {
    grad: &'a [f64],
    loss: Far,
}

impl<'a> Gradient<'a> {
    /// At a place.
    pub fn at(at: &Place<'a>) -> Self {
        Gradient::new(at.grad, at.frame)
    }

    /// Of a part of ∇ ln 𝓛.
    pub fn new(grad: &'a [f64], frame: Frame) -> Self {
        Gradient { grad, loss: frame.into() }
    }

    pub fn len(&self) -> usize {
        self.grad.len()
    }

    #[inline(always)]
    pub fn get(&self, i: usize) -> Far {
        Far::of(self.grad[i]).mul(self.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn old_and_new_histories_live_side_by_side() {
        let layout = Layout::vector(2);
        let mut memory = Memory::new(2);
        // The first coordinate is felt at 𝓛 = 1 only, the second at e^-2000 only.
        for (ln_loss, grad) in [(0.0, [3.0, 0.0]), (-2000.0, [0.0, 5.0])] {
            let place = Place::new(&[0.0, 0.0], &grad, ln_loss, &layout);
            let g = Gradient::at(&place);
            memory.update(|i, own| own.scale(0.5).add(g.get(i)));
        }
        assert_eq!(memory.get(0).to_f64(), 1.5);
        let tiny = Frame::of(-2000.0);
        assert_eq!(memory.get(1), Far::of(5.0 * tiny.factor).mul(Far::two_to(tiny.exponent)));
        let mut d = [f64::NAN; 2];
        assert_eq!(memory.level(&mut d), 0);
        assert_eq!(d, [1.5, 0.0]);
        memory.set(0, Far::NULL);
        assert_eq!(memory.relative(), Some(vec![0.0, 1.0]));
    }

    #[test]
    fn a_moderate_step_is_written_as_it_is_and_a_far_one_with_its_power() {
        let layout = Layout::vector(2);
        let place = Place::new(&[0.0, 0.0], &[1.0, 1.0], 0.0, &layout);
        let mut d = [f64::NAN; 2];
        for p in [-2000i64, -501, -500, -1, 0, 500, 501, 144_270] {
            let mut step = Memory::new(2);
            step.set(0, Far::of(1.25).mul(Far::two_to(p)));
            step.set(1, Far::of(-1.0).mul(Far::two_to(p - 1)));
            let direction = step.finish(&place, &mut d).unwrap();
            let power = if p.abs() <= 500 { 0 } else { p };
            assert_eq!(direction.ln_scale, power as f64 * std::f64::consts::LN_2);
            let unit = power_of_two(p - power);
            assert_eq!((d, direction.slope), ([1.25 * unit, -0.5 * unit], 0.75 * unit));
        }
        let mut step = Memory::new(2);
        step.set(1, Far::of(1.0).div(Far::NULL));
        assert!(matches!(step.finish(&place, &mut d), Err(Breakdown::Diverged { .. })));
    }
}
