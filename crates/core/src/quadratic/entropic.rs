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
/// A kink with a larger share than this is counted from its other side.
const LARGER: f64 = 0.75;
/// Largest |ln(s/(1 − s))| of a share.
const FARTHEST: f64 = 60.0;
/// Unknowns with a curvature of their own above this multiple of what they pull with are solved for after the others.
const FAINT: f64 = 1e8;
/// Constraints with more weight are not.
const HEAVY: f64 = 1e-6;
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

/// A point: shares s with 1 − s, y = (λ, sλ), and what is computed from them.
struct Point {
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
    /// The weights, from warm ones: λ that need not sum to 1, and a share for each kink.
    pub fn solve(&self, warm: &[f64], shares: &[f64]) -> Balance {
        let mut newton = Newton {
            matrix: self.matrix.clone(),
            linear: self.linear.clone(),
            squares: self.matrix.squares(),
            is_flipped: vec![false; shares.len()],
            length: self.length,
            smoothing: self.smoothing,
            closed: self.closed,
            iterations: 0,
        };
        let mut lambda: Vec<f64> = warm.iter().map(|l| l.max(1e-30)).collect();
        normalize(&mut lambda);
        let share = |s: &f64| [s.clamp(1e-12, 1.0 - 1e-12), 1.0 - s.clamp(1e-12, 1.0 - 1e-12)];
        let mut at = newton.point(lambda, shares.iter().map(share).collect());
        let is_closed = newton.run(&mut at, QUICK);
        if !is_closed && !shares.is_empty() {
            // Many kinks that change sides at once: from a smoother programme to this one.
            let largest = newton.squares.iter().copied().fold(0.0, f64::max);
            let stages = (self.length * largest / self.smoothing).ln() / FACTOR.ln();
            for stage in (0..=stages.clamp(0.0, 30.0) as i32).rev() {
                newton.smoothing = self.smoothing * FACTOR.powi(stage);
                at = newton.point(at.y.lambda, at.shares);
                newton.run(&mut at, STEPS);
            }
        }
        newton.balance(at)
    }
}

/// Newton's method on the programme. Every kink is counted from the side that has the larger share: a flipped one has 1 − s for s, and
/// its constraint the other slope. With small shares alone no large numbers cancel in the factors.
struct Newton {
    matrix: Shares,
    linear: Weights,
    /// The squared norms of the kinks, the same from either side.
    squares: Vec<f64>,
    is_flipped: Vec<bool>,
    length: f64,
    smoothing: f64,
    closed: f64,
    iterations: usize,
}

impl Newton {
    fn point(&self, lambda: Vec<f64>, shares: Vec<[f64; 2]>) -> Point {
        let owner = &self.matrix.owner;
        let mu = shares.iter().zip(owner).map(|(s, c)| s[0] * lambda[*c]).collect();
        let y = Weights { lambda, mu };
        let mut pull = self.matrix.times(&y);
        pull.lambda.iter_mut().chain(&mut pull.mu).for_each(|p| *p *= self.length);
        let entropy: f64 = y.lambda.iter().map(|l| times_ln(*l)).sum();
        let of = |(s, c): (&[f64; 2], &usize)| y.lambda[*c] * (times_ln(s[0]) + times_ln(s[1]));
        let mixing: f64 = shares.iter().zip(owner).map(of).sum();
        let quadratic = dot(&y.lambda, &pull.lambda) + dot(&y.mu, &pull.mu);
        let linear = dot(&y.lambda, &self.linear.lambda) + dot(&y.mu, &self.linear.mu);
        let value = 0.5 * quadratic + linear + entropy + self.smoothing * mixing;
        Point { shares, y, pull, value }
    }

    /// The answer in the orientation of the programme.
    fn balance(self, at: Point) -> Balance {
        let turned = self.is_flipped.iter().zip(&at.shares);
        let shares: Vec<[f64; 2]> =
            turned.map(|(f, [s, rest])| if *f { [*rest, *s] } else { [*s, *rest] }).collect();
        let mu = shares.iter().zip(&self.matrix.owner).map(|(s, c)| s[0] * at.y.lambda[*c]).collect();
        Balance {
            y: Weights { lambda: at.y.lambda, mu },
            shares: shares.iter().map(|s| s[0]).collect(),
            value: at.value,
            iterations: self.iterations,
        }
    }

    /// Counts kinks from their other side where that has the larger share by now.
    fn orient(&mut self, at: &mut Point) {
        let flips: Vec<usize> = (0..at.shares.len()).filter(|e| at.shares[*e][0] > LARGER).collect();
        if flips.is_empty() {
            return;
        }
        self.matrix.flip(&flips, &mut self.linear);
        for e in flips {
            self.is_flipped[e] = !self.is_flipped[e];
            at.shares[e].reverse();
        }
        let (lambda, shares) = (std::mem::take(&mut at.y.lambda), std::mem::take(&mut at.shares));
        *at = self.point(lambda, shares);
    }

    /// Goes on from `at`, and says whether the gap closed.
    fn run(&mut self, at: &mut Point, most: usize) -> bool {
        for _ in 0..most {
            self.orient(at);
            self.iterations += 1;
            let slope = self.slope(at);
            let gap = self.gap(at, &slope);
            let size = at.pull.lambda.iter().chain(&self.linear.lambda).fold(0.0f64, |m, x| m.max(x.abs()));
            if !(gap > self.closed + ROUNDING * size) {
                return true;
            }
            let Some((step, turn)) = self.direction(at, &slope) else {
                return false;
            };
            let falls = dot(&slope.lambda, &step.lambda) + dot(&slope.mu, &step.mu);
            let Some(next) = self.along(at, (&step.lambda, turn), falls) else {
                return false;
            };
            *at = next;
        }
        false
    }

    /// The gradient in (λ, μ).
    fn slope(&self, at: &Point) -> Weights {
        let (tau, owner) = (self.smoothing, &self.matrix.owner);
        let own = at.pull.lambda.iter().zip(&self.linear.lambda).zip(&at.y.lambda);
        let mut slope = Weights {
            lambda: own.map(|((p, b), l)| p + b + l.ln() + 1.0).collect(),
            mu: at.pull.mu.iter().zip(&self.linear.mu).map(|(p, b)| p + b).collect(),
        };
        for ((c, [right, left]), mu) in owner.iter().zip(&at.shares).zip(&mut slope.mu) {
            slope.lambda[*c] += tau * left.ln();
            *mu += tau * (right.ln() - left.ln());
        }
        slope
    }

    /// The Newton direction in (λ, μ), and that of the shares over s(1 − s).
    fn direction(&self, at: &Point, slope: &Weights) -> Option<(Weights, Vec<f64>)> {
        let (s, tau, h) = (at.y.lambda.len(), self.smoothing, self.length);
        let (owner, squares) = (&self.matrix.owner, &self.squares);
        let over = |part: usize| -> Vec<f64> {
            let of = |(c, s): (&usize, &[f64; 2])| tau / (h * at.y.lambda[*c] * s[part]);
            owner.iter().zip(&at.shares).map(of).collect()
        };
        let (right, left) = (over(0), over(1));
        let mut own = vec![1.0; s];
        owner.iter().for_each(|c| own[*c] -= tau);
        own.iter_mut().zip(&at.y.lambda).for_each(|(own, l)| *own /= h * l);
        // What pulls on nothing else follows after: its row matters, its column does not.
        let matters: Vec<bool> = (0..s)
            .map(|c| at.y.lambda[c] > HEAVY || own[c] < FAINT * self.matrix.constraints[c * s + c])
            .collect();
        let of = |e: usize| matters[owner[e]] && right[e] < FAINT * squares[e].max(left[e]);
        let is_kink: Vec<bool> = (0..owner.len()).map(of).collect();
        let mut rest = slope.clone();
        for e in (0..owner.len()).filter(|e| !is_kink[*e]) {
            let part = left[e] / (squares[e] + right[e] + left[e]);
            own[owner[e]] += left[e] * (1.0 - part);
            rest.lambda[owner[e]] += part * slope.mu[e];
        }
        let constraints: Vec<usize> = (0..s).filter(|c| matters[*c]).collect();
        let kinks: Vec<usize> = (0..owner.len()).filter(|e| is_kink[*e]).collect();
        let of = |v: &[f64], kept: &[usize]| kept.iter().map(|k| v[*k]).collect::<Vec<f64>>();
        let part = self.matrix.part(&constraints, &kinks);
        let factored = part.factor([&of(&own, &constraints), &of(&right, &kinks), &of(&left, &kinks)])?;
        let mut along = Weights { lambda: of(&rest.lambda, &constraints), mu: of(&rest.mu, &kinks) };
        factored.solve(&mut along);
        let mut level = Weights { lambda: vec![1.0; constraints.len()], mu: vec![0.0; kinks.len()] };
        factored.solve(&mut level);
        let nu = along.lambda.iter().sum::<f64>() / level.lambda.iter().sum::<f64>();
        let mut step = Weights { lambda: vec![0.0; s], mu: vec![0.0; owner.len()] };
        let fill = |to: &mut [f64], kept: &[usize], along: &[f64], level: &[f64]| {
            kept.iter().zip(along.iter().zip(level)).for_each(|(k, (a, l))| to[*k] = -(a - nu * l) / h);
        };
        fill(&mut step.lambda, &constraints, &along.lambda, &level.lambda);
        fill(&mut step.mu, &kinks, &along.mu, &level.mu);
        let pull = self.matrix.times(&step);
        // The change of s over s(1 − s), from its own row: as a difference of the changes of μ and λ it would be rounding where s
        // is near 0.
        let turn = slope.mu.iter().zip(&pull.mu).map(|(g, p)| -(g + h * p) / tau).collect();
        // Shares that stand are those of one margin.
        let mut margin: Vec<f64> =
            slope.lambda.iter().zip(&pull.lambda).map(|(g, p)| g + h * p - nu).collect();
        for (e, c) in owner.iter().enumerate() {
            margin[*c] += at.shares[e][0] * (slope.mu[e] + h * pull.mu[e]);
        }
        for c in (0..s).filter(|c| !matters[*c]) {
            step.lambda[c] = -at.y.lambda[c] * margin[c];
        }
        for e in (0..owner.len()).filter(|e| !matters[owner[*e]]) {
            step.mu[e] = at.shares[e][0] * step.lambda[owner[e]];
        }
        Some((step, turn))
    }

    /// ⟨slope, y⟩ less its least over all weights and shares.
    fn gap(&self, at: &Point, slope: &Weights) -> f64 {
        let mut best = slope.lambda.clone();
        let mut here: f64 = slope.lambda.iter().zip(&at.y.lambda).map(|(g, l)| g * l).sum();
        for ((c, mu), g) in self.matrix.owner.iter().zip(&at.y.mu).zip(&slope.mu) {
            best[*c] += g.min(0.0);
            here += g * mu;
        }
        here - best.into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Along the Newton direction in the coordinates η, as far as the value falls.
    fn along(&self, at: &Point, (step, turn): (&[f64], Vec<f64>), falls: f64) -> Option<Point> {
        let (s, tau, h) = (at.y.lambda.len(), self.smoothing, self.length);
        let (owner, squares) = (&self.matrix.owner, &self.squares);
        let whole = dot(&at.y.lambda, &at.pull.lambda) + dot(&at.y.mu, &at.pull.mu);
        let own: Vec<f64> = (0..s)
            .map(|c| (h * self.matrix.constraints[c * s + c] - 2.0 * at.pull.lambda[c] + whole).max(0.0))
            .collect();
        let mut part = 1.0;
        for _ in 0..20 {
            let mut lambda: Vec<f64> = (0..s)
                .map(|c| {
                    let (l, k) = (at.y.lambda[c], own[c]);
                    let eta = l.ln() + k * l + part * (1.0 / l + k) * step[c];
                    mixed_exp(k, eta).max(LEAST)
                })
                .collect();
            normalize(&mut lambda);
            let shares = (0..owner.len()).map(|e| {
                let ([right, left], l) = (at.shares[e], at.y.lambda[owner[e]]);
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
    if eta > 0.5 * k {
        let [rest, s] = mixed_logistic(k, k - eta);
        return [s, rest];
    }
    // l = ln(s/(1 − s)) ≤ 0, where the left-hand side is convex and at least l + ke^l/2: from above, Newton's method descends.
    let mut l = eta.min(0.0);
    if k > 1.0 {
        l = l.min((2.0 * (1.0 + k.ln() + eta.abs()) / k).ln());
    }
    for _ in 0..60 {
        let [s, rest] = logistic(l);
        let change = (l + k * s - eta) / (1.0 + k * s * rest);
        l -= change;
        if change.abs() <= 1e-14 * (1.0 + l.abs()) {
            break;
        }
    }
    logistic(l.max(-FARTHEST))
}

/// 1/(1 + e^{−l}) and 1 less that.
fn logistic(l: f64) -> [f64; 2] {
    [1.0 / (1.0 + (-l).exp()), 1.0 / (1.0 + l.exp())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quadratic::shares::drawn::{DIM, Drawn, drawn, numbers};
    use crate::rng::stream;

    /// b of the constraints, from 0 to 60 nats, and of the kinks.
    fn offsets(of: &Drawn, seed: u64) -> Weights {
        let mut rng = stream(seed, "offsets", 0);
        let lambda = numbers(&mut rng, of.vectors[0].len()).iter().map(|b| 30.0 * (b + 1.0)).collect();
        Weights { lambda, mu: numbers(&mut rng, of.vectors[1].len()) }
    }

    /// x = h Σ (λ g + μ k).
    fn primal(of: &Drawn, h: f64, y: &Weights) -> Vec<f64> {
        let mut x = vec![0.0; DIM];
        of.vectors[0].iter().zip(&y.lambda).for_each(|(g, l)| crate::numeric::axpy(h * l, g, &mut x));
        of.vectors[1].iter().zip(&y.mu).for_each(|(k, m)| crate::numeric::axpy(h * m, k, &mut x));
        x
    }

    /// −ln Σ e^{−m_c(x)} − ‖x‖²/2h with the kinks as they are.
    fn objective(of: &Drawn, linear: &Weights, h: f64, x: &[f64]) -> f64 {
        let mut m: Vec<f64> = of.vectors[0].iter().zip(&linear.lambda).map(|(g, b)| b + dot(g, x)).collect();
        for ((k, b), c) in of.vectors[1].iter().zip(&linear.mu).zip(&of.matrix.owner) {
            m[*c] += (b + dot(k, x)).min(0.0);
        }
        let least = m.iter().copied().fold(f64::INFINITY, f64::min);
        least - m.iter().map(|m| (least - m).exp()).sum::<f64>().ln() - dot(x, x) / (2.0 * h)
    }

    #[test]
    fn primal_and_dual_meet_at_every_length_and_from_any_start() {
        for seed in 0..60 {
            let of = drawn(seed, 1 + seed as usize % 9, if seed % 2 == 0 { &[3, 3, 3] } else { &[] });
            let linear = offsets(&of, seed);
            for h in [1e-3f64, 1.0, 100.0, 1e4] {
                // As in use: a small part of what a step of this length can rise.
                let tau = 1e-3 * h.min(1.0);
                let programme =
                    Entropic { matrix: &of.matrix, length: h, linear: &linear, smoothing: tau, closed: 1e-8 };
                let s = linear.lambda.len();
                let mut last: Option<f64> = None;
                for start in 0..2 {
                    let warm: Vec<f64> = (0..s).map(|c| if c % 2 == start { 1.0 } else { 1e-25 }).collect();
                    let shares = vec![[0.5, 0.999][start]; linear.mu.len()];
                    let found = programme.solve(&warm, &shares);
                    let value = objective(&of, &linear, h, &primal(&of, h, &found.y));
                    let gap = found.value - value;
                    // Each smoothed kink is off by at most τ ln 2.
                    let smoothed = tau * 2f64.ln() * linear.mu.len() as f64;
                    let allowed = smoothed + 1e-6 * found.value.abs().max(1.0);
                    assert!(gap.abs() < allowed, "seed {seed}, h = {h}: {} against {value}", found.value);
                    if let Some(last) = last {
                        assert!(
                            (found.value - last).abs() < allowed,
                            "the start matters: {last}, {}",
                            found.value
                        );
                    }
                    last = Some(found.value);
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
        for k in [0.0, 1e-8, 1.0, 10.0, 23.0, 1e3, 1e6, 1e12] {
            for eta in [-300.0, -3.0, 0.0, 0.5, 40.0, 1e6] {
                if k == 0.0 && eta > 700.0 {
                    continue;
                }
                let l = mixed_exp(k, eta);
                assert!((l.ln() + k * l - eta).abs() < 1e-9 * (1.0 + eta.abs()), "{k}, {eta}: {l}");
            }
            for l in (-500..=500).map(|l| l as f64 / 10.0) {
                let [s, rest] = logistic(l);
                let [again, others] = mixed_logistic(k, l + k * s);
                // Rounding of ks is in the argument.
                let allowed = 1e-12 * (1.0 + l.abs()) + 4.0 * f64::EPSILON * k / (1.0 + k * s * rest);
                let off = (again.ln() - others.ln() - l).abs();
                assert!(off <= allowed, "{k}: {s} came back as {again}");
            }
        }
    }
}
