//! Balls entry by entry: the cube (ℓ∞), the cross-polytope (ℓ1), the sphere (ℓ2).

use super::Pieces;
use super::ball::{Ball, Face, height};
use crate::matrix::gram;
use crate::numeric::{axpy, dot, norm, project_on_simplex, scale};

/// ‖y‖_∞ ≤ 1: P cuts entries at ±1.
#[derive(Debug)]
pub(super) struct Cube {
    pub dim: usize,
}

impl Ball for Cube {
    fn dim(&self) -> usize {
        self.dim
    }

    fn size(&self) -> f64 {
        (self.dim as f64).sqrt()
    }

    fn dual(&self, v: &[f64]) -> f64 {
        v.iter().map(|v| v.abs()).sum()
    }

    fn respond(&self, v: &[f64], w: &[f64], tau: f64, y: &mut [f64]) -> Option<(f64, Box<dyn Face>)> {
        let mut open = Vec::new();
        for (j, y) in y.iter_mut().enumerate() {
            let z = w[j] + tau * v[j];
            *y = z.clamp(-1.0, 1.0);
            // An entry that no piece has stays where it is.
            if z.abs() < 1.0 && v[j] != 0.0 {
                open.push(j);
            }
        }
        Some((height(v, w, tau, y), Box::new(Open { ids: open, signs: None, tau })))
    }
}

/// ‖y‖₁ ≤ 1: P lowers sizes by what makes their sum 1.
#[derive(Debug)]
pub(super) struct Cross {
    pub dim: usize,
}

impl Ball for Cross {
    fn dim(&self) -> usize {
        self.dim
    }

    fn size(&self) -> f64 {
        1.0
    }

    fn dual(&self, v: &[f64]) -> f64 {
        v.iter().fold(0.0, |m, v| if v.abs() > m || v.is_nan() { v.abs() } else { m })
    }

    fn respond(&self, v: &[f64], w: &[f64], tau: f64, y: &mut [f64]) -> Option<(f64, Box<dyn Face>)> {
        y.copy_from_slice(w);
        axpy(tau, v, y);
        let total: f64 = y.iter().map(|z| z.abs()).sum();
        let inside = total <= 1.0;
        let mut ids: Vec<usize> = Vec::new();
        if inside {
            ids.extend((0..y.len()).filter(|j| v[*j] != 0.0));
        } else {
            // What is more than 1 below the largest is lowered to 0.
            let least = self.dual(y) - 1.0;
            ids.extend((0..y.len()).filter(|j| y[*j].abs() > least));
            let mut sizes: Vec<f64> = ids.iter().map(|j| y[*j].abs()).collect();
            project_on_simplex(&mut sizes);
            // For a large τ the difference from the shift has the rounding of z.
            scale(1.0 / sizes.iter().sum::<f64>(), &mut sizes);
            let after: Vec<f64> = ids.iter().zip(&sizes).map(|(j, s)| s.copysign(y[*j])).collect();
            y.fill(0.0);
            ids.iter().zip(after).for_each(|(j, x)| y[*j] = x);
            ids.retain(|j| y[*j] != 0.0);
        }
        let signs = (!inside).then(|| ids.iter().map(|j| y[*j].signum()).collect());
        Some((height(v, w, tau, y), Box::new(Open { ids, signs, tau })))
    }
}

/// P' keeps these entries and drops the others; with signs it also drops the change of Σ sign·entry.
#[derive(Debug)]
struct Open {
    ids: Vec<usize>,
    signs: Option<Vec<f64>>,
    tau: f64,
}

impl Face for Open {
    fn curvature(&self, pieces: &dyn Pieces, to: &mut [f64]) {
        let (n, width) = (pieces.len(), self.ids.len());
        if width == 0 {
            return;
        }
        let mut coordinates = vec![0.0; n * width];
        for (k, row) in coordinates.chunks_exact_mut(width).enumerate() {
            row.iter_mut().zip(&self.ids).for_each(|(to, j)| *to = pieces.entry(k, *j));
            if let Some(signs) = &self.signs {
                let mean = dot(signs, row) / width as f64;
                axpy(-mean, signs, row);
            }
        }
        axpy(self.tau, &gram(&coordinates, n, width), to);
    }
}

/// ‖y‖₂ ≤ 1: P brings what is longer to length 1.
#[derive(Debug)]
pub(super) struct Sphere {
    pub dim: usize,
}

impl Ball for Sphere {
    fn dim(&self) -> usize {
        self.dim
    }

    fn size(&self) -> f64 {
        1.0
    }

    fn dual(&self, v: &[f64]) -> f64 {
        norm(v)
    }

    fn respond(&self, v: &[f64], w: &[f64], tau: f64, y: &mut [f64]) -> Option<(f64, Box<dyn Face>)> {
        y.copy_from_slice(w);
        axpy(tau, v, y);
        let length = norm(y);
        let outside = length > 1.0;
        if outside {
            scale(1.0 / length, y);
        }
        let face = Round { tau, normal: outside.then(|| y.to_vec()), length: length.max(1.0) };
        Some((height(v, w, tau, y), Box::new(face)))
    }
}

/// P' drops what is along the normal and shrinks the rest.
#[derive(Debug)]
struct Round {
    tau: f64,
    normal: Option<Vec<f64>>,
    length: f64,
}

impl Face for Round {
    fn curvature(&self, pieces: &dyn Pieces, to: &mut [f64]) {
        let (n, dim) = (pieces.len(), pieces.dim());
        let mut rows = vec![0.0; n * dim];
        for (k, row) in rows.chunks_exact_mut(dim).enumerate() {
            pieces.copy(k, 0, row);
            if let Some(normal) = &self.normal {
                let along = dot(row, normal);
                axpy(-along, normal, row);
            }
        }
        axpy(self.tau / self.length, &gram(&rows, n, dim), to);
    }
}
