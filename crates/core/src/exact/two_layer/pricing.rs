//! The dearest neuron: max_{‖β‖≤1} Σ c_i σ(⟨β, x_i⟩), from below and from above.
//!
//! *From below*: the positive terms are convex, so at their activations in β they are at least linear, and what is left,
//! max ⟨g, β⟩ − Σ_{c_i<0} |c_i|σ(⟨β, x_i⟩) over the ball, is a small quadratic programme ([`Bounded`]). Its answer raises the sum
//! until no activation changes.
//!
//! *From above*: signs of ⟨β, x_i⟩ are chosen one example after the other, only for c_i > 0. On a part of the sphere where some
//! are chosen, the chosen terms are linear, the negative ones concave, and an open positive one is
//! c_iσ(z) = c_i(z + |z|)/2, where Σ c_i|z_i| is at most Σ c_i‖x_i‖ and at most √(Σ c_i)·√(λ_max(Σ c_i x_i x_iᵀ)). So each part
//! has the bound ‖r‖ + ½·(the lesser of the two), r a residual of [`Bounded`]; with no open term left it is attained. Parts are
//! split best first. Since every μ gives a bound, the tree of parts with their multipliers is a certificate.

use std::collections::BinaryHeap;

use faer::MatRef;

use super::normalise;
use crate::Rows;
use crate::matrix::eigen;
use crate::numeric::{axpy, dot, norm};
use crate::quadratic::Bounded;

/// A part of the sphere in the tree of a certificate; the first one is all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Branch {
    /// The example whose sign is chosen, and the parts where ⟨β, x⟩ ≥ 0 and ≤ 0; none for a part that is bounded as it is.
    pub split: Option<(usize, usize, usize)>,
    /// Multipliers 0 ≤ μ_i ≤ |c_i| of open examples with c_i < 0.
    pub slopes: Vec<(usize, f64)>,
    /// Multipliers ν_i ≥ 0 of the examples whose sign is chosen.
    pub walls: Vec<(usize, f64)>,
}

/// When a pricing may stop.
pub(super) struct Limits {
    /// Parts that are bounded by this are not looked into, and a neuron above it ends the search where columns are wanted.
    pub above: f64,
    /// Whether a neuron above that is what is wanted.
    pub column: bool,
    /// Most parts.
    pub nodes: usize,
}

/// What a pricing found.
pub(super) struct Priced {
    /// No unit β is dearer.
    pub bound: f64,
    /// The dearest one met.
    pub best: (f64, Vec<f64>),
    pub tree: Vec<Branch>,
    pub nodes: usize,
}

/// Inputs, with those that lie on one line through 0 together: a sign for one is a sign for all.
pub(super) struct Pricing<'a> {
    x: Rows<'a>,
    /// For each line: the examples with +1 or −1 as they point like the first or against it.
    lines: Vec<Vec<(usize, f64)>>,
    sizes: Vec<f64>,
}

/// A part that waits to be split.
struct Open {
    bound: f64,
    place: usize,
    /// For each line the sign of ⟨β, first⟩, 0 where open.
    signs: Vec<i8>,
    split: usize,
}

impl PartialEq for Open {
    fn eq(&self, other: &Open) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Open) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Open) -> std::cmp::Ordering {
        self.bound.total_cmp(&other.bound).then(other.place.cmp(&self.place))
    }
}

/// A part, bounded.
struct Part {
    bound: f64,
    beta: Vec<f64>,
    branch: Branch,
    /// The open line to split, where there is one.
    split: Option<usize>,
}

impl<'a> Pricing<'a> {
    pub(super) fn new(x: Rows<'a>) -> Self {
        let mut lines: Vec<Vec<(usize, f64)>> = Vec::new();
        let mut known = std::collections::HashMap::new();
        for i in 0..x.n() {
            let row = x.row(i);
            let Some(first) = row.iter().find(|v| **v != 0.0) else { continue };
            // + 0.0 turns −0 to 0, so that bits compare like numbers.
            let key: Vec<u64> = row.iter().map(|v| (v * first.signum() + 0.0).to_bits()).collect();
            let line = *known.entry(key).or_insert_with(|| {
                lines.push(Vec::new());
                (lines.len() - 1, first.signum())
            });
            lines[line.0].push((i, line.1 * first.signum()));
        }
        let sizes = (0..x.n()).map(|i| norm(x.row(i))).collect();
        Pricing { x, lines, sizes }
    }

    /// Σ c_i σ(⟨β, x_i⟩).
    pub(super) fn price(&self, c: &[f64], beta: &[f64]) -> f64 {
        c.iter()
            .enumerate()
            .map(|(i, c)| if *c == 0.0 { 0.0 } else { c * dot(beta, self.x.row(i)).max(0.0) })
            .sum()
    }

    /// A local maximum at or above `start`: (price, unit β); a price of 0 where nothing above it was found.
    pub(super) fn climb(&self, c: &[f64], start: &[f64]) -> (f64, Vec<f64>) {
        let d = self.x.dim;
        let mut beta = start.to_vec();
        if !normalise(&mut beta) {
            return (0.0, beta);
        }
        let mut price = self.price(c, &beta);
        let (mut columns, mut most) = (Vec::new(), Vec::new());
        for (i, c) in c.iter().enumerate().filter(|(_, c)| **c < 0.0) {
            columns.extend_from_slice(self.x.row(i));
            most.push(-c);
        }
        let mut solver = Bounded::default();
        for _ in 0..100 {
            let mut g = vec![0.0; d];
            for (i, c) in c.iter().enumerate().filter(|(_, c)| **c > 0.0) {
                if dot(&beta, self.x.row(i)) > 0.0 {
                    axpy(*c, self.x.row(i), &mut g);
                }
            }
            solver.solve(&g, &columns, &most);
            let mut next = solver.residual().to_vec();
            if !normalise(&mut next) {
                break;
            }
            let raised = self.price(c, &next);
            if !(raised > price * (1.0 + 1e-14)) {
                break;
            }
            (price, beta) = (raised, next);
        }
        (price, beta)
    }

    pub(super) fn ceiling(&self, c: &[f64], limits: &Limits) -> Priced {
        let mut solver = Bounded::default();
        let (mut tree, mut heap) = (vec![Branch::default()], BinaryHeap::new());
        let mut best = (0.0, vec![0.0; self.x.dim]);
        let (mut bound, mut nodes) = (0.0f64, 0);
        let mut look = |signs: Vec<i8>, tree: &mut Vec<Branch>, heap: &mut BinaryHeap<Open>, place: usize| {
            nodes += 1;
            let part = self.bounded(c, &signs, &mut solver);
            let here = self.price(c, &part.beta);
            let climbed = if here > best.0 { self.climb(c, &part.beta) } else { (here, part.beta) };
            if climbed.0 > best.0 {
                best = climbed;
            }
            tree[place] = part.branch;
            match part.split.filter(|_| part.bound > limits.above) {
                Some(split) => heap.push(Open { bound: part.bound, place, signs, split }),
                None => bound = bound.max(part.bound),
            }
            (limits.column && best.0 > limits.above, nodes)
        };
        let (mut is_found, mut count) = look(vec![0; self.lines.len()], &mut tree, &mut heap, 0);
        while !is_found && count < limits.nodes {
            let Some(open) = heap.pop() else { break };
            let sides = (tree.len(), tree.len() + 1);
            tree.resize_with(tree.len() + 2, Branch::default);
            tree[open.place] =
                Branch { split: Some((self.lines[open.split][0].0, sides.0, sides.1)), ..Branch::default() };
            for (place, sign) in [(sides.0, 1), (sides.1, -1)] {
                let mut signs = open.signs.clone();
                signs[open.split] = sign;
                let seen = look(signs, &mut tree, &mut heap, place);
                (is_found, count) = (is_found || seen.0, seen.1);
            }
        }
        bound = heap.iter().map(|open| open.bound).fold(bound, f64::max);
        Priced { bound, best, tree, nodes: count }
    }

    /// The bound of the part with these signs.
    fn bounded(&self, c: &[f64], signs: &[i8], solver: &mut Bounded) -> Part {
        let d = self.x.dim;
        let (mut g, mut columns, mut most) = (vec![0.0; d], Vec::new(), Vec::new());
        let (mut slopes, mut walls) = (Vec::new(), Vec::new());
        let (mut reach, mut total, mut second) = (0.0, 0.0, vec![0.0; d * d]);
        let mut open = Vec::new();
        for (line, (members, sign)) in self.lines.iter().zip(signs).enumerate() {
            let sign = f64::from(*sign);
            if sign != 0.0 {
                for &(i, _) in members.iter().filter(|(_, side)| sign * side > 0.0) {
                    axpy(c[i], self.x.row(i), &mut g);
                }
                let first = members[0].0;
                columns.extend(self.x.row(first).iter().map(|x| -sign * x));
                most.push(f64::INFINITY);
                walls.push((most.len() - 1, first));
                continue;
            }
            let mut weight = 0.0;
            for &(i, _) in members {
                let x = self.x.row(i);
                if c[i] > 0.0 {
                    axpy(0.5 * c[i], x, &mut g);
                    weight += c[i];
                    for (row, xi) in second.chunks_exact_mut(d).zip(x) {
                        axpy(c[i] * xi, x, row);
                    }
                } else if c[i] < 0.0 {
                    columns.extend_from_slice(x);
                    most.push(-c[i]);
                    slopes.push((most.len() - 1, i));
                }
            }
            if weight > 0.0 {
                let size = weight * self.sizes[members[0].0];
                reach += size;
                total += weight;
                open.push((line, size));
            }
        }
        let length = solver.solve(&g, &columns, &most);
        let spread = match (total > 0.0).then(|| eigen(MatRef::from_row_major_slice(&second, d, d))).flatten()
        {
            // Eigenvalues are within d roundings of the largest.
            Some((values, _)) => {
                let largest = values.last().copied().unwrap_or(0.0);
                (total * largest * (1.0 + 4.0 * d as f64 * f64::EPSILON)).sqrt()
            }
            None => reach,
        };
        let mut beta = solver.residual().to_vec();
        normalise(&mut beta);
        let mu = solver.multipliers();
        let kept = |of: &[(usize, usize)]| {
            of.iter().filter(|(k, _)| mu[*k] > 0.0).map(|(k, i)| (*i, mu[*k])).collect()
        };
        let branch = Branch { split: None, slopes: kept(&slopes), walls: kept(&walls) };
        // The term that could be furthest from its bound: heavy, and nearly switched at the best β.
        let doubt = |&(line, size): &(usize, f64)| {
            let first = self.lines[line][0].0;
            size - size * dot(&beta, self.x.row(first)).abs() / self.sizes[first].max(f64::MIN_POSITIVE) * 0.5
        };
        let split = open.iter().max_by(|a, b| doubt(a).total_cmp(&doubt(b))).map(|(line, _)| *line);
        Part { bound: length + 0.5 * reach.min(spread), beta, branch, split }
    }
}
