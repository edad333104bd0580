//! The dual of a proximal step on a softmin of margins with kinks.
//!
//! With m_c(x) = b_c + ⟨g_c, x⟩ + Σ_e min(0, b_e + ⟨k_e, x⟩) over the kinks e of c,
//!
//! > max_x −ln Σ_c e^{−m_c(x)} − ‖x‖²/2h  =  min_y ½h yᵀGy + bᵀy + Σ_c λ_c ln λ_c
//!
//! over y = (λ, μ), λ in the simplex and 0 ≤ μ_e ≤ λ_c(e), attained at x = h Σ (λ_c g_c + μ_e k_e): the temperature is in the
//! programme, and the number of unknowns is that of the margins and kinks in play. Each kink is smoothed by τ times the entropy
//! of its share s = μ/λ, which changes the value by at most τ ln 2 for each.
//!
//! Newton's method, in coordinates in which every unknown is nearly linear by itself: where λ_c is small its equation is one of
//! ln λ_c, where the quadratic part rules it is one of λ_c, and η = ln λ + kλ, with k = h‖g_c − Σ…‖² its own curvature, is both; a
//! share has τ ln(s/(1 − s)) + ks in the same way. The Newton direction does not depend on the coordinates, the step along it
//! does: from a warm start two or three are enough, while λ grows by e⁴⁰ as easily as it shrinks.
//!
//! Tested against the primal for h·‖g‖² up to some 10⁵ nats, several thousand times what a step of the flow can rise. Beyond, where many
//! kinks are saturated, the gap stayed open at 1e-6 of the value in one of sixty problems: who takes the answer checks the rise that it promises.

use super::shares::{Shares, Weights};
use crate::numeric::dot;

/// Newton steps at most, for a first try and for a stage.
const QUICK: usize = 20;
const STEPS: usize = 60;
/// Factor between stages of less and less smoothing, where the first try fails.
const FACTOR: f64 = 8.0;
/// Part of the largest m that is rounding.
const ROUNDING: f64 = 1e-14;
/// Smallest weight: what is below never mattered.
const LEAST: f64 = 1e-290;

/// The programme.
#[derive(Clone, Copy)]
pub(crate) struct Entropic<'a> {
    /// G.
    pub matrix: &'a Shares,
    /// h.
    pub length: f64,
    /// b of the constraints and of the kinks.
    pub linear: &'a Weights,
    /// τ.
    pub smoothing: f64,
    /// The gap, in nats, at which it ends.
    pub closed: f64,
}

/// Its answer.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    /// (λ, μ).
    pub y: Weights,
    /// μ/λ of each kink.
    pub shares: Vec<f64>,
    /// The value.
    pub value: f64,
    /// Newton steps.
    pub iterations: usize,
}

/// A point: λ, shares s with 1 − s, and what is computed from them.
struct Point {
    lambda: Vec<f64>,
    shares: Vec<[f64; 2]>,
    y: Weights,
    /// h G y.
    pull: Weights,
    value: f64,
}

fn times_ln(x: f64) -> f64 {
    if x > 0.0 { x * x.ln() } else { 0.0 }
}

impl Entropic<'_> {
    fn point(&self, lambda: Vec<f64>, shares: Vec<[f64; 2]>) -> Point {
        let owner = &self.matrix.owner;
        let mu = shares.iter().zip(owner).map(|(s, c)| s[0] * lambda[*c]).collect();
        let y = Weights { lambda: lambda.clone(), mu };
        let mut pull = self.matrix.times(&y);
        pull.lambda.iter_mut().chain(&mut pull.mu).for_each(|p| *p *= self.length);
        let entropy: f64 = lambda.iter().map(|l| times_ln(*l)).sum();
        let of = |(s, c): (&[f64; 2], &usize)| lambda[*c] * (times_ln(s[0]) + times_ln(s[1]));
        let mixing: f64 = shares.iter().zip(owner).map(of).sum();
        let quadratic = dot(&y.lambda, &pull.lambda) + dot(&y.mu, &pull.mu);
        let linear = dot(&y.lambda, &self.linear.lambda) + dot(&y.mu, &self.linear.mu);
        let value = 0.5 * quadratic + linear + entropy + self.smoothing * mixing;
        Point { lambda, shares, y, pull, value }
    }

    /// The weights, from warm ones: λ that need not sum to 1, and a share for each kink.
    pub fn solve(&self, warm: &[f64], shares: &[f64]) -> Balance {
        let (mut found, is_closed) = self.newton(warm, shares, QUICK);
        if is_closed || shares.is_empty() {
            return found;
        }
        // Many kinks that change sides at once: from a smoother programme to this one.
        let largest = self.matrix.squares().into_iter().fold(0.0, f64::max);
        let stages = (self.length * largest / self.smoothing).ln() / FACTOR.ln();
        for stage in (0..=stages.clamp(0.0, 30.0) as i32).rev() {
            let smoother = Entropic { smoothing: self.smoothing * FACTOR.powi(stage), ..*self };
            let iterations = found.iterations;
            found = smoother.newton(&found.y.lambda, &found.shares, STEPS).0;
            found.iterations += iterations;
        }
        found
    }

    /// Newton's method, and whether the gap closed.
    fn newton(&self, warm: &[f64], shares: &[f64], most: usize) -> (Balance, bool) {
        let (s, tau, h) = (warm.len(), self.smoothing, self.length);
        let owner = &self.matrix.owner;
        let mut lambda: Vec<f64> = warm.iter().map(|l| l.max(1e-30)).collect();
        normalize(&mut lambda);
        let share = |s: &f64| [s.clamp(1e-12, 1.0 - 1e-12), 1.0 - s.clamp(1e-12, 1.0 - 1e-12)];
        let mut at = self.point(lambda, shares.iter().map(share).collect());
        let squares = self.matrix.squares();
        let mut per = vec![0.0; s];
        owner.iter().for_each(|c| per[*c] += tau);
        let (mut iterations, mut is_closed) = (0, false);
        while iterations < most {
            iterations += 1;
            // The gradient in (λ, μ).
            let mut slope = Weights {
                lambda: (0..s)
                    .map(|c| at.pull.lambda[c] + self.linear.lambda[c] + at.lambda[c].ln() + 1.0)
                    .collect(),
                mu: at.pull.mu.iter().zip(&self.linear.mu).map(|(p, b)| p + b).collect(),
            };
            for ((c, [right, left]), mu) in owner.iter().zip(&at.shares).zip(&mut slope.mu) {
                slope.lambda[*c] += tau * left.ln();
                *mu += tau * (right.ln() - left.ln());
            }
            let gap = self.gap(&at, &slope);
            let size = at.pull.lambda.iter().chain(&self.linear.lambda).fold(0.0f64, |m, x| m.max(x.abs()));
            if !(gap > self.closed + ROUNDING * size) {
                is_closed = true;
                break;
            }
            let over = |part: usize| -> Vec<f64> {
                let of = |(c, s): (&usize, &[f64; 2])| tau / (h * at.lambda[*c] * s[part]);
                owner.iter().zip(&at.shares).map(of).collect()
            };
            let own: Vec<f64> =
                at.lambda.iter().zip(&per).map(|(l, per)| (1.0 - per).max(0.1) / (h * l)).collect();
            let Some(factored) = self.matrix.factor([&own, &over(0), &over(1)]) else { break };
            let mut along = slope.clone();
            factored.solve(&mut along);
            let mut level = Weights { lambda: vec![1.0; s], mu: vec![0.0; owner.len()] };
            factored.solve(&mut level);
            let nu = along.lambda.iter().sum::<f64>() / level.lambda.iter().sum::<f64>();
            let newton = |(a, l): (&f64, &f64)| -(a - nu * l) / h;
            let step = Weights {
                lambda: along.lambda.iter().zip(&level.lambda).map(newton).collect(),
                mu: along.mu.iter().zip(&level.mu).map(newton).collect(),
            };
            let falls = dot(&slope.lambda, &step.lambda) + dot(&slope.mu, &step.mu);
            // The change of s over s(1 − s), from its own row: as a difference of the changes of μ and λ it would be rounding where s
            // is near 1, and a share on the wrong side would stay there.
            let pull = self.matrix.times(&step).mu;
            let turn = slope.mu.iter().zip(&pull).map(|(g, p)| -(g + h * p) / tau).collect();
            let Some(next) = self.along(&at, (&step.lambda, turn), falls, &squares) else { break };
            at = next;
        }
        let shares = at.shares.iter().map(|s| s[0]).collect();
        (Balance { shares, y: at.y, value: at.value, iterations }, is_closed)
    }

    /// ⟨slope, y⟩ less its least over all weights and shares.
    fn gap(&self, at: &Point, slope: &Weights) -> f64 {
        let mut best = slope.lambda.clone();
        let mut here: f64 = slope.lambda.iter().zip(&at.lambda).map(|(g, l)| g * l).sum();
        for ((c, mu), g) in self.matrix.owner.iter().zip(&at.y.mu).zip(&slope.mu) {
            best[*c] += g.min(0.0);
            here += g * mu;
        }
        here - best.into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Along the Newton direction in the coordinates η, as far as the value falls.
    fn along(
        &self,
        at: &Point,
        (step, turn): (&[f64], Vec<f64>),
        falls: f64,
        squares: &[f64],
    ) -> Option<Point> {
        let (s, tau, h) = (at.lambda.len(), self.smoothing, self.length);
        let owner = &self.matrix.owner;
        let whole = dot(&at.y.lambda, &at.pull.lambda) + dot(&at.y.mu, &at.pull.mu);
        let own: Vec<f64> = (0..s)
            .map(|c| (h * self.matrix.constraints[c * s + c] - 2.0 * at.pull.lambda[c] + whole).max(0.0))
            .collect();
        let mut part = 1.0;
        for _ in 0..20 {
            let mut lambda: Vec<f64> = (0..s)
                .map(|c| {
                    let (l, k) = (at.lambda[c], own[c]);
                    let eta = l.ln() + k * l + part * (1.0 / l + k) * step[c];
                    mixed_exp(k, eta).max(LEAST)
                })
                .collect();
            normalize(&mut lambda);
            let shares = (0..owner.len()).map(|e| {
                let ([right, left], l) = (at.shares[e], at.lambda[owner[e]]);
                let k = h * squares[e] * l / tau;
                let eta = right.ln() - left.ln() + k * right + part * (1.0 + k * right * left) * turn[e];
                mixed_logistic(k, eta)
            });
            let next = self.point(lambda, shares.collect());
            if next.value <= at.value + 1e-4 * part * falls + 1e-13 * at.value.abs() {
                return Some(next);
            }
            part *= 0.5;
        }
        None
    }
}

fn normalize(lambda: &mut [f64]) {
    let total: f64 = lambda.iter().sum();
    lambda.iter_mut().for_each(|l| *l /= total);
}

/// The λ with ln λ + kλ = η, for k ≥ 0.
fn mixed_exp(k: f64, eta: f64) -> f64 {
    if !(k > 0.0) {
        return eta.min(700.0).exp();
    }
    // From above, Newton's method in ln λ descends.
    let mut l = eta.min(((1.0 + k.ln().abs() + eta.abs()) / k).ln());
    for _ in 0..40 {
        let value = k * l.exp();
        let change = (l + value - eta) / (1.0 + value);
        l -= change;
        if change.abs() < 1e-14 * (1.0 + l.abs()) {
            break;
        }
    }
    l.exp()
}

/// The share s with ln(s/(1 − s)) + ks = η, and 1 − s, for k ≥ 0.
fn mixed_logistic(k: f64, eta: f64) -> [f64; 2] {
    let both = |l: f64| [1.0 / (1.0 + (-l).exp()), 1.0 / (1.0 + l.exp())];
    let (mut low, mut high) = ((eta - k).max(-500.0), eta.min(500.0));
    let mut l = 0.5 * (low + high);
    for _ in 0..60 {
        let [s, rest] = both(l);
        let off = l + k * s - eta;
        if off > 0.0 {
            high = high.min(l)
        } else {
            low = low.max(l)
        }
        let newton = l - off / (1.0 + k * s * rest);
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - l).abs() <= 1e-13 * (1.0 + l.abs()) {
            break;
        }
        l = next;
    }
    both(l.clamp(-60.0, 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand::Rng;

    /// Constraints and kinks of three groups as vectors: kinks of group r live in the coordinates 4r .. 4r + 4.
    struct Drawn {
        vectors: [Vec<Vec<f64>>; 2],
        matrix: Shares,
        linear: Weights,
    }

    fn drawn(seed: u64, s: usize, kinks: bool) -> Drawn {
        let mut rng = stream(seed, "entropic", 0);
        let mut numbers = |n: usize| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f64>>();
        let g: Vec<Vec<f64>> = (0..s).map(|_| numbers(12)).collect();
        let (mut edges, mut blocks) = (Vec::new(), Vec::new());
        for r in 0..3 {
            let mut edge = || {
                let mut k = vec![0.0; 12];
                k[4 * r..4 * r + 4].copy_from_slice(&numbers(4));
                k
            };
            let group: Vec<Vec<f64>> = (0..if kinks { 3 } else { 0 }).map(|_| edge()).collect();
            blocks.push(group.iter().flat_map(|a| group.iter().map(|b| dot(a, b))).collect());
            edges.extend(group);
        }
        let linear = Weights {
            lambda: numbers(s).iter().map(|b| 30.0 * (b + 1.0)).collect(),
            mu: numbers(edges.len()),
        };
        let matrix = Shares {
            constraints: g.iter().flat_map(|a| g.iter().map(|b| dot(a, b))).collect(),
            mixed: edges.iter().map(|k| g.iter().map(|g| dot(g, k)).collect()).collect(),
            blocks,
            owner: (0..edges.len()).map(|e| (e * 7 + seed as usize) % s).collect(),
        };
        Drawn { vectors: [g, edges], matrix, linear }
    }

    /// x = h Σ (λ g + μ k).
    fn primal(of: &Drawn, h: f64, y: &Weights) -> Vec<f64> {
        let mut x = vec![0.0; 12];
        of.vectors[0].iter().zip(&y.lambda).for_each(|(g, l)| crate::numeric::axpy(h * l, g, &mut x));
        of.vectors[1].iter().zip(&y.mu).for_each(|(k, m)| crate::numeric::axpy(h * m, k, &mut x));
        x
    }

    /// −ln Σ e^{−m_c(x)} − ‖x‖²/2h with the kinks as they are.
    fn objective(of: &Drawn, h: f64, x: &[f64]) -> f64 {
        let mut m: Vec<f64> =
            of.vectors[0].iter().zip(&of.linear.lambda).map(|(g, b)| b + dot(g, x)).collect();
        for ((k, b), c) in of.vectors[1].iter().zip(&of.linear.mu).zip(&of.matrix.owner) {
            m[*c] += (b + dot(k, x)).min(0.0);
        }
        let least = m.iter().copied().fold(f64::INFINITY, f64::min);
        least - m.iter().map(|m| (least - m).exp()).sum::<f64>().ln() - dot(x, x) / (2.0 * h)
    }

    #[test]
    fn primal_and_dual_meet_at_every_length_and_from_any_start() {
        for seed in 0..60 {
            let of = drawn(seed, 1 + seed as usize % 9, seed % 2 == 0);
            for h in [1e-3f64, 1.0, 100.0, 1e4] {
                // As in use: a small part of what a step of this length can rise.
                let tau = 1e-3 * h.min(1.0);
                let programme = Entropic {
                    matrix: &of.matrix,
                    length: h,
                    linear: &of.linear,
                    smoothing: tau,
                    closed: 1e-8,
                };
                let s = of.linear.lambda.len();
                let mut last: Option<f64> = None;
                for start in 0..2 {
                    let warm: Vec<f64> = (0..s).map(|c| if c % 2 == start { 1.0 } else { 1e-25 }).collect();
                    let shares = vec![[0.5, 0.999][start]; of.linear.mu.len()];
                    let found = programme.solve(&warm, &shares);
                    let dual = programme
                        .point(found.y.lambda.clone(), found.shares.iter().map(|s| [*s, 1.0 - s]).collect());
                    let value = objective(&of, h, &primal(&of, h, &found.y));
                    let gap = dual.value - value;
                    // Each smoothed kink is off by at most τ ln 2.
                    let smoothed = tau * 2f64.ln() * of.linear.mu.len() as f64;
                    let allowed = smoothed + 1e-6 * dual.value.abs().max(1.0);
                    assert!(gap.abs() < allowed, "seed {seed}, h = {h}: {} against {value}", dual.value);
                    if let Some(last) = last {
                        assert!(
                            (dual.value - last).abs() < allowed,
                            "the start matters: {last}, {}",
                            dual.value
                        );
                    }
                    last = Some(dual.value);
                }
            }
        }
    }

    #[test]
    fn two_opposite_margins_balance_where_the_closed_form_says() {
        // m = b ± x: h(λ_1 − λ_2) = x and λ_1/λ_2 = e^{−2x}·e^{b_2 − b_1}.
        let matrix = Shares { constraints: vec![1.0, -1.0, -1.0, 1.0], ..Shares::default() };
        for (h, b) in [(1.0, 0.3), (1e4, 3.0), (0.01, 12.0)] {
            let linear = Weights { lambda: vec![0.0, b], mu: vec![] };
            let programme =
                Entropic { matrix: &matrix, length: h, linear: &linear, smoothing: 1e-3, closed: 1e-8 };
            let found = programme.solve(&[0.5, 0.5], &[]);
            let [l, r] = found.y.lambda[..] else { panic!("two") };
            let x = h * (l - r);
            assert!((l.ln() - r.ln() - b + 2.0 * x).abs() < 1e-3 * b, "h = {h}: {l}, {r}");
            assert!(found.iterations < 12, "{} steps", found.iterations);
        }
    }

    #[test]
    fn the_coordinates_are_inverted() {
        for k in [0.0, 1e-8, 1.0, 1e3, 1e12] {
            for eta in [-300.0, -3.0, 0.0, 0.5, 40.0, 1e6] {
                if k == 0.0 && eta > 700.0 {
                    continue;
                }
                let l = mixed_exp(k, eta);
                assert!((l.ln() + k * l - eta).abs() < 1e-9 * (1.0 + eta.abs()), "{k}, {eta}: {l}");
                let [s, rest] = mixed_logistic(k, eta);
                if s > 1e-20 && rest > 1e-20 {
                    let back = s.ln() - rest.ln() + k * s;
                    assert!((back - eta).abs() < 1e-9 * (1.0 + eta.abs() + k), "{k}, {eta}: {s}, {back}");
                }
            }
        }
    }
}
