//! Logarithms of sums, and flat-vector kernels with a fixed order of summation.
//!
//! A loss is a number [`Scaled`]: e^{shift}·sum. Nothing here ever forms the number itself, so 1e-100000 is met
//! with the same relative accuracy as 1.

use rayon::prelude::*;

/// A positive number e^{shift}·sum, with `sum` of moderate size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled {
    /// Natural logarithm of the scale.
    pub shift: f64,
    /// The number in that scale.
    pub sum: f64,
}

impl Scaled {
    /// Zero, in the smallest scale: the neutral element of [`Scaled::raise`].
    pub const ZERO: Scaled = Scaled { shift: f64::NEG_INFINITY, sum: 0.0 };

    /// Moves to the scale `shift` if that is larger and returns the factor, at most 1, by which everything
    /// kept in the former scale has to be multiplied.
    pub fn raise(&mut self, shift: f64) -> f64 {
        if shift <= self.shift {
            return 1.0;
        }
        let factor = if self.shift == f64::NEG_INFINITY { 0.0 } else { (self.shift - shift).exp() };
        self.shift = shift;
        self.sum *= factor;
        factor
    }

    /// Natural logarithm of the number.
    pub fn ln(&self) -> f64 {
        self.shift + self.sum.ln()
    }
}

/// ln(e^a + e^b).
///
/// # Examples
/// Clocks far beyond f64 add like any others:
/// ```
/// use latephase_core::numeric::ln_add_exp;
/// assert_eq!(ln_add_exp(1e5, f64::NEG_INFINITY), 1e5);
/// assert!((ln_add_exp(1e5, 1e5) - 1e5 - 2f64.ln()).abs() < 1e-10);
/// ```
pub fn ln_add_exp(a: f64, b: f64) -> f64 {
    let (hi, lo) = if a >= b { (a, b) } else { (b, a) };
    if lo == f64::NEG_INFINITY {
        return hi;
    }
    hi + (lo - hi).exp().ln_1p()
}

/// ln of the mean of e^x for x between `a` and `b`: a quantity whose logarithm changes linearly over a step.
///
/// # Examples
/// The mean lies between the ends, and near the larger one when they are far apart:
/// ```
/// use latephase_core::numeric::ln_mean_exp;
/// assert_eq!(ln_mean_exp(3.0, 3.0), 3.0);
/// assert!((ln_mean_exp(0.0, 1.0) - (1f64.exp() - 1.0).ln()).abs() < 1e-15);
/// assert_eq!(ln_mean_exp(1e5, 0.0), 1e5 - 1e5f64.ln());
/// ```
pub fn ln_mean_exp(a: f64, b: f64) -> f64 {
    let width = (a - b).abs();
    // (1 − e^{−w})/w = 1 − w/2 + …
    if width < 1e-8 { 0.5 * (a + b) } else { a.max(b) + (-(-width).exp_m1() / width).ln() }
}

/// ln(1 + e^x), to rounding for every x.
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// −ln(expm1(e^{−u})): the margin at which one example's logistic loss is e^{−u}.
///
/// Equal to u − e^{−u}/2 + …, hence to u in f64 once u > 37.
pub fn logistic_inverse(u: f64) -> f64 {
    if u > 37.0 { u } else { -(-u).exp().exp_m1().ln() }
}

/// The difference a − b as an unevaluated sum (hi, lo), exact unless it overflows (Knuth's two-sum).
pub fn exact_difference(a: f64, b: f64) -> (f64, f64) {
    let hi = a - b;
    let back = hi - a;
    (hi, (a - (hi - back)) + (-b - back))
}

/// ⟨a, b⟩, summed in eight interleaved lanes, long vectors in parts: a fixed order that vectorises.
///
/// # Panics
/// When the lengths differ.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "dot of vectors of different lengths");
    let part = |(a, b): (&[f64], &[f64])| wide(|| dot_lanes(a, b));
    if a.len() <= PART {
        return part((a, b));
    }
    let sums: Vec<f64> = if rayon::current_num_threads() > 1 {
        a.par_chunks(PART).zip(b.par_chunks(PART)).map(part).collect()
    } else {
        a.chunks(PART).zip(b.chunks(PART)).map(part).collect()
    };
    sums.iter().sum()
}

/// Numbers in a part of a long vector: half a megabyte, some ten microseconds of a thread.
const PART: usize = 65_536;

/// Writes `to` entry by entry from other vectors, part by part where that is worth several threads. `each` sees the same
/// part of every vector.
pub(crate) fn in_parts<const N: usize>(
    to: &mut [f64],
    from: [&[f64]; N],
    each: impl Fn(&mut [f64], [&[f64]; N]) + Sync,
) {
    if to.len() <= PART || rayon::current_num_threads() == 1 {
        return each(to, from);
    }
    to.par_chunks_mut(PART).enumerate().for_each(|(k, to)| {
        let from = from.map(|x| &x[k * PART..][..to.len()]);
        each(to, from);
    });
}

/// Runs element-wise `work` compiled for the widest vectors of the machine at hand. The order of its sums stays the
/// one that is written, so machines differ only where their compilers contract.
#[inline(always)]
pub(crate) fn wide<T>(work: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(work)
}

/// The largest number, −∞ where there is none; a NaN is passed over.
#[inline(always)]
pub(crate) fn largest(x: &[f64]) -> f64 {
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let (chunks, rest) = x.as_chunks::<8>();
    let mut lanes = [f64::NEG_INFINITY; 8];
    for x in chunks {
        for k in 0..8 {
            lanes[k] = larger(lanes[k], x[k]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f64::NEG_INFINITY, larger)
}

/// e^x for x ≤ 709: within one unit in the last place, 0 below −746, NaN for NaN.
///
/// x = k ln 2 + r with |r| ≤ ½ ln 2 (ln 2 in two parts, Cody and Waite), and e^r by its Taylor polynomial of degree 13, whose
/// remainder is below 5e-18. 2^k is multiplied in as two factors, so that subnormal results are rounded once. No branch and no
/// call, so that it vectorises within [`wide`]; [`f64::exp`] takes a slow path wherever the result underflows.
#[inline(always)]
pub(crate) fn exp_of(x: f64) -> f64 {
    // The sum with 1.5·2^52 has no room for a fraction, and its last bits are the integer.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HI: f64 = 6.931_471_803_691_238_164_9e-1;
    const LN2_LO: f64 = 1.908_214_929_270_587_700_02e-10;
    let x = if x < -746.0 { -746.0 } else { x };
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let k = rounded - ROUND;
    let r = (x - k * LN2_HI) - k * LN2_LO;
    let s = r * r;
    // Σ r^j/j! from j = 2 on over r², by pairs.
    let a = (1.0 / 2.0 + r * (1.0 / 6.0)) + s * (1.0 / 24.0 + r * (1.0 / 120.0));
    let b = (1.0 / 720.0 + r * (1.0 / 5_040.0)) + s * (1.0 / 40_320.0 + r * (1.0 / 362_880.0));
    let c = (1.0 / 3_628_800.0 + r * (1.0 / 39_916_800.0))
        + s * (1.0 / 479_001_600.0 + r * (1.0 / 6_227_020_800.0));
    let e = 1.0 + (r + s * (a + (s * s) * (b + (s * s) * c)));
    // k + 2048 is positive, and its half minus 1024 is half of k.
    let shifted = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(2048);
    let half = shifted >> 1;
    let power = |k: u64| f64::from_bits(k.wrapping_sub(1) << 52);
    e * power(half) * power(shifted - half)
}

/// Whether every entry is finite.
pub fn all_finite(v: &[f64]) -> bool {
    // 0·x is 0 for a finite x and NaN otherwise: a sum without branches.
    let is_finite = |v: &[f64]| {
        wide(|| {
            let mut lanes = [0.0; 8];
            let chunks = v.chunks_exact(8);
            let rest: f64 = chunks.remainder().iter().map(|x| x * 0.0).sum();
            for x in chunks {
                for k in 0..8 {
                    lanes[k] += x[k] * 0.0;
                }
            }
            lanes.iter().sum::<f64>() + rest == 0.0
        })
    };
    if v.len() <= PART || rayon::current_num_threads() == 1 {
        return is_finite(v);
    }
    v.par_chunks(PART).all(is_finite)
}

#[inline(always)]
fn dot_lanes(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for k in 0..8 {
            lanes[k] += x[k] * y[k];
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + rest
}

/// ‖a‖₂, immune to overflow and underflow of the squares.
pub fn norm(a: &[f64]) -> f64 {
    let plain = dot(a, a);
    if plain.is_finite() && plain > 1e-280 {
        return plain.sqrt();
    }
    let largest = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * a.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
}

/// y += c·x.
pub fn axpy(c: f64, x: &[f64], y: &mut [f64]) {
    assert_eq!(x.len(), y.len(), "axpy of vectors of different lengths");
    in_parts(y, [x], |y, [x]| wide(|| y.iter_mut().zip(x).for_each(|(y, x)| *y += c * x)));
}

/// to = x + c·d.
pub fn shifted(x: &[f64], c: f64, d: &[f64], to: &mut [f64]) {
    assert!(x.len() == d.len() && x.len() == to.len(), "a shift of vectors of different lengths");
    in_parts(to, [x, d], |to, [x, d]| {
        wide(|| to.iter_mut().zip(x).zip(d).for_each(|((to, x), d)| *to = x + c * d));
    });
}

/// x += c·(f·d), each product rounded: what [`shifted`] makes of f·d, in place. Returns whether any number has changed.
pub fn shift(x: &mut [f64], c: f64, d: &[f64], f: f64) -> bool {
    assert_eq!(x.len(), d.len(), "a shift of vectors of different lengths");
    let part = |(x, d): (&mut [f64], &[f64])| {
        wide(|| {
            let mut changed = false;
            for (x, d) in x.iter_mut().zip(d) {
                let next = *x + c * (f * d);
                changed |= next != *x;
                *x = next;
            }
            changed
        })
    };
    if x.len() <= PART || rayon::current_num_threads() == 1 {
        return part((x, d));
    }
    // Every part has to be moved, whatever the others say.
    let parts = x.par_chunks_mut(PART).zip(d.par_chunks(PART));
    parts.map(part).reduce(|| false, |a, b| a | b)
}

/// y *= c.
pub fn scale(c: f64, y: &mut [f64]) {
    if c != 1.0 {
        in_parts(y, [], |y, []| wide(|| y.iter_mut().for_each(|y| *y *= c)));
    }
}

/// ‖a − b‖₂.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    scaled_distance(1.0, a, 1.0, b)
}

/// ‖s·a − t·b‖₂: the distance of directions without forming them.
pub fn scaled_distance(s: f64, a: &[f64], t: f64, b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "distance of vectors of different lengths");
    let squared = wide(|| {
        let mut lanes = [0.0; 8];
        let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
        let rest = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| s * x - t * y);
        let rest: f64 = rest.map(|d| d * d).sum();
        for (x, y) in a8.zip(b8) {
            for k in 0..8 {
                let d = s * x[k] - t * y[k];
                lanes[k] += d * d;
            }
        }
        lanes.iter().sum::<f64>() + rest
    });
    squared.sqrt()
}

/// The angle between two vectors in radians, exact near 0 and π: 2 atan2(‖â − b̂‖, ‖â + b̂‖). NaN where one of them is 0.
///
/// ```
/// use latephase_core::numeric::angle;
/// assert!((angle(&[1.0, 0.0], &[1.0, 1e-9]) - 1e-9).abs() < 1e-24);
/// assert!(angle(&[1.0, 0.0], &[0.0, 0.0]).is_nan());
/// ```
pub fn angle(a: &[f64], b: &[f64]) -> f64 {
    let (one, other) = (1.0 / norm(a), 1.0 / norm(b));
    if !(one.is_finite() && other.is_finite()) {
        return f64::NAN;
    }
    2.0 * scaled_distance(one, a, other, b).atan2(scaled_distance(one, a, -other, b))
}

/// The nearest point of the simplex {t ≥ 0, Σ t = 1} in ℓ2: (t_i − τ)₊ for the one τ that sums to 1.
///
/// # Examples
/// ```
/// let mut t = [0.75, 0.5, -3.0];
/// latephase_core::numeric::project_on_simplex(&mut t);
/// assert_eq!(t, [0.625, 0.375, 0.0]);
/// ```
pub fn project_on_simplex(t: &mut [f64]) {
    let mut sorted = t.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (k, x) in sorted.iter().enumerate() {
        sum += x;
        let candidate = (sum - 1.0) / (k + 1) as f64;
        if *x <= candidate {
            break;
        }
        shift = candidate;
    }
    t.iter_mut().for_each(|x| *x = (*x - shift).max(0.0));
}

/// Compensated (Neumaier) sum, for certificates whose terms cancel.
pub fn compensated_sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for term in terms {
        let total = sum + term;
        lost += if sum.abs() >= term.abs() { (sum - total) + term } else { (term - total) + sum };
        sum = total;
    }
    sum + lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_difference_keeps_what_rounding_drops() {
        let (hi, lo) = exact_difference(1e6, 1.0 / 3.0);
        assert_eq!(hi, 1e6 - 1.0 / 3.0);
        assert_ne!(lo, 0.0);
        assert_eq!(1e6 - hi, 1.0 / 3.0 + lo);
    }

    #[test]
    fn the_exponential_is_within_an_ulp_of_the_extended_one() {
        use dashu_float::FBig;
        use dashu_float::round::mode::HalfEven;
        let mut x: Vec<f64> =
            (0..4000).map(|k| -0.19 * f64::from(k) + 1e-7 * f64::from(k * k % 977)).collect();
        x.extend([0.0, -0.0, -5e-324, 1.0, 300.0, 708.9, -745.2, -708.5, -1e-17, 0.346_573_5, -0.346_573_6]);
        let exponentials = |x: &[f64]| wide(|| x.iter().map(|x| exp_of(*x)).collect::<Vec<_>>());
        let ours = exponentials(&x);
        for (x, e) in x.iter().zip(&ours) {
            let exact = FBig::<HalfEven>::try_from(*x).unwrap().with_precision(120).value();
            let exact = exact.exp().to_f64().value();
            // A unit in the last place, which is 2^-1074 for subnormal results.
            let unit = exact.next_up() - exact;
            assert!((e - exact).abs() <= unit, "exp({x:e}) = {e:e}, not {exact:e}");
        }
        let ends = exponentials(&[f64::NEG_INFINITY, -1e5, -746.5, f64::NAN]);
        assert_eq!(ends[..3], [0.0; 3]);
        assert!(ends[3].is_nan());
    }

    #[test]
    fn the_largest_number_is_found_wherever_it_stands() {
        for n in [1, 7, 8, 9, 40] {
            for at in 0..n {
                let mut x: Vec<f64> = (0..n).map(|k| -1e3 - k as f64).collect();
                x[at] = -2.5;
                assert_eq!(largest(&x), -2.5);
                x[(at + 1) % n] = f64::NAN;
                assert_eq!(largest(&x), if n == 1 { f64::NEG_INFINITY } else { -2.5 });
            }
        }
    }

    #[test]
    fn a_shift_in_place_is_the_shift_to_another_place() {
        // Short, and in parts that threads share.
        for n in [1, 7, 300, 200_001] {
            let x: Vec<f64> = (0..n).map(|k| f64::from(k % 977) / 7.0 - 50.0).collect();
            let g: Vec<f64> = (0..n).map(|k| f64::from(k % 613) / 3.0 - 99.0).collect();
            let (c, f) = (-0.37, 1.0 / 3.0);
            let d: Vec<f64> = g.iter().map(|g| f * g).collect();
            let mut there = vec![0.0; x.len()];
            shifted(&x, c, &d, &mut there);
            let mut here = x.clone();
            assert!(shift(&mut here, c, &g, f));
            assert_eq!(here, there);
            // Only the last number is moved, then none is.
            let mut last = vec![0.0; x.len()];
            *last.last_mut().unwrap() = 1.0;
            assert!(shift(&mut here, 0.5, &last, 1.0));
            assert_eq!(here[..x.len() - 1], there[..x.len() - 1]);
            assert!(!shift(&mut here, 1e-30, &last, 1.0));
        }
    }

    #[test]
    fn norms_survive_squares_that_do_not() {
        assert!((norm(&[3e-200, 4e-200]) / 5e-200 - 1.0).abs() < 1e-15);
        assert!((norm(&[3e200, 4e200]) / 5e200 - 1.0).abs() < 1e-15);
        assert_eq!(norm(&[0.0, 0.0]), 0.0);
    }

    #[test]
    fn the_logistic_inverse_undoes_the_logistic_loss() {
        // theory: u = -1, 0.1, 1, 5 from 80-digit arithmetic
        for (u, q) in [
            (-1.0, -2.6500157972111685),
            (0.1, -0.38630271945708442),
            (1.0, 0.81042765524927552),
            (5.0, 4.9966291348374328),
            (36.0, 36.0),
            (100.0, 100.0),
            (100000.0, 100000.0),
        ] {
            let ours = logistic_inverse(u);
            assert!((ours - q).abs() <= 4e-16 * q.abs().max(1.0), "{u}: {ours} against {q}");
        }
    }

    #[test]
    fn raising_a_scale_keeps_the_number() {
        let mut s = Scaled { shift: -1000.0, sum: 2.0 };
        let before = s.ln();
        let factor = s.raise(-999.0);
        assert!((factor - (-1.0f64).exp()).abs() < 1e-16);
        assert!((s.ln() - before).abs() < 1e-12);
        assert_eq!(s.raise(-2000.0), 1.0);
        let mut zero = Scaled::ZERO;
        assert_eq!(zero.raise(-1e5), 0.0);
    }
}
