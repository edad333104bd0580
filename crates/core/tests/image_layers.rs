//! Convolutions and pools as layers of a network: gradients, batches, fusion, threads, the degree calculus, and what is said
//! of shapes that do not fit.

use std::sync::Arc;

use latephase_core::loss::AnyLoss;
use latephase_core::model::{AnyModel, Model, Tape};
use latephase_core::{Data, Degree, Problem, RowSet, Rows, numeric, rng};
use rand::Rng;

/// The last layers of every network here: five outputs.
const HEAD: &str = "\"flatten\", { kind = \"dense\", width = 5 }, \"relu\", \"dense\"";

/// Layers on inputs of 2x6x5.
fn stacks() -> Vec<String> {
    let conv = |rest: &str| format!("{{ kind = \"conv2d\", channels = 4, {rest} }}");
    let pool = |kind: &str, rest: &str| format!("{{ kind = \"{kind}\", size = {rest} }}");
    vec![
        format!(
            "{}, \"relu\", {}",
            conv("kernel = 3, padding = \"same\", bias = true"),
            pool("max-pool", "2")
        ),
        format!(
            "{}, \"relu\", {}",
            conv("kernel = [2, 3], stride = [2, 1], padding = 1"),
            pool("max-pool", "[3, 2], stride = 1, padding = 1")
        ),
        format!(
            "{}, \"relu\", {}",
            conv("kernel = 2, padding = [1, 0]"),
            conv("kernel = 1, groups = 2, bias = true")
        ),
        format!(
            "{}, {}",
            conv("kernel = 4, padding = \"same\", groups = 2"),
            pool("avg-pool", "3, stride = 2, padding = 1")
        ),
        format!("{}, {}, \"relu\"", pool("max-pool", "2, stride = 1"), conv("kernel = 3, stride = 2")),
        format!(
            "{}, \"relu\", {}, {}, \"relu\", {}",
            conv("kernel = 3, padding = 1"),
            pool("max-pool", "2"),
            conv("kernel = 2, padding = 1"),
            pool("max-pool", "2, stride = 1")
        ),
    ]
}

fn network(stack: &str, more: &str) -> (Box<dyn Model>, Vec<f64>) {
    let text = format!("kind = \"network\"\nlayers = [{stack}, {HEAD}]\n{more}");
    let any: AnyModel = toml::from_str(&text).unwrap_or_else(|e| panic!("{text}\n{e}"));
    let model = any.build().assemble(&[2, 6, 5], 5).unwrap_or_else(|e| panic!("{text}\n{e}"));
    let mut stream = rng::stream(1, "theta", 0);
    let mut theta = model.init(&mut stream);
    // Biases start at 0, where a test of them says nothing.
    theta.iter_mut().for_each(|w| *w += stream.random_range(-0.2..0.2));
    (model, theta)
}

fn numbers(name: &str, n: usize) -> Vec<f64> {
    let mut stream = rng::stream(2, name, 0);
    (0..n).map(|_| stream.random_range(-1.0..1.0)).collect()
}

fn outputs(model: &dyn Model, theta: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = Rows::new(x, model.inputs());
    let mut out = vec![0.0; rows.n() * model.outputs()];
    model.forward(theta, rows, &mut out, &mut Tape::default()).unwrap();
    out
}

/// Outputs, gradient and cotangent of the inputs.
fn pulled(model: &dyn Model, theta: &[f64], x: &[f64], cot: &[f64], tape: &mut Tape) -> [Vec<f64>; 3] {
    let rows = Rows::new(x, model.inputs());
    let (mut out, mut grad) = (vec![0.0; cot.len()], vec![0.0; theta.len()]);
    let mut dx = vec![f64::NAN; x.len()];
    model.forward(theta, rows, &mut out, tape).unwrap();
    model.pullback(theta, rows, tape, cot, Some(&mut grad), Some(&mut dx)).unwrap();
    [out, grad, dx]
}

fn close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    let size = numeric::norm(theirs).max(1.0);
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * size, "{what} [{i}]: {a} against {b}");
    }
}

#[test]
fn the_pullback_is_the_slope_of_central_differences() {
    for stack in stacks() {
        let (model, theta) = network(&stack, "");
        let (x, cot) = (numbers("x", 2 * 60), numbers("cot", 2 * 5));
        let [_, grad, dx] = pulled(model.as_ref(), &theta, &x, &cot, &mut Tape::default());
        let along = |theta: &[f64], x: &[f64]| numeric::dot(&cot, &outputs(model.as_ref(), theta, x));
        // Piecewise a polynomial: h = 1e-6 leaves 1e-12/h of rounding; no kink lies within h of these points.
        let h = 1e-6;
        let slope = |at: &[f64], i: usize, f: &dyn Fn(&[f64]) -> f64| {
            let mut moved = at.to_vec();
            moved[i] = at[i] + h;
            let up = f(&moved);
            moved[i] = at[i] - h;
            (up - f(&moved)) / (2.0 * h)
        };
        let by_theta: Vec<f64> = (0..theta.len()).map(|i| slope(&theta, i, &|t| along(t, &x))).collect();
        let by_x: Vec<f64> = (0..x.len()).map(|i| slope(&x, i, &|x| along(&theta, x))).collect();
        close(&grad, &by_theta, 1e-7, &format!("{stack}: gradient"));
        close(&dx, &by_x, 1e-7, &format!("{stack}: inputs"));
    }
}

#[test]
fn without_biases_eulers_identity_holds_in_theta_and_in_each_block() {
    for stack in stacks() {
        let (model, theta) = network(&stack.replace(", bias = true", ""), "");
        let degree = model.degree().order().expect("a homogeneous network has a degree");
        assert!(model.degree().is_exact(), "{stack}");
        let (x, cot) = (numbers("x", 3 * 60), numbers("cot", 3 * 5));
        let [out, grad, _] = pulled(model.as_ref(), &theta, &x, &cot, &mut Tape::default());
        let value = numeric::dot(&cot, &out);
        close(&[numeric::dot(&theta, &grad)], &[degree * value], 1e-12, &stack);
        for block in model.layout().blocks() {
            let radial = numeric::dot(block.of(&theta), block.of(&grad));
            close(&[radial], &[block.degree * value], 1e-12, &format!("{stack}: {}", block.name));
        }
    }
}

#[test]
fn a_bias_makes_a_deep_convolutional_network_near_homogeneous() {
    let (model, _) = network("{ kind = \"conv2d\", channels = 2, kernel = 3, bias = true }", "");
    assert_eq!(model.degree(), &Degree::Exact { degree: 3.0 });
    let above = "{ kind = \"conv2d\", channels = 2, kernel = 3 }, \"relu\", \
                 { kind = \"conv2d\", channels = 2, kernel = 2, bias = true }";
    let (model, theta) = network(above, "");
    let bound = model.degree_at(1.0).defect().expect("a bound");
    assert_eq!((model.degree().order(), model.degree().is_exact()), (Some(4.0), false));
    // |Df - Mf| at rows of norm 1 is within the bound.
    for k in 0..20 {
        let mut x = numbers(&format!("x{k}"), 60);
        let length = numeric::norm(&x);
        x.iter_mut().for_each(|x| *x /= length);
        let rho = numeric::norm(&theta);
        for i in 0..5 {
            let mut cot = vec![0.0; 5];
            cot[i] = 1.0;
            let [out, grad, _] = pulled(model.as_ref(), &theta, &x, &cot, &mut Tape::default());
            let defect = (numeric::dot(&theta, &grad) - 4.0 * out[i]).abs();
            assert!(defect <= bound.at(rho), "{defect} above {}", bound.at(rho));
        }
    }
}

#[test]
fn a_batch_is_its_rows_and_a_used_tape_leaves_no_trace() {
    for stack in stacks() {
        let (model, theta) = network(&stack, "");
        let (x, cot) = (numbers("x", 4 * 60), numbers("cot", 4 * 5));
        let mut tape = Tape::default();
        let [out, grad, dx] = pulled(model.as_ref(), &theta, &x, &cot, &mut tape);
        let mut sum = vec![0.0; theta.len()];
        for i in 0..4 {
            let (x, cot) = (&x[i * 60..][..60], &cot[i * 5..][..5]);
            let [own, own_grad, own_dx] = pulled(model.as_ref(), &theta, x, cot, &mut tape);
            // A product of other sizes may sum in another order.
            close(&own, &out[i * 5..][..5], 1e-14, &stack);
            close(&own_dx, &dx[i * 60..][..60], 1e-14, &stack);
            numeric::axpy(1.0, &own_grad, &mut sum);
        }
        close(&sum, &grad, 1e-13, &stack);
        let again = pulled(model.as_ref(), &theta, &x, &cot, &mut tape);
        assert_eq!(again, [out, grad, dx], "{stack}");
    }
}

#[test]
fn neighbouring_layers_as_one_stage_are_the_layers_one_after_another() {
    for stack in stacks() {
        // A network whose ReLU'(0) is not 0 is not fused, and no pre-activation here is 0.
        let ((fused, theta), (plain, _)) = (network(&stack, ""), network(&stack, "kink = 0.5"));
        let (x, cot) = (numbers("x", 3 * 60), numbers("cot", 3 * 5));
        let ours = pulled(fused.as_ref(), &theta, &x, &cot, &mut Tape::default());
        let theirs = pulled(plain.as_ref(), &theta, &x, &cot, &mut Tape::default());
        for (a, b) in ours.iter().zip(&theirs) {
            close(a, b, 1e-14, &stack);
        }
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let (n, stack) = (600, &stacks()[5]);
    let classes = (0..5).map(|k| k.to_string()).collect();
    let labels = (0..n as u32).map(|i| i % 5).collect();
    let data = Arc::new(Data::new(numbers("x", n * 60), labels, classes, vec![2, 6, 5]).unwrap());
    let (model, theta) = network(stack, "");
    let loss: AnyLoss = toml::from_str("kind = \"cross-entropy\"").unwrap();
    let problem = Problem::new(model, loss.build(), data, None);
    let evals = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| problem.eval(&theta, &RowSet::Full)).unwrap()
    });
    assert_eq!(evals[0], evals[1]);
    assert_eq!(evals[0], evals[2]);
}

#[test]
fn a_tie_in_a_max_pool_is_a_kink_and_equal_zeros_are_not() {
    let text = "kind = \"network\"\nlayers = [{ kind = \"max-pool\", size = 2 }, \"flatten\", \"dense\"]";
    let model = toml::from_str::<AnyModel>(text).unwrap().build().assemble(&[1, 2, 6], 1).unwrap();
    // Three windows: a near tie, zeros, a clear winner.
    let x = [1.0, 0.999, 0.0, 0.0, 5.0, 1.0, -1.0, -2.0, 0.0, 0.0, 2.0, 3.0];
    let kinks = model.kinks(&[1.0; 3], Rows::new(&x, 12), 0.01).unwrap();
    assert_eq!(kinks.len(), 1);
    assert_eq!((kinks[0].layer.as_str(), kinks[0].unit), ("0", 0));
    let rms = numeric::norm(&x) / 12f64.sqrt();
    assert!((kinks[0].distance - 0.001 / rms).abs() < 1e-12);
}

#[test]
fn what_does_not_fit_is_told_with_the_place_of_the_layer_and_both_shapes() {
    let complaint = |layers: &str| {
        let text = format!("kind = \"network\"\nlayers = [{layers}]");
        let any: AnyModel = toml::from_str(&text).unwrap();
        any.build().assemble(&[1, 3, 3], 2).expect_err("it must not fit").to_string()
    };
    let expect = |layers: &str, parts: &[&str]| {
        let said = complaint(layers);
        parts.iter().for_each(|part| assert!(said.contains(part), "{said} lacks {part}"));
    };
    expect(
        "{ kind = \"conv2d\", channels = 2, kernel = 5 }, \"flatten\", \"dense\"",
        &["layers[0].kernel", "5x5 is larger than its padded input of 1x3x3"],
    );
    expect(
        "\"flatten\", { kind = \"conv2d\", channels = 2, kernel = 1 }",
        &["layers[1]", "shape 9", "images"],
    );
    expect("{ kind = \"max-pool\", size = 4 }, \"flatten\", \"dense\"", &["layers[0].size", "4x4", "1x3x3"]);
    expect(
        "{ kind = \"max-pool\", size = 2, padding = 2 }, \"flatten\", \"dense\"",
        &["layers[0].padding", "2x2"],
    );
    expect(
        "{ kind = \"conv2d\", channels = 3, kernel = 1, groups = 2 }",
        &["layers[0].groups", "1 channels", "3"],
    );
    expect("{ kind = \"conv2d\", channels = 0, kernel = 1 }", &["layers[0].channels"]);
    expect(
        "{ kind = \"conv2d\", channels = 1, kernel = 2, stride = 2, padding = \"same\" }",
        &["layers[0].padding", "2x2"],
    );
    expect("{ kind = \"conv2d\", channels = 2, kernel = 1 }, \"dense\"", &["layers[1]", "2x3x3", "flatten"]);
}

#[test]
fn sizes_are_numbers_or_pairs_and_anything_else_is_refused() {
    let parsed = |rest: &str| {
        let text = format!("kind = \"network\"\nlayers = [{{ kind = \"conv2d\", channels = 1, {rest} }}]");
        toml::from_str::<AnyModel>(&text).map_err(|e| e.to_string())
    };
    for fine in
        ["kernel = 3", "kernel = [3, 2], stride = [1, 2], padding = [0, 1]", "kernel = 2, padding = \"same\""]
    {
        let spec = parsed(fine).unwrap();
        let text = toml::to_string(&spec).unwrap();
        assert_eq!(toml::to_string(&toml::from_str::<AnyModel>(&text).unwrap()).unwrap(), text);
    }
    assert!(parsed("kernel = \"big\"").unwrap_err().contains("a number, or [height, width]"));
    assert!(parsed("kernel = 3, padding = \"valid\"").unwrap_err().contains("\"same\", a number"));
    assert!(parsed("kernel = 3, dilation = 2").unwrap_err().contains("dilation"));
}
