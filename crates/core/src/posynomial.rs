//! Sums of powers with coefficients that are not negative: Σ c_i ρ^{e_i}.
//!
//! The bounds of the degree calculus (q, p′ and p_a of Cai et al. 2025) are of this form. An unknown coefficient is ∞, and
//! 0·∞ is 0: what is multiplied with nothing is not there.

use std::fmt;

use serde::Serialize;

/// Σ c_i ρ^{e_i} with c_i > 0, in the order of the exponents.
///
/// # Examples
/// ```
/// use latephase_core::Posynomial;
/// let q = Posynomial::term(3.0, 1.0).plus(&Posynomial::term(0.5, 0.0));
/// assert_eq!(q.at(2.0), 6.5);
/// assert_eq!(q.times(&q).at(2.0), 6.5 * 6.5);
/// assert_eq!(q.to_string(), "0.5 + 3 rho");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Posynomial {
    /// (exponent, coefficient).
    terms: Vec<(f64, f64)>,
}

impl Posynomial {
    /// 0.
    pub const ZERO: Posynomial = Posynomial { terms: Vec::new() };

    /// c·ρ^e.
    pub fn term(coefficient: f64, exponent: f64) -> Self {
        let mut sum = Posynomial::ZERO;
        sum.add(exponent, coefficient);
        sum
    }

    /// (exponent, coefficient) of every term, the exponents rising.
    pub fn terms(&self) -> &[(f64, f64)] {
        &self.terms
    }

    /// Whether there are no terms.
    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// The highest exponent; none for 0.
    pub fn power(&self) -> Option<f64> {
        self.terms.last().map(|(exponent, _)| *exponent)
    }

    /// The value at ρ ≥ 0.
    pub fn at(&self, rho: f64) -> f64 {
        self.terms.iter().map(|(e, c)| c * rho.powf(*e)).sum()
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(&self, other: &Posynomial) -> Posynomial {
        let mut sum = self.clone();
        other.terms.iter().for_each(|(e, c)| sum.add(*e, *c));
        sum
    }

    /// The product of two.
    #[must_use]
    pub fn times(&self, other: &Posynomial) -> Posynomial {
        let mut product = Posynomial::ZERO;
        for (e, c) in &self.terms {
            other.terms.iter().for_each(|(f, d)| product.add(e + f, c * d));
        }
        product
    }

    /// c ≥ 0 times this.
    #[must_use]
    pub fn scaled(&self, c: f64) -> Posynomial {
        self.times(&Posynomial::term(c, 0.0))
    }

    /// ρ^e times this.
    #[must_use]
    pub fn raised(&self, e: f64) -> Posynomial {
        self.times(&Posynomial::term(1.0, e))
    }

    /// A bound of the p-th power, p ≥ 0: exact for whole p and for one term, else by (Σ a_i)^p ≤ max(1, k^{p−1}) Σ a_i^p.
    #[must_use]
    pub fn to_power(&self, p: f64) -> Posynomial {
        if p == p.trunc() && p <= 16.0 {
            let one = Posynomial::term(1.0, 0.0);
            return (0..p as u32).fold(one, |power, _| power.times(self));
        }
        let factor = (self.terms.len() as f64).powf(p - 1.0).max(1.0);
        let mut bound = Posynomial::ZERO;
        self.terms.iter().for_each(|(e, c)| bound.add(p * e, factor * c.powf(p)));
        bound
    }

    /// Σ c_i/(M − e_i) ρ^{e_i}: the solution of M·a − ρa′ = this, for exponents below M. It turns the bound p′ of the defect
    /// into the bound p_a of |f − f_H|.
    #[must_use]
    pub fn integrated(&self, order: f64) -> Posynomial {
        let mut integral = Posynomial::ZERO;
        for (e, c) in &self.terms {
            integral.add(*e, if *e < order { c / (order - e) } else { f64::INFINITY });
        }
        integral
    }

    fn add(&mut self, exponent: f64, coefficient: f64) {
        if coefficient == 0.0 {
            return;
        }
        match self.terms.iter().position(|(e, _)| *e >= exponent) {
            Some(k) if self.terms[k].0 == exponent => self.terms[k].1 += coefficient,
            Some(k) => self.terms.insert(k, (exponent, coefficient)),
            None => self.terms.push((exponent, coefficient)),
        }
    }
}

impl fmt::Display for Posynomial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return write!(f, "0");
        }
        for (k, (exponent, c)) in self.terms.iter().enumerate() {
            let plus = if k == 0 { "" } else { " + " };
            let c = if *c == f64::INFINITY { "?".to_owned() } else { short(*c) };
            match exponent {
                0.0 => write!(f, "{plus}{c}")?,
                1.0 => write!(f, "{plus}{c} rho")?,
                e => write!(f, "{plus}{c} rho^{}", short(*e))?,
            }
        }
        Ok(())
    }
}

/// A number in at most five digits.
fn short(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
        return format!("{x:.4e}");
    }
    let digits = 4 - x.abs().log10().floor().clamp(-3.0, 4.0) as i32;
    let text = format!("{x:.*}", digits.max(0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_solves_its_equation() {
        let defect = Posynomial::term(2.0, 0.0).plus(&Posynomial::term(0.5, 1.5));
        let (order, gap) = (3.0, defect.integrated(3.0));
        for rho in [0.1f64, 1.0, 7.0] {
            let slope: f64 = gap.terms().iter().map(|(e, c)| e * c * rho.powf(*e)).sum();
            let left = order * gap.at(rho) - slope;
            assert!((left - defect.at(rho)).abs() < 1e-14 * left);
        }
    }

    #[test]
    fn a_power_is_a_bound() {
        let q =
            Posynomial::term(2.0, 0.0).plus(&Posynomial::term(0.5, 1.0)).plus(&Posynomial::term(1.0, 2.0));
        for p in [0.0, 0.5, 1.0, 1.5, 2.0, 3.0] {
            for rho in [0.0f64, 0.3, 1.0, 20.0] {
                let (bound, value) = (q.to_power(p).at(rho), q.at(rho).powf(p));
                assert!(bound >= value * (1.0 - 1e-14), "p = {p}, rho = {rho}");
                let tight = p == p.trunc();
                assert!(!tight || bound <= value * (1.0 + 1e-14), "p = {p}, rho = {rho}");
            }
        }
    }

    #[test]
    fn what_is_unknown_stays_so_unless_multiplied_with_nothing() {
        let unknown = Posynomial::term(f64::INFINITY, 1.0);
        assert_eq!(unknown.times(&Posynomial::ZERO), Posynomial::ZERO);
        assert_eq!(unknown.plus(&Posynomial::term(1.0, 0.0)).at(1.0), f64::INFINITY);
        assert_eq!(unknown.to_string(), "? rho");
    }
}
