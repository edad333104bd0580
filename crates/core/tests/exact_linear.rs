//! Exact maximal margins of linear models: closed forms, a conic solver as referee, weak duality, certificates.

mod common;
#[path = "common/referee.rs"]
mod referee;

use common::{assert_close, data, four_points, normals};
use latephase_core::exact::{Constraints, Failure, Geometry, kernel, max_margin, verify};
use latephase_core::numeric::{dot, norm};
use referee::Ball;

/// Gaussian vectors on one side of a hyperplane, at least `gap` away.
fn separable(n: usize, dim: usize, gap: f64, seed: u64) -> Vec<f64> {
    let u = normals(seed, "direction", dim);
    let size = norm(&u);
    let mut rows = Vec::new();
    for i in 0..n {
        let v = normals(seed + 1 + i as u64, "points", dim);
        let along = dot(&v, &u) / size;
        rows.extend(v.iter().zip(&u).map(|(v, u)| v + (along.abs() + gap - along) * u / size));
    }
    rows
}

fn rows(a: &Constraints<'_>) -> Vec<Vec<f64>> {
    let vector = |c| {
        let mut out = vec![0.0; a.dim()];
        a.vector(c, &mut out);
        out
    };
    (0..a.len()).map(vector).collect()
}

const VECTOR: [(Geometry, Ball); 3] =
    [(Geometry::L1, Ball::L1), (Geometry::L2, Ball::Lp(2.0)), (Geometry::Linf, Ball::Linf)];

#[test]
fn the_four_points_have_their_known_margins() {
    let points = four_points();
    let a = Constraints::of(&points, 1, false).unwrap();
    for (geometry, exact) in [(Geometry::L1, 1.5), (Geometry::L2, 2.121320343559643), (Geometry::Linf, 3.0)] {
        let found = max_margin(&a, geometry).unwrap();
        assert_close(found.value, exact, 1e-12, "value");
        assert_close(found.bound, exact, 1e-12, "bound");
        assert!(found.value <= exact * (1.0 + 1e-15) && exact <= found.bound * (1.0 + 1e-15), "{geometry:?}");
    }
}

#[test]
fn gaps_close_and_a_conic_solver_agrees() {
    for (n, dim, seed) in [(5, 3, 1), (40, 10, 2), (30, 60, 3), (300, 20, 4)] {
        let x = separable(n, dim, 0.3, 100 * seed);
        let a = Constraints::vectors(x, dim).unwrap();
        for (geometry, ball) in VECTOR {
            let found = max_margin(&a, geometry).unwrap();
            println!("{n} x {dim} {geometry:?}: {} gap {:.1e}", found.value, found.gap());
            assert!(found.gap() <= 1e-10, "{n} x {dim} {geometry:?}: {:e}", found.gap());
            let other = referee::max_margin(&rows(&a), ball);
            assert!(other.gap() < 1e-6, "the referee's own certificate is open by {:e}", other.gap());
            assert!(other.lower <= found.bound * (1.0 + 1e-14) && found.value <= other.upper * (1.0 + 1e-14));
        }
    }
}

#[test]
fn any_multipliers_bound_the_margin_of_any_solution() {
    let a = Constraints::vectors(separable(20, 6, 0.2, 5), 6).unwrap();
    for seed in 0..40 {
        let theta = normals(seed, "theta", 6);
        let lambda: Vec<f64> = normals(seed, "lambda", 20).iter().map(|x| x.abs()).collect();
        for geometry in [
            Geometry::L1,
            Geometry::L2,
            Geometry::Linf,
            Geometry::Lp(3.0),
            Geometry::Spectral,
            Geometry::Nuclear,
        ] {
            let pair = verify(&a, geometry, &theta, &lambda).unwrap();
            assert!(pair.value <= pair.bound, "{geometry:?}: {} above {}", pair.value, pair.bound);
            // The definitions, written out.
            let least = rows(&a).iter().map(|r| dot(r, &theta)).fold(f64::INFINITY, f64::min);
            assert_close(pair.value, least / geometry.norm(&theta, a.shape()), 1e-12, "value");
        }
    }
}

#[test]
fn the_order_of_examples_does_not_matter() {
    let (n, dim) = (25, 8);
    let x = separable(n, dim, 0.2, 6);
    let turned: Vec<f64> = x.chunks(dim).rev().flatten().copied().collect();
    for geometry in [Geometry::L1, Geometry::L2, Geometry::Linf] {
        let one = max_margin(&Constraints::vectors(x.clone(), dim).unwrap(), geometry).unwrap();
        let other = max_margin(&Constraints::vectors(turned.clone(), dim).unwrap(), geometry).unwrap();
        assert_close(one.value, other.value, 1e-10, "value");
    }
}

#[test]
fn data_that_nothing_separates_have_a_certificate() {
    // Gaussian vectors, many more than dimensions: by Cover's count no half-space holds them all.
    for (n, dim) in [(30, 3), (200, 10), (500, 40)] {
        let a = Constraints::vectors(normals(7, "points", n * dim), dim).unwrap();
        for geometry in [Geometry::L2, Geometry::L1] {
            let Err(Failure::NotSeparable { weights, residual }) = max_margin(&a, geometry) else {
                panic!("{n} x {dim}: expected a certificate")
            };
            assert!(residual < 1e-12, "{n} x {dim}: {residual:e}");
            assert_close(weights.iter().sum(), 1.0, 1e-12, "sum");
            assert!(weights.iter().all(|w| *w >= 0.0));
            // Ten independent lines: the vectors cancel.
            let mut g = vec![0.0; dim];
            let mut size = 0.0;
            for (row, w) in rows(&a).iter().zip(&weights) {
                g.iter_mut().zip(row).for_each(|(g, x)| *g += w * x);
                size += w * norm(row);
            }
            assert!(norm(&g) <= 1e-12 * size, "{:e}", norm(&g) / size);
        }
    }
    // The same point in both classes.
    let same = data(&[1.0, 2.0, 1.0, 2.0], &[0, 1], 2, 2);
    let a = Constraints::of(&same, 1, false).unwrap();
    assert!(matches!(max_margin(&a, Geometry::Linf), Err(Failure::NotSeparable { .. })));
}

#[test]
fn a_gram_matrix_gives_the_margin_of_its_features() {
    let (n, dim) = (60, 12);
    let a = Constraints::vectors(separable(n, dim, 0.2, 8), dim).unwrap();
    let gram: Vec<f64> = (0..n * n).map(|k| a.inner(k / n, k % n)).collect();
    let by_features = max_margin(&a, Geometry::L2).unwrap();
    let by_gram = kernel::max_margin(&gram, n).unwrap();
    assert!(by_gram.gap() < 1e-10, "{:e}", by_gram.gap());
    assert_close(by_gram.value, by_features.value, 1e-10, "value");
    // θ = Σβ a has norm 1 and the margin that is claimed.
    let theta = a.combine(&by_gram.solution);
    assert_close(norm(&theta), 1.0, 1e-12, "norm");
    let least = a.margins(&theta).into_iter().fold(f64::INFINITY, f64::min);
    assert_close(least, by_gram.value, 1e-12, "least margin");
    let x = normals(9, "points", 50 * 3);
    let b = Constraints::vectors(x, 3).unwrap();
    let gram: Vec<f64> = (0..2500).map(|k| b.inner(k / 50, k % 50)).collect();
    assert!(matches!(kernel::max_margin(&gram, 50), Err(Failure::NotSeparable { .. })));
}

#[test]
fn a_small_margin_between_large_features_is_still_certified() {
    // Points along (1, ±1)/√2 of length 1, apart by 1e-4 about the line: the ℓ2 margin is sin(1e-4).
    let angle = 1e-4f64;
    let x = vec![angle.sin(), angle.cos(), angle.sin(), -angle.cos()];
    let a = Constraints::vectors(x, 2).unwrap();
    let found = max_margin(&a, Geometry::L2).unwrap();
    assert_close(found.value, angle.sin(), 1e-9, "value");
    assert!(found.gap() < 1e-8, "{:e}", found.gap());
}

/// Gaussian points that a random linear map tells apart by at least `gap`.
fn classes(n: usize, dim: usize, k: usize, gap: f64, seed: u64) -> std::sync::Arc<latephase_core::Data> {
    let w = normals(seed, "map", k * dim);
    let (mut x, mut labels, mut i) = (Vec::new(), Vec::new(), 0);
    while labels.len() < n {
        let v = normals(seed + 7 * i, "points", dim);
        i += 1;
        let mut scores: Vec<(f64, usize)> = w.chunks(dim).map(|w| dot(w, &v)).zip(0..).collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        if scores[0].0 - scores[1].0 > gap {
            x.extend(v);
            labels.push(scores[0].1 as u32);
        }
    }
    data(&x, &labels, dim, k)
}

#[test]
fn powers_between_one_and_infinity_agree_with_power_cones() {
    for (n, dim, seed) in [(30, 5, 1), (20, 40, 2)] {
        let a = Constraints::vectors(separable(n, dim, 0.3, 100 * seed), dim).unwrap();
        for p in [1.1, 1.5, 3.0, 10.0] {
            let found = max_margin(&a, Geometry::Lp(p)).unwrap();
            println!("{n} x {dim} p = {p}: {} gap {:.1e}", found.value, found.gap());
            assert!(found.gap() <= 1e-9, "{n} x {dim} p = {p}: {:e}", found.gap());
            let other = referee::max_margin(&rows(&a), Ball::Lp(p));
            assert!(other.lower <= found.bound * (1.0 + 1e-13) && found.value <= other.upper * (1.0 + 1e-13));
        }
    }
}

#[test]
fn matrix_norms_of_several_classes_have_closed_gaps() {
    for (n, dim, k, seed) in [(12, 2, 3, 3), (40, 5, 4, 4), (60, 20, 3, 5), (80, 8, 10, 6)] {
        let points = classes(n, dim, k, 0.3, seed);
        let a = Constraints::of(&points, k, false).unwrap();
        for geometry in [Geometry::L2, Geometry::Spectral, Geometry::Nuclear] {
            let found = max_margin(&a, geometry).unwrap();
            println!("{n} x {dim}, {k} classes, {geometry:?}: {} gap {:.1e}", found.value, found.gap());
            assert!(found.gap() <= 1e-9, "{n} x {dim}, {k} classes, {geometry:?}: {:e}", found.gap());
        }
        if n * dim < 100 {
            let found = max_margin(&a, Geometry::Spectral).unwrap();
            let other = referee::max_margin(&rows(&a), Ball::Spectral(k, dim));
            assert!(other.lower <= found.bound && found.value <= other.upper, "{} in {other:?}", found.value);
        }
    }
}

const ALL: [Geometry; 6] =
    [Geometry::L1, Geometry::L2, Geometry::Linf, Geometry::Lp(3.0), Geometry::Spectral, Geometry::Nuclear];

#[test]
fn margins_scale_with_the_data_and_forget_repeated_examples() {
    let points = classes(25, 6, 3, 0.2, 11);
    let a = Constraints::of(&points, 3, false).unwrap();
    let twice: Vec<usize> = (0..25).rev().chain(0..25).collect();
    let twice = points.select(&twice);
    for geometry in ALL {
        let exact = max_margin(&a, geometry).unwrap();
        for c in [1e-60, 3.0, 1e60] {
            let found = max_margin(&a.scaled(&[c; 6]), geometry).unwrap();
            assert_close(found.value, c * exact.value, 2e-9, &format!("{geometry:?} times {c:e}"));
        }
        let found = max_margin(&Constraints::of(&twice, 3, false).unwrap(), geometry).unwrap();
        assert!(found.gap() <= 1e-9, "{geometry:?}: {:e}", found.gap());
        assert_close(found.value, exact.value, 2e-9, &format!("{geometry:?} with every example twice"));
    }
}

#[test]
fn norms_order_their_margins() {
    // ‖θ‖_∞ ≤ ‖θ‖₃ ≤ ‖θ‖₂ ≤ ‖θ‖₁ and σ_1 ≤ ‖W‖_F ≤ Σσ: the smaller the norm, the larger the ball, the larger the margin.
    let points = classes(40, 5, 4, 0.2, 12);
    let a = Constraints::of(&points, 4, false).unwrap();
    let margin = |g| max_margin(&a, g).unwrap();
    for (small, large) in [
        (Geometry::Linf, Geometry::Lp(3.0)),
        (Geometry::Lp(3.0), Geometry::L2),
        (Geometry::L2, Geometry::L1),
        (Geometry::Spectral, Geometry::L2),
        (Geometry::L2, Geometry::Nuclear),
    ] {
        assert!(margin(small).bound >= margin(large).value, "{small:?} {large:?}");
    }
}

#[test]
fn a_turned_plane_keeps_the_matrix_norms() {
    // σ(WR) = σ(W): turning the inputs changes no margin in a norm of singular values.
    let points = classes(30, 2, 3, 0.2, 13);
    let (sin, cos) = 0.7f64.sin_cos();
    let turned: Vec<f64> = (0..30)
        .flat_map(|i| {
            let x = points.rows().row(i);
            [cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]]
        })
        .collect();
    let turned = data(&turned, points.labels(), 2, 3);
    for geometry in [Geometry::L2, Geometry::Spectral, Geometry::Nuclear] {
        let one = max_margin(&Constraints::of(&points, 3, false).unwrap(), geometry).unwrap();
        let other = max_margin(&Constraints::of(&turned, 3, false).unwrap(), geometry).unwrap();
        assert_close(one.value, other.value, 2e-9, &format!("{geometry:?}"));
    }
}

#[test]
fn two_classes_with_two_outputs_share_the_vector_between_them() {
    // W = (w, −w) has rank one, every norm of singular values √2‖w‖, and margins 2⟨w, x⟩.
    let x = separable(20, 4, 0.3, 14);
    let labels: Vec<u32> = (0..20).map(|i| i % 2).collect();
    let signed: Vec<f64> =
        x.chunks(4).zip(&labels).flat_map(|(x, y)| x.iter().map(|x| if *y == 0 { *x } else { -x })).collect();
    let points = data(&signed, &labels, 4, 2);
    let one = max_margin(&Constraints::of(&points, 1, false).unwrap(), Geometry::L2).unwrap();
    for geometry in [Geometry::L2, Geometry::Spectral, Geometry::Nuclear] {
        let two = max_margin(&Constraints::of(&points, 2, false).unwrap(), geometry).unwrap();
        assert_close(two.value, 2f64.sqrt() * one.value, 2e-9, &format!("{geometry:?}"));
    }
}
