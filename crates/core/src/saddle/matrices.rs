//! Balls of one matrix, by its singular values: spectral (cut at 1) and nuclear (lowered by what makes their sum 1).

use super::Pieces;
use super::ball::{Ball, Face, height};
use crate::matrix::{Svd, gram, product, singular_values, transposed};
use crate::numeric::{axpy, compensated_sum, project_on_simplex, scale};

/// A ball of rows × cols matrices, row-major.
#[derive(Debug)]
pub(crate) struct Matrix {
    rows: usize,
    cols: usize,
    is_nuclear: bool,
}

impl Matrix {
    /// Largest singular value at most 1.
    pub fn spectral(rows: usize, cols: usize) -> Self {
        Matrix { rows, cols, is_nuclear: false }
    }

    /// Sum of singular values at most 1.
    pub fn nuclear(rows: usize, cols: usize) -> Self {
        Matrix { rows, cols, is_nuclear: true }
    }

    fn shape(&self) -> Shape {
        let is_turned = self.rows > self.cols;
        let (rows, cols) = if is_turned { (self.cols, self.rows) } else { (self.rows, self.cols) };
        Shape { rows, cols, is_turned }
    }
}

/// No more rows than columns, after a transposition where that is needed.
#[derive(Clone, Copy, Debug)]
struct Shape {
    rows: usize,
    cols: usize,
    is_turned: bool,
}

impl Shape {
    fn turned(&self, a: Vec<f64>) -> Vec<f64> {
        if self.is_turned { transposed(&a, self.cols, self.rows) } else { a }
    }

    fn back(&self, a: Vec<f64>) -> Vec<f64> {
        if self.is_turned { transposed(&a, self.rows, self.cols) } else { a }
    }
}

impl Ball for Matrix {
    fn dim(&self) -> usize {
        self.rows * self.cols
    }

    fn size(&self) -> f64 {
        if self.is_nuclear { 1.0 } else { (self.rows.min(self.cols) as f64).sqrt() }
    }

    fn dual(&self, v: &[f64]) -> f64 {
        match singular_values(v, self.rows, self.cols) {
            None => f64::NAN,
            Some(sigma) if self.is_nuclear => sigma.first().copied().unwrap_or(0.0),
            Some(sigma) => compensated_sum(sigma),
        }
    }

    fn respond(&self, v: &[f64], w: &[f64], tau: f64, y: &mut [f64]) -> Option<(f64, Box<dyn Face>)> {
        let shape = self.shape();
        let mut z = w.to_vec();
        axpy(tau, v, &mut z);
        let (u, before, vt) = Svd::of(&shape.turned(z), shape.rows, shape.cols)?.parts();
        let after = match self.is_nuclear {
            true => lowered(&before),
            false => before.iter().map(|s| s.min(1.0)).collect(),
        };
        let left: Vec<f64> = u.iter().enumerate().map(|(k, u)| u * after[k % shape.rows]).collect();
        y.copy_from_slice(&shape.back(product(&left, &vt, shape.rows, shape.rows, shape.cols)));
        let face = Bent { shape, u, vt, before, after, is_nuclear: self.is_nuclear, tau };
        Some((height(v, w, tau, y), Box::new(face)))
    }
}

/// The projection of Z = U·before·Vᵀ to U·after·Vᵀ, U rows × rows and Vᵀ rows × cols.
///
/// With E = Uᵀ A V and its symmetric and skew parts, P' multiplies sym_ij by (p_i − p_j)/(z_i − z_j), skew_ij by
/// (p_i + p_j)/(z_i + z_j), what is orthogonal to V in row i by p_i/z_i, and the diagonal by the derivative of the
/// projection of singular values.
#[derive(Debug)]
struct Bent {
    shape: Shape,
    u: Vec<f64>,
    vt: Vec<f64>,
    before: Vec<f64>,
    after: Vec<f64>,
    is_nuclear: bool,
    tau: f64,
}

impl Face for Bent {
    fn curvature(&self, pieces: &dyn Pieces, to: &mut [f64]) {
        let (n, m, cols) = (pieces.len(), self.shape.rows, self.shape.cols);
        let (z, p) = (&self.before, &self.after);
        let inside = self.is_nuclear && z.iter().sum::<f64>() <= 1.0;
        let open = |i: usize| if self.is_nuclear { inside || p[i] > 0.0 } else { z[i] < 1.0 };
        let between = |i: usize, j: usize| match (open(i), open(j)) {
            (true, true) => 1.0,
            (false, false) => 0.0,
            _ => ((p[i] - p[j]) / (z[i] - z[j])).clamp(0.0, 1.0),
        };
        let ratio = |p: f64, z: f64| {
            if z > 0.0 { (p / z).clamp(0.0, 1.0) } else { f64::from(!self.is_nuclear || inside) }
        };
        let count = (0..m).filter(|i| open(*i)).count() as f64;
        let width = 2 * m * m + m * cols;
        let mut coordinates = vec![0.0; n * width];
        let ut = transposed(&self.u, m, m);
        let v = transposed(&self.vt, m, cols);
        for (k, out) in coordinates.chunks_exact_mut(width).enumerate() {
            let mut a = vec![0.0; m * cols];
            pieces.copy(k, 0, &mut a);
            let b = product(&ut, &self.shape.turned(a), m, m, cols);
            let e = product(&b, &v, m, cols, m);
            let along = product(&e, &self.vt, m, m, cols);
            let (pairs, rest) = out.split_at_mut(2 * m * m);
            let mean = (0..m).filter(|i| open(*i)).map(|i| e[i * m + i]).sum::<f64>() / count.max(1.0);
            for i in 0..m {
                for j in 0..m {
                    let (one, other) = (e[i * m + j], e[j * m + i]);
                    pairs[i * m + j] = if i != j {
                        between(i, j).sqrt() * 0.5 * (one + other)
                    } else if !open(i) {
                        0.0
                    } else if self.is_nuclear && !inside {
                        one - mean
                    } else {
                        one
                    };
                    pairs[m * m + i * m + j] = ratio(p[i] + p[j], z[i] + z[j]).sqrt() * 0.5 * (one - other);
                }
                let root = ratio(p[i], z[i]).sqrt();
                for j in 0..cols {
                    rest[i * cols + j] = root * (b[i * cols + j] - along[i * cols + j]);
                }
            }
        }
        scale(self.tau.sqrt(), &mut coordinates);
        axpy(1.0, &gram(&coordinates, n, width), to);
    }
}

/// The nearest numbers of sum at most 1 to numbers that are not negative: all lowered by the same, none below 0.
fn lowered(sizes: &[f64]) -> Vec<f64> {
    let mut out = sizes.to_vec();
    if sizes.iter().sum::<f64>() > 1.0 {
        project_on_simplex(&mut out);
    }
    out
}
