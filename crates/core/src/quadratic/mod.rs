//! The small quadratic programmes of the end of training, from Gram matrices alone.
//!
//! | programme | what it is for | here |
//! |---|---|---|
//! | min ½λᵀGλ + cᵀλ over the simplex | the velocity of the flow where gradients of several pieces meet (c = 0); the step of a cutting-plane model | [`MinNorm`] |
//! | min ½λᵀGλ − bᵀλ over λ ≥ 0 | the multipliers that explain θ best by the gradients of the margins | [`Nnls`] |
//! | min ½‖g − Aμ‖² over 0 ≤ μ ≤ u, few dimensions | the longest step along a piecewise linear function in a cone | [`Bounded`] |
//!
//! All are active-set methods. The first two keep the members that carry weight (the *support*) and a Cholesky factor of
//! the support's Gram matrix, which gains or loses one row at a time in O(m²) operations; a warm start from the
//! last weights costs a few such changes. Nearly equal members are the normal case, not an accident: a member
//! that depends on the support up to rounding is exchanged for one of its number and never joins it.
//!
//! Every answer carries a certificate computed from G itself, so an answer that rounding spoilt says so.

mod bounded;
pub(crate) mod entropic;
pub(crate) mod factor;
mod min_norm;
mod nnls;
pub(crate) mod shares;
mod support;

pub use bounded::Bounded;
pub use min_norm::{MinNorm, Solution};
pub use nnls::{Fit, Nnls};

/// A symmetric positive semidefinite matrix of inner products, borrowed row by row.
#[derive(Clone, Copy, Debug)]
pub struct Gram<'a> {
    data: &'a [f64],
    k: usize,
    stride: usize,
}

impl<'a> Gram<'a> {
    /// The leading `k` × `k` block of a row-major matrix whose rows start `stride` apart. Both triangles are read.
    ///
    /// # Panics
    /// When `stride < k`, or `data` ends before the last row does.
    pub fn new(data: &'a [f64], k: usize, stride: usize) -> Self {
        let needed = if k == 0 { 0 } else { (k - 1) * stride + k };
        assert!(stride >= k && data.len() >= needed, "{k} rows at stride {stride} in {} numbers", data.len());
        Gram { data, k, stride }
    }

    /// Number of members.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The inner products of member `i` with all.
    pub fn row(&self, i: usize) -> &'a [f64] {
        &self.data[i * self.stride..i * self.stride + self.k]
    }

    /// The squared norm of member `i`.
    pub fn diagonal(&self, i: usize) -> f64 {
        self.data[i * self.stride + i]
    }

    /// The largest squared norm, rounded down to a power of two: dividing by it is exact.
    fn unit(&self) -> f64 {
        let largest = (0..self.k).fold(0.0, |m, i| f64::max(m, self.diagonal(i)));
        f64::from_bits(largest.to_bits() & 0x7ff0_0000_0000_0000).clamp(f64::MIN_POSITIVE, f64::MAX)
    }
}

/// Inner product in eight interleaved partial sums: a fixed order that the compiler can vectorise.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + tail
}

/// y ← y + c·x.
#[inline(always)]
fn add_scaled(y: &mut [f64], c: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += c * x;
    }
}
