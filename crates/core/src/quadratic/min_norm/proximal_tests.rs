//! The programme with a linear term.

use super::tests::{gram_of, inner, random, value};
use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

fn objective(gram: &[f64], c: &[f64], lambda: &[f64]) -> f64 {
    // An infinite cost times no weight is no cost.
    0.5 * value(gram, lambda) + c.iter().zip(lambda).filter(|x| *x.1 > 0.0).map(|(c, w)| c * w).sum::<f64>()
}

/// λ is in the simplex, and norm, linear term and gap are what they claim to be.
fn certify(gram: &[f64], c: &[f64], answer: &Solution<'_>) {
    let (k, lambda) = (c.len(), answer.lambda);
    assert!(lambda.iter().all(|w| *w >= 0.0), "{lambda:?}");
    assert!((lambda.iter().sum::<f64>() - 1.0).abs() < 1e-14 * k as f64, "{lambda:?}");
    let norms: Vec<f64> = (0..k).map(|i| gram[i * k + i].sqrt()).collect();
    let reach = inner(&norms, lambda);
    // A sum of k products is off by at most k roundings of its largest partial sum.
    let rounding = k as f64 * f64::EPSILON * reach;
    let square = value(gram, lambda);
    assert!((answer.norm_squared - square).abs() <= rounding * reach, "{} {square}", answer.norm_squared);
    let cost = objective(gram, c, lambda) - 0.5 * square;
    let seen = rounding * reach + k as f64 * f64::EPSILON * cost.abs();
    assert!((answer.linear - cost).abs() <= 2.0 * seen, "{} {cost}", answer.linear);
    let slope = |i: usize| inner(&gram[i * k..(i + 1) * k], lambda) + c[i];
    let excess = (0..k).map(|i| square + cost - slope(i)).fold(0.0, f64::max);
    let longest = norms.iter().copied().fold(0.0, f64::max);
    assert!(
        (answer.gap - excess).abs() <= 4.0 * (rounding * longest + seen),
        "gap {} is {excess}",
        answer.gap
    );
    assert!(answer.gap >= 0.0);
}

fn solve(gram: &[f64], c: &[f64]) -> (Vec<f64>, f64, f64) {
    let mut solver = MinNorm::new();
    let answer = solver.solve(Gram::new(gram, c.len(), c.len()), c, &[]);
    certify(gram, c, &answer);
    (answer.lambda.to_vec(), 0.5 * answer.norm_squared + answer.linear, answer.gap)
}

/// The least objective over all supports: the affine minimiser of each, where its weights are positive.
fn brute_force(gram: &[f64], c: &[f64]) -> f64 {
    let k = c.len();
    let mut best = f64::INFINITY;
    for mask in 1_usize..1 << k {
        let ids: Vec<usize> = (0..k).filter(|i| mask >> i & 1 == 1).collect();
        let n = ids.len() + 1;
        // Bordered system [G e; eᵀ 0][λ; −μ] = [−c; 1], by elimination with row exchange.
        let mut m = vec![vec![0.0; n + 1]; n];
        for r in 0..n {
            for q in 0..n {
                m[r][q] = match (ids.get(r), ids.get(q)) {
                    (Some(&i), Some(&j)) => gram[i * k + j],
                    (None, None) => 0.0,
                    _ => 1.0,
                };
            }
            m[r][n] = ids.get(r).map_or(1.0, |&i| -c[i]);
        }
        let singular = (0..n).any(|q| {
            let p = (q..n).fold(q, |a, b| if m[b][q].abs() > m[a][q].abs() { b } else { a });
            m.swap(q, p);
            let pivot = m[q].clone();
            // Integer data: a true pivot is a ratio of small determinants, far above 1e-9.
            if pivot[q].abs() < 1e-9 {
                return true;
            }
            for r in (0..n).filter(|&r| r != q) {
                let f = m[r][q] / pivot[q];
                (q..=n).for_each(|j| m[r][j] -= f * pivot[j]);
            }
            false
        });
        // Along a dependence the objective is linear, so some optimum has an affinely independent support.
        if !singular {
            let weights: Vec<f64> = (0..n - 1).map(|i| m[i][n] / m[i][i]).collect();
            if weights.iter().all(|w| *w > -1e-12) {
                let mut lambda = vec![0.0; k];
                ids.iter().zip(&weights).for_each(|(&i, &w)| lambda[i] = w.max(0.0));
                best = best.min(objective(gram, c, &lambda));
            }
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_support_has_a_lower_objective(
        (members, c) in (1_usize..5).prop_flat_map(|dim| {
            let member = prop::collection::vec((-3_i32..4).prop_map(f64::from), dim);
            // Halves, zeros and huge costs; the base moves all of them.
            let cost = (0_i32..12).prop_map(|c| if c > 10 { 1e12 } else { 0.5 * f64::from(c.max(2) - 2) });
            prop::collection::vec((member, cost), 1..7).prop_map(|v| v.into_iter().unzip::<_, _, Vec<_>, Vec<_>>())
        }),
    ) {
        prop_assume!(c.iter().any(|c| *c < 1e12));
        let gram = gram_of(&members);
        let (lambda, found, gap) = solve(&gram, &c);
        let least = brute_force(&gram, &c);
        // Small integers: every quantity is below 100, rounded a few dozen times.
        prop_assert!((found - least).abs() < 1e-11, "{found} against {least}");
        prop_assert!(gap < 1e-11, "gap {gap}");
        prop_assert!(c.iter().zip(&lambda).all(|(c, w)| *c < 1e12 || *w == 0.0));
    }

    #[test]
    fn two_members_follow_the_closed_form(
        a in 1e-3..1e3, b in 1e-3..1e3, cosine in -0.999..0.999, extra in 0.0..1e3
    ) {
        let x: f64 = cosine * f64::sqrt(a * b);
        let (lambda, ..) = solve(&[a, x, x, b], &[0.0, extra]);
        let first = ((b - x + extra) / (a + b - 2.0 * x)).clamp(0.0, 1.0);
        prop_assert!((lambda[0] - first).abs() < 1e-12, "{lambda:?} against {first}");
    }
}

#[test]
fn no_linear_term_and_an_equal_one_give_the_shortest_vector() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for k in [1, 2, 7, 30, 60] {
        let gram = gram_of(&random(&mut rng, k, k / 2 + 3, 0.2));
        let mut solver = MinNorm::new();
        let bare = solver.solve(Gram::new(&gram, k, k), &[], &[]).lambda.to_vec();
        for c in [0.0, 2.5, -1e3] {
            assert_eq!(solve(&gram, &vec![c; k]).0, bare, "{k} members at {c}");
        }
        // A cost too small to see takes the other way to the affine minimiser.
        let c: Vec<f64> = (0..k).map(|i| 1e-18 * (i % 2) as f64).collect();
        assert!(solve(&gram, &c).0.iter().zip(&bare).all(|(a, b)| (a - b).abs() < 1e-11), "{k}");
    }
}

#[test]
fn huge_costs_change_no_bit_of_the_rest() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let members = random(&mut rng, 40, 25, 0.2);
    let c: Vec<f64> = (0..40).map(|i| if i == 0 { 0.0 } else { rng.random_range(0.0..2.0) }).collect();
    let (lambda, found, _) = solve(&gram_of(&members), &c);
    for huge in [1e3, 1e12, 1e300, f64::INFINITY] {
        let strangers = random(&mut rng, 40, 25, 0.2);
        let gram = gram_of(&[members.clone(), strangers].concat());
        let costs = [c.clone(), vec![huge; 40]].concat();
        let warm = vec![1.0 / 80.0; 80];
        let (all, again, _) = solve(&gram, &costs);
        assert_eq!((&all[..40], again), (&lambda[..], found), "{huge}");
        assert!(all[40..].iter().all(|w| *w == 0.0));
        let mut solver = MinNorm::new();
        let answer = solver.solve(Gram::new(&gram, 80, 80), &costs, &warm);
        assert!(answer.lambda.iter().zip(&all).all(|(a, b)| (a - b).abs() < 1e-10), "{huge}");
    }
}

#[test]
fn many_nearly_dependent_members_keep_the_certificate() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    for round in 0..60 {
        let k = 60 + round;
        for spread in [1.0, 1e-2, 1e-4, 1e-6, 1e-7, 1e-8, 1e-10, 1e-15] {
            let dim = [8, 30, 200][round % 3];
            let centre = random(&mut rng, 1, dim, 0.3).remove(0);
            let mut members = random(&mut rng, k, dim, 0.0);
            for member in &mut members {
                member.iter_mut().zip(&centre).for_each(|(x, y)| *x = y + spread * *x);
            }
            let gram = gram_of(&members);
            // Costs from far below to far above what the spread can balance.
            let decades = f64::powf(10.0, rng.random_range(-3.0..4.0));
            let mut c: Vec<f64> = (0..k).map(|_| spread * decades * rng.random_range(0.0..1.0_f64)).collect();
            c[k / 2] = 0.0;
            let mut solver = MinNorm::new();
            let answer = solver.solve(Gram::new(&gram, k, k), &c, &[]);
            certify(&gram, &c, &answer);
            // As without costs: combinations of members closer than 1e-7 are not resolved, and leave a gap of
            // their first-order spread at most.
            let hidden = if spread < 3e-7 { spread } else { 1e-11 };
            let scale = answer.norm_squared + answer.linear;
            let what = format!("{k} at {spread:e}, {decades:e}, dimension {dim}");
            assert!(answer.gap <= scale * (hidden + 1e-14), "{what}: gap {:e} of {scale:e}", answer.gap);
            assert!(answer.iterations < 5 * k, "{what}: {} corrals", answer.iterations);
        }
    }
}

#[test]
fn of_duplicates_the_cheapest_wins() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let once = random(&mut rng, 20, 12, 0.3);
    let members: Vec<_> = (0..60).map(|i| once[i / 3].clone()).collect();
    let costs: Vec<f64> = (0..20).map(|_| rng.random_range(0.0..0.5)).collect();
    let c: Vec<f64> = (0..60).map(|i| costs[i / 3] + [0.3, 1e-6, 0.0][(i + i / 3) % 3]).collect();
    let (lambda, found, _) = solve(&gram_of(&members), &c);
    let (single, least, _) = solve(&gram_of(&once), &costs);
    assert!((found - least).abs() < 1e-13 * least, "{found} {least}");
    for i in 0..60 {
        let dear = (i + i / 3) % 3 != 2;
        let expected = if dear { 0.0 } else { single[i / 3] };
        assert!((lambda[i] - expected).abs() < 1e-9, "member {i}: {} {expected}", lambda[i]);
    }
    assert_eq!(solve(&[1.0; 9], &[2.0, 1.0, 3.0]).0, [0.0, 1.0, 0.0]);
    assert_eq!(solve(&[0.0; 9], &[2.0, 3.0, 1.0]).0, [0.0, 0.0, 1.0]);
}

#[test]
fn a_zero_member_is_the_answer_only_where_it_is_cheap() {
    // ½λ² + c(1 − λ) for a unit vector of weight λ and a zero vector of cost c: λ = min(c, 1).
    let gram = [1.0, 0.0, 0.0, 0.0];
    for c in [0.0, 1e-9, 0.3, 1.0, 4.0] {
        let (lambda, ..) = solve(&gram, &[0.0, c]);
        assert!((lambda[0] - f64::min(c, 1.0)).abs() < 1e-15, "{c}: {lambda:?}");
    }
}

#[test]
fn opposite_vectors_beside_a_short_dear_one_cancel() {
    let gram = gram_of(&[vec![1.0, 0.0], vec![-1.0, 0.0], vec![0.0, 1e-12]]);
    let (lambda, found, gap) = solve(&gram, &[0.0, 0.0, 0.4]);
    assert!((lambda[0] - 0.5).abs() < 1e-15 && lambda[2] == 0.0, "{lambda:?}");
    assert!(found < 1e-15 && gap < 1e-15);
}

#[test]
fn the_order_of_members_does_not_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    let members = random(&mut rng, 40, 25, 0.2);
    let c: Vec<f64> = (0..40).map(|_| rng.random_range(0.0..2.0)).collect();
    let (lambda, found, _) = solve(&gram_of(&members), &c);
    let mut order: Vec<usize> = (0..40).collect();
    order.shuffle(&mut rng);
    let shuffled: Vec<_> = order.iter().map(|&i| members[i].clone()).collect();
    let costs: Vec<_> = order.iter().map(|&i| c[i]).collect();
    let (other, again, _) = solve(&gram_of(&shuffled), &costs);
    assert!((found - again).abs() < 1e-13 * found);
    assert!(order.iter().zip(&other).all(|(&i, w)| (lambda[i] - w).abs() < 1e-10));
}

#[test]
fn a_common_scale_leaves_the_weights_unchanged_to_the_last_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(25);
    let gram = gram_of(&random(&mut rng, 30, 18, 0.2));
    let c: Vec<f64> = (0..30).map(|i| if i == 3 { 0.0 } else { rng.random_range(0.0..2.0) }).collect();
    let (lambda, found, _) = solve(&gram, &c);
    for exponent in [-664, 664] {
        let scaled = |v: &[f64]| v.iter().map(|x| x * f64::powi(2.0, exponent)).collect::<Vec<_>>();
        let (other, again, _) = solve(&scaled(&gram), &scaled(&c));
        assert_eq!(lambda, other, "scale 2^{exponent}, about 1e±200");
        assert_eq!(found * f64::powi(2.0, exponent), again);
    }
}

#[test]
fn a_warm_start_gives_the_answer_of_a_cold_one_and_never_a_higher_objective() {
    let mut rng = ChaCha8Rng::seed_from_u64(26);
    let pieces = random(&mut rng, 40, 200, 0.3);
    let (mut members, mut errors) = (Vec::<Vec<f64>>::new(), Vec::<f64>::new());
    let (mut solver, mut warm) = (MinNorm::new(), Vec::<f64>::new());
    for step in 0..300 {
        let noise = random(&mut rng, 1, 200, 0.0).remove(0);
        let piece = &pieces[rng.random_range(0..40)];
        let new: Vec<f64> = piece.iter().zip(noise).map(|(p, n)| p + 0.01 * n).collect();
        errors.iter_mut().for_each(|e| *e *= rng.random_range(0.5..1.6));
        let error = if step % 3 == 1 { rng.random_range(0.0..5.0) } else { 0.0 };
        if members.len() == 60 {
            let oldest = step as usize % 60;
            (members[oldest], errors[oldest], warm[oldest]) = (new, error, 0.0);
            solver.release(oldest);
        } else {
            members.push(new);
            errors.push(error);
        }
        // The step length leaps over six decades: weights of the last step may be far too dear for this one.
        let h = f64::powf(10.0, rng.random_range(-4.0..2.0));
        let c: Vec<f64> = errors.iter().map(|e| e / h).collect();
        let growth = 1.01_f64.powi(step);
        let gram: Vec<f64> = gram_of(&members).iter().map(|x| x * growth).collect();
        let k = c.len();
        let (cold, least, _) = solve(&gram, &c);
        let mut resumed = MinNorm::new();
        resumed.load(&solver.save()).unwrap();
        let again = resumed.solve(Gram::new(&gram, k, k), &c, &warm);
        let answer = solver.solve(Gram::new(&gram, k, k), &c, &warm);
        assert_eq!(answer, again);
        certify(&gram, &c, &answer);
        let found = 0.5 * answer.norm_squared + answer.linear;
        assert!((found - least).abs() <= 2e-11 * found, "{step}: {found} {least}");
        assert!(answer.lambda.iter().zip(&cold).all(|(a, b)| (a - b).abs() < 1e-8), "{step}");
        let mut before = warm.clone();
        before.resize(k, 0.0);
        if normalise(&mut before) {
            assert!(found <= objective(&gram, &c, &before) * (1.0 + 1e-14));
        }
        warm = answer.lambda.to_vec();
    }
}

#[test]
fn the_objective_falls_from_corral_to_corral() {
    let mut rng = ChaCha8Rng::seed_from_u64(27);
    for spread in [1.0, 1e-3, 1e-6, 1e-9] {
        let centre = random(&mut rng, 1, 30, 0.3).remove(0);
        let mut members = random(&mut rng, 80, 30, 0.0);
        for member in &mut members {
            member.iter_mut().zip(&centre).for_each(|(x, y)| *x = y + spread * *x);
        }
        let gram = gram_of(&members);
        let gram = Gram::new(&gram, 80, 80);
        let c: Vec<f64> = (0..80).map(|_| spread * rng.random_range(0.0..1.0)).collect();
        let mut solver = MinNorm::new();
        solver.solve(gram, &c, &[]);
        // From the last member alone: join by join, each with its minor cycle.
        solver.start(
            gram,
            &[&[0.0; 79][..], &[1.0]].concat(),
            79,
            gram.diagonal(79) + 2.0 * solver.linear[79],
        );
        let mut last = f64::INFINITY;
        for _ in 0..200 {
            solver.descend(gram);
            let (square, cost) = solver.evaluate(gram).unwrap();
            let twice = square + 2.0 * cost;
            assert!(twice <= last * (1.0 + 4.0 * f64::EPSILON), "{spread}: {twice} after {last}");
            last = twice;
            let worst = (0..80).fold(0, |a, b| if solver.slopes[b] < solver.slopes[a] { b } else { a });
            if solver.support.ids.contains(&worst)
                || square + cost - solver.slopes[worst] < 1e-11 * (square + cost)
            {
                break;
            }
            solver.join(gram, worst);
        }
    }
}

#[test]
fn costs_that_mean_nothing_leave_no_certificate() {
    for c in [[f64::NAN, 0.0], [0.0, f64::NEG_INFINITY], [f64::INFINITY; 2], [f64::NAN; 2]] {
        let mut solver = MinNorm::new();
        let answer = solver.solve(Gram::new(&[1.0, 0.0, 0.0, 1.0], 2, 2), &c, &[0.5, 0.5]);
        assert_eq!(answer.gap, f64::INFINITY, "{c:?}");
        assert_eq!(answer.lambda.iter().sum::<f64>(), 1.0);
    }
}

#[test]
fn a_coordinate_of_the_size_of_rounding_does_not_stop_an_exchange() {
    // The third member leaves with a weight of one rounding, and the second depends on the others by as little.
    let members = [vec![0.0, 1.0], vec![-1.0, 2.0], vec![3.0, 0.0], vec![2.0, -1.0]];
    let (gram, c) = (gram_of(&members), [2.0, 2.0, 0.0, 1.0]);
    let (_, found, gap) = solve(&gram, &c);
    assert!((found - brute_force(&gram, &c)).abs() < 1e-12 && gap < 1e-12, "{found}, gap {gap}");
}
