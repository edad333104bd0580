//! f64 arithmetic without an end to its exponents: what optimisers remember their true gradients in.
//!
//! A number is x·2^{512·k} with 2⁻²⁵⁶ ≤ |x| < 2²⁵⁶, or 0. Every operation is the one of f64 on x, rounded once, beside
//! exact powers of two; no operation can overflow or underflow. So the result is the one that f64 would give if its
//! exponents had no end: at ordinary sizes it *is* f64's, and multiplying all numbers of a computation by one power of two
//! changes no bit of any mantissa.

use crate::{Frame, power_of_two};

/// 2^{±256}: where mantissas end.
const TOP: f64 = power(256);
const BOTTOM: f64 = power(-256);
/// 2^{±512}: one step of k.
const UP: f64 = power(512);
const DOWN: f64 = power(-512);
/// The k of zero: below that of any number, so that sums take the other term's.
const ZERO: i64 = i64::MIN / 8;

const fn power(p: i64) -> f64 {
    f64::from_bits(((p + 1023) as u64) << 52)
}

/// x·2^{512·k}. Operations are branch-free, so that loops over them become vector instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Far {
    pub x: f64,
    pub k: i64,
}

impl Far {
    pub const NULL: Far = Far { x: 0.0, k: ZERO };

    /// Brings a mantissa between 2⁻⁷⁶⁸ and 2⁷⁶⁸ back into its range, exactly.
    #[inline(always)]
    fn settled(x: f64, k: i64) -> Far {
        let size = x.abs();
        let (high, low) = (size >= TOP, size < BOTTOM);
        let factor = if high { DOWN } else { 1.0 };
        let factor = if low { UP } else { factor };
        let k = k + i64::from(high) - i64::from(low);
        Far { x: x * factor, k: if x == 0.0 { ZERO } else { k } }
    }

    /// Whether x is 0 or a mantissa.
    #[inline(always)]
    pub fn is_mantissa(x: f64) -> bool {
        let size = x.abs();
        (x == 0.0) | (BOTTOM..TOP).contains(&size)
    }

    /// Any f64, exactly; what is not finite stays so.
    #[inline(always)]
    pub fn of(x: f64) -> Far {
        // The smallest number, 2⁻¹⁰⁷⁴, takes two steps.
        let once = Far::settled(x, 0);
        Far::settled(once.x, once.k)
    }

    /// a·b.
    #[inline(always)]
    pub fn mul(self, b: Far) -> Far {
        Far::settled(self.x * b.x, self.k + b.k)
    }

    /// c·a for a setting c: 0, or of ordinary size.
    #[inline(always)]
    pub fn scale(self, c: f64) -> Far {
        Far::settled(self.x * c, self.k)
    }

    /// a/c for a setting c of ordinary size.
    #[inline(always)]
    pub fn over(self, c: f64) -> Far {
        Far::settled(self.x / c, self.k)
    }

    /// a + b.
    #[inline(always)]
    pub fn add(self, b: Far) -> Far {
        // Two steps of k apart, the smaller is below 2⁻⁵¹² of the larger: rounding drops it.
        let k = if self.k > b.k { self.k } else { b.k };
        let factor = |own: i64| {
            let near = if own == k - 1 { DOWN } else { 0.0 };
            if own == k { 1.0 } else { near }
        };
        Far::settled(self.x * factor(self.k) + b.x * factor(b.k), k)
    }

    /// −a.
    #[inline(always)]
    pub fn neg(self) -> Far {
        Far { x: -self.x, k: self.k }
    }

    /// √a for a ≥ 0.
    #[inline(always)]
    pub fn sqrt(self) -> Far {
        let odd = self.k & 1;
        let x = if odd == 1 { self.x * UP } else { self.x };
        Far::settled(x.sqrt(), (self.k - odd) >> 1)
    }

    /// a/b, and 0 for a = 0 whatever b is: a coordinate without a gradient does not move. Infinite for a ≠ 0, b = 0.
    #[inline(always)]
    pub fn div(self, b: Far) -> Far {
        let quotient = self.x / b.x;
        Far::settled(if self.x == 0.0 { 0.0 } else { quotient }, self.k - b.k)
    }

    /// a^p for a > 0; exact in the power of two where p is a multiple of a quarter.
    pub fn powf(self, p: f64) -> Far {
        let exponent = self.exponent();
        let mantissa = Far { x: self.x, k: self.k }.mul(Far::two_to(-exponent));
        let (whole, part) = split(p * exponent as f64);
        Far::of(mantissa.to_f64().powf(p) * part).mul(Far::two_to(whole))
    }

    /// 2^p.
    #[inline(always)]
    pub fn two_to(p: i64) -> Far {
        let k = (p + 256) >> 9;
        Far { x: power_of_two(p - (k << 9)), k }
    }

    /// The power p with 2^p ≤ |a| < 2^{p+1}, for a ≠ 0.
    pub fn exponent(self) -> i64 {
        (self.k << 9) + ((self.x.to_bits() >> 52) & 0x7ff) as i64 - 1023
    }

    /// ln a for a > 0, −∞ for 0.
    pub fn ln(self) -> f64 {
        if self.x == 0.0 {
            f64::NEG_INFINITY
        } else {
            (self.k << 9) as f64 * std::f64::consts::LN_2 + self.x.ln()
        }
    }

    /// The nearest f64: 0 or infinite outside its range.
    pub fn to_f64(self) -> f64 {
        self.times_power(0)
    }

    /// a·2^p as an f64.
    pub fn times_power(self, p: i64) -> f64 {
        let e = ((self.k.max(ZERO / 512)) * 512).saturating_add(p).clamp(-2000, 2000);
        // Three factors within f64's range; only the last product can round, where the result is subnormal.
        let third = e / 3;
        self.x * power_of_two(e - 2 * third) * power_of_two(third) * power_of_two(third)
    }
}

impl From<Frame> for Far {
    fn from(frame: Frame) -> Far {
        Far::of(frame.factor).mul(Far::two_to(frame.exponent))
    }
}

/// (n, f) with 2^p = 2^n·f and 1 ≤ f < 2.
pub(crate) fn split(p: f64) -> (i64, f64) {
    let whole = p.floor();
    (whole as i64, (p - whole).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers over 2^{±1500}, among them equal and opposite ones.
    fn numbers() -> Vec<Far> {
        let mut all = vec![Far::NULL];
        for p in [-1500i64, -777, -512, -256, -60, -1, 0, 1, 53, 255, 256, 300, 1023] {
            for x in [1.0, -1.0, 1.75, -1.2345678901234567] {
                all.push(Far::of(x).mul(Far::two_to(p)));
            }
        }
        all
    }

    #[test]
    fn every_f64_comes_back() {
        for x in [0.0, 1.0, -3.5, 5e-324, 1e-310, 2.5e-308, 1e-77, 1e77, 1e300, f64::MAX, -f64::MAX] {
            let far = Far::of(x);
            assert_eq!(far.to_f64(), x);
            assert!(x == 0.0 || (BOTTOM..TOP).contains(&far.x.abs()), "{x}: {far:?}");
        }
        assert!(Far::of(f64::INFINITY).x.is_infinite() && Far::of(f64::NAN).x.is_nan());
    }

    #[test]
    fn at_ordinary_sizes_the_operations_are_those_of_f64() {
        let some = [1.0, -1.5, 0.1, 3e7, -2.2e-9, 1.0 / 3.0, 1e60, -7e-61, 0.0];
        for a in some {
            for b in some {
                let (x, y) = (Far::of(a), Far::of(b));
                assert_eq!(x.add(y).to_f64(), a + b);
                assert_eq!(x.mul(y).to_f64(), a * b);
                assert_eq!(x.add(y.neg()).to_f64(), a - b);
                if b != 0.0 {
                    assert_eq!(x.div(y).to_f64(), a / b);
                    assert_eq!(x.over(b).to_f64(), a / b);
                }
                assert_eq!(x.scale(0.9).to_f64(), a * 0.9);
            }
            assert_eq!(Far::of(a.abs()).sqrt().to_f64(), a.abs().sqrt());
            assert!(
                a == 0.0 || (Far::of(a.abs()).powf(-0.25).to_f64() * a.abs().powf(0.25) - 1.0).abs() < 1e-15
            );
        }
    }

    #[test]
    fn a_common_power_of_two_changes_no_bit() {
        let all = numbers();
        let same = |a: Far, b: Far, by: i64| assert_eq!(a.mul(Far::two_to(by)), b);
        for shift in [-200_000i64, -2885, -513, -511, -1, 1, 3, 512, 100_001] {
            let moved = |a: Far| a.mul(Far::two_to(shift));
            for &a in &all {
                for &b in &all {
                    same(a.add(b), moved(a).add(moved(b)), shift);
                    same(a.mul(b), moved(a).mul(moved(b)), 2 * shift);
                    if b != Far::NULL {
                        same(a.div(b), moved(a).div(moved(b)), 0);
                    }
                }
                if a.x > 0.0 {
                    same(a.mul(a).sqrt(), moved(a).mul(moved(a)).sqrt(), shift);
                    same(a, a.mul(a).sqrt(), 0);
                    same(a.powf(-1.0), moved(a).powf(-1.0), -shift);
                }
            }
        }
    }

    #[test]
    fn a_term_far_below_another_is_dropped_and_comes_into_its_own_alone() {
        let (one, tiny) = (Far::of(1.0), Far::of(1.5).mul(Far::two_to(-2885)));
        assert_eq!(one.add(tiny), one);
        assert_eq!(Far::NULL.add(tiny), tiny);
        assert_eq!(one.add(tiny).add(one.neg()), Far::NULL);
        assert_eq!(tiny.exponent(), -2885);
        assert_eq!(tiny.times_power(2885), 1.5);
        assert_eq!(tiny.to_f64(), 0.0);
        assert_eq!(Far::NULL.div(Far::NULL), Far::NULL);
    }
}
