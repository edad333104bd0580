//! The exponent of a tail, with an interval that says how far it can be trusted.
//!
//! For y ≈ c·x^b: the last [`DECADES`] of x, or what there is of them, are cut into [`BINS`] equal parts of ln x; every part is
//! the mean of its points, so that looks which lie dense count no more than others. The exponent is the slope of the
//! least-squares line through the parts. The interval contains
//!
//! - the slopes of the moving windows of half the parts: where the exponent still drifts, the interval is as wide as the drift;
//! - the limit of those slopes on a straight line in 1/ln x, to which the slope of x^b (ln x)^c, b + c/ln x, belongs;
//! - two standard errors of the line;
//!
//! and is never narrower than [`RESOLUTION`] on either side.

use crate::line::Line;
use serde::Serialize;

/// Most decades of x that a tail has.
pub const DECADES: f64 = 2.0;
/// Parts of a tail.
pub const BINS: usize = 16;
/// Parts with points that a fit needs.
pub const LEAST: usize = 8;
/// Half the width of the narrowest interval.
pub const RESOLUTION: f64 = 0.01;

/// A fitted exponent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The exponent; NaN where there are too few points.
    pub slope: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Decades of x that it is from.
    pub decades: f64,
    /// Points that it is from.
    pub points: usize,
}

impl Fit {
    /// Whether it is from at least one decade and enough points.
    pub fn is_long(&self) -> bool {
        self.decades >= 1.0 - 1e-9 && !self.slope.is_nan()
    }
}

/// The exponent b of y ≈ c·x^b at the end of a series; points where x or y is not a positive number are left out.
///
/// # Examples
/// A logarithm beside a power is told from another power:
/// ```
/// use latephase_lab::rates::tail_exponent;
/// let x: Vec<f64> = (0..200).map(|k| 10f64.powf(k as f64 / 40.0)).collect();
/// let y: Vec<f64> = x.iter().map(|x| x.ln().powi(2) / x).collect();
/// let fit = tail_exponent(&x, &y);
/// assert!(fit.slope > -0.85 && fit.low < -0.99 && fit.high < -0.5);
/// assert!((fit.decades - 2.0).abs() < 0.05);
/// ```
pub fn tail_exponent(x: &[f64], y: &[f64]) -> Fit {
    let ln = |v: &[f64]| v.iter().map(|v| if *v > 0.0 { v.ln() } else { f64::NAN }).collect::<Vec<f64>>();
    tail_slope(&ln(x), &ln(y))
}

/// [`tail_exponent`] of series that are known by their logarithms: the slope of `ln_y` against `ln_x`.
pub fn tail_slope(ln_x: &[f64], ln_y: &[f64]) -> Fit {
    let known = ln_x.iter().zip(ln_y).filter(|(x, y)| x.is_finite() && y.is_finite());
    let all: Vec<(f64, f64)> = known.map(|(x, y)| (*x, *y)).collect();
    let last = all.iter().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let from = last - DECADES * std::f64::consts::LN_10;
    let tail: Vec<(f64, f64)> = all.into_iter().filter(|p| p.0 >= from).collect();
    let first = tail.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let decades = if tail.is_empty() { 0.0 } else { (last - first) / std::f64::consts::LN_10 };
    let parts = parts(&tail, first, last);
    if parts.len() < LEAST {
        return Fit { slope: f64::NAN, low: f64::NAN, high: f64::NAN, decades, points: tail.len() };
    }
    let line = Line::of(&parts);
    let windows: Vec<(f64, f64)> = parts
        .windows(parts.len() / 2)
        .map(|window| {
            let line = Line::of(window);
            (1.0 / line.middle, line.slope)
        })
        .collect();
    let mut ends = vec![line.slope - 2.0 * line.error, line.slope + 2.0 * line.error];
    ends.extend(windows.iter().map(|w| w.1));
    // A logarithm that changes sign within the tail has no limit to speak of.
    if parts.iter().all(|p| p.0 > 1.0) {
        let drift = Line::of(&windows);
        ends.push(drift.height - drift.slope * drift.middle);
    }
    let low = ends.iter().copied().fold(line.slope - RESOLUTION, f64::min);
    let high = ends.iter().copied().fold(line.slope + RESOLUTION, f64::max);
    Fit { slope: line.slope, low, high, decades, points: tail.len() }
}

/// The mean of the points in each of [`BINS`] equal parts, where there are any.
fn parts(tail: &[(f64, f64)], first: f64, last: f64) -> Vec<(f64, f64)> {
    let mut sums = [(0.0, 0.0, 0usize); BINS];
    for (x, y) in tail {
        let part = (x - first) / (last - first) * BINS as f64;
        // All points at one abscissa: NaN, which is part 0.
        let sum = &mut sums[(part as usize).min(BINS - 1)];
        *sum = (sum.0 + x, sum.1 + y, sum.2 + 1);
    }
    let known = sums.iter().filter(|s| s.2 > 0);
    known.map(|(x, y, n)| (x / *n as f64, y / *n as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 points a decade of x between 10^from and 10^to.
    fn grid(from: f64, to: f64) -> Vec<f64> {
        let n = ((to - from) * 40.0) as usize;
        (0..=n).map(|k| 10f64.powf(from + k as f64 / 40.0)).collect()
    }

    fn of(x: &[f64], f: impl Fn(f64) -> f64) -> Fit {
        tail_exponent(x, &x.iter().map(|x| f(*x)).collect::<Vec<f64>>())
    }

    #[test]
    fn powers_have_their_exponents_and_the_narrowest_interval() {
        for exponent in [-2.0, -0.5, 0.0, 1.0 / 3.0, 4.0] {
            let fit = of(&grid(0.0, 5.0), |x| 7.0 * x.powf(exponent));
            assert!((fit.slope - exponent).abs() < 1e-9, "{fit:?}");
            assert!((fit.high - fit.low - 2.0 * RESOLUTION).abs() < 1e-6, "{fit:?}");
            assert!(fit.is_long() && (fit.decades - 2.0).abs() < 1e-9 && fit.points == 81);
        }
    }

    #[test]
    fn a_logarithm_beside_the_power_stays_within_the_interval() {
        for (power, log) in [(-1.0, -1.0), (-1.0, 2.0), (0.5, 1.0), (0.0, -4.0 / 3.0)] {
            let fit = of(&grid(0.0, 5.0), |x| x.powf(power) * x.ln().max(1e-9).powf(log));
            assert!(fit.low <= power && power <= fit.high, "{power} {log}: {fit:?}");
            // The interval is one of a drift of about |c|/ln x, not of everything.
            assert!(fit.high - fit.low < 0.4 * log.abs(), "{power} {log}: {fit:?}");
        }
    }

    #[test]
    fn noise_widens_the_interval_and_dense_points_do_not_move_the_fit() {
        let noise = |x: f64| (0.3 * (137.0 * x.ln()).sin()).exp();
        let fit = of(&grid(0.0, 4.0), |x| noise(x) * x.powi(-1));
        assert!(fit.low < -1.0 && -1.0 < fit.high && fit.high - fit.low < 1.0, "{fit:?}");
        let mut x = grid(0.0, 4.0);
        x.extend((0..5000).map(|k| 1e3 + f64::from(k) * 0.01));
        let crowded = of(&x, |x| noise(x) * x.powi(-1));
        assert!((crowded.slope - fit.slope).abs() < 0.1, "{crowded:?}");
    }

    #[test]
    fn a_short_series_says_so() {
        assert!(!of(&grid(0.0, 0.9), |x| 1.0 / x).is_long());
        assert!(of(&grid(0.0, 1.0), |x| 1.0 / x).is_long());
        let few: Vec<f64> = grid(0.0, 5.0).into_iter().step_by(20).collect();
        assert!(!of(&few, |x| 1.0 / x).is_long(), "five points");
        for fit in [tail_exponent(&[], &[]), of(&[3.0; 50], |x| x), of(&grid(0.0, 5.0), |_| f64::NAN)] {
            assert!(fit.slope.is_nan() && !fit.is_long(), "{fit:?}");
        }
    }
}
