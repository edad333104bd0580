//! Small dense matrices: singular values, polar factors, powers of symmetric matrices.
//!
//! Matrices are row-major slices, as blocks of θ are. The kernels are faer's on one thread, large products in blocks that the
//! shapes alone cut, so the bytes do not depend on the number of threads. What is decomposed is first scaled by ±2^k to a largest entry between 1 and 2, so that
//! results do not depend on the size of a matrix, down to 1e-300, and what is computed for −A is minus what is computed for
//! A, bit by bit. A matrix of one row or one column needs no decomposition.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::numeric::norm;
use crate::power_of_two;
use crate::product as blocks;

/// A = sign·2^exponent·U diag(sigma) Vᵀ, thin: min(rows, cols) columns in U and V, sigma falling.
#[derive(Clone, Debug)]
pub struct Svd {
    /// Singular values over 2^exponent: the largest entry of the scaled matrix is between 1 and 2.
    pub sigma: Vec<f64>,
    /// The power of two that was taken out.
    pub exponent: i64,
    /// The sign of the first of the largest entries.
    sign: f64,
    u: Mat<f64>,
    v: Mat<f64>,
}

impl Svd {
    /// Decomposes a rows × cols matrix. None where the kernel fails, or an entry is not finite.
    pub fn of(a: &[f64], rows: usize, cols: usize) -> Option<Svd> {
        assert_eq!(a.len(), rows * cols, "a matrix of another size");
        let (a, exponent, sign) = upright(a)?;
        let r = rows.min(cols);
        let mut found =
            Svd { sigma: vec![0.0; r], exponent, sign, u: Mat::zeros(rows, r), v: Mat::zeros(cols, r) };
        if r == 0 || a.iter().all(|x| *x == 0.0) {
            return Some(found);
        }
        if r == 1 {
            let size = norm(&a);
            found.sigma[0] = size;
            let (one, other) =
                if rows == 1 { (&mut found.u, &mut found.v) } else { (&mut found.v, &mut found.u) };
            one[(0, 0)] = 1.0;
            a.iter().enumerate().for_each(|(i, x)| other[(i, 0)] = x / size);
            return Some(found);
        }
        let (mut s, thin) = (Diag::zeros(r), ComputeSvdVectors::Thin);
        let mut memory =
            MemBuffer::new(svd_scratch::<f64>(rows, cols, thin, thin, Par::Seq, Default::default()));
        let a = MatRef::from_row_major_slice(&a, rows, cols);
        let (u, v) = (Some(found.u.as_mut()), Some(found.v.as_mut()));
        svd(a, s.as_mut(), u, v, Par::Seq, MemStack::new(&mut memory), Default::default()).ok()?;
        found.sigma.iter_mut().zip(s.column_vector().iter()).for_each(|(to, s)| *to = *s);
        Some(found)
    }

    /// How many singular values are above rounding: max(rows, cols)·2⁻⁵² of the largest.
    pub fn rank(&self) -> usize {
        let floor = rounding(self.u.nrows(), self.v.nrows()) * self.sigma.first().unwrap_or(&0.0);
        self.sigma.iter().take_while(|s| **s > floor).count()
    }

    /// The singular values of A itself.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.sigma.iter().map(|s| unscaled(*s, self.exponent))
    }

    /// The first left and right singular vectors, each up to its sign; none of a matrix without entries.
    pub fn leading(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let column = |m: &Mat<f64>| (0..m.nrows()).map(|i| m[(i, 0)]).collect();
        (!self.sigma.is_empty()).then(|| (column(&self.u), column(&self.v)))
    }

    /// U with the sign (rows × r), the singular values of A, Vᵀ (r × cols), row by row.
    pub(crate) fn parts(&self) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let (rows, cols, r) = (self.u.nrows(), self.v.nrows(), self.sigma.len());
        let u = (0..rows * r).map(|k| self.sign * self.u[(k / r, k % r)]).collect();
        let vt = (0..r * cols).map(|k| self.v[(k % cols, k / cols)]).collect();
        (u, self.values().collect(), vt)
    }

    /// Adds Σ_i weights_i u_i v_iᵀ·sign over as many pairs as there are weights.
    pub fn add(&self, weights: &[f64], block: &mut [f64]) {
        let count = weights.len();
        let left = Mat::from_fn(self.u.nrows(), count, |i, k| self.u[(i, k)] * weights[k] * self.sign);
        self.add_product(left.as_ref(), count, block);
    }

    /// Adds c·sign·U S Vᵀ over the leading pairs, S of their number.
    pub(crate) fn add_congruence(&self, s: &Mat<f64>, c: f64, block: &mut [f64]) {
        let count = s.nrows();
        let mut left = Mat::zeros(self.u.nrows(), count);
        let u = self.u.as_ref().subcols(0, count);
        matmul(left.as_mut(), Accum::Replace, u, s.as_ref(), c * self.sign, Par::Seq);
        self.add_product(left.as_ref(), count, block);
    }

    fn add_product(&self, left: MatRef<'_, f64>, count: usize, block: &mut [f64]) {
        let out = MatMut::from_row_major_slice_mut(block, self.u.nrows(), self.v.nrows());
        let right = self.v.as_ref().subcols(0, count).transpose();
        matmul(out, Accum::Add, left, right, 1.0, Par::Seq);
    }

    /// sign·Uᵀ T V over the first `count` pairs: T in the basis of the leading singular pairs of A.
    pub(crate) fn project(&self, count: usize, target: &[f64]) -> Mat<f64> {
        let t = MatRef::from_row_major_slice(target, self.u.nrows(), self.v.nrows());
        let mut tv = Mat::zeros(t.nrows(), count);
        matmul(tv.as_mut(), Accum::Replace, t, self.v.as_ref().subcols(0, count), 1.0, Par::Seq);
        let mut out = Mat::zeros(count, count);
        let u = self.u.as_ref().subcols(0, count).transpose();
        matmul(out.as_mut(), Accum::Replace, u, tv.as_ref(), self.sign, Par::Seq);
        out
    }

    /// Takes from a block what lies in the leading `count` left or right singular directions: (I − UUᵀ) T (I − VVᵀ).
    pub(crate) fn remove_leading(&self, count: usize, block: &mut [f64]) {
        let (rows, cols) = (self.u.nrows(), self.v.nrows());
        for k in 0..count {
            for j in 0..cols {
                let along: f64 = (0..rows).map(|i| self.u[(i, k)] * block[i * cols + j]).sum();
                (0..rows).for_each(|i| block[i * cols + j] -= along * self.u[(i, k)]);
            }
            for row in block.chunks_exact_mut(cols) {
                let along: f64 = row.iter().enumerate().map(|(j, x)| x * self.v[(j, k)]).sum();
                row.iter_mut().enumerate().for_each(|(j, x)| *x -= along * self.v[(j, k)]);
            }
        }
    }
}

/// The singular values of a rows × cols matrix, falling, without vectors; None where the kernel fails.
pub fn singular_values(a: &[f64], rows: usize, cols: usize) -> Option<Vec<f64>> {
    assert_eq!(a.len(), rows * cols, "a matrix of another size");
    let (a, exponent, _) = upright(a)?;
    let r = rows.min(cols);
    if r <= 1 || a.iter().all(|x| *x == 0.0) {
        return Some(vec![unscaled(norm(&a), exponent); r]);
    }
    let (mut s, none) = (Diag::zeros(r), ComputeSvdVectors::No);
    let mut memory = MemBuffer::new(svd_scratch::<f64>(rows, cols, none, none, Par::Seq, Default::default()));
    let a = MatRef::from_row_major_slice(&a, rows, cols);
    svd(a, s.as_mut(), None, None, Par::Seq, MemStack::new(&mut memory), Default::default()).ok()?;
    Some(s.column_vector().iter().map(|s| unscaled(*s, exponent)).collect())
}

/// σ_1 of a rows × cols matrix, 0 for one without entries; None where the kernel fails.
pub fn spectral_norm(a: &[f64], rows: usize, cols: usize) -> Option<f64> {
    Some(singular_values(a, rows, cols)?.first().copied().unwrap_or(0.0))
}

/// max(rows, cols)·2⁻⁵²: the relative rounding of a decomposition.
pub(crate) fn rounding(rows: usize, cols: usize) -> f64 {
    rows.max(cols) as f64 * f64::EPSILON
}

/// Eigenvalues, rising, and eigenvectors of a symmetric matrix; None where the kernel fails.
pub(crate) fn eigen(a: MatRef<'_, f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    let n = a.nrows();
    if n == 0 {
        return Some((Vec::new(), Mat::new()));
    }
    let (mut s, mut u) = (Diag::zeros(n), Mat::zeros(n, n));
    let yes = ComputeEigenvectors::Yes;
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(n, yes, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    self_adjoint_evd(a, s.as_mut(), Some(u.as_mut()), Par::Seq, stack, Default::default()).ok()?;
    Some((s.column_vector().iter().copied().collect(), u))
}

/// s·2^exponent, rounded once: two factors, because 2^{1074} is beyond f64.
fn unscaled(s: f64, exponent: i64) -> f64 {
    let half = exponent / 2;
    s * power_of_two(half) * power_of_two(exponent - half)
}

/// A copy over ±2^exponent whose first largest entry is between 1 and 2, the exponent and the sign.
fn upright(a: &[f64]) -> Option<(Vec<f64>, i64, f64)> {
    let (mut scaled, exponent) = levelled(a)?;
    let largest = scaled.iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
    let sign = if largest < 0.0 { -1.0 } else { 1.0 };
    crate::numeric::scale(sign, &mut scaled);
    Some((scaled, exponent, sign))
}

/// Writes the polar factor UVᵀ of A = UΣVᵀ and returns the nuclear norm Σ_i σ_i.
///
/// For a matrix without full rank it is the partial isometry: singular values up to max(rows, cols)·2⁻⁵² of the largest
/// count as 0, and so they are in the result. A = 0 gives 0.
///
/// # Accuracy
/// Singular values of the result are 1 to about 1e-15·√(rows·cols), at every size of A that f64 can hold.
///
/// # Errors
/// None where the decomposition does not converge, or an entry is not finite.
///
/// # Examples
/// A rank-one matrix gives a rank-one isometry, at any size:
/// ```
/// use latephase_core::matrix::polar;
/// let mut d = [0.0; 4];
/// let norm = polar(&[3e-300, 0.0, 4e-300, 0.0], 2, 2, &mut d).unwrap();
/// assert!((norm / 5e-300 - 1.0).abs() < 1e-14);
/// [0.6, 0.0, 0.8, 0.0].iter().zip(d).for_each(|(a, b)| assert!((a - b).abs() < 1e-15));
/// ```
pub fn polar(a: &[f64], rows: usize, cols: usize, out: &mut [f64]) -> Option<f64> {
    let svd = Svd::of(a, rows, cols)?;
    out.fill(0.0);
    svd.add(&vec![1.0; svd.rank()], out);
    Some(unscaled(svd.sigma.iter().sum(), svd.exponent))
}

/// M^p for a symmetric n × n matrix M ⪰ 0. Eigenvalues up to n·2⁻⁵² of the largest count as 0, and 0^p as 0: for p < 0
/// this is the power of the pseudo-inverse. None where the decomposition does not converge.
///
/// Rows without an entry off the diagonal (inputs that are never lit) are eigenvectors and need no decomposition: the cost is
/// cubic in the number of the others.
pub fn symmetric_power(m: &[f64], n: usize, p: f64) -> Option<Vec<f64>> {
    let coupled = |i: &usize| (0..n).any(|j| j != *i && m[i * n + j] != 0.0);
    let inner: Vec<usize> = (0..n).filter(coupled).collect();
    let (values, q) =
        eigen(Mat::from_fn(inner.len(), inner.len(), |a, b| m[inner[a] * n + inner[b]]).as_ref())?;
    let largest = (0..n).map(|i| m[i * n + i]).chain(values.iter().copied()).fold(0.0, f64::max);
    let floor = n as f64 * f64::EPSILON * largest;
    let power = |x: f64| if x > floor { x.powf(p) } else { 0.0 };
    let powers: Vec<f64> = values.iter().map(|x| power(*x)).collect();
    let left = Mat::from_fn(inner.len(), inner.len(), |i, j| q[(i, j)] * powers[j]);
    let mut whole = Mat::zeros(inner.len(), inner.len());
    matmul(whole.as_mut(), Accum::Replace, left.as_ref(), q.transpose(), 1.0, Par::Seq);
    let mut out = vec![0.0; n * n];
    (0..n).for_each(|i| out[i * n + i] = power(m[i * n + i]));
    for (a, i) in inner.iter().enumerate() {
        inner.iter().enumerate().for_each(|(b, j)| out[i * n + j] = whole[(a, b)]);
    }
    Some(out)
}

/// a·b for row-major a (m × k) and b (k × n).
pub(crate) fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    if k * n > 0 {
        blocks::product(&mut out, n, m, Accum::Replace, (a, k, false), (b, n, false));
    }
    out
}

/// a·aᵀ for row-major a (m × k), symmetric to the last bit.
pub(crate) fn gram(a: &[f64], m: usize, k: usize) -> Vec<f64> {
    let mut out = vec![0.0; m * m];
    blocks::gram_lower(&mut out, a, m, k);
    for i in 0..m {
        for j in 0..i {
            out[j * m + i] = out[i * m + j];
        }
    }
    out
}

/// The row-major transpose of a row-major rows × cols matrix.
pub(crate) fn transposed(a: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.len()];
    for (i, row) in a.chunks_exact(cols.max(1)).enumerate() {
        row.iter().enumerate().for_each(|(j, x)| out[j * rows + i] = *x);
    }
    out
}

/// A copy with the largest entry between 1 and 2, and the power of two taken out. None where an entry is not finite.
pub(crate) fn levelled(a: &[f64]) -> Option<(Vec<f64>, i64)> {
    if !crate::numeric::all_finite(a) {
        return None;
    }
    let largest = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 {
        return Some((a.to_vec(), 0));
    }
    let exponent = crate::Frame::number(largest).exponent;
    // 2^{1074} is beyond f64, two factors are not.
    let half = -exponent / 2;
    let (first, second) = (power_of_two(half), power_of_two(-exponent - half));
    Some((a.iter().map(|x| x * first * second).collect(), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G = [[1, −2, 2], [3, 0, −1]]: nuclear norm √(19 + 2√89) and polar factor from 80-digit arithmetic.
    const G: [f64; 6] = [1.0, -2.0, 2.0, 3.0, 0.0, -1.0];
    const POLAR: [f64; 6] = [
        0.283081711630056,
        -0.669515755000789,
        0.686741143624235,
        0.935372078007398,
        0.0344507772468922,
        -0.35198326612384,
    ];

    #[test]
    fn the_polar_factor_is_the_known_one_at_every_size() {
        for c in [1.0, 1e-100, 1e-300, 3e-320, 1e300] {
            for (a, expected, rows, cols) in
                [(G.to_vec(), POLAR.to_vec(), 2, 3), (transposed(&G, 2, 3), transposed(&POLAR, 2, 3), 3, 2)]
            {
                let a: Vec<f64> = a.iter().map(|x| c * x).collect();
                let mut d = vec![f64::NAN; 6];
                let norm = polar(&a, rows, cols, &mut d).unwrap();
                // A subnormal number of 3e-320 has 13 bits, so entries of G are 1/6000 off there.
                let allowed = if c < 1e-310 { 1e-3 } else { 1e-14 };
                assert!((norm / (c * 6.15369500902614) - 1.0).abs() < allowed, "{c:e}: {norm:e}");
                d.iter().zip(&expected).for_each(|(a, b)| assert!((a - b).abs() < allowed, "{c:e}: {a} {b}"));
            }
        }
    }

    #[test]
    fn without_full_rank_it_is_the_partial_isometry() {
        let mut d = [f64::NAN; 6];
        assert_eq!(polar(&[0.0; 6], 2, 3, &mut d), Some(0.0));
        assert_eq!(d, [0.0; 6]);
        polar(&[1.0, 2.0, 2.0, 2.0, 4.0, 4.0], 2, 3, &mut d).unwrap();
        let scale = 45f64.sqrt();
        [1.0, 2.0, 2.0, 2.0, 4.0, 4.0]
            .iter()
            .zip(d)
            .for_each(|(a, b)| assert!((a / scale - b).abs() < 1e-15));
        assert_eq!(polar(&[f64::NAN; 6], 2, 3, &mut d), None);
    }

    #[test]
    fn powers_of_a_symmetric_matrix_invert_each_other() {
        let m = gram(&G, 2, 3);
        let root = symmetric_power(&m, 2, -0.25).unwrap();
        let four = product(&product(&root, &root, 2, 2, 2), &product(&root, &root, 2, 2, 2), 2, 2, 2);
        let identity = product(&four, &m, 2, 2, 2);
        [1.0, 0.0, 0.0, 1.0].iter().zip(identity).for_each(|(a, b)| assert!((a - b).abs() < 1e-14));
        // Rows of their own beside a coupled pair, one of them 0.
        let m = [4.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0];
        let inverse = symmetric_power(&m, 4, -1.0).unwrap();
        let third = 1.0 / 3.0;
        let expected = [
            0.25,
            0.0,
            0.0,
            0.0,
            0.0,
            2.0 * third,
            0.0,
            -third,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            -third,
            0.0,
            2.0 * third,
        ];
        expected.iter().zip(inverse).for_each(|(a, b)| assert!((a - b).abs() < 1e-15, "{a} {b}"));
        // A singular matrix: the pseudo-inverse.
        let m = [1.0, 1.0, 1.0, 1.0];
        let inverse = symmetric_power(&m, 2, -1.0).unwrap();
        inverse.iter().for_each(|x| assert!((x - 0.25).abs() < 1e-15));
    }
}
