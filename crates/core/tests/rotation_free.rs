//! The rotation-free network, and weights that are given one by one.

mod common;

use common::{assert_close, four_points, normals, problem};
use latephase_core::algorithm::{Algorithm, Flow, Tableau};
use latephase_core::model::{Model, Tape};
use latephase_core::norm::L2;
use latephase_core::numeric::dot;
use latephase_core::rng::stream;
use latephase_core::{Degree, Iterate, RowSet, Rows};

fn outputs(model: &dyn Model, theta: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = Rows::new(x, model.inputs());
    let mut out = vec![0.0; rows.n() * model.outputs()];
    model.forward(theta, rows, &mut out, &mut Tape::default()).unwrap();
    out
}

/// A model with θ₀ of seed 5.
fn started(text: &str, outputs: usize) -> (Box<dyn Model>, Vec<f64>) {
    let mut model = common::model(text, 3, outputs);
    let stored = model.init(&mut stream(5, "model.init", 0));
    model.fix(&stored);
    let theta = model.select(&stored).into_owned();
    (model, theta)
}

#[test]
fn it_starts_as_the_two_layer_network_of_the_same_draw() {
    let x = normals(1, "inputs", 30);
    for (classes, init) in [(1, "'he'"), (3, "{ kind = 'normal', std = 0.3, outer = { kind = 'lecun' } }")] {
        let (ours, theta) = started(&format!("kind = 'rotation-free'\nwidth = 6\ninit = {init}"), classes);
        let (mlp, whole) = started(&format!("kind = 'mlp'\nwidths = [6]\ninit = {init}"), classes);
        assert_eq!((ours.degree(), theta.len()), (&Degree::Exact { degree: 2.0 }, 6 + 6 * classes));
        let (a, b) = (outputs(ours.as_ref(), &theta, &x), outputs(mlp.as_ref(), &whole, &x));
        a.iter().zip(&b).for_each(|(a, b)| assert!((a - b).abs() < 1e-14 * (1.0 + b.abs()), "{a} {b}"));
        let stored = ours.export(&theta);
        for v in stored[..18].chunks(3) {
            assert_close(dot(v, v), 1.0, 1e-15, "a unit vector");
        }
        assert!(ours.conserved(&theta).iter().all(|c| c.abs() < 1e-14));
    }
}

#[test]
fn it_is_the_sum_of_its_formula_and_only_the_scalars_are_trained() {
    let (model, mut theta) = started("kind = 'rotation-free'\nwidth = 2", 1);
    theta.copy_from_slice(&[2.0, -3.0, 0.5, 7.0]);
    let stored = model.export(&theta).into_owned();
    let x = [0.3, -1.0, 2.0];
    let along = |j: usize| dot(&stored[3 * j..3 * j + 3], &x);
    let expected = 0.5 * (2.0 * along(0)).max(0.0) + 7.0 * (-3.0 * along(1)).max(0.0);
    assert_close(outputs(model.as_ref(), &theta, &x)[0], expected, 1e-15, "F(x)");
    let names: Vec<&str> = model.layout().blocks().iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["1.scale", "3.weight"]);
    // b² − a², neuron by neuron.
    assert_eq!(model.conserved(&theta), [4.0 - 0.25, 9.0 - 49.0]);
}

#[test]
fn its_flow_conserves_the_difference_of_squares() {
    let text = "kind = 'rotation-free'\nwidth = 5\nactivation = { kind = 'relu-power', p = 3 }";
    let mut model = common::model(text, 2, 1);
    let stored = model.init(&mut stream(2, "model.init", 0));
    model.fix(&stored);
    // Away from balance, so that there is something to conserve.
    let theta: Vec<f64> =
        model.select(&stored).iter().enumerate().map(|(i, t)| t * (1.0 + 0.1 * i as f64)).collect();
    let problem = problem(model, "kind = 'exponential'", four_points());
    let before = problem.model.conserved(&theta);
    assert!(before.len() == 5 && before.iter().any(|c| c.abs() > 1e-2), "{before:?}");
    let mut flow = Flow::new(L2 {}.into(), Tableau::DormandPrince, 1e-9);
    flow.begin(&problem, 0).unwrap();
    let mut at = Iterate::new(theta);
    let start = at.eval(&problem, &RowSet::Full).unwrap().ln_loss - 0.1;
    for _ in 0..200 {
        flow.step(&problem, &mut at).unwrap();
    }
    assert!(at.eval(&problem, &RowSet::Full).unwrap().ln_loss < start, "nothing has moved");
    let squared = dot(at.theta(), at.theta());
    for (a, b) in before.iter().zip(problem.model.conserved(at.theta())) {
        // b² − 3a² is a quadratic form: a relative local error e changes it by at most about 2·3·e·‖θ‖².
        let allowed = 12.0 * flow.accumulated_error() * squared;
        assert!((a - b).abs() <= allowed, "{a} became {b}, allowed {allowed:e}");
    }
}

#[test]
fn weights_that_are_given_are_those_of_the_network() {
    let text =
        "kind = 'mlp'\nwidths = [2]\ninit = { kind = 'values', values = [1, 2, 3, -4, 5, 6, 0.5, -2] }";
    let (model, theta) = started(text, 1);
    assert_eq!(theta, [1.0, 2.0, 3.0, -4.0, 5.0, 6.0, 0.5, -2.0]);
    assert_eq!(outputs(model.as_ref(), &theta, &[1.0, 1.0, 1.0]), [0.5 * 6.0 - 2.0 * 7.0]);
    let (_, scaled) = started(&text.replace("] }", "], alpha = 0.5 }"), 1);
    scaled.iter().zip(&theta).for_each(|(a, b)| assert_eq!(*a, 0.5 * b));
    // What is given is not made positive, unit or balanced.
    let (_, theta) =
        started("kind = 'diagonal'\ninit = { kind = 'values', values = [-1, 2, -3, 4, -5, 6] }", 1);
    assert_eq!(theta, [-1.0, 2.0, -3.0, 4.0, -5.0, 6.0]);
    let text = "kind = 'rotation-free'\nwidth = 1\ninit = { kind = 'values', values = [3, 0, 4, 2, 7] }";
    let (model, theta) = started(text, 1);
    assert_eq!(
        (theta, model.export(&[1.0, 1.0]).into_owned()),
        (vec![2.0, 7.0], vec![3.0, 0.0, 4.0, 1.0, 1.0])
    );
}
