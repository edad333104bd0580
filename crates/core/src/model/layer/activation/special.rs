//! The special functions behind the smooth activations, accurate to the last digits in both tails.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// 1/(1 + e^{−z}), without overflow and with full relative accuracy as z → −∞.
pub(super) fn sigmoid(z: f64) -> f64 {
    let e = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// The upper 26 bits of a number, and the rest: products of such halves are exact.
fn halves(x: f64) -> (f64, f64) {
    let high = f64::from_bits(x.to_bits() & !((1 << 27) - 1));
    (high, x - high)
}

/// a·b as an unevaluated sum of two doubles (Dekker 1971).
fn exact_product(a: f64, b: f64) -> (f64, f64) {
    let ((ah, al), (bh, bl), product) = (halves(a), halves(b), a * b);
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}

/// e^{−z²/2}/√(2π).
pub(super) fn normal_density(z: f64) -> f64 {
    exp_minus_square(z, 0.5) / TAU.sqrt()
}

/// e^{−cz²} for c of 1/2 or 1.
///
/// z² is carried in two doubles: rounded to one, it would cost a relative z²·2⁻⁵³ of the result.
pub(super) fn exp_minus_square(z: f64, c: f64) -> f64 {
    if z.abs() > 40.0 {
        return 0.0; // below 1e-347
    }
    let (hi, lo) = exact_product(z, z);
    // e^{−c·lo} = 1 − c·lo + …, |lo| < 2e-13.
    (-c * hi).exp() * (1.0 - c * lo)
}

/// P(N(0, 1) ≤ z) = erfc(−z/√2)/2.
pub(super) fn normal_cdf(z: f64) -> f64 {
    /// 1/√2 minus the double nearest to it.
    const REST: f64 = -4.833_646_656_726_457e-17;
    if !(-40.0..-1.0).contains(&z) {
        return 0.5 * libm::erfc(-z * FRAC_1_SQRT_2);
    }
    let (hi, lo) = exact_product(z, FRAC_1_SQRT_2);
    let off = lo + z * REST;
    // erfc(t + δ) = erfc(t) − (2/√π)e^{−t²}δ + …, and (2/√π)e^{−z²/2} = 2√2 times the density.
    0.5 * libm::erfc(-hi) + std::f64::consts::SQRT_2 * normal_density(z) * off
}

/// `right` for z > 0, `left` for z < 0, and between them at 0.
#[inline(always)]
pub(super) fn side(z: f64, left: f64, right: f64, at_kink: f64) -> f64 {
    if z > 0.0 {
        right
    } else if z < 0.0 {
        left
    } else {
        left + at_kink * (right - left)
    }
}
