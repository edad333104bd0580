use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

pub(super) fn gram_of(members: &[Vec<f64>]) -> Vec<f64> {
    members.iter().flat_map(|a| members.iter().map(|b| inner(a, b))).collect()
}

pub(super) fn random(rng: &mut ChaCha8Rng, k: usize, dim: usize, centre: f64) -> Vec<Vec<f64>> {
    (0..k).map(|_| (0..dim).map(|_| centre + rng.random_range(-1.0..1.0)).collect()).collect()
}

pub(super) fn value(gram: &[f64], lambda: &[f64]) -> f64 {
    let k = lambda.len();
    (0..k).map(|i| lambda[i] * inner(&gram[i * k..(i + 1) * k], lambda)).sum()
}

/// Ten independent lines: λ is in the simplex, and value and gap are what they claim to be.
fn certify(gram: &[f64], answer: &Solution<'_>) {
    let (k, lambda) = (answer.lambda.len(), answer.lambda);
    assert!(lambda.iter().all(|w| *w >= 0.0), "{lambda:?}");
    assert!((lambda.iter().sum::<f64>() - 1.0).abs() < 1e-14 * k as f64, "{lambda:?}");
    let norms: Vec<f64> = (0..k).map(|i| gram[i * k + i].sqrt()).collect();
    let reach = inner(&norms, lambda);
    // A sum of k products is off by at most k roundings of its largest partial sum.
    let rounding = k as f64 * f64::EPSILON * reach;
    let exact = value(gram, lambda);
    assert!((answer.norm_squared - exact).abs() <= rounding * reach, "{} {exact}", answer.norm_squared);
    let excess = (0..k).map(|i| exact - inner(&gram[i * k..(i + 1) * k], lambda)).fold(0.0, f64::max);
    let longest = norms.iter().copied().fold(0.0, f64::max);
    assert!((answer.gap - excess).abs() <= 2.0 * rounding * longest, "gap {} is {excess}", answer.gap);
    assert!(answer.gap >= 0.0);
}

fn solve(gram: &[f64]) -> (Vec<f64>, f64, f64) {
    let k = gram.len().isqrt();
    let mut solver = MinNorm::new();
    let answer = solver.solve(Gram::new(gram, k, k), &[], &[]);
    certify(gram, &answer);
    (answer.lambda.to_vec(), answer.norm_squared, answer.gap)
}

/// The least value over all supports: the affine minimiser of each, where its weights are positive.
fn brute_force(gram: &[f64], k: usize) -> f64 {
    let mut best = f64::INFINITY;
    for mask in 1_usize..1 << k {
        let ids: Vec<usize> = (0..k).filter(|i| mask >> i & 1 == 1).collect();
        let n = ids.len() + 1;
        // Bordered system [G e; eᵀ 0][λ; −μ] = [0; 1], by elimination with complete row exchange.
        let mut m = vec![vec![0.0; n + 1]; n];
        for r in 0..n {
            for c in 0..n {
                m[r][c] = match (ids.get(r), ids.get(c)) {
                    (Some(&i), Some(&j)) => gram[i * k + j],
                    (None, None) => 0.0,
                    _ => 1.0,
                };
            }
        }
        m[n - 1][n] = 1.0;
        let singular = (0..n).any(|c| {
            let p = (c..n).fold(c, |a, b| if m[b][c].abs() > m[a][c].abs() { b } else { a });
            m.swap(c, p);
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
        // The optimum has an affinely independent support (Carathéodory), so singular ones may be skipped.
        if !singular {
            let weights: Vec<f64> = (0..n - 1).map(|i| m[i][n] / m[i][i]).collect();
            if weights.iter().all(|w| *w > -1e-12) {
                let mut lambda = vec![0.0; k];
                ids.iter().zip(&weights).for_each(|(&i, &w)| lambda[i] = w);
                best = best.min(value(gram, &lambda));
            }
        }
    }
    best
}

proptest! {
    #[test]
    fn no_support_has_a_shorter_vector(
        members in (1_usize..5).prop_flat_map(|dim| {
            prop::collection::vec(prop::collection::vec((-3_i32..4).prop_map(f64::from), dim), 1..7)
        })
    ) {
        let gram = gram_of(&members);
        let (_, found, gap) = solve(&gram);
        let least = brute_force(&gram, members.len());
        // Small integers: every quantity is below 100, rounded a few dozen times.
        prop_assert!((found - least).abs() < 1e-11, "{found} against {least}");
        prop_assert!(gap < 1e-11, "gap {gap}");
    }

    #[test]
    fn two_members_follow_the_closed_form(a in 1e-3..1e3, b in 1e-3..1e3, cosine in -0.999..0.999) {
        let c: f64 = cosine * f64::sqrt(a * b);
        let (lambda, found, _) = solve(&[a, c, c, b]);
        let first = ((b - c) / (a + b - 2.0 * c)).clamp(0.0, 1.0);
        prop_assert!((lambda[0] - first).abs() < 1e-12, "{lambda:?} against {first}");
        let least = first * first * a + 2.0 * first * (1.0 - first) * c + (1.0 - first) * (1.0 - first) * b;
        prop_assert!((found - least).abs() < 1e-12 * (a + b));
    }
}

#[test]
fn orthogonal_unit_vectors_meet_halfway() {
    let (lambda, found, gap) = solve(&[1.0, 0.0, 0.0, 1.0]);
    // Two roundings of √ and of the sum that scales to 1.
    assert!(lambda.iter().all(|w| (w - 0.5).abs() < 1e-15), "{lambda:?}");
    assert!((found - 0.5).abs() < 1e-15 && gap < 1e-15, "{found} {gap}");
}

#[test]
fn one_member_is_its_own_hull() {
    assert_eq!(solve(&[7.0]), (vec![1.0], 7.0, 0.0));
}

#[test]
fn a_zero_member_is_the_answer() {
    let gram = gram_of(&[vec![1.0, 2.0], vec![0.0, 0.0], vec![-3.0, 1.0]]);
    assert_eq!(solve(&gram), (vec![0.0, 1.0, 0.0], 0.0, 0.0));
    assert_eq!(solve(&[0.0; 9]).1, 0.0);
}

#[test]
fn a_hull_around_the_origin_has_norm_zero() {
    let angle = |i: usize| 0.3 + i as f64 * 2.0 * std::f64::consts::PI / 5.0;
    let members: Vec<_> = (0..5).map(|i| vec![angle(i).cos(), angle(i).sin()]).collect();
    let (_, found, gap) = solve(&gram_of(&members));
    assert!(found < 1e-15 && gap < 1e-14, "{found} {gap}");
}

#[test]
fn collinear_members_give_the_nearest() {
    let members: Vec<_> = [3.0, 5.0, 2.0, 9.0, 2.0].iter().map(|c| vec![*c, 2.0 * c]).collect();
    let (lambda, found, _) = solve(&gram_of(&members));
    assert!(
        (lambda[2] + lambda[4] - 1.0).abs() < 1e-15 && (found - 20.0).abs() < 1e-14,
        "{lambda:?} {found}"
    );
}

#[test]
fn duplicates_change_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let once = random(&mut rng, 20, 12, 0.3);
    let thrice: Vec<_> = (0..60).map(|i| once[i / 3].clone()).collect();
    let (a, b) = (solve(&gram_of(&once)), solve(&gram_of(&thrice)));
    assert!((a.1 - b.1).abs() < 1e-13 * a.1, "{} {}", a.1, b.1);
    for i in 0..20 {
        let sum: f64 = b.0[3 * i..3 * i + 3].iter().sum();
        // λ is unique on affinely independent members; 1e-11 is the tolerance of the gap times their condition.
        assert!((a.0[i] - sum).abs() < 1e-9, "member {i}: {} {sum}", a.0[i]);
    }
}

#[test]
fn the_order_of_members_does_not_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let members = random(&mut rng, 40, 25, 0.2);
    let (lambda, found, _) = solve(&gram_of(&members));
    let mut order: Vec<usize> = (0..40).collect();
    order.shuffle(&mut rng);
    let shuffled: Vec<_> = order.iter().map(|&i| members[i].clone()).collect();
    let (other, again, _) = solve(&gram_of(&shuffled));
    assert!((found - again).abs() < 1e-13 * found);
    assert!(order.iter().zip(&other).all(|(&i, w)| (lambda[i] - w).abs() < 1e-10));
}

#[test]
fn a_common_scale_leaves_the_weights_unchanged_to_the_last_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let gram = gram_of(&random(&mut rng, 30, 18, 0.2));
    let (lambda, found, _) = solve(&gram);
    for exponent in [-664, 664] {
        let scale = f64::powi(2.0, exponent);
        let (other, again, _) = solve(&gram.iter().map(|x| x * scale).collect::<Vec<_>>());
        assert_eq!(lambda, other, "scale 2^{exponent}, about 1e±200");
        assert_eq!(found * scale, again);
    }
}

#[test]
fn no_random_point_of_the_simplex_is_shorter() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for round in 0..20 {
        let k = 5 + 5 * round;
        let gram = gram_of(&random(&mut rng, k, k / 2 + 1, 0.2));
        let (_, found, gap) = solve(&gram);
        assert!(gap <= 1e-11 * found + 1e-12, "gap {gap} at {found}");
        for _ in 0..50 {
            let mut point: Vec<f64> = (0..k).map(|_| -rng.random_range(1e-9_f64..1.0).ln()).collect();
            normalise(&mut point);
            assert!(value(&gram, &point) >= found - gap);
        }
    }
}

#[test]
fn members_of_very_different_length_are_weighed_right() {
    // Lengths from 0.03 to 1e6, the range of a bundle that spans many radii.
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut members = random(&mut rng, 40, 30, 0.1);
    for (i, member) in members.iter_mut().enumerate() {
        let length = 0.03 * f64::powf(10.0, i as f64 * 7.5 / 39.0);
        member.iter_mut().for_each(|x| *x *= length);
    }
    let (_, found, gap) = solve(&gram_of(&members));
    assert!(gap <= 1e-9 * found, "gap {gap} at {found}");
}

#[test]
fn nearly_equal_members_neither_cycle_nor_spoil_the_certificate() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for spread in [1e-3, 1e-6, 1e-7, 1e-8, 1e-9, 1e-12, 1e-15] {
        let centre = random(&mut rng, 1, 50, 0.3).remove(0);
        let mut members = random(&mut rng, 100, 50, 0.0);
        for member in &mut members {
            member.iter_mut().zip(&centre).for_each(|(x, c)| *x = c + spread * *x);
        }
        let gram = gram_of(&members);
        let mut solver = MinNorm::new();
        let answer = solver.solve(Gram::new(&gram, 100, 100), &[], &[]);
        certify(&gram, &answer);
        // What cannot be resolved are differences of slopes of 1e-16, and combinations of members whose squared
        // distance is below 1e-14 of their squares: these leave a gap of their first-order spread at most.
        let hidden = if spread < 3e-7 { spread } else { 1e-11 };
        assert!(answer.gap <= answer.norm_squared * (hidden + 1e-14), "{spread}: {}", answer.gap);
        assert!(answer.iterations < 500, "{spread}: {} corrals", answer.iterations);
    }
}

/// A bundle that slides: gradients of 40 pieces, noisy; one joins at each step in the place of the oldest of 60, and all grow.
fn slide(steps: usize, tell: bool, mut each: impl FnMut(&mut MinNorm, &[f64], Vec<f64>) -> Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let pieces = random(&mut rng, 40, 200, 0.3);
    let (mut members, mut solver, mut lambda) = (Vec::<Vec<f64>>::new(), MinNorm::new(), Vec::new());
    for step in 0..steps {
        let noise = random(&mut rng, 1, 200, 0.0).remove(0);
        let piece = &pieces[rng.random_range(0..40)];
        let new = piece.iter().zip(noise).map(|(p, n)| p + 0.01 * n).collect();
        if members.len() == 60 {
            let oldest = step % 60;
            (members[oldest], lambda[oldest]) = (new, 0.0);
            if tell {
                solver.release(oldest);
            }
        } else {
            members.push(new);
        }
        let growth = 1.01_f64.powi(step as i32);
        let gram: Vec<f64> = gram_of(&members).iter().map(|x| x * growth).collect();
        lambda = each(&mut solver, &gram, lambda);
    }
}

#[test]
fn a_warm_start_gives_the_answer_of_a_cold_one() {
    for tell in [true, false] {
        slide(200, tell, |solver, gram, warm| {
            let k = gram.len().isqrt();
            let answer = solver.solve(Gram::new(gram, k, k), &[], &warm);
            certify(gram, &answer);
            let (cold, found, _) = solve(gram);
            assert!((answer.norm_squared - found).abs() <= 2e-11 * found);
            assert!(answer.lambda.iter().zip(&cold).all(|(a, b)| (a - b).abs() < 1e-8));
            answer.lambda.to_vec()
        });
    }
}

#[test]
fn a_saved_memory_continues_to_the_same_bits() {
    slide(150, true, |solver, gram, warm| {
        let k = gram.len().isqrt();
        let mut resumed = MinNorm::new();
        resumed.load(&solver.save()).unwrap();
        let again = resumed.solve(Gram::new(gram, k, k), &[], &warm);
        let answer = solver.solve(Gram::new(gram, k, k), &[], &warm);
        assert_eq!(answer, again);
        answer.lambda.to_vec()
    });
    assert!(MinNorm::new().load(&[2.0, 1.0]).is_err());
    assert!(MinNorm::new().load(&[1e300, 1.0, 1.0, 0.0]).is_err());
}

#[test]
fn the_stride_may_exceed_the_number_of_members() {
    let wide = [2.0, 1.0, f64::NAN, 1.0, 3.0, f64::NAN];
    let mut solver = MinNorm::new();
    let answer = solver.solve(Gram::new(&wide, 2, 3), &[], &[]);
    assert!((answer.norm_squared - 5.0 / 3.0).abs() < 1e-15);
}

#[test]
fn entries_that_are_not_finite_leave_no_certificate() {
    for bad in [f64::NAN, f64::INFINITY] {
        for gram in [[bad, 0.0, 0.0, 1.0], [1.0, bad, bad, 1.0], [bad, bad, bad, bad]] {
            let mut solver = MinNorm::new();
            let answer = solver.solve(Gram::new(&gram, 2, 2), &[], &[0.5, 0.5]);
            assert_eq!(answer.gap, f64::INFINITY, "{gram:?}");
            assert_eq!(answer.lambda.iter().sum::<f64>(), 1.0);
        }
    }
}
