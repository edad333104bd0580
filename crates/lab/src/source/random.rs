//! Seeded randomness of the sources: named streams and the few laws they draw from.
//!
//! A stream is ChaCha8 keyed by SHA-256("latephase/source" ‖ seed as 8 little-endian bytes ‖ name). Streams of
//! different names are independent, so that a larger training set leaves the test set as it is.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};

/// The generator for one purpose under one seed.
pub(super) fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(b"latephase/source");
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// One draw from N(0, 1).
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// A draw from N(0, I).
pub(super) fn normals(rng: &mut ChaCha8Rng, dim: usize) -> Vec<f64> {
    (0..dim).map(|_| normal(rng)).collect()
}

/// A uniform draw from the unit sphere.
pub(super) fn unit_vector(rng: &mut ChaCha8Rng, dim: usize) -> Vec<f64> {
    loop {
        let mut v = normals(rng, dim);
        let length = norm(&v);
        if length > 0.0 {
            v.iter_mut().for_each(|x| *x /= length);
            return v;
        }
    }
}

/// `n ≤ dim` orthonormal vectors, uniform over such frames. Costs n²·dim.
pub(super) fn frame(rng: &mut ChaCha8Rng, n: usize, dim: usize) -> Vec<Vec<f64>> {
    let mut frame: Vec<Vec<f64>> = Vec::with_capacity(n);
    while frame.len() < n {
        let mut v = unit_vector(rng, dim);
        // Twice is enough: the second pass removes what rounding left of the first.
        for _ in 0..2 {
            for e in &frame {
                remove(&mut v, e);
            }
        }
        let length = norm(&v);
        // A remainder this short is mostly rounding.
        if length > 1e-8 {
            v.iter_mut().for_each(|x| *x /= length);
            frame.iter().for_each(|e| remove(&mut v, e));
            frame.push(v);
        }
    }
    frame
}

/// A uniformly random order (Fisher–Yates).
pub(super) fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, rng.random_range(0..=i));
    }
}

/// Takes the component along the unit vector `e` out of `v`.
pub(super) fn remove(v: &mut [f64], e: &[f64]) {
    let along = dot(v, e);
    v.iter_mut().zip(e).for_each(|(v, e)| *v -= along * e);
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// ‖v‖₂, without overflow or underflow on the way.
pub(super) fn norm(v: &[f64]) -> f64 {
    let largest = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * v.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_and_by_name_and_repeat_exactly() {
        let first = |seed, name| normals(&mut stream(seed, name), 4);
        assert_eq!(first(1, "train"), first(1, "train"));
        assert_ne!(first(1, "train"), first(2, "train"));
        assert_ne!(first(1, "train"), first(1, "test"));
    }

    #[test]
    fn a_full_frame_is_orthonormal_to_rounding() {
        let frame = frame(&mut stream(3, "frame"), 30, 30);
        for i in 0..30 {
            for j in 0..=i {
                let want = if i == j { 1.0 } else { 0.0 };
                // 30 products of entries below 1, each with error 2⁻⁵³.
                assert!((dot(&frame[i], &frame[j]) - want).abs() < 1e-14, "{i}, {j}");
            }
        }
    }

    #[test]
    fn the_norm_survives_huge_and_tiny_entries() {
        assert_eq!(norm(&[3e300, 4e300]), 5e300);
        assert_eq!(norm(&[3e-300, 4e-300]), 5e-300);
        assert_eq!(norm(&[0.0, 0.0]), 0.0);
    }
}
