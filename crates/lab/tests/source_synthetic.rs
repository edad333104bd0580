//! The synthetic sources against solvers that know nothing of how they were made.

use latephase_core::Data;
use latephase_lab::source::{Loaded, Lookup, Source};

fn load(text: &str) -> Loaded {
    load_with(text, 1)
}

fn load_with(text: &str, seed: u64) -> Loaded {
    let source: Source = toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let lookup = Lookup { working_dir: ".".into(), data_dir: None };
    source.load(seed, &lookup).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The maximal margin by dual coordinate ascent on the hard-margin SVM without bias: max Σα − ½‖Σ αᵢzᵢ‖², α ≥ 0.
/// Returns a lower bound (primal, of the direction found) and an upper bound (dual), with the direction.
fn svm(data: &Data) -> (f64, f64, Vec<f64>) {
    let z: Vec<Vec<f64>> =
        (0..data.n()).map(|i| data.rows().row(i).iter().map(|x| data.sign(i) * x).collect()).collect();
    let mut alpha = vec![0.0; z.len()];
    let mut w = vec![0.0; data.dim()];
    for _ in 0..200_000 {
        let mut moved = 0.0f64;
        for (i, z) in z.iter().enumerate() {
            let step = ((1.0 - dot(&w, z)) / dot(z, z)).max(-alpha[i]);
            alpha[i] += step;
            w.iter_mut().zip(z).for_each(|(w, z)| *w += step * z);
            moved = moved.max(step.abs());
        }
        if moved < 1e-15 * alpha.iter().fold(1.0, |m: f64, a| m.max(*a)) {
            break;
        }
    }
    let length = dot(&w, &w).sqrt();
    let lower = z.iter().map(|z| dot(&w, z)).fold(f64::INFINITY, f64::min) / length;
    // Every convex combination of the z has a norm of at least the maximal margin.
    let upper = length / alpha.iter().sum::<f64>();
    (lower, upper, w.iter().map(|w| w / length).collect())
}

#[track_caller]
fn assert_linear_truth(text: &str, tolerance: f64) {
    for seed in 0..4 {
        let loaded = load_with(text, seed);
        let truth = loaded.truth.unwrap();
        let (margin, direction) = (truth.margin_l2.unwrap(), truth.direction.unwrap());
        let (lower, upper, found) = svm(&loaded.train);
        assert!((lower / margin - 1.0).abs() < tolerance, "{text}: primal {lower}, stated {margin}");
        assert!((upper / margin - 1.0).abs() < tolerance, "{text}: dual {upper}, stated {margin}");
        let cosine = dot(&found, &direction);
        // The angle is at most of the order of the square root of the gap of the margins.
        assert!((cosine - 1.0).abs() < tolerance, "{text}: cosine {cosine}");
        assert!((dot(&direction, &direction) - 1.0).abs() < 1e-14);
        let stated = (0..loaded.train.n())
            .map(|i| loaded.train.sign(i) * dot(loaded.train.rows().row(i), &direction))
            .fold(f64::INFINITY, f64::min);
        assert!((stated / margin - 1.0).abs() < 1e-12, "{text}: the stated direction has {stated}");
    }
}

#[test]
fn the_stated_linear_margin_is_what_an_independent_solver_finds() {
    for text in [
        "kind = 'gaussian-margin'\nn = 40\ndim = 6\nmargin = 0.5",
        "kind = 'gaussian-margin'\nn = 30\ndim = 4\nmargin = 1.0\nsupport = 2\nspread = 0.3",
        "kind = 'gaussian-margin'\nn = 8\ndim = 30\nmargin = 0.7",
        "kind = 'gaussian-margin'\nn = 25\ndim = 3\nmargin = 2.0\nsupport = 25",
        "kind = 'gaussian-margin'\nn = 5\ndim = 1\nmargin = 2.0",
        "kind = 'gaussian-margin'\nn = 1\ndim = 7\nmargin = 2.0",
        "kind = 'orthogonal'\nn = 9",
        "kind = 'orthogonal'\nn = 7\ndim = 20\nshortest = 0.5\nlongest = 4.0",
        "kind = 'orthogonal'\nn = 1\nrotate = false",
        "kind = 'two-points'",
        "kind = 'two-points'\npositive = [1.0, 2.0, 0.0]\nnegative = [1.0, 1.0, -3.0]",
        "kind = 'two-points'\npositive = [5.0, 5.0]\nnegative = [-1.0, 0.0]",
        "kind = 'four-points'",
    ] {
        assert_linear_truth(text, 1e-6);
    }
}

#[test]
fn gaussian_margin_has_as_many_support_vectors_as_it_says_and_its_test_set_keeps_the_margin() {
    let loaded = load("kind = 'gaussian-margin'\nn = 50\ndim = 10\nmargin = 0.25\nsupport = 4\ntest = 500");
    let truth = loaded.truth.unwrap();
    let direction = truth.direction.unwrap();
    let margins = |data: &Data| -> Vec<f64> {
        (0..data.n()).map(|i| data.sign(i) * dot(data.rows().row(i), &direction)).collect()
    };
    let tight = margins(&loaded.train).iter().filter(|m| (*m - 0.25).abs() < 1e-12).count();
    assert_eq!(tight, 4);
    let test = loaded.test.unwrap();
    assert!(margins(&test).iter().all(|m| *m > 0.25 - 1e-12));
    assert_eq!(loaded.train.labels().iter().filter(|l| **l == 0).count(), 25);
}

#[test]
fn a_larger_training_set_leaves_the_test_set_as_it_is() {
    for text in [
        "kind = 'gaussian-margin'\ndim = 3\nmargin = 1.0\ntest = 7\n",
        "kind = 'teacher-student'\ndim = 3\ntest = 7\n",
        "kind = 'xor-parity'\ndim = 5\ntest = 7\n",
        "kind = 'rings'\ntest = 7\n",
    ] {
        let (small, large) = (load(&format!("{text}n = 10")), load(&format!("{text}n = 11")));
        assert_eq!(small.test, large.test, "{text}");
        assert_ne!(small.train, large.train, "{text}");
    }
}

/// y f(x) at its least, for f = Σ α σ(⟨β, x⟩).
fn relu_margin(data: &Data, neurons: &[(f64, Vec<f64>)]) -> f64 {
    (0..data.n())
        .map(|i| {
            let x = data.rows().row(i);
            data.sign(i) * neurons.iter().map(|(a, b)| a * dot(b, x).max(0.0)).sum::<f64>()
        })
        .fold(f64::INFINITY, f64::min)
}

fn unit(v: &[f64]) -> Vec<f64> {
    let length = dot(v, v).sqrt();
    v.iter().map(|x| x / length).collect()
}

/// One neuron a class along `plus` and `minus`, outer weights such that both classes get the same margin.
fn two_neurons(data: &Data, plus: &[f64], minus: &[f64]) -> f64 {
    let (plus, minus) = (unit(plus), unit(minus));
    let least = |sign: f64, beta: &[f64]| {
        (0..data.n())
            .filter(|&i| data.sign(i) == sign)
            .map(|i| dot(data.rows().row(i), beta).max(0.0))
            .fold(f64::INFINITY, f64::min)
    };
    let (a, b) = (1.0 / least(1.0, &plus), 1.0 / least(-1.0, &minus));
    relu_margin(data, &[(a / (a + b), plus), (-b / (a + b), minus)])
}

#[test]
fn the_stated_relu_margins_are_attained_by_explicit_networks() {
    // Rounding of a dozen products.
    let close = |found: f64, stated: Option<f64>| assert!((found / stated.unwrap() - 1.0).abs() < 1e-13);

    let four = load("kind = 'four-points'");
    close(two_neurons(&four.train, &[2.0, 1.0], &[-1.32, -1.76]), four.truth.unwrap().margin_global);

    let two = load("kind = 'two-points'");
    close(two_neurons(&two.train, &[1.0, 0.5], &[-1.0, 0.5]), two.truth.unwrap().margin_global);

    let parity = load("kind = 'xor-parity'\ndim = 5");
    let neuron = |s: f64, t: f64| (s * t / 4.0, unit(&[s, t, 0.0, 0.0, 0.0]));
    let network = [neuron(1.0, 1.0), neuron(-1.0, -1.0), neuron(1.0, -1.0), neuron(-1.0, 1.0)];
    close(relu_margin(&parity.train, &network), parity.truth.unwrap().margin_global);

    let orthogonal = load("kind = 'orthogonal'\nn = 7\ndim = 9\nshortest = 0.5\nlongest = 3.0");
    let along = |class: u32| {
        let mut sum = vec![0.0; 9];
        for i in (0..7).filter(|&i| orthogonal.train.labels()[i] == class) {
            let x = orthogonal.train.rows().row(i);
            let square = dot(x, x);
            sum.iter_mut().zip(x).for_each(|(s, x)| *s += x / square);
        }
        sum
    };
    // Orthogonality holds to rounding, so that the silent neurons whisper 1e-16.
    close(two_neurons(&orthogonal.train, &along(0), &along(1)), orthogonal.truth.unwrap().margin_global);
}

#[test]
fn no_neuron_beats_the_stated_relu_margin_under_the_dual_weights() {
    // γ_gl ≤ max over unit β of |Σ weight·yσ(⟨β, x⟩)| for any weights; in the plane a grid of β decides.
    let four = load("kind = 'four-points'");
    let weights = [0.49593, 0.0, 0.42342, 0.08065];
    let two = load("kind = 'two-points'");
    let stated = two.truth.as_ref().unwrap().margin_global.unwrap();
    let length = 1.25f64.sqrt();
    for (loaded, weights) in [(&four, &weights[..]), (&two, &[stated / length, stated / length][..])] {
        let best = (0..100_000).map(|k| {
            let angle = k as f64 / 100_000.0 * std::f64::consts::TAU;
            let beta = [angle.cos(), angle.sin()];
            let x = |i| loaded.train.rows().row(i);
            (0..weights.len())
                .map(|i| weights[i] * loaded.train.sign(i) * dot(x(i), &beta).max(0.0))
                .sum::<f64>()
        });
        let best = best.map(f64::abs).fold(0.0, f64::max);
        let stated = loaded.truth.as_ref().unwrap().margin_global.unwrap();
        // Weights printed to five digits, times lengths of at most 3.2.
        assert!((best - stated).abs() < 3e-5, "{best}, stated {stated}");
    }
}

#[test]
fn parity_is_the_whole_cube_or_a_sample_with_a_lower_bound() {
    let cube = load("kind = 'xor-parity'\ndim = 6\ntest = 30");
    assert_eq!(cube.train.n(), 64);
    let distinct: std::collections::BTreeSet<String> =
        (0..64).map(|i| format!("{:?}", cube.train.rows().row(i))).collect();
    assert_eq!(distinct.len(), 64);
    for data in [&cube.train, cube.test.as_ref().unwrap()] {
        for i in 0..data.n() {
            let x = data.rows().row(i);
            assert!((dot(x, x) - 1.0).abs() < 1e-15);
            assert_eq!(data.sign(i), (6.0 * x[0] * x[1]).round());
        }
    }
    assert_eq!(cube.truth.unwrap().margin_global, Some(1.0 / 48f64.sqrt()));
    let sample = load("kind = 'xor-parity'\ndim = 40\nn = 100").truth.unwrap();
    assert_eq!((sample.margin_global, sample.margin_l2), (None, None));
    assert_eq!(sample.margin_global_lower, Some(1.0 / 320f64.sqrt()));
}

#[test]
fn points_that_no_hyperplane_through_the_origin_separates_have_no_linear_margin() {
    let same = load("kind = 'two-points'\npositive = [0.1, 0.3]\nnegative = [0.1, 0.3]").truth.unwrap();
    let along = load("kind = 'two-points'\npositive = [0.1, 0.3]\nnegative = [0.2, 0.6]").truth.unwrap();
    for truth in [same, along] {
        assert_eq!((truth.margin_l2, truth.direction, truth.margin_global), (None, None, None));
    }
}

#[test]
fn points_of_very_different_lengths_keep_their_margin() {
    // The nearest point of the segment from (1e20, 0) to (1e-20, 0) is its far end; the margin is no rounding error.
    let far = load("kind = 'two-points'\npositive = [1e20, 0]\nnegative = [-1e-20, 0]").truth.unwrap();
    assert_eq!((far.margin_l2, far.direction), (Some(1e-20), Some(vec![1.0, 0.0])));
}

#[test]
fn the_teacher_keeps_its_margin_on_both_sets_and_labels_both_classes() {
    let text = "kind = 'teacher-student'\nn = 200\ndim = 10\nwidth = 8\nmargin = 0.05\ntest = 100";
    for inputs in ["gaussian", "sphere"] {
        let text = format!("{text}\ninputs = '{inputs}'")
            .replace("0.05", if inputs == "sphere" { "0.02" } else { "0.05" });
        let loaded = load(&text);
        let truth = loaded.truth.unwrap();
        assert!(truth.margin_global_lower.unwrap() > if inputs == "sphere" { 0.02 } else { 0.05 });
        let plus = loaded.train.labels().iter().filter(|l| **l == 0).count();
        assert!((20..=180).contains(&plus), "{plus} of 200");
        if inputs == "sphere" {
            let x = loaded.train.rows().row(0);
            assert!((dot(x, x) - 1.0).abs() < 1e-14);
        }
    }
}

#[test]
fn a_sparse_teacher_ignores_the_coordinates_it_does_not_use() {
    // Two neurons of one coordinate each: the label is a function of two coordinates at most, so among 2000 inputs
    // the other coordinates are uncorrelated with it (|mean of y·x_j| < 5/√2000).
    let loaded = load("kind = 'teacher-student'\nn = 2000\ndim = 30\nwidth = 2\nactive = 1");
    let data = &loaded.train;
    let correlated = (0..30)
        .filter(|&j| {
            let sum: f64 = (0..data.n()).map(|i| data.sign(i) * data.rows().row(i)[j]).sum();
            (sum / data.n() as f64).abs() > 5.0 / 2000f64.sqrt()
        })
        .count();
    assert!((1..=2).contains(&correlated), "{correlated}");
}

#[test]
fn a_margin_the_teacher_cannot_keep_is_an_error_and_not_a_loop() {
    let source: Source = toml::from_str("kind = 'teacher-student'\nn = 5\ndim = 3\nmargin = 1e6").unwrap();
    let lookup = Lookup { working_dir: ".".into(), data_dir: None };
    let message = source.load(1, &lookup).unwrap_err().to_string();
    assert!(message.starts_with("margin: the teacher's output exceeds 1000000 on 0 of"), "{message}");
}

#[test]
fn rings_lie_at_their_radii_and_the_constant_is_a_third_coordinate() {
    let loaded = load("kind = 'rings'\nn = 90\nnoise = 0\nradii = [1, 2, 5]\nconstant = 1\ntest = 10");
    assert_eq!((loaded.train.dim(), loaded.train.n()), (3, 90));
    for i in 0..90 {
        let x = loaded.train.rows().row(i);
        let radius = [1.0, 2.0, 5.0][loaded.train.labels()[i] as usize];
        assert!((x[0].hypot(x[1]) / radius - 1.0).abs() < 1e-14);
        assert_eq!(x[2], 1.0);
    }
    assert_eq!(load("kind = 'rings'").train.dim(), 2);
}

#[test]
fn groups_keep_the_assumption_of_their_margin() {
    for (groups, dim, noise) in [(2, 2, 0.9), (3, 3, 0.5), (4, 10, 0.1), (10, 12, 0.11)] {
        let text = format!(
            "kind = 'groups'\ngroups = {groups}\neach = 50\ndim = {dim}\nnoise = {noise}\ntest_each = 7"
        );
        let loaded = load(&text);
        let truth = loaded.truth.unwrap();
        let margin = truth.margin_nc.unwrap();
        assert_eq!(margin, (1.0f64 - noise * noise).sqrt());
        let test = loaded.test.unwrap();
        assert_eq!((loaded.train.n(), test.n()), (50 * groups, 7 * groups));
        // Noise-free data of the same seed lie at the directions themselves.
        let bare = load(&format!("kind = 'groups'\ngroups = {groups}\neach = 1\ndim = {dim}\nnoise = 0"));
        let rows = bare.train.rows();
        let directions: Vec<(f64, &[f64])> = (0..groups).map(|k| (bare.train.sign(k), rows.row(k))).collect();
        for (k, (_, a)) in directions.iter().enumerate() {
            for (l, (_, b)) in directions.iter().enumerate() {
                let expected = if k == l { 1.0 } else { -1.0 / (groups as f64 - 1.0) };
                assert!((dot(a, b) - expected).abs() < 1e-14, "{text}");
            }
        }
        for data in [&loaded.train, &test] {
            for i in 0..data.n() {
                let x = data.rows().row(i);
                assert!((dot(x, x) - 1.0).abs() < 1e-14);
                let along: Vec<(f64, f64)> = directions.iter().map(|(y, beta)| (*y, dot(beta, x))).collect();
                let own: Vec<_> = along.iter().filter(|(_, p)| *p > 1e-15).collect();
                let [(y, p)] = own[..] else { panic!("{text}: {along:?}") };
                assert!(*y == data.sign(i) && *p >= margin * (1.0 - 1e-15), "{text}: {p} and {margin}");
            }
        }
        // The network that bounds γ_gl from below.
        let network: Vec<_> = directions.iter().map(|(y, b)| (y / groups as f64, b.to_vec())).collect();
        assert!(relu_margin(&loaded.train, &network) >= truth.margin_global_lower.unwrap() * (1.0 - 1e-14));
    }
}

#[test]
fn points_are_what_is_written() {
    let loaded = load("kind = 'points'\ninputs = [[1, 2], [3, -4], [0, 0.5]]\nlabels = [-1, 1, -1]");
    assert_eq!((loaded.train.labels(), loaded.train.dim()), (&[1, 0, 1][..], 2));
    assert_eq!(loaded.train.rows().data, [1.0, 2.0, 3.0, -4.0, 0.0, 0.5]);
    assert_eq!(
        (loaded.train.classes.as_slice(), loaded.truth),
        (&["+1".to_string(), "-1".to_string()][..], None)
    );
    let many = load("kind = 'points'\ninputs = [[1], [2], [3], [4]]\nlabels = [2, 0, 1, 1]");
    assert_eq!((many.train.labels(), many.train.classes.len()), (&[2, 0, 1, 1][..], 3));
    let one = load("kind = 'points'\ninputs = [[1], [2]]\nlabels = [1, 1]");
    assert_eq!((one.train.labels(), one.train.classes.len()), (&[0, 0][..], 2));
    let zero = load("kind = 'points'\ninputs = [[1], [2]]\nlabels = [0, 0]");
    assert_eq!((zero.train.labels(), zero.train.classes.len()), (&[0, 0][..], 2));
}
