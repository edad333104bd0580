//! What a certificate of the global margin says, worked out from the data again.

use faer::MatRef;

use super::{Branch, Neuron};
use crate::Rows;
use crate::matrix::eigen;
use crate::numeric::{dot, norm};

/// min_i y_i Σ_j α_j σ(⟨β_j, x_i⟩), divided by Σ|α_j|‖β_j‖: γ_gl is at least this.
pub fn value(x: Rows<'_>, y: &[f64], neurons: &[Neuron]) -> f64 {
    let size: f64 = neurons.iter().map(|n| n.alpha.abs() * norm(&n.beta)).sum();
    let output = |i: usize| neurons.iter().map(|n| n.alpha * dot(&n.beta, x.row(i)).max(0.0)).sum::<f64>();
    let least = y.iter().enumerate().map(|(i, y)| y * output(i)).fold(f64::INFINITY, f64::min);
    if size > 0.0 { least / size } else { 0.0 }
}

/// An upper bound of max_{‖β‖≤1} Σ c_i σ(⟨β, x_i⟩): the largest over the parts of `tree` that are not split, each by its own
/// multipliers. None where the tree does not cover the sphere once, or a multiplier is outside its bounds.
///
/// In a part, an example is *chosen* where it is on the line of one whose sign is. With g the sum of c_i x_i over chosen
/// active examples and of ½c_i x_i over open ones with c_i > 0, the sum is at most
/// ‖g − Σ μ_i x_i + Σ ν_k s_k x_k‖ + ½ Σ c_i|⟨β, x_i⟩|, the last sum over open i with c_i > 0.
pub fn ceiling(x: Rows<'_>, c: &[f64], tree: &[Branch]) -> Option<f64> {
    let (mut bound, mut seen) = (0.0f64, 0);
    // A part and the chosen examples with their signs.
    let mut parts: Vec<(usize, Vec<(usize, f64)>)> = vec![(0, Vec::new())];
    while let Some((place, chosen)) = parts.pop() {
        seen += 1;
        // A tree has each part once; a list with a loop would go on for ever.
        let branch = tree.get(place).filter(|_| seen <= tree.len())?;
        match branch.split {
            Some((example, plus, minus)) if example < x.n() => {
                for (side, sign) in [(plus, 1.0), (minus, -1.0)] {
                    let mut chosen = chosen.clone();
                    chosen.push((example, sign));
                    parts.push((side, chosen));
                }
            }
            Some(_) => return None,
            None => bound = bound.max(part(x, c, branch, &chosen)?),
        }
    }
    Some(bound)
}

fn part(x: Rows<'_>, c: &[f64], branch: &Branch, chosen: &[(usize, f64)]) -> Option<f64> {
    let d = x.dim;
    let (mut r, mut second, mut total, mut reach) = (vec![0.0; d], vec![0.0; d * d], 0.0, 0.0);
    let add = |r: &mut [f64], c: f64, row: &[f64]| r.iter_mut().zip(row).for_each(|(r, x)| *r += c * x);
    let same = |a: &[f64], b: &[f64], sign: f64| a.iter().zip(b).all(|(a, b)| *a == sign * b);
    let sign_of = |i: usize| {
        chosen.iter().find_map(|&(k, s)| {
            let (a, b) = (x.row(i), x.row(k));
            if same(a, b, 1.0) { Some(s) } else { same(a, b, -1.0).then_some(-s) }
        })
    };
    for (i, &c) in c.iter().enumerate().filter(|(_, c)| **c != 0.0) {
        let row = x.row(i);
        match sign_of(i) {
            Some(s) if s > 0.0 => add(&mut r, c, row),
            Some(_) => (),
            None if c > 0.0 => {
                add(&mut r, 0.5 * c, row);
                (0..d).for_each(|a| (0..d).for_each(|b| second[a * d + b] += c * row[a] * row[b]));
                total += c;
                reach += c * norm(row);
            }
            None => (),
        }
    }
    for &(i, mu) in &branch.slopes {
        let is_open = i < x.n() && sign_of(i).is_none();
        if !(is_open && mu >= 0.0 && mu <= -c[i]) {
            return None;
        }
        add(&mut r, -mu, x.row(i));
    }
    for &(k, nu) in &branch.walls {
        let &(_, s) = chosen.iter().find(|(i, _)| *i == k)?;
        if !(nu >= 0.0) {
            return None;
        }
        add(&mut r, nu * s, x.row(k));
    }
    let largest = eigen(MatRef::from_row_major_slice(&second, d, d))?.0.last().copied()?;
    let spread = (total * largest.max(0.0) * (1.0 + 4.0 * d as f64 * f64::EPSILON)).sqrt();
    Some(norm(&r) + 0.5 * reach.min(spread))
}
