//! The saddle problem of a bundle in any norm: certificates from the norms alone, vertices by enumeration, a conic solver, and
//! the shortest vector of the hull.

mod common;
#[path = "common/referee.rs"]
mod referee;

use common::{assert_close, normals, parse};
use latephase_core::Layout;
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::dot;
use latephase_core::quadratic::{Gram, MinNorm};
use latephase_core::saddle::{Answer, Saddle, Table};
use referee::Ball;

fn norm(text: &str) -> AnyNorm {
    parse(text)
}

/// Two matrices and a vector.
fn layered() -> Layout {
    let mut layout = Layout::default();
    layout.push("0.weight", &[5, 3], 1.0);
    layout.push("0.bias", &[5], 1.0);
    layout.push("1.weight", &[2, 5], 1.0);
    layout
}

fn rows(table: &[f64], dim: usize) -> Vec<Vec<f64>> {
    table.chunks_exact(dim).map(<[f64]>::to_vec).collect()
}

/// `n` Gaussian slopes with one part in common, so that all can rise, and linear terms with least entry 0.
fn bundle(seed: u64, n: usize, dim: usize) -> (Vec<f64>, Vec<f64>) {
    let common = normals(seed, "common", dim);
    let table = normals(seed, "slopes", n * dim);
    let table = table.iter().enumerate().map(|(i, x)| x + 0.5 * common[i % dim]).collect();
    let linear = normals(seed, "linear", n).iter().map(|z| z.abs()).collect::<Vec<_>>();
    let least = linear.iter().copied().fold(f64::INFINITY, f64::min);
    (table, linear.iter().map(|c| c - least).collect())
}

/// Solves, and makes the certificate again from the norm's own value and dual.
#[track_caller]
fn solved(norm: &AnyNorm, layout: &Layout, table: &[f64], linear: &[f64]) -> (Answer, Vec<f64>) {
    let mut saddle = Saddle::new(norm, layout, 1e-12).unwrap();
    let found = saddle.solve(&Table::new(table, layout.dim()), linear, &[]).unwrap();
    let (y, built) = (saddle.direction().to_vec(), norm.build());
    let name = built.column();
    assert!(built.of(&y, layout) <= 1.0 + 1e-13, "{name}: y has norm {}", built.of(&y, layout));
    assert_close(found.lambda.iter().sum(), 1.0, 1e-14, "sum of the weights");
    assert!(found.lambda.iter().all(|l| *l >= 0.0));
    let (mut v, mut value) = (vec![0.0; y.len()], f64::INFINITY);
    for ((row, l), c) in rows(table, y.len()).iter().zip(&found.lambda).zip(linear) {
        v.iter_mut().zip(row).for_each(|(v, x)| *v += l * x);
        value = value.min(c + dot(row, &y));
    }
    assert_close(found.value, value, 1e-12, "value");
    assert_close(found.bound, built.dual(&v, layout) + dot(linear, &found.lambda), 1e-12, "bound");
    (found, y)
}

/// max t over t ≤ c_k + ⟨g_k, y⟩ and ⟨a, y⟩ ≤ 1 for the faces a of a polytope: the best of all vertices.
fn by_enumeration(slopes: &[Vec<f64>], linear: &[f64], faces: &[Vec<f64>]) -> f64 {
    let dim = slopes[0].len();
    let pieces = slopes.iter().zip(linear).map(|(g, c)| (g.iter().map(|x| -x).chain([1.0]).collect(), *c));
    let sides = faces.iter().map(|a| (a.iter().copied().chain([0.0]).collect(), 1.0));
    let all: Vec<(Vec<f64>, f64)> = pieces.chain(sides).collect();
    let mut best = f64::NEG_INFINITY;
    for chosen in 0u32..1 << all.len() {
        if chosen.count_ones() as usize != dim + 1 {
            continue;
        }
        let equations: Vec<_> =
            (0..all.len()).filter(|i| chosen >> i & 1 == 1).map(|i| all[i].clone()).collect();
        let Some(x) = eliminated(equations) else { continue };
        if all.iter().all(|(a, b)| dot(a, &x) <= b + 1e-9) {
            best = best.max(x[dim]);
        }
    }
    best
}

/// The solution of as many equations as unknowns, by Gauss with pivots.
fn eliminated(mut equations: Vec<(Vec<f64>, f64)>) -> Option<Vec<f64>> {
    let n = equations.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| equations[*a].0[i].abs().total_cmp(&equations[*b].0[i].abs()))?;
        equations.swap(i, pivot);
        let (row, right) = equations[i].clone();
        if row[i].abs() < 1e-9 {
            return None;
        }
        for (k, (other, b)) in equations.iter_mut().enumerate().filter(|(k, _)| *k != i) {
            let factor = other[i] / row[i];
            debug_assert_ne!(k, i);
            other.iter_mut().zip(&row).for_each(|(x, y)| *x -= factor * y);
            *b -= factor * right;
        }
    }
    Some((0..n).map(|i| equations[i].1 / equations[i].0[i]).collect())
}

/// All vectors of ±1.
fn signs(dim: usize) -> Vec<Vec<f64>> {
    (0..1 << dim).map(|m| (0..dim).map(|j| if m >> j & 1 == 1 { 1.0 } else { -1.0 }).collect()).collect()
}

/// ±e_j.
fn axes(dim: usize) -> Vec<Vec<f64>> {
    let axis = |j: usize, s: f64| (0..dim).map(|i| if i == j { s } else { 0.0 }).collect();
    (0..dim).flat_map(|j| [axis(j, 1.0), axis(j, -1.0)]).collect()
}

#[test]
fn small_programmes_have_the_value_of_their_best_vertex() {
    for seed in 0..40 {
        let dim = 3;
        let (table, linear) = bundle(seed, 5, dim);
        for (text, faces) in [("kind = 'l1'", signs(dim)), ("kind = 'linf'", axes(dim))] {
            let exact = by_enumeration(&rows(&table, dim), &linear, &faces);
            let (found, _) = solved(&norm(text), &Layout::vector(dim), &table, &linear);
            // The pieces need not rise together: the value may be of either sign.
            assert!(
                (found.value - exact).abs() < 1e-10,
                "{text}, seed {seed}: {} against {exact}",
                found.value
            );
            assert!(
                (found.bound - exact).abs() < 1e-10,
                "{text}, seed {seed}: {} against {exact}",
                found.bound
            );
        }
    }
}

#[test]
fn the_saddle_raises_every_piece_where_an_oracle_of_the_shortest_combination_does_not() {
    let (l1, layout) = (norm("kind = 'l1'"), Layout::vector(6));
    let (mut failures, mut tried) = (0, 0);
    for seed in 0..200 {
        let table = normals(seed, "slopes", 4 * 6);
        let (found, y) = solved(&l1, &layout, &table, &[0.0; 4]);
        let mut v = vec![0.0; 6];
        rows(&table, 6).iter().zip(&found.lambda).for_each(|(row, l)| {
            v.iter_mut().zip(row).for_each(|(v, x)| *v += l * x);
        });
        let mut oracle = vec![0.0; 6];
        l1.build().steepest(&v, &layout, &mut oracle);
        let least = |d: &[f64]| rows(&table, 6).iter().map(|g| dot(g, d)).fold(f64::INFINITY, f64::min);
        assert!(found.gap() < 1e-11, "seed {seed}: gap {:e}", found.gap());
        assert!(least(&y) >= found.bound * (1.0 - 1e-10) && least(&y) > 0.0, "seed {seed}");
        failures += usize::from(least(&oracle) <= 0.0);
        tried += 1;
    }
    assert!(2 * failures > tried, "the oracle failed in {failures} of {tried}");
}

#[test]
fn a_conic_solver_agrees() {
    for (seed, n, dim) in [(1, 5, 30), (2, 40, 20), (3, 30, 200)] {
        let (table, _) = bundle(seed, n, dim);
        let balls = [
            ("kind = 'l1'", Ball::L1),
            ("kind = 'linf'", Ball::Linf),
            ("kind = 'l2'", Ball::Lp(2.0)),
            ("kind = 'lp'\np = 3", Ball::Lp(3.0)),
            ("kind = 'lp'\np = 1.5", Ball::Lp(1.5)),
        ];
        for (text, ball) in balls {
            let (found, _) = solved(&norm(text), &Layout::vector(dim), &table, &vec![0.0; n]);
            println!(
                "{n} x {dim} {text}: {} steps, {} responses, {} passes, gap {:.1e}",
                found.steps,
                found.responses,
                found.passes,
                found.gap()
            );
            // y = |v̂|^{q−1}: for p = 3 a rounding of 2⁻⁵³ in v is one of 1e-8 in y where v is near 0.
            let allowed = if ball == Ball::Lp(3.0) { 1e-8 } else { 1e-10 };
            assert!(found.gap() < allowed, "{n} x {dim} {text}: gap {:e}", found.gap());
            let other = referee::max_margin(&rows(&table, dim), ball);
            let slack = 1e-9 * found.bound;
            assert!(
                other.lower <= found.bound + slack && found.value <= other.upper + slack,
                "{n} x {dim} {text}"
            );
        }
    }
}

#[test]
fn norms_of_blocks_close_their_gaps() {
    let layout = layered();
    for text in [
        "kind = 'frobenius-max'",
        "kind = 'blockwise'\ninner = 'spectral'",
        "kind = 'blockwise'\ninner = 'linf'\nvectors = 'l1'",
        "kind = 'blockwise'\ninner = 'l1'\nblocks = { '1.weight' = 'spectral' }",
    ] {
        for (seed, n) in [(1, 2), (2, 6), (3, 12)] {
            let (table, linear) = bundle(seed, n, layout.dim());
            for linear in [vec![0.0; n], linear] {
                let (found, _) = solved(&norm(text), &layout, &table, &linear);
                println!(
                    "{text} {n}: {} steps, {} responses, {} passes, gap {:.1e}",
                    found.steps,
                    found.responses,
                    found.passes,
                    found.gap()
                );
                assert!(found.gap() < 1e-10, "{text}, {n} pieces: gap {:e}", found.gap());
            }
        }
    }
}

#[test]
fn in_l2_it_is_the_proximal_point_of_the_quadratic_programme() {
    for seed in 0..10 {
        let (n, dim) = (12, 9);
        let (table, linear) = bundle(seed, n, dim);
        let layout = Layout::vector(dim);
        let slopes = rows(&table, dim);
        let gram: Vec<f64> = slopes.iter().flat_map(|a| slopes.iter().map(move |b| dot(a, b))).collect();
        for text in ["kind = 'l2'", "kind = 'lp'\np = 2"] {
            let (found, y) = solved(&norm(text), &layout, &table, &linear);
            // A unit step is h‖d‖ = 1, so the errors cost c·‖d‖ in the quadratic programme.
            let costs: Vec<f64> = linear.iter().map(|c| c * found.dual_norm).collect();
            let mut solver = MinNorm::new();
            let other = solver.solve(Gram::new(&gram, n, n), &costs, &[]);
            assert_close(found.dual_norm, other.norm_squared.sqrt(), 1e-8, text);
            let mut d = vec![0.0; dim];
            slopes
                .iter()
                .zip(other.lambda)
                .for_each(|(g, l)| d.iter_mut().zip(g).for_each(|(d, g)| *d += l * g));
            let cosine = dot(&d, &y) / found.dual_norm;
            assert!((cosine - 1.0).abs() < 1e-8, "{text}, seed {seed}: {cosine}");
        }
    }
}

#[test]
fn the_last_answer_is_a_cheap_start_and_changes_nothing() {
    let (n, dim) = (40, 400);
    let (mut table, linear) = bundle(5, n, dim);
    for text in ["kind = 'l1'", "kind = 'linf'"] {
        let layout = Layout::vector(dim);
        let mut saddle = Saddle::new(&norm(text), &layout, 1e-10).unwrap();
        let cold = saddle.solve(&Table::new(&table, dim), &linear, &[]).unwrap();
        // One piece is another.
        let other = normals(6, "slopes", dim);
        table[..dim].iter_mut().zip(&other).for_each(|(x, z)| *x += 0.1 * z);
        let warm = saddle.solve(&Table::new(&table, dim), &linear, &cold.lambda).unwrap();
        let (anew, _) = solved(&norm(text), &layout, &table, &linear);
        assert_close(warm.value, anew.value, 1e-9, text);
        println!("{text}: cold {} warm {} passes", anew.passes, warm.passes);
        assert!(3 * warm.passes <= 2 * cold.passes, "{text}: {} after {}", warm.passes, cold.passes);
    }
}

#[test]
fn norms_without_a_solver_say_which_have_one() {
    let mut matrices = Layout::default();
    matrices.push("0.weight", &[5, 3], 1.0);
    matrices.push("1.weight", &[2, 5], 1.0);
    for (text, at) in [
        ("kind = 'blockwise'\ncombine = 'sum'\ninner = 'spectral'", ""),
        ("kind = 'nuclear'", ""),
        ("kind = 'blockwise'\ninner = { kind = 'lp', p = 3 }", "inner"),
    ] {
        let refused = Saddle::new(&norm(text), &matrices, 1e-6).unwrap_err();
        assert_eq!(refused.field, at, "{text}");
        assert!(refused.message.contains("linf"), "{text}: {}", refused.message);
    }
    let mut saddle = Saddle::new(&norm("kind = 'linf'"), &Layout::vector(2), 1e-6).unwrap();
    assert!(saddle.solve(&Table::new(&[1.0, f64::NAN], 2), &[0.0], &[]).is_none());
    assert_eq!(saddle.direction(), [0.0; 2]);
}
