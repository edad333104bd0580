//! Progressive rescaling against gradient descent, on data whose maximum margin is known, and on networks.

mod common;

use common::{data, four_points, model, normals, parse, problem};
use latephase_core::algorithm::{Algorithm, AnyAlgorithm, Prgd};
use latephase_core::numeric::{dot, norm};
use latephase_core::{Breakdown, Iterate, Problem, RowSet};

/// z_i = (γ + s_i)u + v_i, v_i ⊥ u, with Σ λ_i v_i = 0 over the first `dim` points, whose s_i = 0: the maximum margin is γ, and
/// its direction is u. The λ_i differ, or gradient descent would find equal margins by the symmetry.
fn known(n: usize, dim: usize, margin: f64, seed: u64) -> (Problem, f64) {
    let u = normals(seed, "direction", dim);
    let u: Vec<f64> = u.iter().map(|x| x / norm(&u)).collect();
    let mut across: Vec<Vec<f64>> = (0..n).map(|i| normals(seed + i as u64, "across", dim)).collect();
    let share: Vec<f64> = normals(seed, "weights", dim).iter().map(|x| x.exp()).collect();
    let total: f64 = share.iter().sum();
    let mean: Vec<f64> =
        (0..dim).map(|j| across.iter().zip(&share).map(|(v, w)| w / total * v[j]).sum()).collect();
    across[..dim].iter_mut().for_each(|v| v.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m));
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for (i, v) in across.iter().enumerate() {
        let along = dot(v, &u);
        let slack = if i < dim { 0.0 } else { normals(seed + i as u64, "slack", 1)[0].abs() };
        let y = if i % 2 == 0 { 1.0 } else { -1.0 };
        x.extend(v.iter().zip(&u).map(|(v, u)| y * (v - along * u + (margin + slack) * u)));
        labels.push((i % 2) as u32);
    }
    (problem(model("kind = 'linear'", dim, 1), "kind = 'logistic'", data(&x, &labels, dim, 2)), margin)
}

fn margin(problem: &Problem, at: &mut Iterate) -> f64 {
    let eval = at.eval(problem, &RowSet::Full).unwrap();
    let q = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    q / norm(at.theta())
}

/// Evaluations until the margin is within `error` of the exact one.
fn evaluations(
    problem: &Problem,
    algorithm: &mut dyn Algorithm,
    exact: f64,
    error: f64,
    most: f64,
) -> Option<f64> {
    algorithm.begin(problem, 0).unwrap();
    let mut at = Iterate::new(normals(1, "theta", problem.dim()).iter().map(|x| 0.1 * x).collect());
    while at.clocks.evaluations < most {
        if let Err(end) = algorithm.step(problem, &mut at) {
            println!(
                "ended: {end} {:?} ln L = {} margin {} of {exact}",
                algorithm.counts(),
                at.eval(problem, &RowSet::Full).unwrap().ln_loss,
                margin(problem, &mut at)
            );
            return None;
        }
        let ours = margin(problem, &mut at);
        assert!(ours <= exact * (1.0 + 1e-12), "no margin is above the exact one: {ours} {exact}");
        if ours >= exact * (1.0 - error) {
            return Some(at.clocks.evaluations);
        }
    }
    None
}

#[test]
fn the_exact_margin_of_linear_data_is_reached_exponentially_fast() {
    // What a digit costs grows with the condition number of the support's Gram matrix; draws differ by a factor of ten.
    for seed in [0, 5, 8] {
        let (problem, exact) = known(40, 6, 0.5, 1000 * seed);
        let count =
            |error| evaluations(&problem, &mut Prgd::new(2.0, 1.0), exact, error, 1e5).expect("it arrives");
        let (rough, middle, fine) = (count(1e-4), count(1e-6), count(1e-8));
        println!("seed {seed}: {rough}, {middle}, {fine} evaluations for 1e-4, 1e-6, 1e-8");
        // Exponential, but for the ln R that the closing gap costs: two more digits cost a few times as much as the two
        // before, not a hundred times.
        assert!(fine - middle < 4.0 * (middle - rough), "{rough}, {middle}, {fine} evaluations");
        // Gradient descent has an error of order 1/step: at ten times the evaluations it is still above 1e-6.
        let mut descent = parse::<AnyAlgorithm>(
            "kind = 'stepped'\npace = { kind = 'unit-decrease', eta = 0.1, factor = inf }",
        )
        .build();
        let slow = evaluations(&problem, descent.as_mut(), exact, 1e-6, 10.0 * fine);
        assert!(slow.is_none(), "gradient descent got there in {slow:?}, {fine} are needed here for 1e-8");
    }
}

#[test]
fn a_fixed_length_gets_there_too() {
    // The two active points of the four differ by √2: steps of 0.1 halve a difference of margins in 14.
    let exact = 3.0 / 2f64.sqrt();
    let problem = problem(model("kind = 'linear'", 2, 1), "kind = 'logistic'", four_points());
    let text = "kind = 'prgd'\neta = 0.1\nstay = 30";
    let found = evaluations(&problem, parse::<AnyAlgorithm>(text).build().as_mut(), exact, 1e-8, 1e5);
    assert!(found.is_some());
}

#[test]
fn it_ends_when_f64_cannot_tell_margins_apart() {
    let problem = problem(model("kind = 'linear'", 2, 1), "kind = 'exponential'", four_points());
    let mut algorithm = Prgd::new(2.0, 1.0);
    algorithm.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(vec![0.1, 0.02]);
    let end = loop {
        if let Err(end) = algorithm.step(&problem, &mut at) {
            break end;
        }
        assert!(at.clocks.evaluations < 1e4);
    };
    assert!(matches!(end, Breakdown::Precision { .. }), "{end}");
    let ours = margin(&problem, &mut at);
    assert!((ours / (3.0 / 2f64.sqrt()) - 1.0).abs() < 1e-10, "{ours}");
}

#[test]
fn data_that_cannot_be_separated_are_reported_and_not_rescaled() {
    let x = [1.0, 1.0, -1.0, 0.5];
    let problem = problem(
        model("kind = 'linear'", 2, 1),
        "kind = 'logistic'",
        data(&[x, x].concat(), &[0, 1, 1, 0], 2, 2),
    );
    let mut algorithm = Prgd::new(2.0, 1.0);
    algorithm.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(vec![0.3, -0.1]);
    let end = (0..10_000).find_map(|_| algorithm.step(&problem, &mut at).err()).expect("it ends");
    assert!(matches!(end, Breakdown::Stationary { .. }), "{end}");
    assert!(algorithm.counts().contains(&("rescalings", 0)));
}

#[test]
fn a_deep_linear_net_reaches_its_largest_margin_too() {
    // Degree 2: the largest q_min/ρ² is half the linear margin (rank one, balanced).
    let problem =
        problem(model("kind = 'deep-linear'\nwidths = [3]", 2, 1), "kind = 'exponential'", four_points());
    let mut algorithm = Prgd::new(2.0, 1.0);
    algorithm.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(normals(2, "theta", problem.dim()));
    while at.clocks.evaluations < 5000.0 && algorithm.step(&problem, &mut at).is_ok() {}
    let ours = margin(&problem, &mut at) / norm(at.theta());
    // Here the error falls like 1/evaluations: lengths shrink with ρ² while what is left to do on the sphere does not.
    assert!((ours / 1.060660171779821 - 1.0).abs() < 1e-4, "{ours}");
}

#[test]
fn a_resumed_run_takes_the_same_bits() {
    let (problem, _) = known(20, 4, 0.5, 3);
    let mut whole = Prgd::new(1.7, 0.5);
    whole.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(vec![0.1, -0.2, 0.05, 0.3]);
    for steps in [3, 20, 41, 100] {
        for _ in 0..steps {
            whole.step(&problem, &mut at).unwrap();
        }
        let mut other = Prgd::new(1.7, 0.5);
        other.begin(&problem, 0).unwrap();
        other.load(&whole.save()).unwrap();
        let mut resumed = Iterate::load(&problem, &at.save()).unwrap();
        let mut straight = at.clone();
        let mut same = Prgd::new(1.7, 0.5);
        same.begin(&problem, 0).unwrap();
        same.load(&whole.save()).unwrap();
        for _ in 0..50 {
            other.step(&problem, &mut resumed).unwrap();
            same.step(&problem, &mut straight).unwrap();
        }
        assert_eq!(resumed.save(), straight.save());
        assert_eq!(other.save(), same.save());
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let (problem, _) = known(20, 4, 0.5, 3);
    for (text, field) in [
        ("factor = 1", "factor"),
        ("stay = 0", "stay"),
        ("gap = 0", "gap"),
        ("growth = 0.5", "growth"),
        ("eta = 0", "eta"),
    ] {
        let error =
            parse::<AnyAlgorithm>(&format!("kind = 'prgd'\n{text}")).build().begin(&problem, 0).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}
