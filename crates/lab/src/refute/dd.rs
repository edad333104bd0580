//! Double-double numbers: an unevaluated sum of two f64, some 31 decimal digits.
//!
//! The twin of a run needs only sums, products, quotients, square roots, e^x and ln x, on numbers of moderate size: a
//! loss is a logarithm here too. Two-sum is exact (Knuth), two-product is one fused multiplication (Dekker).
//!
//! # Accuracy
//! A relative error of a few 2⁻¹⁰⁴ for each operation, as long as neither part under- or overflows.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// hi + lo with |lo| at most half an ulp of hi.
///
/// # Examples
/// A third keeps the digits that f64 drops:
/// ```
/// use latephase_lab::refute::dd::Dd;
/// let third = Dd::from(1.0) / Dd::from(3.0);
/// let back = third * Dd::from(3.0) - Dd::from(1.0);
/// assert!(back.to_f64().abs() < 1e-31);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dd {
    /// The nearest f64.
    pub hi: f64,
    /// What it lacks.
    pub lo: f64,
}

/// a + b, exactly.
fn two_sum(a: f64, b: f64) -> Dd {
    let hi = a + b;
    let back = hi - a;
    Dd { hi, lo: (a - (hi - back)) + (b - back) }
}

/// a + b, exactly, for |a| ≥ |b|.
fn quick_two_sum(a: f64, b: f64) -> Dd {
    let hi = a + b;
    Dd { hi, lo: b - (hi - a) }
}

/// a·b, exactly.
fn two_product(a: f64, b: f64) -> Dd {
    let hi = a * b;
    Dd { hi, lo: a.mul_add(b, -hi) }
}

/// ln 2 to 32 digits.
const LN_2: Dd = Dd { hi: std::f64::consts::LN_2, lo: 2.319046813846299558e-17 };

impl From<f64> for Dd {
    fn from(x: f64) -> Dd {
        Dd { hi: x, lo: 0.0 }
    }
}

impl Dd {
    /// 0.
    pub const ZERO: Dd = Dd { hi: 0.0, lo: 0.0 };
    /// 1.
    pub const ONE: Dd = Dd { hi: 1.0, lo: 0.0 };

    /// The nearest f64.
    pub fn to_f64(self) -> f64 {
        self.hi
    }

    /// |x|.
    pub fn abs(self) -> Dd {
        if self.hi < 0.0 { -self } else { self }
    }

    /// Whether both parts are finite.
    pub fn is_finite(self) -> bool {
        self.hi.is_finite() && self.lo.is_finite()
    }

    /// √x; NaN for a negative x.
    pub fn sqrt(self) -> Dd {
        if self.hi <= 0.0 {
            return Dd::from(self.hi.sqrt());
        }
        // One Newton step on 1/√x, arranged so that only its correction needs f64 (Karp).
        let inverse = 1.0 / self.hi.sqrt();
        let root = self.hi * inverse;
        let rest = (self - two_product(root, root)).hi;
        quick_two_sum(root, rest * (inverse * 0.5))
    }

    /// 2^k·x, exactly, for |k| < 1000.
    fn scaled(self, k: i32) -> Dd {
        let c = 2f64.powi(k);
        Dd { hi: self.hi * c, lo: self.lo * c }
    }

    /// e^x − 1 for |x| ≤ ln 2/2, by its series after 9 halvings: e^{2y} − 1 = (e^y − 1)² + 2(e^y − 1).
    fn exp_m1_small(self) -> Dd {
        const HALVINGS: i32 = 9;
        let x = self.scaled(-HALVINGS);
        // |x| < 7e-4: the tenth power over 10! is below 1e-38.
        let (mut term, mut sum) = (x, x);
        for k in 2..=10 {
            term = term * x / Dd::from(f64::from(k));
            sum = sum + term;
        }
        for _ in 0..HALVINGS {
            sum = sum * sum + sum.scaled(1);
        }
        sum
    }

    /// e^x; 0 below −700, where a double-double would lose its second part.
    pub fn exp(self) -> Dd {
        if self.hi < -700.0 {
            return Dd::ZERO;
        }
        if !(self.hi < 700.0) {
            return Dd::from(self.hi.exp());
        }
        let k = (self.hi / LN_2.hi).round();
        let rest = self - LN_2 * Dd::from(k);
        (Dd::ONE + rest.exp_m1_small()).scaled(k as i32)
    }

    /// e^x − 1, without cancellation at small x.
    pub fn exp_m1(self) -> Dd {
        if self.hi.abs() < 0.34 { self.exp_m1_small() } else { self.exp() - Dd::ONE }
    }

    /// ln x for x > 0; −∞ at 0 and NaN below.
    pub fn ln(self) -> Dd {
        if !(self.hi > 0.0 && self.hi < f64::INFINITY) {
            return Dd::from(self.hi.ln());
        }
        // The scale brings x near 1, where Newton on e^y = x doubles the digits of ln hi.
        let k = (self.hi.ln() / LN_2.hi).round();
        let x = self.scaled_far(-k);
        let y = Dd::from(x.hi.ln());
        y + (x * (-y).exp() - Dd::ONE) + LN_2 * Dd::from(k)
    }

    /// 2^k·x for any whole k, in two halves.
    fn scaled_far(self, k: f64) -> Dd {
        let half = (k / 2.0).trunc();
        self.scaled(half as i32).scaled((k - half) as i32)
    }

    /// ln(1 + x) for x ≥ 0, without cancellation at small x: 2 artanh(x/(2 + x)).
    pub fn ln_1p(self) -> Dd {
        if self.hi > 1.0 {
            return (Dd::ONE + self).ln();
        }
        let z = self / (self + Dd::from(2.0));
        let square = z * z;
        let (mut power, mut sum) = (z, z);
        // z ≤ 1/3: each term is a ninth of the one before, or less.
        for k in 1..40 {
            power = power * square;
            let term = power / Dd::from(f64::from(2 * k + 1));
            sum = sum + term;
            if term.hi.abs() <= sum.hi.abs() * 1e-34 {
                break;
            }
        }
        sum.scaled(1)
    }

    /// xᵖ for x > 0; whole powers up to 16 as products.
    pub fn powf(self, p: f64) -> Dd {
        if p.fract() == 0.0 && (0.0..=16.0).contains(&p) {
            return (0..p as u32).fold(Dd::ONE, |product, _| product * self);
        }
        (self.ln() * Dd::from(p)).exp()
    }
}

impl Neg for Dd {
    type Output = Dd;
    fn neg(self) -> Dd {
        Dd { hi: -self.hi, lo: -self.lo }
    }
}

impl Add for Dd {
    type Output = Dd;
    fn add(self, other: Dd) -> Dd {
        let (high, low) = (two_sum(self.hi, other.hi), two_sum(self.lo, other.lo));
        let sum = quick_two_sum(high.hi, high.lo + low.hi);
        quick_two_sum(sum.hi, sum.lo + low.lo)
    }
}

impl Sub for Dd {
    type Output = Dd;
    fn sub(self, other: Dd) -> Dd {
        self + -other
    }
}

impl Mul for Dd {
    type Output = Dd;
    fn mul(self, other: Dd) -> Dd {
        let product = two_product(self.hi, other.hi);
        let cross = self.hi * other.lo + self.lo * other.hi;
        quick_two_sum(product.hi, product.lo + cross)
    }
}

impl Div for Dd {
    type Output = Dd;
    fn div(self, other: Dd) -> Dd {
        let first = self.hi / other.hi;
        if !first.is_finite() {
            return Dd::from(first);
        }
        let rest = self - other * Dd::from(first);
        let second = rest.hi / other.hi;
        let rest = rest - other * Dd::from(second);
        quick_two_sum(first, second) + Dd::from(rest.hi / other.hi)
    }
}

impl PartialOrd for Dd {
    fn partial_cmp(&self, other: &Dd) -> Option<Ordering> {
        match self.hi.partial_cmp(&other.hi) {
            Some(Ordering::Equal) => self.lo.partial_cmp(&other.lo),
            order => order,
        }
    }
}

impl std::iter::Sum for Dd {
    fn sum<I: Iterator<Item = Dd>>(terms: I) -> Dd {
        terms.fold(Dd::ZERO, Add::add)
    }
}
