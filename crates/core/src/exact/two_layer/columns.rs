//! The master programme of the global margin: the best weights of the neurons at hand, and the multipliers that price others.

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::NonnegativeConeT;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver};

use super::{Branch, Neuron, TwoLayer, normalise, value};
use crate::Rows;
use crate::exact::{Failure, Optimum};
use crate::numeric::{axpy, dot, norm};

/// Neurons of one sign that are on or off together on every example, as one: Σ αβ has the same outputs and is no longer.
fn merged(x: Rows<'_>, neurons: &[Neuron]) -> Vec<Neuron> {
    let slopes = |beta: &[f64]| (0..x.n()).map(|i| dot(beta, x.row(i))).collect::<Vec<f64>>();
    let level: Vec<f64> = (0..x.n()).map(|i| 1e-9 * norm(x.row(i))).collect();
    let agree = |a: &[f64], b: &[f64]| {
        (0..a.len()).all(|i| a[i].min(b[i]) >= -level[i] || a[i].max(b[i]) <= level[i])
    };
    let mut groups: Vec<(f64, Vec<f64>, Vec<f64>)> = Vec::new();
    for neuron in neurons {
        let own = slopes(&neuron.beta);
        let size = neuron.alpha.abs();
        let place = groups.iter().position(|(sign, _, z)| *sign == neuron.alpha.signum() && agree(z, &own));
        match place {
            Some(k) => {
                let (_, sum, z) = &mut groups[k];
                axpy(size, &neuron.beta, sum);
                let mut unit = sum.clone();
                normalise(&mut unit);
                *z = slopes(&unit);
            }
            None => groups.push((neuron.alpha.signum(), neuron.beta.iter().map(|b| size * b).collect(), own)),
        }
    }
    let total: f64 = groups.iter().map(|(_, sum, _)| norm(sum)).sum();
    let neuron = |(sign, mut beta, _): (f64, Vec<f64>, Vec<f64>)| {
        let alpha = sign * norm(&beta) / total;
        normalise(&mut beta);
        Neuron { alpha, beta }
    };
    groups.into_iter().map(neuron).collect()
}

/// Neurons that a search starts from, beside random ones.
const STARTS: usize = 24;

/// The neurons at hand, with a sign each, and what they give every example.
pub(super) struct Columns {
    d: usize,
    neurons: Vec<(f64, Vec<f64>)>,
    /// y_i·sign·σ(⟨β, x_i⟩), neuron after neuron.
    payoffs: Vec<f64>,
}

impl Columns {
    /// None yet, in d dimensions.
    pub(super) fn new(d: usize) -> Columns {
        Columns { d, neurons: Vec::new(), payoffs: Vec::new() }
    }

    /// False where the same neuron is there already.
    pub(super) fn add(&mut self, x: Rows<'_>, y: &[f64], sign: f64, beta: &[f64]) -> bool {
        let is_known = |(s, b): &(f64, Vec<f64>)| *s == sign && dot(b, beta) > 1.0 - 1e-15;
        if beta.len() != self.d || self.neurons.iter().any(is_known) {
            return false;
        }
        self.payoffs.extend(y.iter().enumerate().map(|(i, y)| y * sign * dot(beta, x.row(i)).max(0.0)));
        self.neurons.push((sign, beta.to_vec()));
        true
    }

    /// The neurons with the largest α, to start a search from.
    pub(super) fn heaviest(&self, alphas: &[f64]) -> Vec<Vec<f64>> {
        let mut order: Vec<usize> = (0..alphas.len()).filter(|j| alphas[*j] > 1e-9).collect();
        order.sort_by(|a, b| alphas[*b].total_cmp(&alphas[*a]).then(a.cmp(b)));
        order.iter().take(STARTS).map(|j| self.neurons[*j].1.clone()).collect()
    }

    /// Forgets neurons that λ prices well below the value, where they are many: the programme's cost grows with them.
    pub(super) fn purge(&mut self, lambda: &[f64], value: f64) {
        let n = lambda.len();
        if self.neurons.len() < 4 * n + 100 {
            return;
        }
        let price = |j: usize| dot(lambda, &self.payoffs[j * n..(j + 1) * n]);
        let keep: Vec<usize> = (0..self.neurons.len()).filter(|j| price(*j) >= 0.9 * value).collect();
        self.payoffs = keep.iter().flat_map(|j| self.payoffs[j * n..(j + 1) * n].to_vec()).collect();
        self.neurons = keep.iter().map(|j| self.neurons[*j].clone()).collect();
    }

    /// Value, α ≥ 0 and λ of the game max_α min_i Σ_j α_j payoff_ij.
    pub(super) fn solve(&self, n: usize) -> Result<(f64, Vec<f64>, Vec<f64>), Failure> {
        let m = self.neurons.len();
        // Variables α, t: t − Σ α_j p_ij ≤ 0, −α ≤ 0, Σ α ≤ 1; payoffs at size 1.
        let size = self.payoffs.iter().fold(f64::MIN_POSITIVE, |s, p| p.abs().max(s));
        let (mut rows, mut cols, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut put = |r: usize, c: usize, v: f64| {
            rows.push(r);
            cols.push(c);
            values.push(v);
        };
        for j in 0..m {
            for i in 0..n {
                let p = self.payoffs[j * n + i];
                if p != 0.0 {
                    put(i, j, -p / size);
                }
            }
            put(n + j, j, -1.0);
            put(n + m, j, 1.0);
        }
        (0..n).for_each(|i| put(i, m, 1.0));
        let a = CscMatrix::new_from_triplets(n + m + 1, m + 1, rows, cols, values);
        let mut right = vec![0.0; n + m + 1];
        right[n + m] = 1.0;
        let mut cost = vec![0.0; m + 1];
        cost[m] = -1.0;
        let mut settings = DefaultSettingsBuilder::default();
        settings.verbose(false).tol_gap_abs(1e-12).tol_gap_rel(1e-12).tol_feas(1e-12);
        let settings = settings.build().map_err(|e| Failure::Stalled(e.to_string()))?;
        let p = CscMatrix::zeros((m + 1, m + 1));
        let mut solver = DefaultSolver::new(&p, &cost, &a, &right, &[NonnegativeConeT(n + m + 1)], settings)
            .map_err(|e| Failure::Stalled(e.to_string()))?;
        solver.solve();
        let simplex = |v: &[f64]| {
            let v: Vec<f64> = v.iter().map(|x| if *x > 1e-11 { *x } else { 0.0 }).collect();
            let total: f64 = v.iter().sum();
            (total > 0.0 && total.is_finite()).then(|| v.iter().map(|x| x / total).collect::<Vec<f64>>())
        };
        let stalled =
            || Failure::Stalled(format!("the master programme of {m} neurons ended without multipliers"));
        let lambda = simplex(&solver.solution.z[..n]).ok_or_else(stalled)?;
        let alphas = simplex(&solver.solution.x[..m]).unwrap_or_else(|| vec![0.0; m]);
        let least = (0..n).map(|i| (0..m).map(|j| alphas[j] * self.payoffs[j * n + i]).sum::<f64>());
        Ok((least.fold(f64::INFINITY, f64::min).max(0.0), alphas, lambda))
    }

    pub(super) fn found(
        &self,
        x: Rows<'_>,
        y: &[f64],
        alphas: &[f64],
        (dual, bound): (Vec<f64>, f64),
        trees: [Vec<Branch>; 2],
        nodes: usize,
    ) -> TwoLayer {
        let used = self.neurons.iter().zip(alphas).filter(|(_, a)| **a > 0.0);
        let all: Vec<Neuron> =
            used.map(|((sign, beta), a)| Neuron { alpha: sign * a, beta: beta.clone() }).collect();
        // Fewer neurons where that costs nothing that the gap would show.
        let few = merged(x, &all);
        let neurons = if value(x, y, &few) >= value(x, y, &all) * (1.0 - 1e-10) { few } else { all };
        let solution =
            neurons.iter().flat_map(|n| std::iter::once(n.alpha).chain(n.beta.iter().copied())).collect();
        let optimum = Optimum { solution, value: value(x, y, &neurons), dual, bound };
        TwoLayer { neurons, optimum, trees, nodes }
    }
}
