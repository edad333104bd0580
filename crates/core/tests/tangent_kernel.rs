//! The tangent kernel against explicit Jacobians, for every kind of layer.

mod common;

use common::{assert_close, data, four_points, measure, model, normals, parse, problem};
use latephase_core::model::{AnyModel, Model, Tape};
use latephase_core::numeric::dot;

use latephase_core::probe::{AnyProbe, Context};
use latephase_core::rng::stream;
use latephase_core::{Iterate, Problem, RowSet, Rows, ntk};

fn weights(model: &mut dyn Model, seed: u64) -> Vec<f64> {
    let stored = model.init(&mut stream(seed, "model.init", 0));
    // Biases start at 0, where they would hide.
    let noise = normals(seed, "noise", stored.len());
    let stored: Vec<f64> = stored.iter().zip(noise).map(|(a, b)| a + 0.1 * b).collect();
    model.fix(&stored);
    model.select(&stored).into_owned()
}

/// Rows (i, c) of ∂f_c(x_i)/∂θ, one pullback each.
fn jacobian(model: &dyn Model, theta: &[f64], x: Rows<'_>) -> Vec<Vec<f64>> {
    let k = model.outputs();
    let (mut tape, mut out) = (Tape::default(), vec![0.0; k]);
    let mut rows = Vec::new();
    for i in 0..x.n() {
        for c in 0..k {
            let (mut cot, mut grad) = (vec![0.0; k], vec![0.0; theta.len()]);
            cot[c] = 1.0;
            model.forward(theta, x.slice(i, i + 1), &mut out, &mut tape).unwrap();
            model.pullback(theta, x.slice(i, i + 1), &mut tape, &cot, Some(&mut grad), None).unwrap();
            rows.push(grad);
        }
    }
    rows
}

#[test]
fn the_kernel_is_that_of_the_explicit_jacobian() {
    let image = "layers = [{ kind = 'conv2d', channels = 3, kernel = 3, padding = 'same' }, 'relu', \
                 { kind = 'max-pool', size = 2 }, 'bias', 'flatten', { kind = 'dense', width = 5, bias = true }, \
                 'tanh', 'scale', 'dense']";
    let residual = "layers = [{ kind = 'dense', width = 6 }, { kind = 'residual', body = \
                    [{ kind = 'dense', width = 6, bias = true }, 'relu', { kind = 'dense', width = 6 }] }, 'bias', 'dense']";
    for (text, shape, k) in [
        ("kind = 'linear'".to_string(), vec![4], 1),
        ("kind = 'mlp'\nwidths = [7, 5]".into(), vec![4], 1),
        ("kind = 'mlp'\nwidths = [7, 5]\nbias = 'all'\nactivation = 'gelu'".into(), vec![4], 3),
        ("kind = 'mlp'\nwidths = [7]\nfreeze = ['2.weight']".into(), vec![4], 1),
        ("kind = 'mlp'\nwidths = [7, 5]\nbias = 'all'\nfreeze = ['0', '2.bias']".into(), vec![4], 2),
        ("kind = 'diagonal'\ndepth = 2".into(), vec![4], 1),
        (format!("kind = 'network'\n{image}"), vec![2, 4, 6], 2),
        (format!("kind = 'network'\n{image}\nfreeze = ['0.weight']"), vec![2, 4, 6], 2),
        (format!("kind = 'network'\n{residual}"), vec![4], 3),
    ] {
        let mut model =
            parse::<AnyModel>(&text).build().assemble(&shape, k).unwrap_or_else(|e| panic!("{text}: {e}"));
        let theta = weights(model.as_mut(), 3);
        let (n, dim) = (9, model.inputs());
        let x = normals(5, "inputs", n * dim);
        let kernel = ntk::outputs(model.as_ref(), &theta, Rows::new(&x, dim)).unwrap();
        let rows = jacobian(model.as_ref(), &theta, Rows::new(&x, dim));
        assert_eq!(kernel.len(), (n * k) * (n * k));
        for (a, row) in rows.iter().enumerate() {
            for (b, other) in rows.iter().enumerate() {
                let (truth, size) = (dot(row, other), (dot(row, row) * dot(other, other)).sqrt());
                assert!((kernel[a * n * k + b] - truth).abs() <= 1e-12 * size, "{text}: ({a}, {b})");
            }
        }
    }
}

#[test]
fn the_kernel_of_margins_is_that_of_their_gradients() {
    for (k, loss, classes) in [(1, "kind = 'logistic'", 2), (3, "kind = 'cross-entropy'", 3)] {
        let mut net = model("kind = 'mlp'\nwidths = [6]", 4, k);
        let theta = weights(net.as_mut(), 1);
        let labels: Vec<u32> = (0..7).map(|i| i % classes as u32).collect();
        let problem = problem(net, loss, data(&normals(2, "inputs", 28), &labels, 4, classes));
        let eval = problem.eval(&theta, &RowSet::Full).unwrap();
        let mut constraints = problem.constraints(&eval);
        // In another order, and with some left out, as a probe's support set is.
        constraints.reverse();
        constraints.truncate(constraints.len() - 2);
        let kernel = ntk::margins(&problem, &theta, &constraints).unwrap();
        let gradients: Vec<Vec<f64>> =
            constraints.iter().map(|c| problem.margin_gradient(&theta, c).unwrap()).collect();
        let m = constraints.len();
        for (a, g) in gradients.iter().enumerate() {
            for (b, h) in gradients.iter().enumerate() {
                let size = (dot(g, g) * dot(h, h)).sqrt();
                assert!((kernel[a * m + b] - dot(g, h)).abs() <= 1e-13 * size);
            }
        }
        let lambda = normals(4, "lambda", m);
        let sum = ntk::combination(&problem, &theta, &constraints, &lambda).unwrap();
        for (j, sum) in sum.iter().enumerate() {
            let truth: f64 = gradients.iter().zip(&lambda).map(|(g, l)| l * g[j]).sum();
            assert!((sum - truth).abs() < 1e-12);
        }
    }
}

fn looked(problem: &Problem, start: &[f64], theta: &[f64]) -> latephase_core::probe::Row {
    let mut probe = parse::<AnyProbe>("kind = 'ntk'").build();
    probe.begin(&Context { problem, theta: start, norms: Vec::new(), weight_decay: 0.0 }).unwrap();
    measure(probe.as_mut(), problem, &mut Iterate::new(theta.to_vec()))
}

#[test]
fn the_kernel_of_a_linear_model_stays_and_its_machine_is_the_maximum_margin() {
    let problem = problem(model("kind = 'linear'", 2, 1), "kind = 'logistic'", four_points());
    // The ℓ2 maximum margin of the four points is 3/√2 along (1, 1)/√2.
    let row = looked(&problem, &[0.3, -0.2], &[5.0, 5.0]);
    assert!(row.get("ntk_drift") < 1e-15 && row.get("ntk_svm_angle") < 1e-12);
    assert_close(row.get("ntk_margin"), 3.0 / 2f64.sqrt(), 1e-12, "the maximum margin");
    assert_close(row.get("ntk_trace"), 5.0 + 10.0 + 5.0 + 9.25, 1e-14, "squares of the inputs");
    assert!(row.get("ntk_rank") <= 2.0 && row.get("ntk_least").abs() < 1e-13);
    let row = looked(&problem, &[0.3, -0.2], &[1.0, 0.0]);
    assert_close(row.get("ntk_svm_angle"), std::f64::consts::FRAC_PI_4, 1e-12, "half a right angle");
}

#[test]
fn at_a_kkt_direction_the_machine_on_tangent_features_points_along_theta() {
    let problem =
        problem(model("kind = 'deep-linear'\nwidths = [2]", 2, 1), "kind = 'logistic'", four_points());
    // f = aᵀWx with a = √2·(0.6, 0.8) and W = (0.6, 0.8)ᵀ(1, 1): balanced, of rank one, along the maximum margin.
    let root = 2f64.sqrt();
    let aligned = [0.6, 0.6, 0.8, 0.8, root * 0.6, root * 0.8];
    let scaled: Vec<f64> = aligned.iter().map(|t| 1e40 * t).collect();
    for theta in [aligned.to_vec(), scaled] {
        let row = looked(&problem, &aligned, &theta);
        assert!(row.get("ntk_svm_angle") < 1e-7, "angle {:e}", row.get("ntk_svm_angle"));
        // L times the normalised margin, (3/√2)/2.
        assert_close(row.get("ntk_margin"), 3.0 / root, 1e-10, "twice the normalised margin");
        assert!(row.get("ntk_drift") < 1e-7);
    }
    let row = looked(&problem, &aligned, &[0.6, 0.3, 0.8, 0.8, root * 0.6, root * 0.8]);
    assert!(row.get("ntk_svm_angle") > 0.05 && row.get("ntk_drift") > 0.01);
}

#[test]
fn alignment_is_one_for_the_kernel_of_the_labels() {
    // Inputs ±e: the kernel of a linear model is that of the labels.
    let set = data(&[1.0, -1.0, 1.0, -1.0], &[0, 1, 0, 1], 1, 2);
    let row = looked(&problem(model("kind = 'linear'", 1, 1), "kind = 'logistic'", set), &[1.0], &[1.0]);
    assert_close(row.get("ntk_alignment"), 1.0, 1e-14, "alignment");
    assert_close(row.get("ntk_rank"), 1.0, 1e-12, "rank");
    let crowd = problem(model("kind = 'linear'", 2, 1), "kind = 'logistic'", four_points());
    let mut probe = parse::<AnyProbe>("kind = 'ntk'\nmost = 3").build();
    let context = Context { problem: &crowd, theta: &[1.0, 0.0], norms: Vec::new(), weight_decay: 0.0 };
    assert!(probe.begin(&context).unwrap_err().message.contains("raise it"));
}
