//! Small dense matrices: singular values, polar factors, powers of symmetric matrices.
//!
//! Matrices are row-major slices, as blocks of θ are. The kernels are faer's, built without its thread pool: one thread,
//! so the bytes do not depend on the machine's number of them. What goes in is first scaled by a power of two to a largest
//! entry between 1 and 2, so that results do not depend on the size of a matrix, down to 1e-300.

use faer::{Mat, MatRef, Side};

use crate::power_of_two;

/// A = 2^exponent·U·diag(s)·Vᵀ with s falling, thin.
#[derive(Clone, Debug)]
pub struct Svd {
    /// Singular values, over 2^exponent: the largest entry of the scaled matrix is between 1 and 2.
    pub s: Vec<f64>,
    /// The power of two that was taken out.
    pub exponent: i64,
    u: Mat<f64>,
    v: Mat<f64>,
}

impl Svd {
    /// Decomposes a row-major rows × cols matrix. None where the kernel fails, or an entry is not finite.
    pub fn of(a: &[f64], rows: usize, cols: usize) -> Option<Svd> {
        assert_eq!(a.len(), rows * cols, "a matrix of another size");
        let (scaled, exponent) = levelled(a)?;
        let svd = MatRef::from_row_major_slice(&scaled, rows, cols).thin_svd().ok()?;
        let s = svd.S().column_vector().iter().copied().collect();
        Some(Svd { s, exponent, u: svd.U().to_owned(), v: svd.V().to_owned() })
    }

    /// How many singular values are above rounding: max(rows, cols)·2⁻⁵² of the largest.
    pub fn rank(&self) -> usize {
        let floor = self.u.nrows().max(self.v.nrows()) as f64 * f64::EPSILON * self.s.first().unwrap_or(&0.0);
        self.s.iter().take_while(|s| **s > floor).count()
    }

    /// Writes Σ_i values_i u_i v_iᵀ over as many values as there are.
    pub fn compose(&self, values: &[f64], out: &mut [f64]) {
        let (rows, cols) = (self.u.nrows(), self.v.nrows());
        assert_eq!(out.len(), rows * cols, "a matrix of another size");
        let k = values.len();
        let left = Mat::from_fn(rows, k, |i, j| self.u[(i, j)] * values[j]);
        let product = left * self.v.as_ref().subcols(0, k).transpose();
        write(product.as_ref(), out);
    }
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
    svd.compose(&vec![1.0; svd.rank()], out);
    let half = svd.exponent / 2;
    Some(svd.s.iter().sum::<f64>() * power_of_two(half) * power_of_two(svd.exponent - half))
}

/// Writes M^p for a symmetric n × n matrix M ⪰ 0. Eigenvalues up to n·2⁻⁵² of the largest count as 0, and 0^p as 0:
/// for p < 0 this is the power of the pseudo-inverse. None where the decomposition does not converge.
pub fn symmetric_power(m: &[f64], n: usize, p: f64) -> Option<Vec<f64>> {
    let eigen = MatRef::from_row_major_slice(m, n, n).self_adjoint_eigen(Side::Lower).ok()?;
    let (q, values) = (eigen.U(), eigen.S().column_vector());
    let floor = n as f64 * f64::EPSILON * values.iter().fold(0.0, |m: f64, x| m.max(*x));
    let powers: Vec<f64> = values.iter().map(|x| if *x > floor { x.powf(p) } else { 0.0 }).collect();
    let left = Mat::from_fn(n, n, |i, j| q[(i, j)] * powers[j]);
    let mut out = vec![0.0; n * n];
    write((left * q.transpose()).as_ref(), &mut out);
    Some(out)
}

/// a·b for row-major a (m × k) and b (k × n).
pub(crate) fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    let c = MatRef::from_row_major_slice(a, m, k) * MatRef::from_row_major_slice(b, k, n);
    write(c.as_ref(), &mut out);
    out
}

/// a·aᵀ for row-major a (m × k), symmetric to the last bit.
pub(crate) fn gram(a: &[f64], m: usize, k: usize) -> Vec<f64> {
    let a = MatRef::from_row_major_slice(a, m, k);
    let c = a * a.transpose();
    let mut out = vec![0.0; m * m];
    for i in 0..m {
        for j in 0..=i {
            (out[i * m + j], out[j * m + i]) = (c[(i, j)], c[(i, j)]);
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

fn write(m: MatRef<'_, f64>, out: &mut [f64]) {
    for (i, row) in out.chunks_exact_mut(m.ncols().max(1)).enumerate() {
        row.iter_mut().enumerate().for_each(|(j, x)| *x = m[(i, j)]);
    }
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
        // A singular matrix: the pseudo-inverse.
        let m = [1.0, 1.0, 1.0, 1.0];
        let inverse = symmetric_power(&m, 2, -1.0).unwrap();
        inverse.iter().for_each(|x| assert!((x - 0.25).abs() < 1e-15));
    }
}
