//! ℓ(q) = e^{−f(q)} of the losses with exponential tails (Lyu & Li 2020, Appendix A).

use super::Tail;

/// f(q): q, or −ln ln(1 + e^{−q}).
pub fn exponent(tail: Tail, q: f64) -> f64 {
    match tail {
        Tail::Exponential => q,
        // ln(1 + e^{−q}) = −q + ln(1 + e^{q}); for large q its logarithm is −q to rounding.
        _ if q > 40.0 => q,
        _ if q < 0.0 => -(-q + q.exp().ln_1p()).ln(),
        _ => -(-q).exp().ln_1p().ln(),
    }
}

/// f′(q): 1, or e^{−q}/((1 + e^{−q}) ln(1 + e^{−q})).
pub fn slope(tail: Tail, q: f64) -> f64 {
    match tail {
        Tail::Exponential => 1.0,
        _ if q > 40.0 => 1.0,
        _ => 1.0 / ((1.0 + q.exp()) * if q < 0.0 { -q + q.exp().ln_1p() } else { (-q).exp().ln_1p() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_the_derivative_of_the_exponent() {
        for q in [-30.0, -2.0, -0.1, 0.0, 0.3, 5.0, 30.0, 39.9] {
            let h = 1e-5;
            let central = (exponent(Tail::Logistic, q + h) - exponent(Tail::Logistic, q - h)) / (2.0 * h);
            assert!((central - slope(Tail::Logistic, q)).abs() < 1e-8, "{q}: {central}");
        }
        assert!((exponent(Tail::Logistic, 0.0) + 2f64.ln().ln()).abs() < 1e-15);
        assert!((slope(Tail::CrossEntropy, 41.0) - 1.0).abs() < 1e-15);
    }
}
