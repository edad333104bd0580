//! The probe `escape`: closed forms of linear models, the optimality of its direction, and the flow inequality itself.

use std::sync::Arc;

use latephase_core::algorithm::{Algorithm, AnyAlgorithm};
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::{distance, norm};
use latephase_core::probe::{AnyProbe, Context, Probe, Row, Snapshot, StepRecord};
use latephase_core::rng::stream;
use latephase_core::{Data, Iterate, Problem, RowSet};
use rand::Rng;

fn problem(model: &str, loss: &str, x: Vec<f64>, labels: Vec<u32>) -> Problem {
    let dim = x.len() / labels.len();
    let classes = labels.iter().max().map_or(2, |m| (m + 1).max(2)) as usize;
    let names = (0..classes).map(|k| k.to_string()).collect();
    let data = Data::new(x, labels, names, vec![dim]).unwrap();
    let loss = toml::from_str::<AnyLoss>(&format!("kind = '{loss}'")).unwrap().build();
    let model: AnyModel = toml::from_str(model).unwrap();
    let model = model.build().assemble(&[dim], loss.outputs(classes).unwrap()).unwrap();
    Problem::new(model, loss, Arc::new(data), None)
}

fn probe(problem: &Problem, theta: &[f64]) -> Box<dyn Probe> {
    let mut probe = AnyProbe::example("escape").build();
    let context = Context { problem, theta, norms: vec![AnyNorm::default()], weight_decay: 0.0 };
    probe.begin(&context).unwrap();
    probe
}

fn look(probe: &mut dyn Probe, problem: &Problem, at: &mut Iterate) -> Row {
    let mut row = Row::default();
    probe.measure(&Snapshot::new(problem, at, None).unwrap(), &mut row);
    let inverse = problem.loss.inverse(-at.eval(problem, &RowSet::Full).unwrap().ln_loss_sum);
    let degree = problem.model.degree().order().unwrap();
    row.put("smooth_margin", inverse / norm(at.theta()).powf(degree));
    row
}

fn follow(
    steps: &mut dyn Algorithm,
    probe: &mut dyn Probe,
    problem: &Problem,
    at: &mut Iterate,
    ln_loss: f64,
) {
    while at.eval(problem, &RowSet::Full).unwrap().ln_loss_sum > ln_loss {
        let before = at.theta().to_vec();
        steps.step(problem, at).unwrap();
        probe.step(&StepRecord { problem, before: &before, after: at.theta(), taken: None, ends: None });
    }
}

fn flow(problem: &Problem) -> Box<dyn Algorithm> {
    let mut flow = toml::from_str::<AnyAlgorithm>("kind = 'flow'\nrtol = 1e-7").unwrap().build();
    flow.begin(problem, 0).unwrap();
    flow
}

#[test]
fn with_one_example_and_a_linear_model_the_bound_is_the_margin_itself() {
    let problem = problem("kind = 'linear'", "exponential", vec![3.0, 4.0], vec![0]);
    let theta = vec![1.0, -0.5];
    let mut seen = probe(&problem, &theta);
    let mut at = Iterate::new(theta.clone());
    follow(flow(&problem).as_mut(), seen.as_mut(), &problem, &mut at, -200.0);
    let row = look(seen.as_mut(), &problem, &mut at);
    assert!((row.get("escape_gamma") - 5.0).abs() < 1e-13);
    assert!((row.get("escape_bound") / row.get("smooth_margin") - 1.0).abs() < 1e-10);
    assert!((row.get("escape_path") / distance(at.theta(), &theta) - 1.0).abs() < 1e-10);
}

#[test]
fn of_a_linear_model_the_direction_is_the_maximum_margin() {
    // Positive (1, ½) and negative (−1, ½): the difference vector (1, 0), margin 1.
    let problem = problem("kind = 'linear'", "logistic", vec![1.0, 0.5, -1.0, 0.5], vec![0, 1]);
    let mut seen = probe(&problem, &[0.3, 0.9]);
    let row = look(seen.as_mut(), &problem, &mut Iterate::new(vec![0.3, 0.9]));
    assert!((row.get("escape_gamma") - 1.0).abs() < 1e-14);
    assert_eq!(row.get("escape_path"), 0.0);
    // Of the same example on both sides there is none.
    let problem = self::problem("kind = 'linear'", "logistic", vec![1.0, 0.5, 1.0, 0.5], vec![0, 1]);
    let row = look(probe(&problem, &[0.3, 0.9]).as_mut(), &problem, &mut Iterate::new(vec![0.3, 0.9]));
    assert!(row.get("escape_gamma").is_nan() && row.get("escape_bound").is_nan());
}

fn points(seed: u64, n: usize) -> (Vec<f64>, Vec<u32>) {
    let mut rng = stream(seed, "points", 0);
    let x: Vec<f64> = (0..2 * n).map(|_| rng.random_range(-1.0..1.0)).collect();
    let labels = x.chunks_exact(2).map(|p| u32::from(p[0] * p[1] < 0.0)).collect();
    (x, labels)
}

#[test]
fn no_other_direction_has_a_larger_least_slope_at_the_start() {
    let (x, labels) = points(3, 12);
    for loss in ["exponential", "logistic"] {
        let problem = problem("kind = 'mlp'\nwidths = [30]", loss, x.clone(), labels.clone());
        let theta = problem.model.init(&mut stream(1, "init", 0));
        let row = look(probe(&problem, &theta).as_mut(), &problem, &mut Iterate::new(theta.clone()));
        let best = row.get("escape_gamma");
        assert!(best > 0.0);
        let full = problem.eval(&theta, &RowSet::Full).unwrap();
        let constraints = problem.constraints(&full);
        let gradients: Vec<Vec<f64>> =
            constraints.iter().map(|c| problem.margin_gradient(&theta, c).unwrap()).collect();
        // By weak duality every convex combination of the gradients is at least as long; and some comes near.
        let mut rng = stream(2, "weights", 0);
        for _ in 0..200 {
            let weights: Vec<f64> = gradients.iter().map(|_| rng.random_range(0.0..1.0f64).powi(4)).collect();
            let total: f64 = weights.iter().sum();
            let mut mean = vec![0.0; theta.len()];
            for (w, g) in weights.iter().zip(&gradients) {
                latephase_core::numeric::axpy(w / total, g, &mut mean);
            }
            assert!(norm(&mean) >= best * (1.0 - 1e-10), "{} under {best}", norm(&mean));
        }
        // Frank–Wolfe on the same dual: the shortest combination, to its own gap.
        let mut mean = gradients[0].clone();
        for k in 0..20_000 {
            let least = gradients.iter().min_by(|a, b| {
                latephase_core::numeric::dot(a, &mean).total_cmp(&latephase_core::numeric::dot(b, &mean))
            });
            let step = 2.0 / (f64::from(k) + 2.0);
            mean.iter_mut().zip(least.unwrap()).for_each(|(m, g)| *m += step * (g - *m));
        }
        assert!((norm(&mean) / best - 1.0).abs() < 1e-3, "{} against {best}", norm(&mean));
    }
}

#[test]
fn the_flow_stays_above_the_bound_and_a_saved_path_goes_on() {
    let (x, _) = points(8, 10);
    let labels: Vec<u32> = x.chunks_exact(2).map(|p| u32::from(p[0] < 0.2)).collect();
    for loss in ["exponential", "logistic"] {
        let text = "kind = 'mlp'\nwidths = [200]\nactivation = 'relu-power'";
        let problem = problem(text, loss, x.clone(), labels.clone());
        let theta = problem.model.init(&mut stream(1, "init", 0));
        let mut seen = probe(&problem, &theta);
        let mut at = Iterate::new(theta.clone());
        let mut steps = flow(&problem);
        let first = look(seen.as_mut(), &problem, &mut at).get("escape_gamma");
        let mut certified = false;
        for level in [2.0, 1.0, 0.0, -1.0, -3.0, -10.0] {
            follow(steps.as_mut(), seen.as_mut(), &problem, &mut at, level);
            let row = look(seen.as_mut(), &problem, &mut at);
            let (margin, bound) = (row.get("smooth_margin"), row.get("escape_bound"));
            assert!(bound.is_nan() || bound <= margin + 1e-9, "{loss}, {level}: {bound} above {margin}");
            assert!(row.get("escape_gamma") <= first);
            assert!(row.get("escape_path") >= distance(at.theta(), &theta) * (1.0 - 1e-12));
            certified |= bound > 0.0;
        }
        assert!(certified, "{loss}: the certificate says something");
        let mut resumed = probe(&problem, &theta);
        resumed.load(&seen.save()).unwrap();
        let rows = [&mut seen, &mut resumed].map(|p| format!("{:?}", look(p.as_mut(), &problem, &mut at)));
        assert_eq!(rows[0], rows[1]);
    }
}
