//! What a model offers beyond outputs and gradients: J·v, kinks, the homogenization, a Lipschitz bound.

use latephase_core::model::{AnyModel, Model, Tape};
use latephase_core::{Rows, numeric, rng};
use rand::Rng;

/// Every catalogued model and some layered ones, on 2×3×4 inputs with two outputs where the model allows them.
fn models() -> Vec<(String, Box<dyn Model>, Vec<f64>)> {
    let listed = [
        r#"layers = ["flatten", { kind = "dense", width = 5, bias = true }, "relu", { kind = "dense", bias = true }]"#,
        r#"layers = ["flatten", { kind = "dense", width = 5 }, { kind = "relu-power", p = 2 }, "dense"]"#,
        r#"layers = [{ kind = "conv2d", channels = 3, kernel = [2, 3], padding = "same", bias = true }, "relu",
            { kind = "max-pool", size = 2, stride = 1 }, { kind = "conv2d", channels = 2, kernel = 2, stride = [1, 2] },
            "relu", "flatten", "dense"]"#,
        r#"layers = [{ kind = "conv2d", channels = 4, kernel = 2, groups = 2 }, { kind = "avg-pool", size = 2, padding = 1 },
            "relu", { kind = "conv2d", channels = 2, kernel = 1, bias = true }, "relu", "flatten",
            { kind = "dense", bias = true }]"#,
        r#"layers = [{ kind = "conv2d", channels = 2, kernel = 3, padding = "same", bias = true }, "softplus",
            { kind = "residual", body = [{ kind = "conv2d", channels = 2, kernel = 3, padding = 1, bias = true }, "relu",
            { kind = "scale", per = "channel" }, { kind = "residual", body = [{ kind = "conv2d", channels = 2, kernel = 1 }] }] },
            "silu", { kind = "max-pool", size = 2 }, "flatten", { kind = "dense", bias = true }]"#,
        r#"layers = [{ kind = "parallel", join = "concat", branches = [[], [{ kind = "conv2d", channels = 3, kernel = 3,
            padding = 1 }, "gelu"]] }, { kind = "conv2d", channels = 2, kernel = 2 }, "flatten",
            { kind = "parallel", join = "product", branches = [[{ kind = "dense", width = 3 }], [{ kind = "dense", width = 3 },
            "relu"]] }, "dense"]"#,
    ];
    let mut models = Vec::new();
    // A foreign model is code that no EXAMPLE holds.
    let names = AnyModel::NAMES.iter().filter(|name| **name != "foreign");
    let examples = names.map(|name| (name.to_string(), AnyModel::example(name)));
    let layered = listed.iter().map(|text| {
        let spec = format!("kind = \"network\"\n{text}");
        (text.to_string(), toml::from_str(&spec).expect("a valid model"))
    });
    for (name, any) in examples.chain(layered) {
        let architecture = any.build();
        // Two outputs where the model has them; a taller image of as many numbers where it pools twice.
        let fit = |shape: [usize; 3], outputs| architecture.assemble(&shape, outputs);
        let model = fit([2, 3, 4], 2).or_else(|_| fit([2, 3, 4], 1)).or_else(|_| fit([1, 4, 6], 2));
        let model = model.expect("an example fits");
        let mut stream = rng::stream(3, "test", 0);
        let mut theta = model.init(&mut stream);
        theta.iter_mut().for_each(|w| *w += stream.random_range(-0.1..0.1));
        models.push((name, model, theta));
    }
    models
}

fn inputs(n: usize) -> Vec<f64> {
    let mut stream = rng::stream(4, "inputs", 0);
    (0..n * 24).map(|_| stream.random_range(-1.0..1.0)).collect()
}

#[test]
fn jvp_is_the_adjoint_of_the_pullback_and_the_derivative_along_a_line() {
    for (name, model, theta) in models() {
        let (data, mut tape) = (inputs(3), Tape::default());
        let x = Rows::new(&data, 24);
        let len = 3 * model.outputs();
        let mut stream = rng::stream(5, "along", 0);
        let along: Vec<f64> = theta.iter().map(|_| stream.random_range(-1.0..1.0)).collect();
        let cot: Vec<f64> = (0..len).map(|_| stream.random_range(-1.0..1.0)).collect();
        let (mut out, mut jv, mut grad) = (vec![0.0; len], vec![0.0; len], vec![0.0; theta.len()]);
        model.jvp(&theta, &along, x, &mut jv, &mut tape).unwrap();
        model.forward(&theta, x, &mut out, &mut tape).unwrap();
        model.pullback(&theta, x, &mut tape, &cot, Some(&mut grad), None).unwrap();
        let (left, right) = (numeric::dot(&cot, &jv), numeric::dot(&grad, &along));
        let size = numeric::norm(&cot) * numeric::norm(&jv);
        assert!((left - right).abs() <= 1e-13 * size, "{name}: {left} and {right}");

        // Central differences of a piecewise smooth function with h = 1e-6 are good to about 1e-9.
        let shifted = |h: f64| {
            let theta: Vec<f64> = theta.iter().zip(&along).map(|(w, v)| w + h * v).collect();
            let mut out = vec![0.0; len];
            model.forward(&theta, x, &mut out, &mut Tape::default()).unwrap();
            out
        };
        for ((up, down), jv) in shifted(1e-6).iter().zip(shifted(-1e-6)).zip(&jv) {
            let slope = (up - down) / 2e-6;
            assert!((slope - jv).abs() < 1e-7 * (1.0 + jv.abs()), "{name}: {slope} and {jv}");
        }
    }
}

#[test]
fn eulers_identity_holds_for_jvp_along_theta_itself() {
    for (name, model, theta) in models() {
        if !model.degree().is_exact() {
            continue;
        }
        let degree = model.degree().order().unwrap();
        let data = inputs(3);
        let (x, len) = (Rows::new(&data, 24), 3 * model.outputs());
        let (mut out, mut jv) = (vec![0.0; len], vec![0.0; len]);
        model.forward(&theta, x, &mut out, &mut Tape::default()).unwrap();
        model.jvp(&theta, &theta, x, &mut jv, &mut Tape::default()).unwrap();
        for (f, jv) in out.iter().zip(&jv) {
            assert!((jv - degree * f).abs() < 1e-12 * (1.0 + f.abs()), "{name}: {jv} and {degree}·{f}");
        }
    }
}

#[test]
fn the_homogenization_is_the_limit_of_outputs_far_out() {
    for (name, model, theta) in models() {
        let Some(limit) = model.homogenized() else { continue };
        let order = model.degree().order().unwrap();
        let data = inputs(4);
        let (x, len) = (Rows::new(&data, 24), 4 * model.outputs());
        let radius = (0..4).map(|i| numeric::norm(x.row(i))).fold(0.0, f64::max);
        let gap = model.degree_at(radius).gap().unwrap();
        let mut homogenized = vec![0.0; len];
        limit.forward(&theta, x, &mut homogenized, &mut Tape::default()).unwrap();
        assert_eq!(limit.layout(), model.layout(), "{name}");
        for r in [1.0, 10.0, 1e3, 1e5] {
            let far: Vec<f64> = theta.iter().map(|w| r * w).collect();
            let mut out = vec![0.0; len];
            model.forward(&far, x, &mut out, &mut Tape::default()).unwrap();
            let (rho, height) = (numeric::norm(&far), f64::powf(r, order));
            for (f, f_h) in out.iter().zip(&homogenized) {
                let (off, bound) = ((f / height - f_h).abs(), gap.at(rho) / height);
                assert!(off <= bound + 1e-13 * f_h.abs(), "{name} at r = {r}: {off:e} above {bound:e}");
            }
        }
    }
}

#[test]
fn kinks_are_the_pre_activations_within_reach() {
    let text = r#"kind = "mlp"
        widths = [5]"#;
    let any: AnyModel = toml::from_str(text).unwrap();
    let model = any.build().assemble(&[2], 1).unwrap();
    // Rows (1, 0) … of the first weight: pre-activations 1, 0.01, −0.02, −3 and 0 at x = (1, 0).
    let mut theta = vec![0.0; 15];
    for (j, w) in [1.0, 0.01, -0.02, -3.0, 0.0].into_iter().enumerate() {
        theta[2 * j] = w;
    }
    let x = [1.0, 0.0];
    let rms = (f64::from(1 + 9) + 0.0001 + 0.0004).sqrt() / 5f64.sqrt();
    let kinks = model.kinks(&theta, Rows::new(&x, 2), 0.02).unwrap();
    let found: Vec<(usize, f64)> = kinks.iter().map(|k| (k.unit, k.distance)).collect();
    assert_eq!(kinks[0].layer, "1");
    assert_eq!(found.len(), 2 + 1);
    for ((unit, distance), (j, w)) in found.iter().zip([(1, 0.01), (2, -0.02), (4, 0.0)]) {
        assert_eq!(*unit, j);
        assert!((distance - w / rms).abs() < 1e-15);
    }
}

#[test]
fn no_two_inputs_beat_the_lipschitz_bound() {
    for (name, model, theta) in models() {
        let bound = model.lipschitz(&theta);
        if bound == f64::INFINITY {
            continue;
        }
        let mut stream = rng::stream(6, "pairs", 0);
        let k = model.outputs();
        for _ in 0..200 {
            let x: Vec<f64> = (0..24).map(|_| stream.random_range(-1.0..1.0)).collect();
            let near: Vec<f64> = x.iter().map(|x| x + stream.random_range(-0.01..0.01)).collect();
            let of = |x: &[f64]| {
                let mut out = vec![0.0; k];
                model.forward(&theta, Rows::new(x, 24), &mut out, &mut Tape::default()).unwrap();
                out
            };
            let apart =
                |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            let (moved, by) = (apart(&of(&x), &of(&near)), apart(&x, &near));
            assert!(moved <= bound * by * (1.0 + 1e-12), "{name}: {moved} above {bound}·{by}");
        }
    }
}

#[test]
fn what_the_homogenization_drops_is_listed_once() {
    let text = "kind = 'network'\nlayers = ['flatten', { kind = 'residual', body = [{ kind = 'dense', width = 3, bias = true },
        'gelu', { kind = 'dense', bias = true }] }, { kind = 'dense', bias = true }]";
    let any: AnyModel = toml::from_str(text).unwrap();
    let model = any.build().assemble(&[2, 3, 4], 1).unwrap();
    let lines = model.calculus(1.0);
    let dropped: Vec<&str> = lines.iter().flat_map(|line| &line.dropped).map(String::as_str).collect();
    let expected = ["the curvature of gelu 3", "1.body.2.bias", "1.shortcut, which has degree 0", "2.bias"];
    assert_eq!(dropped, expected);
}
