//! Exact maximum margins of linear models, by a conic solver, certified by a primal–dual pair.
//!
//! γ = max { min_i ⟨a_i, w⟩ : ‖w‖ ≤ 1 } = min { ‖Σ y_i a_i‖⋆ : y ≥ 0, Σ y = 1 }. Whatever the solver says, a w gives the lower
//! bound min_i ⟨a_i, w⟩/‖w‖ and a y the upper bound ‖Σ y_i a_i‖⋆, both computed here by other means.

#![allow(dead_code)] // each test file uses its own part

use clarabel::algebra::CscMatrix;
use clarabel::solver::SupportedConeT::{self, NonnegativeConeT, PowerConeT, SecondOrderConeT};
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver};
use latephase_core::Layout;
use latephase_core::norm::{Norm, Spectral};

/// The ball that w is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ball {
    L1,
    Linf,
    /// 1 < p < ∞.
    Lp(f64),
    /// Matrices of rows × cols.
    Spectral(usize, usize),
}

/// A pair whose bounds enclose the maximum margin.
#[derive(Clone, Debug)]
pub struct Certified {
    /// Of norm 1, with least margin `lower`.
    pub w: Vec<f64>,
    /// The multipliers.
    pub y: Vec<f64>,
    pub lower: f64,
    pub upper: f64,
}

impl Certified {
    pub fn gap(&self) -> f64 {
        self.upper / self.lower - 1.0
    }
}

fn matrix(rows: usize, cols: usize) -> Layout {
    let mut layout = Layout::default();
    layout.push("0.weight", &[rows, cols], 1.0);
    layout
}

impl Ball {
    pub fn norm(self, w: &[f64]) -> f64 {
        match self {
            Ball::L1 => w.iter().map(|x| x.abs()).sum(),
            Ball::Linf => w.iter().fold(0.0, |m, x| x.abs().max(m)),
            Ball::Lp(p) => w.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p),
            Ball::Spectral(rows, cols) => Spectral {}.of(w, &matrix(rows, cols)),
        }
    }

    pub fn dual(self, g: &[f64]) -> f64 {
        match self {
            Ball::L1 => Ball::Linf.norm(g),
            Ball::Linf => Ball::L1.norm(g),
            Ball::Lp(p) => Ball::Lp(p / (p - 1.0)).norm(g),
            Ball::Spectral(rows, cols) => Spectral {}.dual(g, &matrix(rows, cols)),
        }
    }
}

/// min ⟨c, x⟩ subject to rows·x + slack = right, the slack in a product of cones.
#[derive(Default)]
struct Programme {
    rows: Vec<Vec<(usize, f64)>>,
    right: Vec<f64>,
    cones: Vec<SupportedConeT<f64>>,
}

impl Programme {
    /// Adds rows whose slacks lie in one cone.
    fn cone(&mut self, cone: SupportedConeT<f64>, rows: Vec<(Vec<(usize, f64)>, f64)>) {
        for (row, right) in rows {
            self.rows.push(row);
            self.right.push(right);
        }
        self.cones.push(cone);
    }

    /// (x, multipliers of the rows).
    fn solve(&self, c: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut i, mut j, mut v) = (Vec::new(), Vec::new(), Vec::new());
        for (r, row) in self.rows.iter().enumerate() {
            for &(col, value) in row {
                i.push(r);
                j.push(col);
                v.push(value);
            }
        }
        let n = c.len();
        let a = CscMatrix::new_from_triplets(self.rows.len(), n, i, j, v);
        let settings = DefaultSettingsBuilder::default()
            .verbose(false)
            .tol_gap_abs(1e-11)
            .tol_gap_rel(1e-11)
            .tol_feas(1e-11)
            .build()
            .expect("valid settings");
        let p = CscMatrix::zeros((n, n));
        let mut solver =
            DefaultSolver::new(&p, c, &a, &self.right, &self.cones, settings).expect("a valid programme");
        solver.solve();
        (solver.solution.x.clone(), solver.solution.z.clone())
    }
}

/// The maximum margin of the rows `a` in a ball, to about 1e-9 (spectral: 1e-6).
pub fn max_margin(a: &[Vec<f64>], ball: Ball) -> Certified {
    if let Ball::Spectral(rows, cols) = ball {
        return cutting_planes(a, rows, cols);
    }
    let (n, d) = (a.len(), a[0].len());
    // Variables: w, then t, then what the ball needs.
    let t = d;
    let mut programme = margins(a, t);
    let mut c = vec![0.0; d + 1];
    c[t] = -1.0;
    match ball {
        Ball::Linf => {
            let bound = |j: usize| [(vec![(j, 1.0)], 1.0), (vec![(j, -1.0)], 1.0)];
            programme.cone(NonnegativeConeT(2 * d), (0..d).flat_map(bound).collect());
        }
        Ball::L1 => {
            c.resize(2 * d + 1, 0.0);
            let s = |j: usize| d + 1 + j;
            let bound =
                |j: usize| [(vec![(j, 1.0), (s(j), -1.0)], 0.0), (vec![(j, -1.0), (s(j), -1.0)], 0.0)];
            programme.cone(NonnegativeConeT(2 * d), (0..d).flat_map(bound).collect());
            programme.cone(NonnegativeConeT(1), vec![((0..d).map(|j| (s(j), 1.0)).collect(), 1.0)]);
        }
        Ball::Lp(2.0) => {
            let rows = (0..d).map(|j| (vec![(j, -1.0)], 0.0));
            programme.cone(SecondOrderConeT(d + 1), std::iter::once((vec![], 1.0)).chain(rows).collect());
        }
        Ball::Lp(p) => {
            // Σ s_j ≤ 1 and |w_j| ≤ s_j^{1/p}·1^{1−1/p}.
            c.resize(2 * d + 1, 0.0);
            let s = |j: usize| d + 1 + j;
            programme.cone(NonnegativeConeT(1), vec![((0..d).map(|j| (s(j), 1.0)).collect(), 1.0)]);
            for j in 0..d {
                let rows = vec![(vec![(s(j), -1.0)], 0.0), (vec![], 1.0), (vec![(j, -1.0)], 0.0)];
                programme.cone(PowerConeT(1.0 / p), rows);
            }
        }
        Ball::Spectral(..) => unreachable!("handled above"),
    }
    let (x, z) = programme.solve(&c);
    certified(a, ball, &x[..d], &z[..n])
}

/// ⟨a_i, w⟩ ≥ t.
fn margins(a: &[Vec<f64>], t: usize) -> Programme {
    let mut programme = Programme::default();
    let row = |a: &Vec<f64>| {
        let row = a.iter().enumerate().map(|(j, x)| (j, -x)).chain([(t, 1.0)]);
        (row.collect(), 0.0)
    };
    programme.cone(NonnegativeConeT(a.len()), a.iter().map(row).collect());
    programme
}

fn certified(a: &[Vec<f64>], ball: Ball, w: &[f64], y: &[f64]) -> Certified {
    let size = ball.norm(w);
    let w: Vec<f64> = w.iter().map(|x| x / size).collect();
    let total: f64 = y.iter().map(|y| y.max(0.0)).sum();
    let y: Vec<f64> = y.iter().map(|y| y.max(0.0) / total).collect();
    let mut g = vec![0.0; w.len()];
    for (a, y) in a.iter().zip(&y) {
        g.iter_mut().zip(a).for_each(|(g, a)| *g += y * a);
    }
    let inner = |a: &Vec<f64>| a.iter().zip(&w).map(|(a, w)| a * w).sum::<f64>();
    let lower = a.iter().map(inner).fold(f64::INFINITY, f64::min);
    let upper = ball.dual(&g);
    Certified { w, y, lower, upper }
}

/// σ_1(W) ≤ 1 as the intersection of |⟨u vᵀ, W⟩| ≤ 1 over the singular pairs met so far: linear programmes from outside,
/// until the bounds close.
fn cutting_planes(a: &[Vec<f64>], rows: usize, cols: usize) -> Certified {
    let (n, d, ball) = (a.len(), rows * cols, Ball::Spectral(rows, cols));
    let layout = matrix(rows, cols);
    let mut cuts: Vec<Vec<f64>> = Vec::new();
    let mut best: Option<Certified> = None;
    for _ in 0..400 {
        let mut programme = margins(a, d);
        let entry = |j: usize| [(vec![(j, 1.0)], 1.0), (vec![(j, -1.0)], 1.0)];
        programme.cone(NonnegativeConeT(2 * d), (0..d).flat_map(entry).collect());
        let both = |cut: &Vec<f64>| {
            let row = |sign: f64| (cut.iter().enumerate().map(|(j, x)| (j, sign * x)).collect(), 1.0);
            [row(1.0), row(-1.0)]
        };
        if !cuts.is_empty() {
            programme.cone(NonnegativeConeT(2 * cuts.len()), cuts.iter().flat_map(both).collect());
        }
        let mut c = vec![0.0; d + 1];
        c[d] = -1.0;
        let (x, z) = programme.solve(&c);
        let found = certified(a, ball, &x[..d], &z[..n]);
        let known = best.get_or_insert_with(|| found.clone());
        if found.lower > known.lower {
            (known.w, known.lower) = (found.w.clone(), found.lower);
        }
        if found.upper < known.upper {
            (known.y, known.upper) = (found.y.clone(), found.upper);
        }
        if known.gap() <= 1e-7 {
            break;
        }
        // Cut at the programme's point and half-way to the best one: every direction that the ball still lacks.
        for t in [1.0, 0.5] {
            let point: Vec<f64> = x[..d].iter().zip(&known.w).map(|(x, w)| t * x + (1.0 - t) * w).collect();
            let mut rest = point.clone();
            for _ in 0..rows.min(cols) {
                // The leading pair, then what is left without it.
                let mut pair = vec![0.0; d];
                let sigma = latephase_core::norm::Nuclear {}.steepest(&rest, &layout, &mut pair);
                if sigma < 1.0 - 1e-3 {
                    break;
                }
                rest.iter_mut().zip(&pair).for_each(|(r, p)| *r -= sigma * p);
                cuts.push(pair);
            }
        }
    }
    best.expect("at least one round")
}

/// The maximum margin over 2 × 2 matrices of spectral norm 1, exactly: with z = (a + d, b − c)/2 and z' = (a − d, b + c)/2,
/// σ_1 = |z| + |z'|.
pub fn max_margin_of_two_by_two(a: &[Vec<f64>]) -> Certified {
    let mut programme = margins(a, 4);
    let (r, s) = (5, 6);
    programme.cone(NonnegativeConeT(1), vec![(vec![(r, 1.0), (s, 1.0)], 1.0)]);
    let half = |i: usize, j: usize, sign: f64| (vec![(i, -0.5), (j, -0.5 * sign)], 0.0);
    programme.cone(SecondOrderConeT(3), vec![(vec![(r, -1.0)], 0.0), half(0, 3, 1.0), half(1, 2, -1.0)]);
    programme.cone(SecondOrderConeT(3), vec![(vec![(s, -1.0)], 0.0), half(0, 3, -1.0), half(1, 2, 1.0)]);
    let mut c = vec![0.0; 7];
    c[4] = -1.0;
    let (x, z) = programme.solve(&c);
    certified(a, Ball::Spectral(2, 2), &x[..4], &z[..a.len()])
}
