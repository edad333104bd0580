//! The ball of ℓp, 1 < p < ∞: smooth, so y is the steepest direction of v and needs no proximal term.
//!
//! With 1/p + 1/q = 1 and v̂ = v/‖v‖_q: y = sign(v̂)|v̂|^{q−1}, y' = (q − 1)/‖v‖_q·(diag |v̂|^{q−2} − y yᵀ).
//!
//! # Accuracy
//! The gap closes to 2^{−53(q−1)} or so: for p > 2 that is what a rounding of v makes of y where v is near 0.

use super::Pieces;
use super::ball::{Ball, Face};
use crate::Layout;
use crate::matrix::gram;
use crate::norm::{Lp, Norm};
use crate::numeric::dot;

/// Below this part of ‖v‖_q an entry counts as this large where its power would be infinite (q < 2).
const FLOOR: f64 = 1e-14;

#[derive(Debug)]
pub(super) struct Power {
    pub p: f64,
    pub layout: Layout,
}

impl Power {
    fn norm(&self) -> Lp {
        Lp { p: self.p }
    }
}

impl Ball for Power {
    fn dim(&self) -> usize {
        self.layout.dim()
    }

    fn size(&self) -> f64 {
        // ‖y‖₂ where all entries are of one size: dim^{1/2 − 1/p}; a sharp peak for p < 2.
        (self.dim() as f64).powf((0.5 - 1.0 / self.p).max(0.0))
    }

    fn dual(&self, v: &[f64]) -> f64 {
        self.norm().dual(v, &self.layout)
    }

    fn respond(&self, v: &[f64], _: &[f64], _: f64, y: &mut [f64]) -> Option<(f64, Box<dyn Face>)> {
        let dual = self.norm().steepest(v, &self.layout, y);
        let q = self.p / (self.p - 1.0);
        // |v̂|^{(q−2)/2}; at p near 1 what is small vanishes.
        let root = |v: &f64| ((q - 1.0) / dual).sqrt() * (v.abs() / dual).max(FLOOR).powf(0.5 * (q - 2.0));
        let roots = v.iter().map(root).collect();
        Some((dual, Box::new(Bent { roots, y: y.to_vec(), last: (q - 1.0) / dual })))
    }
}

#[derive(Debug)]
struct Bent {
    roots: Vec<f64>,
    y: Vec<f64>,
    last: f64,
}

impl Face for Bent {
    fn curvature(&self, pieces: &dyn Pieces, to: &mut [f64]) {
        let (n, dim) = (pieces.len(), pieces.dim());
        let mut rows = vec![0.0; n * dim];
        let mut along = Vec::with_capacity(n);
        for (k, row) in rows.chunks_exact_mut(dim).enumerate() {
            pieces.copy(k, 0, row);
            along.push(dot(row, &self.y));
            row.iter_mut().zip(&self.roots).for_each(|(x, r)| *x *= r);
        }
        let products = gram(&rows, n, dim);
        for (i, row) in to.chunks_exact_mut(n).enumerate() {
            for (j, to) in row.iter_mut().enumerate() {
                *to += products[i * n + j] - self.last * along[i] * along[j];
            }
        }
    }
}
