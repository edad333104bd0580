//! Every entry of every catalogue against every law that it has to satisfy.

mod common;

use common::{assert_close, data, normals, parse, problem};
use latephase_core::algorithm::{Algorithm, AnyAlgorithm, Flow, Tableau};
use latephase_core::descent::AnyDescent;
use latephase_core::loss::AnyLoss;
use latephase_core::model::layer::Nonlinearity;
use latephase_core::model::{AnyModel, Init, Model, Tape};
use latephase_core::norm::{AnyNorm, L2, Norm};
use latephase_core::numeric::{axpy, dot, norm};
use latephase_core::pace::AnyPace;
use latephase_core::rng::stream;
use latephase_core::{Block, Degree, Invalid, Iterate, Layout, RowSet, Rows};

// Norms.

fn blocks() -> Layout {
    let mut layout = Layout::default();
    layout.push("0.weight", &[4, 3], 1.0);
    layout.push("0.bias", &[4], 1.0);
    layout.push("2.weight", &[2, 4], 1.0);
    layout
}

/// Matrices only: a wide one, a tall one, and the single row of a second layer.
fn matrices() -> Layout {
    let mut layout = Layout::default();
    layout.push("0.weight", &[4, 3], 1.0);
    layout.push("2.weight", &[2, 4], 1.0);
    layout.push("4.weight", &[1, 5], 1.0);
    layout
}

/// Every norm on every layout that its check accepts, at least one of the two.
fn for_each_norm(law: impl Fn(&str, &dyn Norm, &Layout, &[f64])) {
    for name in AnyNorm::NAMES {
        let norm = AnyNorm::example(name).build();
        let layouts = [blocks(), matrices()];
        let fitting: Vec<&Layout> = layouts.iter().filter(|l| norm.check(l).is_ok()).collect();
        assert!(!fitting.is_empty(), "{name} fits no layout here");
        for layout in fitting {
            for seed in 0..20 {
                law(name, norm.as_ref(), layout, &normals(seed, "laws", layout.dim()));
            }
        }
    }
}

#[test]
fn the_steepest_direction_attains_the_dual_norm_on_the_unit_ball() {
    for_each_norm(|name, norm, layout, g| {
        let mut d = vec![f64::NAN; g.len()];
        let dual = norm.steepest(g, layout, &mut d);
        assert!(dual > 0.0);
        assert!((norm.of(&d, layout) - 1.0).abs() <= 1e-14, "{name}: d is not on the unit sphere");
        assert_close(dot(g, &d), dual, 1e-14, name);
        // Homogeneity and the triangle inequality make it a norm, Hölder's inequality makes the dual the dual.
        for seed in 0..10 {
            let v = normals(seed, name, g.len());
            let size = norm.of(&v, layout);
            assert!(dot(g, &v).abs() <= dual * size * (1.0 + 1e-14), "{name}: <g,v> beyond the dual norm");
            let sum: Vec<f64> = g.iter().zip(&v).map(|(a, b)| a + b).collect();
            assert!(norm.of(&sum, layout) <= (norm.of(g, layout) + size) * (1.0 + 1e-14), "{name}: triangle");
            let scaled: Vec<f64> = v.iter().map(|x| -7.25 * x).collect();
            assert_close(norm.of(&scaled, layout), 7.25 * size, 1e-14, name);
        }
    });
}

#[test]
fn the_steepest_direction_does_not_depend_on_the_gradients_size() {
    for_each_norm(|name, norm, layout, g| {
        let (mut d, mut e) = (vec![0.0; g.len()], vec![0.0; g.len()]);
        let dual = norm.steepest(g, layout, &mut d);
        for power in [-300, -200, -154, -100, -30, -1, 1, 30, 100, 154, 200, 300] {
            let c = 10f64.powi(power);
            let scaled: Vec<f64> = g.iter().map(|x| c * x).collect();
            assert_close(norm.steepest(&scaled, layout, &mut e), c * dual, 1e-14, name);
            d.iter().zip(&e).for_each(|(a, b)| assert!((a - b).abs() <= 1e-14, "{name} at {c:e}: {a} {b}"));
        }
        let opposite: Vec<f64> = g.iter().map(|x| -x).collect();
        norm.steepest(&opposite, layout, &mut e);
        d.iter().zip(&e).for_each(|(a, b)| assert_eq!(*a, -b, "{name}: d is odd in g"));
    });
}

#[test]
fn a_zero_gradient_has_no_direction() {
    for_each_norm(|name, norm, layout, g| {
        let mut d = vec![f64::NAN; g.len()];
        assert_eq!(norm.steepest(&vec![0.0; g.len()], layout, &mut d), 0.0, "{name}");
        assert!(d.iter().all(|d| *d == 0.0), "{name}: {d:?}");
        assert_eq!(norm.of(&d, layout), 0.0);
    });
}

#[test]
fn entrywise_norms_do_not_see_a_permutation_and_l2_does_not_see_a_rotation() {
    for_each_norm(|name, by, layout, g| {
        if !["l1", "l2", "linf"].contains(&name) {
            return;
        }
        let turned: Vec<f64> = (0..g.len()).map(|i| g[(7 * i + 3) % g.len()]).collect();
        let (mut d, mut e) = (vec![0.0; g.len()], vec![0.0; g.len()]);
        assert_close(by.of(g, layout), by.of(&turned, layout), 1e-14, name);
        assert_close(by.steepest(g, layout, &mut d), by.steepest(&turned, layout, &mut e), 1e-14, name);
        (0..g.len()).for_each(|i| assert_close(e[i], d[(7 * i + 3) % g.len()], 1e-14, name));
        if name == "l2" {
            // A reflection in the hyperplane orthogonal to v.
            let v = normals(99, "laws", g.len());
            let reflect = |x: &[f64]| {
                let mut y = x.to_vec();
                axpy(-2.0 * dot(&v, x) / dot(&v, &v), &v, &mut y);
                y
            };
            assert_close(by.steepest(&reflect(g), layout, &mut e), by.of(g, layout), 1e-14, name);
            reflect(&d).iter().zip(&e).for_each(|(a, b)| assert!((a - b).abs() < 1e-14));
        }
    });
}

// Models.

/// Every EXAMPLE, and the variants that a setting makes.
fn architectures() -> Vec<String> {
    // A foreign model is code that no EXAMPLE holds.
    let held = AnyModel::LIST.iter().filter(|l| l.name != "foreign");
    let examples = held.map(|l| format!("kind = '{}'\n{}", l.name, l.example));
    let mut all: Vec<String> = examples.collect();
    all.push("kind = 'linear'\nbias = true".into());
    for depth in 1..=3 {
        all.push(format!("kind = 'diagonal'\ndepth = {depth}"));
    }
    all.push("kind = 'mexican-hat'\ndegree = 2.5\nexponent = 4\nstart = 0.8".into());
    for widths in ["[]", "[5]", "[4, 3]", "[3, 4, 2]"] {
        all.push(format!("kind = 'deep-linear'\nwidths = {widths}"));
        for activation in [
            "'relu'",
            "'leaky-relu'",
            "{ kind = 'leaky-relu', slope = -0.3 }",
            "'relu-power'",
            "{ kind = 'relu-power', p = 3 }",
            "{ kind = 'relu-power', p = 2.5 }",
            "{ kind = 'relu-power', p = 1 }",
            "'identity'",
            "'quadratic'",
        ] {
            for bias in ["none", "first", "all"] {
                all.push(format!(
                    "kind = 'mlp'\nwidths = {widths}\nactivation = {activation}\nbias = '{bias}'"
                ));
            }
        }
    }
    for (kind, settings) in [
        ("linear", "bias = true\nfreeze = ['0.weight']"),
        ("linear", "bias = true\nfreeze = ['0.bias']"),
        ("diagonal", "freeze = ['u']"),
        ("diagonal", "depth = 3\nfreeze = ['v']"),
        ("deep-linear", "widths = [4, 3]\nfreeze = ['1']"),
        ("deep-linear", "widths = [4]\nfreeze = ['0.weight']"),
        ("mlp", "widths = [5]\nfreeze = ['2.weight']"),
        ("mlp", "widths = [5]\nbias = 'first'\nfreeze = ['2']"),
        ("mlp", "widths = [5]\nbias = 'first'\nfreeze = ['0.bias']"),
        ("mlp", "widths = [5]\nbias = 'first'\nfreeze = ['0']"),
        ("mlp", "widths = [5]\nbias = 'all'\nfreeze = ['2.weight']"),
        ("mlp", "widths = [5]\nbias = 'all'\nfreeze = ['2.bias']"),
        ("mlp", "widths = [4, 3]\nactivation = 'relu-power'\nfreeze = ['2.weight']"),
        ("mlp", "widths = [4, 3]\nactivation = { kind = 'relu-power', p = 2.5 }\nfreeze = ['0']"),
        ("mlp", "widths = [3, 4, 2]\nactivation = 'leaky-relu'\nfreeze = ['0', '4.weight']"),
        ("rotation-free", "width = 3\nactivation = 'leaky-relu'"),
        ("rotation-free", "width = 5\nactivation = 'relu-power'"),
    ] {
        all.push(format!("kind = '{kind}'\n{settings}"));
    }
    for kink in [0.0, 0.5, 1.0] {
        all.push(format!("kind = 'mlp'\nwidths = [4, 3]\nkink = {kink}"));
        all.push(format!("kind = 'mlp'\nwidths = [4]\nactivation = 'leaky-relu'\nkink = {kink}"));
    }
    all
}

struct Case<'a> {
    text: &'a str,
    model: Box<dyn Model>,
    theta: Vec<f64>,
    x: Vec<f64>,
    cot: Vec<f64>,
    n: usize,
}

impl Case<'_> {
    fn outputs(&self, theta: &[f64], x: &[f64]) -> Vec<f64> {
        let rows = Rows::new(x, self.model.inputs());
        let mut out = vec![0.0; rows.n() * self.model.outputs()];
        self.model.forward(theta, rows, &mut out, &mut Tape::default()).unwrap();
        out
    }

    /// φ = ⟨cot, f⟩.
    fn value(&self, theta: &[f64], x: &[f64]) -> f64 {
        dot(&self.outputs(theta, x), &self.cot)
    }

    /// (∇φ in θ, ∇φ in the inputs).
    fn gradients(&self, theta: &[f64], x: &[f64], cot: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let rows = Rows::new(x, self.model.inputs());
        let (mut tape, mut out) = (Tape::default(), vec![0.0; rows.n() * self.model.outputs()]);
        self.model.forward(theta, rows, &mut out, &mut tape).unwrap();
        let (mut grad, mut dx) = (vec![0.0; theta.len()], vec![f64::NAN; x.len()]);
        self.model.pullback(theta, rows, &mut tape, cot, Some(&mut grad), Some(&mut dx)).unwrap();
        (grad, dx)
    }
}

/// The model, its frozen blocks filled with ordinary numbers.
fn assembled(text: &str, outputs: usize) -> Result<Box<dyn Model>, Invalid> {
    let architecture = parse::<AnyModel>(text).build();
    // Networks of images get one, and the others a vector.
    let whole = architecture.assemble(&[3], outputs);
    let mut model = whole.or_else(|_| architecture.assemble(&[1, 4, 4], outputs))?;
    let stored = normals(8, "stored", model.stored().dim());
    model.fix(&stored);
    Ok(model)
}

fn for_each_model(law: impl Fn(&Case)) {
    for text in architectures() {
        for outputs in [1, 3] {
            let Ok(model) = assembled(&text, outputs) else {
                let is_scalar = text.contains("diagonal") || text.contains("mexican-hat");
                assert!(is_scalar && outputs == 3, "{text} cannot be assembled");
                continue;
            };
            let n = 4;
            let dim = model.layout().dim();
            law(&Case {
                text: &text,
                theta: normals(5, "theta", dim),
                x: normals(6, "inputs", model.inputs() * n),
                cot: normals(7, "cotangent", outputs * n),
                model,
                n,
            });
        }
    }
}

/// Central differences of order 4; they are exact to about ε/h + h⁴ where no kink lies within 2h.
fn derivative(f: impl Fn(&[f64]) -> f64, at: &[f64], k: usize) -> f64 {
    const H: f64 = 2e-4;
    let shifted = |by: f64| {
        let mut point = at.to_vec();
        point[k] += by;
        f(&point)
    };
    (8.0 * (shifted(H) - shifted(-H)) - (shifted(2.0 * H) - shifted(-2.0 * H))) / (12.0 * H)
}

#[test]
fn the_pullback_is_the_transposed_derivative() {
    for_each_model(|case| {
        let (grad, dx) = case.gradients(&case.theta, &case.x, &case.cot);
        // Rounding ε·|φ|/h and the fifth derivative times h⁴, both relative to the size of the terms of φ.
        let size = norm(&grad).max(norm(&dx)).max(norm(&case.outputs(&case.theta, &case.x)));
        for (k, g) in grad.iter().enumerate() {
            let expected = derivative(|theta| case.value(theta, &case.x), &case.theta, k);
            assert!((g - expected).abs() <= 1e-9 * size, "{}: theta[{k}]: {g} against {expected}", case.text);
        }
        for (k, g) in dx.iter().enumerate() {
            let expected = derivative(|x| case.value(&case.theta, x), &case.x, k);
            assert!((g - expected).abs() <= 1e-9 * size, "{}: x[{k}]: {g} against {expected}", case.text);
        }
    });
}

#[test]
fn the_gradient_of_ln_loss_is_its_derivative_for_every_model_and_loss() {
    for_each_model(|case| {
        let classes = case.model.outputs().max(2);
        let losses: &[&str] = if classes == 2 { &["exponential", "logistic"] } else { &["cross-entropy"] };
        for loss in losses {
            let labels: Vec<u32> = (0..case.n).map(|i| (i % classes) as u32).collect();
            let model = assembled(case.text, case.model.outputs()).unwrap();
            let rows = data(&case.x, &labels, model.inputs(), classes);
            let problem = problem(model, &format!("kind = '{loss}'"), rows);
            let grad = problem.eval(&case.theta, &RowSet::Full).unwrap().grad;
            let size = norm(&grad).max(1.0);
            for k in (0..grad.len()).step_by(3) {
                let f = |theta: &[f64]| problem.eval(theta, &RowSet::Full).unwrap().ln_loss;
                let expected = derivative(f, &case.theta, k);
                // ln 𝓛 is a softmin of outputs up to 10²: its higher derivatives are powers of the gradient.
                let allowed = 1e-9 * size + 1e-14 * size.powi(5);
                assert!((grad[k] - expected).abs() <= allowed, "{} {loss}: theta[{k}]", case.text);
            }
        }
    });
}

#[test]
fn exact_degrees_are_exact_and_near_ones_are_not() {
    for_each_model(|case| {
        let f = case.outputs(&case.theta, &case.x);
        let (grad, _) = case.gradients(&case.theta, &case.x, &case.cot);
        let terms: f64 = grad.iter().zip(&case.theta).map(|(a, b)| (a * b).abs()).sum();
        let at = |c: f64| {
            let theta: Vec<f64> = case.theta.iter().map(|t| c * t).collect();
            case.outputs(&theta, &case.x)
        };
        let order = case.model.degree().order().expect("every model here has a degree or an order");
        let defect = dot(&case.theta, &grad) - order * dot(&f, &case.cot);
        let largest = f.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        match case.model.degree() {
            Degree::Exact { degree } => {
                assert!(
                    defect.abs() <= 1e-12 * terms,
                    "{}: Euler's identity is off by {defect:e}",
                    case.text
                );
                for c in [1e-3, 0.3, 7.0, 1e3, 1e6] {
                    for (a, b) in at(c).iter().zip(&f) {
                        let expected = c.powf(*degree) * b;
                        // Cancellation between neurons is relative to the largest output.
                        let allowed = 1e-12 * c.powf(*degree) * largest.max(b.abs());
                        assert!((a - expected).abs() <= allowed, "{}: f({c}θ) = {a}", case.text);
                    }
                }
            }
            Degree::Near { .. } => {
                assert!(defect.abs() > 1e-4 * terms, "{}: a defect of {defect:e} is none", case.text);
                // f(cθ)/c^M has a limit, approached like a power of 1/c.
                let scaled = |c: f64| at(c).iter().map(|f| f / c.powf(order)).collect::<Vec<_>>();
                let (near, far, farther) = (scaled(1e2), scaled(1e4), scaled(1e6));
                for k in 0..f.len() {
                    let (before, after) = ((near[k] - far[k]).abs(), (far[k] - farther[k]).abs());
                    // Gaps of 10² in c: the slowest power met is 1/c.
                    assert!(
                        after <= 2e-2 * before + 1e-13 * far[k].abs().max(1e-3),
                        "{}: f(cθ)/c^M still moves by {after:e} after {before:e}",
                        case.text
                    );
                }
            }
            Degree::None { .. } => unreachable!(),
        }
    });
}

#[test]
fn the_defect_of_a_near_homogeneous_model_grows_with_the_power_it_states() {
    for_each_model(|case| {
        let Degree::Near { order, defect } = case.model.degree() else { return };
        let at = |c: f64| {
            let theta: Vec<f64> = case.theta.iter().map(|t| c * t).collect();
            let (grad, _) = case.gradients(&theta, &case.x, &case.cot);
            (dot(&theta, &grad) - order * dot(&case.outputs(&theta, &case.x), &case.cot)).abs()
        };
        assert!(defect.power < *order && defect.power >= 0.0, "{}: {defect:?}", case.text);
        // The next term is at least one power of c lower; at c = 300 it bends the slope by about 1/300.
        let slope = (at(1000.0) / at(300.0)).ln() / (1000f64 / 300.0).ln();
        assert!((slope - defect.power).abs() < 0.1, "{}: grows like ρ^{slope}, stated {defect:?}", case.text);
    });
}

#[test]
fn relu_powers_follow_the_degree_calculus() {
    let degree = |text: &str| common::model(text, 2, 1).degree().clone();
    for n in 1..=6u32 {
        let widths = vec!["2"; n as usize - 1].join(", ");
        let with = |activation: &str| format!("kind = 'mlp'\nwidths = [{widths}]\nactivation = {activation}");
        assert_eq!(degree(&with("'relu'")), Degree::Exact { degree: f64::from(n) });
        assert_eq!(degree(&with("'relu-power'")), Degree::Exact { degree: 2f64.powi(n as i32) - 1.0 });
        // h ← 3h + 1 from 1.
        let cubic = (3f64.powi(n as i32) - 1.0) / 2.0;
        assert_eq!(degree(&with("{ kind = 'relu-power', p = 3 }")), Degree::Exact { degree: cubic });
    }
    for depth in 1..=5 {
        let text = format!("kind = 'diagonal'\ndepth = {depth}");
        assert_eq!(degree(&text), Degree::Exact { degree: f64::from(depth) });
    }
}

#[test]
fn a_layer_alone_has_the_degree_of_its_blocks() {
    for_each_model(|case| {
        if !case.model.degree().is_exact() {
            return;
        }
        let f = case.outputs(&case.theta, &case.x);
        let layer = |block: &Block| block.name.split('.').next().map(str::to_owned);
        let blocks = case.model.layout().blocks();
        for block in blocks.iter().filter(|b| b.degree.is_finite()) {
            // Weight and bias of a layer share its degree: they are scaled together.
            let mut theta = case.theta.clone();
            for part in blocks.iter().filter(|b| layer(b) == layer(block)) {
                part.of_mut(&mut theta).iter_mut().for_each(|t| *t *= 3.0);
                assert_eq!(part.degree, block.degree);
            }
            let factor = 3f64.powf(block.degree);
            for (a, b) in case.outputs(&theta, &case.x).iter().zip(&f) {
                assert!((a - factor * b).abs() <= 1e-12 * factor * norm(&f), "{} {}", case.text, block.name);
            }
        }
    });
}

#[test]
fn a_batch_is_its_rows() {
    for_each_model(|case| {
        let (inputs, outputs) = (case.model.inputs(), case.model.outputs());
        let f = case.outputs(&case.theta, &case.x);
        let (grad, dx) = case.gradients(&case.theta, &case.x, &case.cot);
        let mut sum = vec![0.0; grad.len()];
        for i in 0..case.n {
            let x = &case.x[i * inputs..(i + 1) * inputs];
            let span = i * outputs..(i + 1) * outputs;
            for (a, b) in case.outputs(&case.theta, x).iter().zip(&f[span.clone()]) {
                assert!((a - b).abs() <= 1e-13 * norm(&f), "{}", case.text);
            }
            let (one, one_dx) = case.gradients(&case.theta, x, &case.cot[span]);
            axpy(1.0, &one, &mut sum);
            for (a, b) in one_dx.iter().zip(&dx[i * inputs..(i + 1) * inputs]) {
                assert!((a - b).abs() <= 1e-13 * norm(&dx), "{}", case.text);
            }
        }
        let size = norm(&grad);
        sum.iter().zip(&grad).for_each(|(a, b)| assert!((a - b).abs() <= 1e-13 * size, "{}", case.text));
    });
}

#[test]
fn the_pullback_adds_to_the_gradient_and_overwrites_the_inputs() {
    for_each_model(|case| {
        let rows = Rows::new(&case.x, case.model.inputs());
        let (mut tape, mut out) = (Tape::default(), vec![0.0; case.cot.len()]);
        let (grad, dx) = case.gradients(&case.theta, &case.x, &case.cot);
        let mut sum = vec![0.25; grad.len()];
        // The same tape serves two passes, the second after a batch of another size.
        for n in [1, case.n] {
            let short = Rows::new(&case.x[..n * rows.dim], rows.dim);
            let k = n * case.model.outputs();
            case.model.forward(&case.theta, short, &mut out[..k], &mut tape).unwrap();
        }
        case.model.pullback(&case.theta, rows, &mut tape, &case.cot, Some(&mut sum), None).unwrap();
        let mut again = vec![f64::NAN; dx.len()];
        case.model.pullback(&case.theta, rows, &mut tape, &case.cot, None, Some(&mut again)).unwrap();
        assert_eq!(again, dx, "{}: the gradient of θ is optional", case.text);
        for (a, b) in sum.iter().zip(&grad) {
            assert!((a - 0.25 - b).abs() <= 1e-14 * (1.0 + norm(&grad)), "{}", case.text);
        }
    });
}

#[test]
fn at_a_kink_the_slope_lies_between_the_one_sided_ones_by_the_setting() {
    // One neuron whose pre-activation is exactly 0: q = a·σ(v·x), ∂q/∂v = a·σ'(0)·x.
    let cases = [
        ("'relu'", 0.0),
        ("{ kind = 'relu-power', p = 1 }", 0.0),
        ("{ kind = 'leaky-relu', slope = 0.25 }", 0.25),
        ("{ kind = 'leaky-relu', slope = -1 }", -1.0),
    ];
    for (activation, left) in cases {
        for kink in [0.0, 0.25, 1.0] {
            let text = format!("kind = 'mlp'\nwidths = [1]\nactivation = {activation}\nkink = {kink}");
            let model = common::model(&text, 2, 1);
            let theta = [1.0, -2.0, 3.0];
            let x = [2.0, 1.0];
            let (mut tape, mut out) = (Tape::default(), [f64::NAN]);
            model.forward(&theta, Rows::new(&x, 2), &mut out, &mut tape).unwrap();
            let mut grad = [0.0; 3];
            model.pullback(&theta, Rows::new(&x, 2), &mut tape, &[1.0], Some(&mut grad), None).unwrap();
            let slope = left + kink * (1.0 - left);
            assert_eq!((out[0], grad), (0.0, [6.0 * slope, 3.0 * slope, 0.0]), "{text}");
        }
    }
    for (activation, kinked) in [
        ("relu", true),
        ("leaky-relu", true),
        ("relu-power", false),
        ("identity", false),
        ("quadratic", false),
    ] {
        let parsed: Nonlinearity = toml::Value::String(activation.into()).try_into().unwrap();
        assert_eq!(parsed.has_kink(), kinked, "{activation}");
    }
}

#[test]
fn initial_weights_have_the_stated_spread() {
    let fan_in = 300.0;
    let spread = |init: &str| {
        let model =
            common::model(&format!("kind = 'mlp'\nwidths = [200]\nbias = 'all'\ninit = {init}"), 300, 1);
        let theta = model.init(&mut stream(3, "model.init", 0));
        for bias in model.layout().blocks().iter().filter(|b| b.name.ends_with("bias")) {
            assert!(bias.of(&theta).iter().all(|b| *b == 0.0), "biases start at 0");
        }
        let weight = model.layout().blocks()[0].of(&theta).to_vec();
        let (n, mean) = (weight.len() as f64, weight.iter().sum::<f64>() / weight.len() as f64);
        (dot(&weight, &weight) / n * fan_in, mean * fan_in.sqrt(), weight)
    };
    // 60 000 draws: the relative deviation of a variance is √(2/n) = 0.6 %, of a mean 0.4 % of the spread.
    for (kind, settings, variance) in [
        ("he", "", 2.0),
        ("lecun", "", 1.0),
        ("uniform", "", 1.0 / 3.0),
        ("uniform-fan", "", 1.0 / 3.0 / fan_in),
        ("uniform-fan", ", fan = 'out'", fan_in / 3.0 / 200f64.powi(2)),
        ("normal", ", std = 0.01", 1e-4 * fan_in),
    ] {
        let init = &format!("{{ kind = '{kind}'{settings} }}");
        let (found, mean, weight) = spread(init);
        assert!((found / variance - 1.0).abs() < 0.03, "{init}: variance {found}/fan_in");
        assert!(mean.abs() < 0.03 * variance.sqrt(), "{init}: mean {mean}");
        let (_, _, scaled) = spread(&format!("{{ kind = '{kind}'{settings}, alpha = 1e-3 }}"));
        let allowed = 1e-18 * (variance / fan_in).sqrt();
        weight
            .iter()
            .zip(&scaled)
            .for_each(|(a, b)| assert!((1e-3 * a - b).abs() <= allowed + 1e-15 * b.abs(), "{init}"));
        if kind.starts_with("uniform") {
            // The end of a uniform law is √3 of its spread.
            let end = (3.0 * variance / fan_in).sqrt();
            let largest = weight.iter().fold(0.0f64, |m, w| m.max(w.abs()));
            assert!(largest <= end * (1.0 + 1e-15) && largest > 0.999 * end, "{init}: {largest} of {end}");
        }
    }
    let diagonal = common::model("kind = 'diagonal'", 50, 1);
    assert!(
        diagonal.init(&mut stream(3, "model.init", 0)).iter().all(|w| *w > 0.0),
        "u and v start positive"
    );
}

#[test]
fn what_a_smooth_model_conserves_is_constant_along_the_flow() {
    let smooth = [
        "kind = 'deep-linear'\nwidths = [3]",
        "kind = 'deep-linear'\nwidths = [3, 2]",
        "kind = 'mlp'\nwidths = [8]\nactivation = { kind = 'relu-power', p = 3 }",
        "kind = 'mlp'\nwidths = [8, 6]\nactivation = 'relu-power'\nbias = 'first'",
        "kind = 'mlp'\nwidths = [4]\nactivation = 'quadratic'",
        "kind = 'mlp'\nwidths = [3, 3]\nactivation = 'identity'",
        "kind = 'diagonal'\ndepth = 2",
    ];
    for text in smooth {
        let model = common::model(text, 2, 1);
        let theta = model.init(&mut stream(4, "model.init", 0));
        let problem = problem(model, "kind = 'exponential'", common::four_points());
        let before = problem.model.conserved(&theta);
        assert!(!before.is_empty(), "{text} conserves nothing");
        let mut flow = Flow::new(L2 {}.into(), Tableau::DormandPrince, 1e-9);
        flow.begin(&problem, 0).unwrap();
        let mut at = Iterate::new(theta);
        // Quadratic forms cannot separate the four points, nor need they: the law holds on the way to the infimum.
        let goal = if text.contains("quadratic") { 2.0 } else { -5.0 };
        while at.eval(&problem, &RowSet::Full).unwrap().ln_loss > goal {
            assert!(
                at.clocks.step < 3000,
                "{text} is going nowhere: {}",
                at.eval(&problem, &RowSet::Full).unwrap().ln_loss
            );
            flow.step(&problem, &mut at).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        let squared = dot(at.theta(), at.theta());
        for (a, b) in before.iter().zip(problem.model.conserved(at.theta())) {
            // A relative local error e changes a quadratic form of θ by at most about 2e·‖θ‖² (degree 1 blocks).
            let allowed = 4.0 * flow.accumulated_error() * squared;
            assert!((a - b).abs() <= allowed, "{text}: {a} became {b}, allowed {allowed:e}");
        }
    }
}

// Catalogues.

macro_rules! for_each_catalogue {
    ($law:ident) => {
        $law!(AnyNorm, "norm");
        $law!(AnyLoss, "loss");
        $law!(AnyModel, "model");
        $law!(AnyDescent, "descent");
        $law!(AnyPace, "pace");
        $law!(AnyAlgorithm, "algorithm");
    };
}

#[test]
fn every_entry_survives_being_written_and_read() {
    macro_rules! law {
        ($any:ty, $what:literal) => {
            for listed in <$any>::LIST {
                let part = <$any>::example(listed.name);
                assert_eq!(part.name(), listed.name);
                let text = toml::to_string(&part).unwrap_or_else(|e| panic!("{}: {e}", listed.name));
                let back: $any = toml::from_str(&text).unwrap_or_else(|e| panic!("{text}\n{e}"));
                assert_eq!(format!("{part:?}"), format!("{back:?}"), "{text}");
                assert_eq!(text, toml::to_string(&back).unwrap());
                assert!(
                    !listed.about.is_empty() && !listed.cite.is_empty(),
                    "{} says too little",
                    listed.name
                );
            }
        };
    }
    for_each_catalogue!(law);
    for text in architectures() {
        let part: AnyModel = parse(&text);
        let back: AnyModel = parse(&toml::to_string(&part).unwrap());
        assert_eq!(format!("{part:?}"), format!("{back:?}"), "{text}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    macro_rules! law {
        ($any:ty, $what:literal) => {
            let error = toml::from_str::<$any>("kind = 'no-such-thing'").unwrap_err().to_string();
            assert!(error.contains("no-such-thing") && error.contains($what), "{error}");
            for name in <$any>::NAMES {
                assert!(error.contains(&format!("`{name}`")), "{error}");
            }
            let error = toml::from_str::<$any>("eta = 1").unwrap_err().to_string();
            assert!(error.contains("kind") && error.contains(<$any>::NAMES[0]), "{error}");
            // A setting that no entry has is refused by every entry.
            for listed in <$any>::LIST {
                let text = format!("kind = '{}'\n{}\nno_such_setting = 1", listed.name, listed.example);
                let error = toml::from_str::<$any>(&text).expect_err(&text).to_string();
                assert!(error.contains("no_such_setting"), "{error}");
            }
        };
    }
    for_each_catalogue!(law);
}

#[test]
fn a_bare_name_stands_for_the_defaults() {
    macro_rules! law {
        ($any:ty, $what:literal) => {
            for listed in <$any>::LIST.iter().filter(|l| l.example.is_empty()) {
                let bare: $any = toml::Value::String(listed.name.into()).try_into().unwrap();
                assert_eq!(format!("{bare:?}"), format!("{:?}", <$any>::example(listed.name)));
            }
        };
    }
    for_each_catalogue!(law);
    let init: Init = toml::Value::String("lecun".into()).try_into().unwrap();
    assert_eq!(init, parse("kind = 'lecun'"));
}

#[test]
fn settings_that_make_no_sense_are_refused_with_their_name() {
    let models = [
        ("kind = 'mlp'\nwidths = [3, 0]", "widths[1]"),
        ("kind = 'deep-linear'\nwidths = [0]", "widths[0]"),
        ("kind = 'mlp'\nwidths = [3]\nkink = 2", "kink"),
        ("kind = 'mlp'\nwidths = [3]\nactivation = { kind = 'relu-power', p = 0.5 }", "activation.p"),
        ("kind = 'mlp'\nwidths = [3]\nactivation = { kind = 'leaky-relu', slope = inf }", "activation.slope"),
        ("kind = 'linear'\ninit = { kind = 'he', alpha = -1 }", "init.alpha"),
        ("kind = 'diagonal'\ndepth = 0", "depth"),
        ("kind = 'rotation-free'\nwidth = 0", "width"),
        ("kind = 'linear'\ninit = { kind = 'values', values = [1, nan] }", "init.values[1]"),
        ("kind = 'linear'\ninit = { kind = 'values', values = [1] }", "init.values"),
        ("kind = 'diagonal'\ninit = { kind = 'values', values = [1, 2, 3] }", "init.values"),
        ("kind = 'mexican-hat'\ndegree = 0", "degree"),
        ("kind = 'mexican-hat'\nexponent = 0", "exponent"),
        ("kind = 'mexican-hat'\nstart = 1", "start"),
    ];
    for (text, field) in models {
        let error = parse::<AnyModel>(text).build().assemble(&[2], 1).expect_err(text);
        assert_eq!(error.field, field, "{text}: {error}");
    }
    let problem = problem(common::model("kind = 'linear'", 2, 1), "kind = 'logistic'", common::four_points());
    let algorithms = [
        ("kind = 'stepped'\npace = { kind = 'constant', eta = 0 }", "pace.eta"),
        ("kind = 'stepped'\npace = { kind = 'unit-decrease', factor = 1 }", "pace.factor"),
        ("kind = 'stepped'\npace = { kind = 'lyu-li', grow = 0.5 }", "pace.grow"),
        ("kind = 'stepped'\npace = 'lyu-li'\nbatch = { kind = 'fresh', size = 9 }", "batch.size"),
        ("kind = 'stepped'\npace = 'lyu-li'\nbatch = { kind = 'shuffle', size = 0 }", "batch.size"),
        ("kind = 'bundle'\nkappa = -1", "kappa"),
        ("kind = 'bundle'\nepsilon = 0", "epsilon"),
        ("kind = 'bundle'\ntolerance = 0", "tolerance"),
        ("kind = 'bundle'\nhold = 0", "hold"),
        ("kind = 'bundle'\nmembers = 1", "members"),
        ("kind = 'bundle'\nrepel = -1", "repel"),
        ("kind = 'bundle'\nnorm = 'l1'\ntolerance = 0.1", "tolerance"),
        ("kind = 'bundle'\nnorm = { kind = 'lp', p = 0.5 }", "norm.p"),
        ("kind = 'bundle'\nnorm = { kind = 'blockwise', combine = 'sum', inner = 'l2' }", "norm"),
        ("kind = 'flow'\nrtol = 0", "rtol"),
        ("kind = 'flow'\nfloor = -1", "floor"),
    ];
    for (text, field) in algorithms {
        let error = parse::<AnyAlgorithm>(text).build().begin(&problem, 0).expect_err(text);
        assert_eq!(error.field, field, "{text}: {error}");
    }
    for name in ["exponential", "logistic"] {
        let error = AnyLoss::example(name).build().outputs(3).unwrap_err().to_string();
        assert!(error.contains("cross-entropy"), "{error}");
    }
}
