//! The largest value of the correlation F(w) = ‖Σ_i m_i σ(⟨w, x_i⟩)‖ over unit w, m_i = λ_i ∂q_i/∂out.
//!
//! At a KKT point every neuron that is not 0 has F = 1. Since Σ_i λ_i q_i(θ′) = Σ_r ⟨a_r, Σ_i m_i σ(⟨v_r, x_i⟩)⟩ ≤ ½‖θ′‖² max F
//! for every θ′ of any width, and Σ λ_i = ½‖θ‖², max F ≤ 1 proves that no network of any width has a larger margin; and a
//! silent neuron grows towards a w with F(w) > 1 at second order. This is the dual gap of Ji & Telgarsky for ReLU.

use crate::Rows;
use crate::exact::two_layer::price;
use crate::numeric::{axpy, dot, norm, scale};

/// Most sign choices of the search for the dearest neuron.
const NODES: usize = 20_000;

/// What is known of max F.
#[derive(Clone, Debug)]
pub(super) struct Peak {
    /// The best unit w found.
    pub at: Vec<f64>,
    /// Σ m_i σ(⟨w, x_i⟩) there.
    pub pull: Vec<f64>,
    /// F(w), at most max F.
    pub value: f64,
    /// At least max F; ∞ where nothing is known.
    pub bound: f64,
}

/// Inputs with their weights m_i, under σ with these slopes. None without inputs.
pub(super) fn peak(inputs: &[Vec<f64>], weights: &[Vec<f64>], slopes: [f64; 2]) -> Option<Peak> {
    let outputs = weights.first()?.len();
    let sigma = |z: f64| if z > 0.0 { slopes[1] * z } else { slopes[0] * z };
    let pull = |w: &[f64]| {
        let mut sum = vec![0.0; outputs];
        inputs.iter().zip(weights).for_each(|(x, m)| axpy(sigma(dot(w, x)), m, &mut sum));
        sum
    };
    let basis = span(inputs);
    // Components across the span of the inputs are of no use: the search is within it.
    let mut tries: Vec<Vec<f64>> = Vec::new();
    let is_exact = outputs == 1 && basis.len() <= 2;
    let mut above = f64::INFINITY;
    match (is_exact, &basis[..]) {
        (_, []) => tries.push(unit(&vec![1.0; inputs[0].len()])?),
        (true, [e]) => tries.extend([e.clone(), e.iter().map(|x| -x).collect()]),
        (true, [e, f]) => tries.extend(in_plane(inputs, weights, slopes, e, f)),
        _ => tries.extend(climb(inputs, weights, slopes, &pull)),
    }
    // ReLU with one output, in any dimension: by the exact search over signs, as far as it has to go for a proof.
    if outputs == 1 && !is_exact && slopes == [0.0, 1.0] {
        let x = inputs.concat();
        above = 0.0;
        for sign in [1.0, -1.0] {
            let c: Vec<f64> = weights.iter().map(|m| sign * m[0]).collect();
            let priced = price(Rows::new(&x, inputs[0].len()), &c, 1.0 + 1e-9, NODES);
            above = above.max(priced.bound);
            tries.extend(unit(&priced.beta));
        }
    }
    let best = tries.into_iter().max_by(|a, b| norm(&pull(a)).total_cmp(&norm(&pull(b))))?;
    let (force, value) = (pull(&best), norm(&pull(&best)));
    Some(Peak { at: best, pull: force, value, bound: if is_exact { value } else { above } })
}

fn unit(v: &[f64]) -> Option<Vec<f64>> {
    let size = norm(v);
    (size > 0.0).then(|| v.iter().map(|x| x / size).collect())
}

/// An orthonormal basis of the span.
fn span(vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for v in vectors {
        let mut rest = v.clone();
        for _ in 0..2 {
            basis.iter().for_each(|e| axpy(-dot(e, &rest), e, &mut rest));
        }
        let size = norm(&rest);
        if size > 1e-10 * norm(v) {
            scale(1.0 / size, &mut rest);
            basis.push(rest);
        }
    }
    basis
}

/// In a plane F is a sinusoid between neighbouring directions across an input: its maximum is at one of them, or at the top of
/// an arc.
fn in_plane(
    inputs: &[Vec<f64>],
    weights: &[Vec<f64>],
    slopes: [f64; 2],
    e: &[f64],
    f: &[f64],
) -> Vec<Vec<f64>> {
    let flat: Vec<(f64, f64, f64)> =
        inputs.iter().zip(weights).map(|(x, m)| (dot(x, e), dot(x, f), m[0])).collect();
    let turn = std::f64::consts::TAU;
    let across = |(x, y, _): &(f64, f64, f64)| {
        let angle = y.atan2(*x);
        [(angle + 0.25 * turn).rem_euclid(turn), (angle - 0.25 * turn).rem_euclid(turn)]
    };
    let mut breaks: Vec<f64> = flat.iter().flat_map(across).collect();
    breaks.sort_by(f64::total_cmp);
    let mut angles = breaks.clone();
    for (k, from) in breaks.iter().enumerate() {
        let to = breaks.get(k + 1).copied().unwrap_or(breaks[0] + turn);
        let middle = 0.5 * (from + to);
        let (mut zx, mut zy) = (0.0, 0.0);
        for (x, y, m) in &flat {
            let s = if x * middle.cos() + y * middle.sin() > 0.0 { slopes[1] } else { slopes[0] };
            zx += s * m * x;
            zy += s * m * y;
        }
        angles.extend([zy.atan2(zx), (-zy).atan2(-zx)]);
    }
    let point = |a: &f64| e.iter().zip(f).map(|(e, f)| a.cos() * e + a.sin() * f).collect();
    angles.iter().map(point).collect()
}

/// Local searches from the inputs: w ← the gradient of F at w, as long as F rises.
fn climb(
    inputs: &[Vec<f64>],
    weights: &[Vec<f64>],
    slopes: [f64; 2],
    pull: &dyn Fn(&[f64]) -> Vec<f64>,
) -> Vec<Vec<f64>> {
    let mut tops = Vec::new();
    for start in inputs.iter().flat_map(|x| [x.clone(), x.iter().map(|x| -x).collect::<Vec<f64>>()]) {
        let Some(mut w) = unit(&start) else { continue };
        let mut height = norm(&pull(&w));
        for _ in 0..100 {
            let force = pull(&w);
            let mut gradient = vec![0.0; w.len()];
            for (x, m) in inputs.iter().zip(weights) {
                let s = if dot(&w, x) > 0.0 { slopes[1] } else { slopes[0] };
                axpy(s * dot(m, &force), x, &mut gradient);
            }
            let Some(next) = unit(&gradient) else { break };
            let reached = norm(&pull(&next));
            if !(reached > height * (1.0 + 1e-14)) {
                break;
            }
            (w, height) = (next, reached);
        }
        tops.push(w);
    }
    tops
}
