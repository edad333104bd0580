//! Gram matrices of gradients in θ, layer by layer: the tangent kernel.
//!
//! Members a = (pass p, row i) have gradients ∂⟨c_a, f(θ; x_i)⟩/∂θ, and their inner products are sums over layers. For a dense
//! layer with inputs h and cotangents δ of its outputs the gradient in W is δhᵀ, so that
//!
//! ⟨δ_a h_iᵀ, δ_b h_jᵀ⟩ = ⟨δ_a, δ_b⟩·⟨h_i, h_j⟩,
//!
//! two small Gram matrices, entry by entry, instead of rows as long as θ. A bias has ⟨δ_a, δ_b⟩ alone.

use super::{Grads, Kept, Param, Pass, Stage};
use crate::model::calculus::Part;
use crate::numeric::{axpy, dot};
use crate::product::gram_lower;

/// Most numbers in the gradients that are held at once: a quarter of a gigabyte.
const HELD: usize = 1 << 25;

/// Adds to the lower triangle of `into` the inner products of the columns of `dy` (members × width), weighted entry by entry
/// with `weight(i, j)` of the rows i, j of the two members.
pub(super) fn add_weighted_gram(
    dy: &[f64],
    width: usize,
    n: usize,
    into: &mut [f64],
    weight: impl Fn(usize, usize) -> f64,
) {
    let members = dy.len() / width;
    let mut gram = vec![0.0; members * members];
    gram_lower(&mut gram, dy, members, width);
    for a in 0..members {
        let (to, from) = (&mut into[a * members..=a * members + a], &gram[a * members..]);
        let i = a % n;
        // Members of one pass are neighbours: j runs through the rows.
        for (b, (to, from)) in to.iter_mut().zip(from).enumerate() {
            *to += from * weight(i, b % n);
        }
    }
}

/// The lower triangle of the Gram matrix of the rows of `x`, and what is above the diagonal by symmetry.
pub(super) fn row_gram(x: &[f64], width: usize, n: usize) -> Vec<f64> {
    let mut gram = vec![0.0; n * n];
    gram_lower(&mut gram, x, n, width);
    mirror(&mut gram, n);
    gram
}

/// Copies the lower triangle over the upper one.
pub(crate) fn mirror(gram: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            gram[j * n + i] = gram[i * n + j];
        }
    }
}

/// The Gram matrix of any layer's gradients, from the gradients themselves, as many at a time as memory allows.
pub(super) fn by_gradients<S: Stage + ?Sized>(
    stage: &S,
    blocks: &[Param],
    pass: Pass<'_>,
    parts: &[Part],
    dy: &[f64],
    into: &mut [f64],
) {
    let trained: Vec<(usize, usize)> = spans(blocks.iter().map(Param::len), parts);
    let length: usize = trained.iter().map(|(from, to)| to - from).sum();
    let (width, outputs) = (pass.x.len() / pass.n, stage.outputs());
    let mut whole = vec![0.0; pass.params.len()];
    let (mut kept, mut y) = (Kept::default(), vec![0.0; outputs]);
    let mut gradient = |a: usize, to: &mut Vec<f64>| {
        let x = &pass.x[a % pass.n * width..][..width];
        stage.forward(pass.params, x, 1, &mut y, &mut kept);
        whole.fill(0.0);
        let pass = Pass { params: pass.params, x, y: &y, n: 1 };
        let grads = Grads { params: Some(&mut whole), inputs: None };
        stage.pullback(pass, &dy[a * outputs..(a + 1) * outputs], grads, &mut kept);
        trained.iter().for_each(|&(from, end)| to.extend_from_slice(&whole[from..end]));
    };
    gram_of(dy.len() / outputs, length, &mut gradient, into);
}

/// The parts of a flat vector that are trained.
pub(crate) fn spans(lengths: impl Iterator<Item = usize>, parts: &[Part]) -> Vec<(usize, usize)> {
    let mut at = 0;
    let all = lengths.zip(parts).map(|(length, part)| {
        at += length;
        (part, (at - length, at))
    });
    all.filter(|(part, _)| **part == Part::Trained).map(|(_, span)| span).collect()
}

/// Adds inner products of `members` vectors that `vector` appends to a list, a block of them at a time.
pub(crate) fn gram_of(
    members: usize,
    length: usize,
    vector: &mut dyn FnMut(usize, &mut Vec<f64>),
    into: &mut [f64],
) {
    if length == 0 {
        return;
    }
    let block = (HELD / length).clamp(1, members);
    let mut held = Vec::new();
    for from in (0..members).step_by(block) {
        let to = (from + block).min(members);
        held.clear();
        (from..to).for_each(|a| vector(a, &mut held));
        let mut gram = vec![0.0; (to - from) * (to - from)];
        gram_lower(&mut gram, &held, to - from, length);
        for a in from..to {
            let row = &gram[(a - from) * (to - from)..][..=a - from];
            into[a * members + from..].iter_mut().zip(row).for_each(|(to, g)| *to += g);
        }
        // Later vectors one by one against those that are held.
        let mut other = Vec::with_capacity(length);
        for a in to..members {
            other.clear();
            vector(a, &mut other);
            for (b, held) in held.chunks_exact(length).enumerate() {
                into[a * members + from + b] += dot(&other, held);
            }
        }
    }
}

/// The combination Σ_a λ_a c_a of cotangents, which pulls back to Σ λ_a ∂⟨c_a, f⟩/∂θ in one pass.
pub(crate) fn combined(lambda: &[f64], cotangents: &[f64], to: &mut [f64]) {
    let width = cotangents.len() / lambda.len().max(1);
    let rows = to.len() / width.max(1);
    for (a, (lambda, cot)) in lambda.iter().zip(cotangents.chunks_exact(width.max(1))).enumerate() {
        axpy(*lambda, cot, &mut to[a % rows * width..][..width]);
    }
}
