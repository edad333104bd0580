use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// G and b of the vectors h and their target θ.
fn normal(h: &[Vec<f64>], theta: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let gram = h.iter().flat_map(|a| h.iter().map(|b| inner(a, b))).collect();
    (gram, h.iter().map(|a| inner(a, theta)).collect())
}

fn random(rng: &mut ChaCha8Rng, k: usize, dim: usize) -> Vec<Vec<f64>> {
    (0..k).map(|_| (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect()).collect()
}

fn value(gram: &[f64], b: &[f64], lambda: &[f64]) -> f64 {
    let k = b.len();
    (0..k).map(|i| lambda[i] * (0.5 * inner(&gram[i * k..(i + 1) * k], lambda) - b[i])).sum()
}

/// Solves, and verifies the certificate by recomputing it.
fn solve(gram: &[f64], b: &[f64]) -> (Vec<f64>, f64, f64) {
    let k = b.len();
    let mut solver = Nnls::new();
    let fit = solver.solve(Gram::new(gram, k, k), b, &[]);
    let exact = value(gram, b, fit.lambda);
    // The value is of the order of ‖θ‖², b of ‖θ‖‖h‖, and each term is rounded k times.
    let size: f64 = fit.lambda.iter().zip(b).map(|(w, b)| (w * b).abs()).sum();
    assert!((fit.value - exact).abs() <= 1e-13 * size * k as f64, "{} is {exact}", fit.value);
    let norm = |i: usize| gram[i * k + i].sqrt();
    let longest = (0..k).map(|i| b[i].abs() / norm(i)).filter(|x| x.is_finite()).fold(0.0, f64::max);
    for i in 0..k {
        assert!(fit.lambda[i] >= 0.0);
        let slope = b[i] - inner(&gram[i * k..(i + 1) * k], fit.lambda);
        let unrest = if fit.lambda[i] > 0.0 { slope.abs() } else { slope };
        assert!(unrest <= (fit.violation + 1e-13) * norm(i) * longest, "member {i}: {unrest}");
    }
    (fit.lambda.to_vec(), fit.value, fit.violation)
}

/// The least value over all supports with a non-negative least-squares solution, and Σλ_i‖h_i‖ there.
fn brute_force(gram: &[f64], b: &[f64]) -> (f64, f64) {
    let k = b.len();
    let mut best = (0.0_f64, 0.0_f64);
    for mask in 1_usize..1 << k {
        let ids: Vec<usize> = (0..k).filter(|i| mask >> i & 1 == 1).collect();
        let n = ids.len();
        let mut m: Vec<Vec<f64>> =
            ids.iter().map(|&i| ids.iter().map(|&j| gram[i * k + j]).chain([b[i]]).collect()).collect();
        let singular = (0..n).any(|c| {
            let pivot = m[c].clone();
            // Integer data: a true pivot is a ratio of small determinants, far above 1e-9.
            if pivot[c].abs() < 1e-9 {
                return true;
            }
            for r in (0..n).filter(|&r| r != c) {
                let f = m[r][c] / pivot[c];
                (c..=n).for_each(|j| m[r][j] -= f * pivot[j]);
            }
            false
        });
        // Some optimum has linearly independent members, so singular supports may be skipped.
        if !singular && (0..n).all(|i| m[i][n] / m[i][i] > -1e-12) {
            let mut lambda = vec![0.0; k];
            (0..n).for_each(|i| lambda[ids[i]] = m[i][n] / m[i][i]);
            let found = value(gram, b, &lambda);
            if found < best.0 {
                best = (found, length(gram, &lambda));
            }
        }
    }
    best
}

/// Σλ_i‖h_i‖: the terms of a value are of the size of its square.
fn length(gram: &[f64], lambda: &[f64]) -> f64 {
    let k = lambda.len();
    lambda.iter().enumerate().map(|(i, l)| l * gram[i * k + i].sqrt()).sum()
}

proptest! {
    #[test]
    fn no_support_fits_better(
        (h, theta) in (1_usize..5).prop_flat_map(|dim| {
            let vector = || prop::collection::vec((-3_i32..4).prop_map(f64::from), dim);
            (prop::collection::vec(vector(), 1..7), vector())
        })
    ) {
        let (gram, b) = normal(&h, &theta);
        let (lambda, found, violation) = solve(&gram, &b);
        let (least, reach) = brute_force(&gram, &b);
        // Nearly dependent members carry large weights that cancel, in the answer or in the oracle: the terms of the
        // value, rounded a few dozen times, are of the size of the longest Σλ_i‖h_i‖, squared. The oracle's elimination
        // without pivoting loses as much again.
        let longest = length(&gram, &lambda).max(reach);
        let rounding = 1e-12 * (100.0 + longest * longest);
        prop_assert!((found - least).abs() < rounding, "{found} against {least}, longest sum {longest}");
        prop_assert!(violation < rounding, "violation {violation}");
    }
}

#[test]
fn a_target_inside_the_cone_is_recovered() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let h = random(&mut rng, 40, 60);
    let truth: Vec<f64> =
        (0..40).map(|i| if i % 3 == 0 { 0.0 } else { rng.random_range(0.1..2.0) }).collect();
    let theta: Vec<f64> = (0..60).map(|t| (0..40).map(|i| truth[i] * h[i][t]).sum()).collect();
    let (gram, b) = normal(&h, &theta);
    let (lambda, found, violation) = solve(&gram, &b);
    // Condition number about 100, squared by the normal equations.
    assert!(lambda.iter().zip(&truth).all(|(a, b)| (a - b).abs() < 1e-10), "{lambda:?}");
    assert!((found + 0.5 * inner(&theta, &theta)).abs() < 1e-11 && violation < 1e-12, "{found} {violation}");
}

#[test]
fn a_target_behind_all_members_gets_no_weight() {
    assert_eq!(solve(&[2.0, 1.0, 1.0, 2.0], &[-1.0, -3.0]), (vec![0.0, 0.0], 0.0, 0.0));
    assert_eq!(solve(&[], &[]), (vec![], 0.0, 0.0));
    assert_eq!(solve(&[1.0], &[0.0]), (vec![0.0], 0.0, 0.0));
}

#[test]
fn four_hundred_members_of_rank_sixty_are_fitted() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut h = random(&mut rng, 400, 60);
    // Lengths over six decades, as gradients of different samples have, and a tenth of them twice.
    for i in 0..400 {
        let length = f64::powf(10.0, rng.random_range(-3.0..3.0));
        h[i].iter_mut().for_each(|x| *x *= length);
        if i % 10 == 0 {
            h[i] = h[(i + 7) % 400].clone();
        }
    }
    for centre in [0.0, 0.5] {
        let theta: Vec<f64> = (0..60).map(|_| centre + rng.random_range(-1.0..1.0)).collect();
        for member in h.iter_mut().step_by(3) {
            member[0] -= centre * member[1].abs();
        }
        let (gram, b) = normal(&h, &theta);
        let (lambda, _, violation) = solve(&gram, &b);
        assert!(violation < 1e-9, "violation {violation}");
        assert!(lambda.iter().filter(|w| **w > 0.0).count() <= 60);
    }
}

#[test]
fn nearly_equal_members_are_no_trouble() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for spread in [1e-3, 1e-6, 1e-8, 1e-12] {
        let centre = random(&mut rng, 1, 50).remove(0);
        let mut h = random(&mut rng, 80, 50);
        for member in &mut h {
            member.iter_mut().zip(&centre).for_each(|(x, c)| *x = c + spread * *x);
        }
        let theta: Vec<f64> = centre.iter().map(|c| c + rng.random_range(-1.0..1.0)).collect();
        let (gram, b) = normal(&h, &theta);
        let (_, _, violation) = solve(&gram, &b);
        // Below a squared distance of 1e-14 two members count as one: what is left is their spread.
        let hidden = if spread < 3e-7 { spread } else { 0.0 };
        assert!(violation < 1e-9 + hidden, "{spread}: violation {violation}");
    }
}

#[test]
fn rescaling_a_member_rescales_its_weight() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (h, theta) = (random(&mut rng, 30, 20), random(&mut rng, 1, 20).remove(0));
    let (gram, b) = normal(&h, &theta);
    let (lambda, found, _) = solve(&gram, &b);
    for scale in [f64::powi(2.0, -332), f64::powi(2.0, 332)] {
        let other: Vec<f64> = gram.iter().map(|x| x * scale * scale).collect();
        let (again, same, _) = solve(&other, &b.iter().map(|x| x * scale).collect::<Vec<_>>());
        assert_eq!(again.iter().map(|w| w * scale).collect::<Vec<_>>(), lambda, "squares of about 1e±200");
        assert_eq!(same, found);
    }
    let mut order: Vec<usize> = (0..30).collect();
    order.shuffle(&mut rng);
    let mixed: Vec<_> = order.iter().map(|&i| h[i].iter().map(|x| x * (i + 1) as f64).collect()).collect();
    let (gram, b) = normal(&mixed, &theta);
    let (other, same, _) = solve(&gram, &b);
    assert!((same - found).abs() < 1e-12, "{same} against {found}");
    assert!(order.iter().zip(&other).all(|(&i, w)| (w * (i + 1) as f64 - lambda[i]).abs() < 1e-9));
}

#[test]
fn a_warm_start_gives_the_fit_of_a_cold_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (h, theta) = (random(&mut rng, 50, 80), random(&mut rng, 1, 80).remove(0));
    let (gram, b) = normal(&h, &theta);
    let (cold, found, _) = solve(&gram, &b);
    let mut solver = Nnls::new();
    for warm in [vec![1.0; 50], cold.clone(), vec![0.3; 20], vec![f64::NAN; 50]] {
        let fit = solver.solve(Gram::new(&gram, 50, 50), &b, &warm);
        assert!((fit.value - found).abs() < 1e-13 && fit.violation < 1e-12);
        assert!(fit.lambda.iter().zip(&cold).all(|(a, b)| (a - b).abs() < 1e-11));
    }
    assert!(solver.solve(Gram::new(&gram, 50, 50), &b, &cold).iterations <= 2);
}

#[test]
fn no_certificate_without_a_minimum() {
    let mut solver = Nnls::new();
    let unbounded = solver.solve(Gram::new(&[1.0, 0.0, 0.0, 0.0], 2, 2), &[1.0, 1.0], &[]);
    assert_eq!((unbounded.violation, unbounded.lambda), (f64::INFINITY, &[1.0, 0.0][..]));
    for bad in [f64::NAN, f64::INFINITY] {
        for (gram, b) in
            [([bad, 0.0, 0.0, 1.0], [1.0; 2]), ([1.0, bad, bad, 1.0], [1.0; 2]), ([1.0; 4], [bad; 2])]
        {
            let fit = solver.solve(Gram::new(&gram, 2, 2), &b, &[]);
            assert_eq!(fit.violation, f64::INFINITY, "{gram:?} {b:?}");
        }
    }
}
