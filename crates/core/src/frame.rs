//! Numbers far outside f64's range: a factor times a power of two.
//!
//! The true gradient is 𝓛·∇ ln 𝓛, and an optimiser with a memory adds true gradients of different steps. With
//! 𝓛 = factor·2^exponent, moving a sum to another exponent is exact, so a run shifted by a whole power of two takes the
//! same bits.

/// Hi and lo of ln 2: the sum is ln 2 to 107 bits.
const LN_2_HI: f64 = std::f64::consts::LN_2;
const LN_2_LO: f64 = 2.319046813846299615494855e-17;

/// A positive number factor·2^exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// The power of two.
    pub exponent: i64,
    /// In [1, 2], or 0 for the number 0.
    pub factor: f64,
}

impl Frame {
    /// e^{ln}, to 2⁻⁵³ relative given `ln` (whose own last digit is worth |ln|·2⁻⁵³). ln = −∞ gives 0.
    ///
    /// # Examples
    /// A loss of 1e-100000 is a number like another, and shifting it by a power of two changes the exponent alone:
    /// ```
    /// use latephase_core::Frame;
    /// let loss = Frame::of(-100_000.0 * std::f64::consts::LN_10);
    /// assert!((loss.ln() / (-100_000.0 * std::f64::consts::LN_10) - 1.0).abs() < 1e-15);
    /// assert_eq!(Frame::of(0.0), Frame { exponent: 0, factor: 1.0 });
    /// ```
    pub fn of(ln: f64) -> Frame {
        if ln == f64::NEG_INFINITY {
            return Frame { exponent: 0, factor: 0.0 };
        }
        let exponent = (ln / LN_2_HI).floor();
        // The product exponent·LN_2_HI has up to 106 bits; the fused form rounds only the small difference.
        let rest = (-exponent).mul_add(LN_2_HI, ln) - exponent * LN_2_LO;
        Frame { exponent: exponent as i64, factor: rest.exp() }
    }

    /// A number that f64 can hold, such as an ε; 0 is allowed.
    ///
    /// # Panics
    /// When it is negative or not finite: settings are checked before.
    pub fn number(x: f64) -> Frame {
        assert!(x >= 0.0 && x.is_finite(), "a frame holds a number of 0 or more, not {x}");
        if x == 0.0 {
            return Frame { exponent: 0, factor: 0.0 };
        }
        let (mut exponent, mut factor) = (0, x);
        if factor < f64::MIN_POSITIVE {
            (exponent, factor) = (-64, factor * 2f64.powi(64));
        }
        let power = ((factor.to_bits() >> 52) & 0x7ff) as i64 - 1023;
        Frame { exponent: exponent + power, factor: factor * power_of_two(-power) }
    }

    /// Natural logarithm.
    pub fn ln(self) -> f64 {
        self.exponent as f64 * LN_2_HI + self.factor.ln()
    }
}

/// 2^power: 0 below the range of f64, infinity above it.
pub fn power_of_two(power: i64) -> f64 {
    if (-1022..=1023).contains(&power) {
        return f64::from_bits(((power + 1023) as u64) << 52);
    }
    if power > 0 {
        f64::INFINITY
    } else if power < -1074 {
        0.0
    } else {
        f64::from_bits(1 << (power + 1074))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_exactly() {
        for x in [1.0, 1.5, 1e-8, 3e300, 2.5e-308, 5e-324, 1e-320, f64::MAX] {
            let frame = Frame::number(x);
            assert!((1.0..2.0).contains(&frame.factor), "{x}: {frame:?}");
            let half = frame.exponent / 2;
            let back = frame.factor * power_of_two(half) * power_of_two(frame.exponent - half);
            assert_eq!(back, x);
        }
        assert_eq!(Frame::number(0.0).factor, 0.0);
    }

    #[test]
    fn powers_of_two_are_those_of_the_library() {
        for power in [-1100, -1075, -1074, -1023, -1022, -1, 0, 1, 1023, 1024, 5000] {
            assert_eq!(power_of_two(power), 2f64.powi(power as i32), "2^{power}");
        }
    }

    // exp(rest) carries the rounding of rest (below ln 2, so half an ulp of it) and of exp itself.
    #[test]
    fn the_factor_is_right_to_two_units_in_the_last_place() {
        // ln 𝓛 and 𝓛 = factor·2^exponent from 50-digit arithmetic on the f64 given.
        for (ln, exponent, factor) in [
            (-1.0, -2, 1.4715177646857692864),
            (-100000.0, -144270, 1.4102110630722471983),
            (-230258.5092994046, -332193, 1.1411680525029271526),
            (5.0, 7, 1.1594778054888797142),
        ] {
            let frame = Frame::of(ln);
            assert_eq!(frame.exponent, exponent, "{ln}");
            assert!((frame.factor / factor - 1.0).abs() < 5e-16, "{ln}: {} against {factor}", frame.factor);
        }
    }
}
