//! Layers and activations of near-homogeneous networks: pullbacks, the degree calculus with its bounds, and the homogenization.

mod common;

use common::{assert_close, model, normals};
use latephase_core::model::layer::Nonlinearity;
use latephase_core::model::{AnyModel, Model, Tape};
use latephase_core::numeric::{dot, norm};
use latephase_core::{Degree, Posynomial, Rows};

/// A list of layers on inputs of a shape, with 2 outputs.
fn layered(layers: &str, input: &[usize], outputs: usize) -> Box<dyn Model> {
    let text = format!("kind = 'network'\nlayers = {layers}");
    common::parse::<AnyModel>(&text)
        .build()
        .assemble(input, outputs)
        .unwrap_or_else(|e| panic!("{layers}: {e}"))
}

/// Names, models and the length of an input row: every layer of this file, nested ones too.
fn networks() -> Vec<(String, Box<dyn Model>)> {
    let vectors = [
        "[{ kind = 'dense', width = 5 }, 'bias', 'softplus', 'dense']",
        "[{ kind = 'dense', width = 5 }, 'silu', 'scale', { kind = 'dense', bias = true }]",
        "[{ kind = 'dense', width = 4 }, 'gelu', { kind = 'scale', per = 'layer', start = 0.5 }, 'dense', 'bias']",
        "[{ kind = 'residual', body = ['dense', 'relu', 'dense'] }, 'dense']",
        "[{ kind = 'dense', width = 3 }, { kind = 'residual', body = ['gelu', 'dense', 'bias'] }, 'dense']",
        "[{ kind = 'residual', body = [{ kind = 'dense', width = 4 }, 'mish', { kind = 'dense', width = 3 }], shortcut = [{ kind = 'dense', width = 3 }] }, 'softplus', 'dense']",
        "[{ kind = 'parallel', branches = [[{ kind = 'dense', width = 3 }, 'softplus'], [{ kind = 'dense', width = 2 }]], join = 'concat' }, 'dense']",
        "[{ kind = 'parallel', branches = [[{ kind = 'dense', width = 3 }, 'silu', { kind = 'dense', width = 4 }], []], join = 'concat' }, 'dense', 'bias']",
        "[{ kind = 'parallel', branches = [[{ kind = 'dense', width = 3 }, 'gelu'], [{ kind = 'dense', width = 3 }], ['dense', { kind = 'dense', width = 3, bias = true }]], join = 'product' }, 'dense']",
        "[{ kind = 'parallel', branches = [['dense'], ['dense', 'silu', 'dense'], [{ kind = 'dense', bias = true }]] }]",
        "[{ kind = 'residual', body = [{ kind = 'residual', body = ['dense', { kind = 'relu-power', p = 2 }] }, 'dense', 'softplus'] }, 'dense', 'bias']",
        "[{ kind = 'dense', width = 4 }, 'softplus', { kind = 'relu-power', p = 2.5 }, 'dense']",
        "[{ kind = 'dense', width = 4, bias = true }, 'hardswish', { kind = 'dense', width = 4, bias = true }, 'quadratic', 'dense']",
    ];
    let mut list: Vec<_> = vectors.iter().map(|text| ((*text).to_owned(), layered(text, &[4], 2))).collect();
    let image = "['bias', { kind = 'residual', body = ['scale', 'softplus', 'scale'] }, 'flatten', { kind = 'dense' }]";
    list.push((image.to_owned(), layered(image, &[2, 2, 1], 2)));
    for name in Nonlinearity::NAMES {
        let activation = toml::Value::try_from(Nonlinearity::example(name)).unwrap();
        let text = format!("[{{ kind = 'dense', width = 5, bias = true }}, {activation}, 'dense']");
        list.push((text.clone(), layered(&text, &[4], 2)));
    }
    list
}

fn outputs(model: &dyn Model, theta: &[f64], x: &[f64]) -> Vec<f64> {
    let rows = Rows::new(x, model.inputs());
    let mut out = vec![f64::NAN; rows.n() * model.outputs()];
    model.forward(theta, rows, &mut out, &mut Tape::default()).unwrap();
    out
}

/// θ of norm ρ in a random direction, no block 0.
fn point(model: &dyn Model, seed: u64, rho: f64) -> Vec<f64> {
    let mut theta = normals(seed, "theta", model.layout().dim());
    let size = norm(&theta);
    theta.iter_mut().for_each(|t| *t *= rho / size);
    theta
}

/// Rows whose largest norm is `radius`.
fn rows(model: &dyn Model, seed: u64, n: usize, radius: f64) -> Vec<f64> {
    let d = model.inputs();
    let mut x = normals(seed, "rows", n * d);
    let largest = x.chunks(d).map(norm).fold(0.0, f64::max);
    x.iter_mut().for_each(|x| *x *= radius / largest);
    x
}

#[test]
fn pullbacks_agree_with_central_differences() {
    for (name, model) in networks() {
        for seed in 0..3 {
            let (n, d, k) = (3, model.inputs(), model.outputs());
            let (theta, x) = (point(&*model, seed, 3.0), rows(&*model, seed, n, 2.0));
            let cot = normals(seed, "cot", n * k);
            let (mut out, mut tape) = (vec![0.0; n * k], Tape::default());
            let (mut grad, mut dx) = (vec![0.0; theta.len()], vec![f64::NAN; n * d]);
            model.forward(&theta, Rows::new(&x, d), &mut out, &mut tape).unwrap();
            model
                .pullback(&theta, Rows::new(&x, d), &mut tape, &cot, Some(&mut grad), Some(&mut dx))
                .unwrap();
            // A tape is used again, by a pass without the inputs' cotangent.
            let mut again = vec![0.0; theta.len()];
            model.forward(&theta, Rows::new(&x, d), &mut out, &mut tape).unwrap();
            model.pullback(&theta, Rows::new(&x, d), &mut tape, &cot, Some(&mut again), None).unwrap();
            assert_eq!(grad, again, "{name}");
            let value = |theta: &[f64], x: &[f64]| dot(&outputs(&*model, theta, x), &cot);
            let size = norm(&grad).max(1.0);
            let h = 1e-6;
            for i in 0..theta.len() {
                let (mut up, mut down) = (theta.clone(), theta.clone());
                (up[i], down[i]) = (theta[i] + h, theta[i] - h);
                let numeric = (value(&up, &x) - value(&down, &x)) / (2.0 * h);
                assert!((grad[i] - numeric).abs() <= 1e-6 * size, "{name}, entry {i}: {} {numeric}", grad[i]);
            }
            for i in 0..x.len() {
                let (mut up, mut down) = (x.clone(), x.clone());
                (up[i], down[i]) = (x[i] + h, x[i] - h);
                let numeric = (value(&theta, &up) - value(&theta, &down)) / (2.0 * h);
                let size = norm(&dx).max(1.0);
                assert!((dx[i] - numeric).abs() <= 1e-6 * size, "{name}, input {i}: {} {numeric}", dx[i]);
            }
            // J·v against the pullback: the same bilinear form.
            let along = normals(seed + 9, "along", theta.len());
            let mut jv = vec![f64::NAN; n * k];
            model.jvp(&theta, &along, Rows::new(&x, d), &mut jv, &mut tape).unwrap();
            let scale = norm(&grad) * norm(&along);
            assert!((dot(&jv, &cot) - dot(&grad, &along)).abs() <= 1e-13 * scale, "{name}: J·v");
        }
    }
}

/// max over rows of ‖⟨∇f, θ⟩ − M f‖₂, and of ‖f − f_H‖₂, with max ‖f‖₂.
fn off(model: &dyn Model, theta: &[f64], x: &[f64], order: f64) -> (f64, f64, f64) {
    let k = model.outputs();
    let f = outputs(model, theta, x);
    let limit = model.homogenized().expect("a homogenization");
    let h = outputs(&*limit, theta, x);
    let mut euler = vec![0.0; f.len()];
    model.jvp(theta, theta, Rows::new(x, model.inputs()), &mut euler, &mut Tape::default()).unwrap();
    let largest = |of: &dyn Fn(usize) -> f64| {
        let row = |r: usize| (r * k..(r + 1) * k).map(|i| of(i) * of(i)).sum::<f64>().sqrt();
        (0..f.len() / k).map(row).fold(0.0, f64::max)
    };
    (largest(&|i| euler[i] - order * f[i]), largest(&|i| f[i] - h[i]), largest(&|i| f[i]))
}

#[test]
fn the_bounds_of_the_calculus_are_never_exceeded() {
    for (name, model) in networks() {
        for radius in [0.3, 1.0, 4.0] {
            let degree = model.degree_at(radius);
            let Some(order) = degree.order() else {
                assert!(model.homogenized().is_none(), "{name} has a homogenization without a degree");
                continue;
            };
            let (defect, gap) = (degree.defect().unwrap(), degree.gap().unwrap());
            for seed in 0..12 {
                for rho in [0.01, 0.3, 1.0, 3.0, 10.0, 100.0, 1e4] {
                    let (theta, x) = (point(&*model, seed, rho), rows(&*model, seed, 8, radius));
                    let (euler, apart, size) = off(&*model, &theta, &x, order);
                    let rounding = 1e-12 * (order + 1.0) * size;
                    assert!(
                        euler <= defect.at(rho) + rounding,
                        "{name} at {rho}: {euler:e} > {:e}",
                        defect.at(rho)
                    );
                    assert!(
                        apart <= gap.at(rho) + rounding,
                        "{name} at {rho}: {apart:e} > {:e}",
                        gap.at(rho)
                    );
                }
            }
        }
    }
}

#[test]
fn a_wrong_degree_and_a_bound_that_is_too_small_are_seen() {
    let (name, model) = networks().remove(0);
    let degree = model.degree_at(1.0);
    let (order, defect) = (degree.order().unwrap(), degree.defect().unwrap());
    let (theta, x) = (point(&*model, 0, 100.0), rows(&*model, 0, 8, 1.0));
    let (euler, ..) = off(&*model, &theta, &x, order + 1.0);
    assert!(euler > defect.at(100.0), "{name}: a wrong degree passes");
    // Two-layer softplus at its worst: all of ‖θ‖ in the outer weights, z = 0, where |zσ' − σ| = ln 2.
    let model = common::model("kind = 'mlp'\nwidths = [6]\nactivation = 'softplus'", 3, 1);
    let mut theta = vec![0.0; 24];
    theta[18..].fill(1.0);
    let (euler, ..) = off(&*model, &theta, &[1.0, 0.0, 0.0], 2.0);
    let bound = model.degree_at(1.0).defect().unwrap().at(6f64.sqrt());
    assert_close(euler, bound, 1e-14, "the bound is attained");
}

#[test]
fn the_homogenization_is_the_limit_and_is_reached_as_fast_as_the_calculus_says() {
    for (name, model) in networks() {
        let degree = model.degree_at(1.0);
        let Some(order) = degree.order() else { continue };
        let limit = model.homogenized().unwrap();
        assert_eq!(limit.degree(), &Degree::Exact { degree: order }, "{name}");
        assert_eq!(limit.layout().dim(), model.layout().dim());
        let (theta, x) = (point(&*model, 5, 1.0), rows(&*model, 5, 6, 1.0));
        let h = outputs(&*limit, &theta, &x);
        let gap = degree.gap().unwrap();
        let scaled = |r: f64| -> Vec<f64> { theta.iter().map(|t| r * t).collect() };
        let mut errors = Vec::new();
        for r in [1e2, 1e3, 1e4] {
            let f = outputs(&*model, &scaled(r), &x);
            // Row by row, in the norm of the bound.
            let error = f.iter().zip(&h).map(|(f, h)| (f / r.powf(order) - h).abs()).fold(0.0, f64::max);
            let rounding = 1e-14 * h.iter().fold(0.0f64, |m, h| h.abs().max(m));
            assert!(error <= gap.at(r) / r.powf(order) + 10.0 * rounding, "{name}: {error:e} at r = {r}");
            errors.push(error);
            // f_H itself is homogeneous, to rounding, and so is its gradient.
            let far = outputs(&*limit, &scaled(r), &x);
            far.iter().zip(&h).for_each(|(far, h)| {
                assert!((far / r.powf(order) - h).abs() <= 10.0 * rounding, "{name}: f_H at r = {r}");
            });
        }
        if let Some(power) = gap.power()
            && errors[2] > 1e-12
        {
            let exponent = (errors[2] / errors[0]).log10() / 2.0;
            // The slowest term of the bound, or something faster where its coefficient happens to be small.
            assert!(
                exponent <= power - order + 0.05,
                "{name}: falls like r^{exponent}, bound {}",
                power - order
            );
        }
        // What is dropped has no gradient.
        let mut tape = Tape::default();
        let (mut out, mut grad) = (h.clone(), vec![0.0; theta.len()]);
        limit.forward(&theta, Rows::new(&x, model.inputs()), &mut out, &mut tape).unwrap();
        limit.pullback(&theta, Rows::new(&x, model.inputs()), &mut tape, &h, Some(&mut grad), None).unwrap();
        for block in limit.layout().blocks() {
            let part =
                model.layout().blocks().iter().find(|b| b.name == block.name).expect("the same blocks");
            assert_eq!(part.degree == 0.0, norm(block.of(&grad)) == 0.0, "{name}: {}", block.name);
        }
        assert_close(
            dot(&grad, &theta),
            order * dot(&h, &h),
            1e-12,
            &format!("{name}: Euler's identity of f_H"),
        );
    }
}

#[test]
fn the_four_rows_of_the_table_come_out_exactly() {
    let (x, m) = (1.75, 6);
    let term = Posynomial::term;
    // uᵀ(x + Vσ(Wx)): order 3, p' = 2‖x‖ρ, p_a = ‖x‖ρ.
    let skip = layered("[{ kind = 'residual', body = ['dense', 'relu', 'dense'] }, 'dense']", &[3], 1);
    let degree = skip.degree_at(x);
    assert_eq!(degree.order(), Some(3.0));
    assert_eq!((degree.defect(), degree.gap()), (Some(term(2.0 * x, 1.0)), Some(term(x, 1.0))));
    // A bias beside the first weights: exact.
    let first = common::model("kind = 'mlp'\nwidths = [6]\nbias = 'first'", 3, 1);
    assert_eq!(first.degree_at(x), Degree::Exact { degree: 2.0 });
    // An output bias on a net of order M: p' = (M − 1)ρ, p_a = ρ.
    for depth in 2..5 {
        let layers = "{ kind = 'dense', width = 4 }, 'relu', ".repeat(depth - 1);
        let net = layered(&format!("[{layers} 'dense', 'bias']"), &[3], 1);
        let degree = net.degree_at(x);
        let order = depth as f64;
        assert_eq!(degree.order(), Some(order));
        assert_eq!((degree.defect(), degree.gap()), (Some(term(order - 1.0, 1.0)), Some(term(1.0, 1.0))));
    }
    // Σ a_j σ(w_j·x): order 2, p' = e_σ√m ρ, p_a the same.
    for name in ["softplus", "silu", "gelu", "gelu-tanh", "mish", "hardswish"] {
        let net = common::model(&format!("kind = 'mlp'\nwidths = [{m}]\nactivation = '{name}'"), 3, 1);
        let degree = net.degree_at(x);
        let bound = term(Nonlinearity::example(name).facts().defect * f64::from(m).sqrt(), 1.0);
        assert_eq!(degree.order(), Some(2.0), "{name}");
        assert_eq!((degree.defect(), degree.gap()), (Some(bound.clone()), Some(bound)), "{name}");
    }
}

#[test]
fn sums_products_and_concatenations_follow_the_calculus() {
    let order = |layers: &str, outputs: usize| layered(layers, &[3], outputs).degree().clone();
    // The largest order wins; equal orders stay.
    let two = "['dense', 'relu', 'dense']";
    assert_eq!(
        order("[{ kind = 'parallel', branches = [['dense'], ['dense']] }]", 3),
        Degree::Exact { degree: 1.0 }
    );
    let unequal = layered(&format!("[{{ kind = 'parallel', branches = [['dense'], {two}] }}]"), &[3], 3);
    assert_eq!(unequal.degree().order(), Some(2.0));
    assert!(!unequal.degree().is_exact());
    // Degrees of factors add.
    let product = format!("[{{ kind = 'parallel', branches = [['dense'], {two}], join = 'product' }}]");
    assert_eq!(order(&product, 3), Degree::Exact { degree: 3.0 });
    // A lower branch of a concatenation is 0 in the homogenization, and stays in the network.
    let concat = layered(
        &format!("[{{ kind = 'parallel', branches = [{two}, []], join = 'concat' }}, 'dense']"),
        &[3],
        3,
    );
    let theta = normals(2, "theta", concat.layout().dim());
    let mut without = theta.clone();
    let last = concat.layout().blocks().last().unwrap().clone();
    for row in 0..3 {
        without[last.offset + row * 6 + 3..last.offset + row * 6 + 6].fill(0.0);
    }
    let x = [0.3, -1.0, 0.5];
    let limit = concat.homogenized().unwrap();
    assert_eq!(outputs(&*limit, &theta, &x), outputs(&*concat, &without, &x));
    assert_ne!(outputs(&*concat, &theta, &x), outputs(&*concat, &without, &x));
    // What saturates has no degree, and says why.
    for name in ["tanh", "sigmoid", "erf"] {
        let degree = order(&format!("[{{ kind = 'dense', width = 4 }}, '{name}', 'dense']"), 1);
        let Degree::None { why } = degree else { panic!("{name}: {degree}") };
        assert!(why.contains(&format!("{name} saturates: its homogenization is zero")), "{why}");
    }
}

#[test]
fn frozen_near_homogeneous_networks_keep_their_bounds() {
    for (freeze, m) in [("['0']", 1.0), ("['2']", 1.0)] {
        let text =
            format!("kind = 'mlp'\nwidths = [6]\nactivation = 'softplus'\nbias = 'all'\nfreeze = {freeze}");
        let mut model = model(&text, 3, 1);
        let stored = normals(1, "stored", model.stored().dim());
        model.fix(&stored);
        let degree = model.degree_at(2.0);
        assert_eq!(degree.order(), Some(m), "{freeze}");
        let (defect, gap) = (degree.defect().unwrap(), degree.gap().unwrap());
        for seed in 0..10 {
            for rho in [0.1, 1.0, 30.0, 1e3] {
                let (theta, x) = (point(&*model, seed, rho), rows(&*model, seed, 8, 2.0));
                let (euler, apart, size) = off(&*model, &theta, &x, m);
                assert!(euler <= defect.at(rho) + 1e-12 * size, "{freeze}: {euler} > {}", defect.at(rho));
                assert!(apart <= gap.at(rho) + 1e-12 * size, "{freeze}: {apart} > {}", gap.at(rho));
            }
        }
    }
}

#[test]
fn kinks_are_found_inside_branches_and_away_from_zero() {
    let model = layered("[{ kind = 'residual', body = ['dense', 'hardswish'] }, 'dense']", &[2], 1);
    // W = identity: pre-activations are the inputs.
    let mut theta = vec![0.0; model.layout().dim()];
    (theta[0], theta[3]) = (1.0, 1.0);
    let x = [3.0 + 1e-9, 0.5, -3.0, 3.0];
    let found = model.kinks(&theta, Rows::new(&x, 2), 1e-6).unwrap();
    let places: Vec<_> = found.iter().map(|k| (k.row, k.layer.as_str(), k.unit)).collect();
    assert_eq!(places, [(0, "0.body.1", 0), (1, "0.body.1", 0), (1, "0.body.1", 1)]);
}

#[test]
fn layers_that_do_not_fit_name_the_place_and_both_shapes() {
    let says = |layers: &str, input: &[usize]| {
        let text = format!("kind = 'network'\nlayers = {layers}");
        let built = common::parse::<AnyModel>(&text).build().assemble(input, 1);
        built.err().unwrap_or_else(|| panic!("{layers} is accepted")).to_string()
    };
    for (layers, needed) in [
        (
            "[{ kind = 'residual', body = [{ kind = 'dense', width = 5 }] }]",
            "layers[0].shortcut: shortcut has the shape 3 and body has 5; a sum needs equal shapes",
        ),
        ("[{ kind = 'residual', body = [] }]", "layers[0].body: a residual block needs at least one layer"),
        (
            "[{ kind = 'parallel', branches = [[{ kind = 'dense', width = 2 }], []], join = 'product' }]",
            "layers[0].branches[1]: branch 1 has the shape 3 and 0 has 2; a product needs equal shapes",
        ),
        ("[{ kind = 'parallel', branches = [] }]", "layers[0].branches: at least one branch is needed"),
        (
            "[{ kind = 'residual', body = ['dense', { kind = 'relu-power', p = 0.5 }] }]",
            "layers[0].body[1].activation.p: 0.5 is not a power",
        ),
        ("[{ kind = 'scale', start = nan }]", "layers[0].start: NaN is not a gain"),
    ] {
        let message = says(layers, &[3]);
        assert!(message.contains(needed), "{layers}: {message}");
    }
    let message = says("[{ kind = 'parallel', branches = [['flatten'], []], join = 'concat' }]", &[1, 2, 2]);
    assert!(message.contains("branch 1 has the shape 1x2x2 and 0 has 4"), "{message}");
}
