//! The ball of a maximum of norms of the blocks: a product of balls.

use super::Pieces;
use super::ball::{Ball, Face};

/// Balls of consecutive parts of θ.
#[derive(Debug)]
pub(super) struct Product {
    pub parts: Vec<Box<dyn Ball>>,
}

impl Product {
    /// The parts with where each begins.
    fn placed(&self) -> impl Iterator<Item = (usize, &dyn Ball)> {
        self.parts.iter().scan(0, |next, ball| {
            let from = *next;
            *next += ball.dim();
            Some((from, &**ball))
        })
    }
}

impl Ball for Product {
    fn dim(&self) -> usize {
        self.parts.iter().map(|b| b.dim()).sum()
    }

    fn size(&self) -> f64 {
        self.parts.iter().map(|b| b.size() * b.size()).sum::<f64>().sqrt()
    }

    fn dual(&self, v: &[f64]) -> f64 {
        self.placed().map(|(from, ball)| ball.dual(&v[from..from + ball.dim()])).sum()
    }

    fn respond(&self, v: &[f64], w: &[f64], tau: f64, y: &mut [f64]) -> Option<(f64, Box<dyn Face>)> {
        let (mut total, mut faces) = (0.0, Vec::new());
        for (from, ball) in self.placed() {
            let to = from + ball.dim();
            let (height, face) = ball.respond(&v[from..to], &w[from..to], tau, &mut y[from..to])?;
            total += height;
            faces.push((from, ball.dim(), face));
        }
        Some((total, Box::new(Faces { faces })))
    }
}

#[derive(Debug)]
struct Faces {
    faces: Vec<(usize, usize, Box<dyn Face>)>,
}

impl Face for Faces {
    fn curvature(&self, pieces: &dyn Pieces, to: &mut [f64]) {
        for (from, dim, face) in &self.faces {
            face.curvature(&Part { pieces, from: *from, dim: *dim }, to);
        }
    }
}

/// Pieces cut to a part of θ.
struct Part<'a> {
    pieces: &'a dyn Pieces,
    from: usize,
    dim: usize,
}

impl Pieces for Part<'_> {
    fn len(&self) -> usize {
        self.pieces.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn entry(&self, k: usize, j: usize) -> f64 {
        self.pieces.entry(k, self.from + j)
    }

    fn copy(&self, k: usize, from: usize, out: &mut [f64]) {
        self.pieces.copy(k, self.from + from, out);
    }
}
