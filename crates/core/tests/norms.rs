//! Subgradients, Bregman divergences and invariances of the norms, and the matrices and settings at their edges.

mod common;

use common::{assert_close, normals, parse};
use latephase_core::Layout;
use latephase_core::norm::{AnyNorm, Norm, bregman};
use latephase_core::numeric::{axpy, distance, dot, norm};

/// Every norm, with the settings that change what a face looks like.
fn all() -> Vec<String> {
    let mut all: Vec<String> =
        AnyNorm::LIST.iter().map(|l| format!("kind = '{}'\n{}", l.name, l.example)).collect();
    for p in [1.0, 1.3, 2.0, 8.0] {
        all.push(format!("kind = 'lp'\np = {p}"));
    }
    for combine in ["max", "sum", "euclid"] {
        for inner in ["l1", "linf", "spectral", "nuclear", "{ kind = 'lp', p = 3 }"] {
            all.push(format!(
                "kind = 'blockwise'\ncombine = '{combine}'\ninner = {}",
                if inner.starts_with('{') { inner.into() } else { format!("'{inner}'") }
            ));
        }
    }
    all.push(
        "kind = 'blockwise'\ninner = { kind = 'blockwise', combine = 'sum', inner = 'spectral' }\nvectors = 'linf'"
            .into(),
    );
    all.push("kind = 'blockwise'\ncombine = 'sum'\ninner = 'l2'\nblocks = { '0.weight' = 'nuclear' }".into());
    all
}

fn with_vectors() -> Layout {
    let mut layout = Layout::default();
    layout.push("0.weight", &[4, 3], 1.0);
    layout.push("0.bias", &[4], 1.0);
    layout.push("2.weight", &[2, 3], 1.0);
    layout
}

fn matrices() -> Layout {
    let mut layout = Layout::default();
    layout.push("0.weight", &[4, 3], 1.0);
    layout.push("2.weight", &[2, 3], 1.0);
    layout.push("4.weight", &[1, 3], 1.0);
    layout
}

/// Writes a matrix U diag(σ) Vᵀ with orthonormal columns from two seeds.
fn with_singular_values(rows: usize, cols: usize, sigma: &[f64], seed: u64, block: &mut [f64]) {
    let frame = |n: usize, what: &str| {
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for k in 0..sigma.len() {
            let mut x = normals(seed + 1000 * k as u64, what, n);
            // Twice is enough (Kahan).
            for c in columns.iter().chain(columns.iter()) {
                let along = dot(c, &x);
                axpy(-along, c, &mut x);
            }
            let size = norm(&x);
            x.iter_mut().for_each(|x| *x /= size);
            columns.push(x);
        }
        columns
    };
    let (u, v) = (frame(rows, "left"), frame(cols, "right"));
    for i in 0..rows {
        for j in 0..cols {
            block[i * cols + j] = (0..sigma.len()).map(|k| sigma[k] * u[k][i] * v[k][j]).sum();
        }
    }
}

/// Points at which norms of every kind have corners: generic, ties, zeros, low rank, equal blocks.
fn points(layout: &Layout) -> Vec<Vec<f64>> {
    let dim = layout.dim();
    let generic = normals(3, "points", dim);
    let mut points = vec![generic.clone()];
    points.push(generic.iter().map(|x| x.signum()).collect());
    points.push((0..dim).map(|i| if i % 3 == 0 { generic[i] } else { 0.0 }).collect());
    for sigma in [[2.0, 2.0], [2.0, 0.0], [1.5, 1e-3], [3.0, 2.99]] {
        let mut v = vec![0.0; dim];
        for (k, b) in layout.blocks().iter().enumerate() {
            let sigma = if b.rows.min(b.cols) < 2 { &sigma[..1] } else { &sigma[..] };
            with_singular_values(b.rows, b.cols, sigma, k as u64, b.of_mut(&mut v));
        }
        points.push(v);
    }
    // A block that is 0, and one so small that a widened face counts it as 0.
    for factor in [0.0, 1e-3] {
        let mut v = generic.clone();
        layout.blocks()[1].of_mut(&mut v).iter_mut().for_each(|x| *x *= factor);
        points.push(v);
    }
    points
}

fn for_each(law: impl Fn(&str, &dyn Norm, &Layout, &[f64])) {
    for text in all() {
        let by = parse::<AnyNorm>(&text).build();
        let mut tried = 0;
        for layout in [with_vectors(), matrices()] {
            if by.check(&layout).is_ok() {
                tried += 1;
                points(&layout).iter().for_each(|v| law(&text, by.as_ref(), &layout, v));
            }
        }
        assert!(tried > 0, "{text} fits no layout here");
    }
}

fn subgradient(by: &dyn Norm, layout: &Layout, v: &[f64], target: &[f64], within: f64) -> Vec<f64> {
    let mut k = vec![f64::NAN; v.len()];
    by.subgradient(v, layout, target, within, &mut k);
    k
}

// A decomposition of a few rows has rounding of some units in the last place of its largest entry.
const TOLERANCE: f64 = 1e-13;

#[test]
fn a_subgradient_supports_the_point_and_a_widened_one_nearly() {
    for_each(|text, by, layout, v| {
        let size = by.of(v, layout);
        for (seed, within) in [(0, 0.0), (1, 0.0), (2, 1e-3), (3, 0.01), (4, 0.2)] {
            let target: Vec<f64> = normals(seed, "target", v.len()).iter().map(|t| t * size).collect();
            let k = subgradient(by, layout, v, &target, within);
            assert_close(by.dual(&k, layout), size, TOLERANCE, text);
            let along = dot(&k, v) / (size * size);
            assert!(along >= 1.0 - within - TOLERANCE, "{text}: <k,v> is {along} within {within}");
            assert!(along <= 1.0 + TOLERANCE, "{text}: <k,v> is {along}");
        }
    });
}

#[test]
fn no_other_subgradient_is_nearer_to_the_target() {
    // Faces are convex: mixtures of subgradients nearest to other targets are subgradients.
    for_each(|text, by, layout, v| {
        let size = by.of(v, layout);
        for (seed, within) in [(0, 0.0), (1, 0.0), (2, 0.01), (3, 0.2)] {
            let target: Vec<f64> = normals(seed, "target", v.len()).iter().map(|t| t * size).collect();
            let k = subgradient(by, layout, v, &target, within);
            let gap = distance(&k, &target);
            for other in 10..30 {
                let aim: Vec<f64> = normals(other, "other", v.len()).iter().map(|t| t * size).collect();
                let rival = subgradient(by, layout, v, &aim, within);
                for t in [1e-4, 0.03, 0.3, 1.0] {
                    let mixed: Vec<f64> = k.iter().zip(&rival).map(|(a, b)| a + t * (b - a)).collect();
                    // Optimality to second order in the error of the alternation over blocks, 1e-12 else.
                    assert!(
                        distance(&mixed, &target) >= gap * (1.0 - 1e-9),
                        "{text}: {} beats {gap} within {within}, t = {t}",
                        distance(&mixed, &target)
                    );
                }
            }
        }
    });
}

#[test]
fn a_subgradient_that_is_aimed_at_comes_back() {
    for_each(|text, by, layout, v| {
        let size = by.of(v, layout);
        for seed in 0..3 {
            let aim: Vec<f64> = normals(seed, "aim", v.len()).iter().map(|t| t * size).collect();
            let k = subgradient(by, layout, v, &aim, 0.01);
            let again = subgradient(by, layout, v, &k, 0.01);
            // The alternation over active blocks ends when shares move by 1e-14, contracting geometrically.
            let gap = distance(&k, &again) / norm(&k);
            assert!(gap < 1e-6, "{text}: {gap:e}");
        }
    });
}

#[test]
fn bregman_divergences_are_never_negative_and_vanish_where_both_support() {
    for_each(|text, by, layout, m| {
        // m is in ∂½‖z‖⋆² exactly when z is in ∂½‖m‖².
        let size = by.of(m, layout);
        for seed in 0..5 {
            let aim = |seed| normals(seed, "aim", m.len()).iter().map(|t| t * size).collect::<Vec<_>>();
            let z = subgradient(by, layout, m, &aim(seed), 0.0);
            let y = aim(seed + 50);
            let far = bregman(by, layout, &y, &z, m);
            assert!(far >= -TOLERANCE * size * size, "{text}: {far}");
            let supporting = subgradient(by, layout, m, &y, 0.0);
            let near = bregman(by, layout, &supporting, &z, m);
            assert!(near.abs() <= TOLERANCE * 10.0 * size * size, "{text}: {near} of {}", size * size);
        }
    });
}

#[test]
fn in_l2_the_bregman_divergence_is_half_the_squared_distance() {
    let layout = with_vectors();
    let (y, z) = (normals(1, "y", layout.dim()), normals(2, "z", layout.dim()));
    for text in ["kind = 'l2'", "kind = 'lp'\np = 2", "kind = 'blockwise'\ncombine = 'euclid'\ninner = 'l2'"]
    {
        let by = parse::<AnyNorm>(text).build();
        let mut m = vec![0.0; y.len()];
        by.subgradient(&z, &layout, &z, 0.0, &mut m);
        m.iter().zip(&z).for_each(|(a, b)| assert_close(*a, *b, TOLERANCE, text));
        let half = 0.5 * distance(&y, &z).powi(2);
        assert_close(bregman(by.as_ref(), &layout, &y, &z, &m), half, 1e-13, text);
    }
}

/// The dense matrix of a reflection in the hyperplane orthogonal to a random vector.
fn reflection(n: usize, seed: u64) -> Vec<f64> {
    let v = normals(seed, "reflection", n);
    let squared = dot(&v, &v);
    (0..n * n).map(|k| f64::from(u8::from(k / n == k % n)) - 2.0 * v[k / n] * v[k % n] / squared).collect()
}

fn product(a: &[f64], b: &[f64], inner: usize) -> Vec<f64> {
    let (rows, cols) = (a.len() / inner, b.len() / inner);
    let entry = |k: usize| (0..inner).map(|i| a[k / cols * inner + i] * b[i * cols + k % cols]).sum();
    (0..rows * cols).map(entry).collect()
}

#[test]
fn unitarily_invariant_norms_commute_with_orthogonal_factors() {
    let layout = matrices();
    let turn = |v: &[f64]| {
        let mut turned = vec![0.0; v.len()];
        for (k, b) in layout.blocks().iter().enumerate() {
            let left = product(&reflection(b.rows, 2 * k as u64), b.of(v), b.rows);
            let both = product(&left, &reflection(b.cols, 2 * k as u64 + 1), b.cols);
            b.of_mut(&mut turned).copy_from_slice(&both);
        }
        turned
    };
    for name in ["spectral", "nuclear", "l2", "frobenius-max"] {
        let by = AnyNorm::example(name).build();
        for seed in 0..20 {
            let g = normals(seed, "turn", layout.dim());
            let (mut d, mut e) = (vec![0.0; g.len()], vec![0.0; g.len()]);
            assert_close(by.of(&turn(&g), &layout), by.of(&g, &layout), TOLERANCE, name);
            let dual = by.steepest(&g, &layout, &mut d);
            assert_close(by.steepest(&turn(&g), &layout, &mut e), dual, TOLERANCE, name);
            // The polar factor is as ill-conditioned as σ_1/σ_r, here up to some hundreds.
            turn(&d).iter().zip(&e).for_each(|(a, b)| assert!((a - b).abs() < 1e-11, "{name}: {a} {b}"));
        }
    }
}

#[test]
fn entrywise_norms_commute_with_permutations_and_changes_of_sign() {
    let layout = with_vectors();
    let turn = |g: &[f64]| -> Vec<f64> {
        let n = g.len();
        (0..n).map(|i| if i % 3 == 1 { -g[(5 * i + 2) % n] } else { g[(5 * i + 2) % n] }).collect()
    };
    assert_eq!(layout.dim() % 5, 2, "5 generates a permutation");
    for text in ["kind = 'l1'", "kind = 'linf'", "kind = 'lp'\np = 3", "kind = 'lp'\np = 1.2"] {
        let by = parse::<AnyNorm>(text).build();
        for seed in 0..20 {
            let g = normals(seed, "turn", layout.dim());
            let (mut d, mut e) = (vec![0.0; g.len()], vec![0.0; g.len()]);
            assert_close(by.of(&turn(&g), &layout), by.of(&g, &layout), 1e-14, text);
            let dual = by.steepest(&g, &layout, &mut d);
            assert_close(by.steepest(&turn(&g), &layout, &mut e), dual, 1e-14, text);
            turn(&d).iter().zip(&e).for_each(|(a, b)| assert_close(*a, *b, 1e-13, text));
        }
    }
}

#[test]
fn powers_that_have_a_name_agree_with_it() {
    let layout = with_vectors();
    for seed in 0..10 {
        let g = normals(seed, "named", layout.dim());
        for (p, name) in [(1.0, "l1"), (2.0, "l2")] {
            let (a, b) =
                (parse::<AnyNorm>(&format!("kind = 'lp'\np = {p}")).build(), AnyNorm::example(name).build());
            let (mut d, mut e) = (vec![0.0; g.len()], vec![0.0; g.len()]);
            assert_close(a.of(&g, &layout), b.of(&g, &layout), 1e-15, name);
            assert_close(a.steepest(&g, &layout, &mut d), b.steepest(&g, &layout, &mut e), 1e-15, name);
            d.iter().zip(&e).for_each(|(a, b)| assert_close(*a, *b, 1e-14, name));
            assert_eq!(a.column(), b.column());
        }
        // p = ∞ is the limit: d differs from the sign by (q − 1)·ln(|g|/largest).
        let (a, b) = (parse::<AnyNorm>("kind = 'lp'\np = 1e9").build(), AnyNorm::example("linf").build());
        let (mut d, mut e) = (vec![0.0; g.len()], vec![0.0; g.len()]);
        assert_close(a.steepest(&g, &layout, &mut d), b.steepest(&g, &layout, &mut e), 1e-7, "linf");
        d.iter().zip(&e).for_each(|(a, b)| assert_close(*a, *b, 1e-7, "linf"));
    }
}

#[test]
fn a_rank_deficient_gradient_has_a_partial_isometry_as_direction() {
    let mut layout = Layout::default();
    layout.push("0.weight", &[5, 4], 1.0);
    let by = AnyNorm::example("spectral").build();
    for sigma in [vec![3.0], vec![3.0, 3.0], vec![3.0, 1e-3], vec![2.0, 2.0, 1.0]] {
        let (mut g, mut exact, mut d) = (vec![0.0; 20], vec![0.0; 20], vec![0.0; 20]);
        with_singular_values(5, 4, &sigma, 7, &mut g);
        with_singular_values(5, 4, &vec![1.0; sigma.len()], 7, &mut exact);
        for c in [1e-300, 1.0, 1e300] {
            let scaled: Vec<f64> = g.iter().map(|x| c * x).collect();
            let dual = by.steepest(&scaled, &layout, &mut d);
            assert_close(dual, c * sigma.iter().sum::<f64>(), 1e-14, "nuclear norm");
            // Rounding of g turns its singular vectors by 2⁻⁵³·σ_1/σ_r, at most 1e-12 here.
            d.iter().zip(&exact).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{sigma:?}: {a} {b}"));
        }
    }
}

#[test]
fn a_blockwise_norm_of_one_kind_is_that_norm() {
    let (vectors, only) = (with_vectors(), matrices());
    let same = [
        ("kind = 'blockwise'\ninner = 'linf'\nvectors = 'linf'", "kind = 'linf'", &vectors),
        ("kind = 'blockwise'\ncombine = 'sum'\ninner = 'l1'\nvectors = 'l1'", "kind = 'l1'", &vectors),
        ("kind = 'blockwise'\ncombine = 'euclid'\ninner = 'l2'", "kind = 'l2'", &vectors),
        ("kind = 'blockwise'\ninner = 'spectral'", "kind = 'spectral'", &only),
        ("kind = 'blockwise'\ncombine = 'sum'\ninner = 'nuclear'", "kind = 'nuclear'", &only),
        ("kind = 'blockwise'\ninner = 'l2'", "kind = 'frobenius-max'", &vectors),
    ];
    for (text, plain, layout) in same {
        let (a, b) = (parse::<AnyNorm>(text).build(), parse::<AnyNorm>(plain).build());
        for v in points(layout) {
            let (mut d, mut e) = (vec![0.0; v.len()], vec![0.0; v.len()]);
            assert_close(a.of(&v, layout), b.of(&v, layout), 1e-15, text);
            assert_close(a.steepest(&v, layout, &mut d), b.steepest(&v, layout, &mut e), 1e-14, text);
            d.iter().zip(&e).for_each(|(a, b)| assert_close(*a, *b, 1e-14, text));
            let aim: Vec<f64> = normals(1, "aim", v.len()).iter().map(|t| t * a.of(&v, layout)).collect();
            // A sum's block that is 0 takes the target scaled into its dual ball, which for ℓ1 is not the nearest.
            if text.contains("'sum'") && layout.blocks().iter().any(|b| norm(b.of(&v)) == 0.0) {
                continue;
            }
            // At width 0: ℓ1 is widened as a whole, a sum of ℓ1 norms block by block.
            let (k, l) = (
                subgradient(a.as_ref(), layout, &v, &aim, 0.0),
                subgradient(b.as_ref(), layout, &v, &aim, 0.0),
            );
            let gap = distance(&k, &l) / norm(&k);
            assert!(gap < 1e-6, "{text}: subgradients differ by {gap:e}");
        }
    }
}

#[test]
fn columns_are_named_by_the_parts() {
    for (text, column) in [
        ("kind = 'lp'\np = 3", "l3"),
        ("kind = 'lp'\np = 1.5", "l1.5"),
        ("kind = 'spectral'", "spectral"),
        ("kind = 'nuclear'", "nuclear"),
        ("kind = 'frobenius-max'", "frobenius_max"),
        ("kind = 'blockwise'\ninner = 'spectral'", "max_spectral"),
        ("kind = 'blockwise'\ncombine = 'sum'\ninner = 'nuclear'\nvectors = 'linf'", "sum_nuclear_linf"),
        ("kind = 'blockwise'\ninner = 'l2'\nblocks = { '0.weight' = 'l1' }", "max_l2_mixed"),
        ("kind = 'blockwise'\ninner = 'spectral'\nname = 'muon'", "muon"),
    ] {
        assert_eq!(parse::<AnyNorm>(text).build().column(), column, "{text}");
    }
}

#[test]
fn norms_that_do_not_fit_are_refused_with_what_would() {
    let layout = with_vectors();
    let mix = "kind = \"blockwise\", combine = \"max\"";
    for (text, field, says) in [
        ("kind = 'lp'\np = 0.5", "p", "linf"),
        ("kind = 'lp'\np = nan", "p", "1 or more"),
        ("kind = 'lp'\np = inf", "p", "`linf` is p = inf"),
        ("kind = 'lp'\np = -2", "p", "l1"),
        ("kind = 'spectral'", "", mix),
        ("kind = 'spectral'", "", "0.bias"),
        ("kind = 'nuclear'", "", "inner = \"nuclear\", vectors = \"l2\""),
        ("kind = 'blockwise'\ninner = 'spectral'\nvectors = 'spectral'", "vectors", "0.bias"),
        ("kind = 'blockwise'\ninner = { kind = 'lp', p = 0 }", "inner.p", "1 or more"),
        ("kind = 'blockwise'\ninner = 'l2'\nblocks = { '0.bias' = 'spectral' }", "blocks.0.bias", "vector"),
        ("kind = 'blockwise'\ninner = 'l2'\nblocks = { 'bias' = 'l1' }", "blocks.bias", "`0.bias`"),
        ("kind = 'blockwise'\ninner = 'l2'\nname = 'a b'", "name", "letters"),
        (
            "kind = 'blockwise'\ninner = { kind = 'blockwise', inner = { kind = 'lp', p = 0 } }",
            "inner.inner.p",
            "1 or more",
        ),
    ] {
        let error = parse::<AnyNorm>(text).build().check(&layout).expect_err(text);
        assert_eq!(error.field, field, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
    }
    assert!(parse::<AnyNorm>("kind = 'blockwise'\ninner = 'spectral'").build().check(&layout).is_ok());
    assert!(AnyNorm::example("spectral").build().check(&matrices()).is_ok());
}

#[test]
fn what_is_not_finite_gives_nan_and_no_panic() {
    let layout = matrices();
    for name in ["spectral", "nuclear"] {
        let by = AnyNorm::example(name).build();
        for bad in [f64::NAN, f64::INFINITY] {
            let mut g = normals(1, "bad", layout.dim());
            g[5] = bad;
            let mut d = vec![0.0; g.len()];
            assert!(by.steepest(&g, &layout, &mut d).is_nan(), "{name}");
            assert!(by.dual(&g, &layout).is_nan() && by.of(&g, &layout).is_nan(), "{name}");
        }
    }
}
