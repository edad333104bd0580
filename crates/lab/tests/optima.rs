//! Reference optima: against closed forms of the sources, against θ that attain them, and against all other θ.
#![allow(missing_docs)]

use latephase_core::exact::Failure;
use latephase_core::numeric::norm;
use latephase_core::rng::stream;
use latephase_core::{Problem, RowSet};
use latephase_lab::Spec;
use latephase_lab::build::{Built, build};
use latephase_lab::optima::{Answer, LIST, Scope, Setting, answers, ask, names};
use latephase_lab::source::Lookup;
use rand::distr::Distribution;
use rand_distr::StandardNormal;

fn spec(data: &str, model: &str) -> Spec {
    let text = format!(
        "data = {data}\nmodel = {model}\nloss = \"{}\"\nstop = {{ steps = 1 }}\nalgorithm = {{ kind = \"flow\" }}",
        if data.contains("several") || data.contains("rings") { "cross-entropy" } else { "logistic" }
    );
    Spec::parse(&text, "spec.toml", &[]).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn built(spec: &Spec) -> Built {
    build(spec, &Lookup::from_env()).unwrap_or_else(|e| panic!("{}", e.report()))
}

fn all(spec: &Spec, built: &Built) -> Vec<Answer> {
    answers(&Setting::of(spec, &built.run.problem), &|_, _| true)
}

fn of<'a>(all: &'a [Answer], column: &str) -> &'a Answer {
    all.iter().find(|a| a.column == column).unwrap_or_else(|| panic!("no {column}"))
}

fn q_min(problem: &Problem, theta: &[f64]) -> f64 {
    let eval = problem.eval(theta, &RowSet::Full).unwrap();
    problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min)
}

#[track_caller]
fn close(a: f64, b: f64, within: f64) {
    assert!((a / b - 1.0).abs() <= within, "{a} against {b}");
}

#[test]
fn linear_margins_are_those_that_the_sources_know() {
    for data in [
        r#"{ kind = "gaussian-margin", n = 60, dim = 8, margin = 0.5 }"#,
        r#"{ kind = "orthogonal", n = 5, dim = 7 }"#,
        r#""two-points""#,
        r#""four-points""#,
    ] {
        let spec = spec(data, "\"linear\"");
        let built = built(&spec);
        let truth = built.truth.clone().unwrap_or_default();
        let all = all(&spec, &built);
        for (column, known) in
            [("margin", truth.margin_l2), ("margin_l1", truth.margin_l1), ("margin_linf", truth.margin_linf)]
        {
            let bounds = of(&all, column).result.clone().unwrap();
            assert!(bounds.gap() < 1e-9, "{data} {column}: {:e}", bounds.gap());
            if let Some(known) = known {
                close(bounds.value, known, 1e-9);
            }
        }
    }
}

#[test]
fn a_deep_linear_network_attains_its_margin_along_the_maximal_one() {
    let data = r#"{ kind = "gaussian-margin", n = 20, dim = 4, margin = 0.5 }"#;
    let linear = spec(data, "\"linear\"");
    let gamma = of(&all(&linear, &built(&linear)), "margin").result.clone().unwrap().value;
    for (widths, layers) in [("[3]", 2), ("[3, 2]", 3)] {
        let spec = spec(data, &format!("{{ kind = \"deep-linear\", widths = {widths} }}"));
        let built = built(&spec);
        let all = all(&spec, &built);
        let power = f64::from(layers);
        close(of(&all, "margin").result.clone().unwrap().value, gamma / power.powf(power / 2.0), 1e-12);
        close(of(&all, "margin_product").result.clone().unwrap().value, gamma, 1e-12);
        never_exceeded(&built.run.problem, &all, power);
    }
}

#[test]
fn a_diagonal_network_of_depth_two_has_the_l1_margin() {
    let data = r#"{ kind = "gaussian-margin", n = 20, dim = 6, margin = 0.5 }"#;
    let linear = spec(data, "\"linear\"");
    let exact = all(&linear, &built(&linear));
    let l1 = of(&exact, "margin_l1").result.clone().unwrap();
    for depth in [1, 2, 3, 4] {
        let spec = spec(data, &format!("{{ kind = \"diagonal\", depth = {depth} }}"));
        let built = built(&spec);
        let all = all(&spec, &built);
        let margin = of(&all, "margin");
        let bounds = margin.result.clone().unwrap();
        match depth {
            1 => close(bounds.value, 2f64.sqrt() * of(&exact, "margin").result.clone().unwrap().value, 1e-9),
            2 => close(bounds.value, l1.value, 1e-9),
            _ => {
                assert_eq!(margin.scope, Scope::Local);
                assert!(
                    bounds.value > 0.0 && bounds.value <= l1.bound,
                    "{} above {}",
                    bounds.value,
                    l1.bound
                );
            }
        }
        never_exceeded(&built.run.problem, &all, f64::from(depth));
    }
}

/// Random θ, and random θ bent towards the data: no margin is above its bound.
#[track_caller]
fn never_exceeded(problem: &Problem, all: &[Answer], degree: f64) {
    let mut rng = stream(1, "theta", 0);
    for _ in 0..300 {
        let mut theta: Vec<f64> = (0..problem.dim()).map(|_| StandardNormal.sample(&mut rng)).collect();
        for _ in 0..20 {
            let eval = problem.eval(&theta, &RowSet::Full).unwrap();
            theta.iter_mut().zip(&eval.grad).for_each(|(t, g)| *t -= 0.3 * g);
        }
        let q = q_min(problem, &theta);
        let largest = theta.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let sum: f64 = theta.iter().map(|x| x.abs()).sum();
        for (column, size) in [("margin", norm(&theta)), ("margin_l1", sum), ("margin_linf", largest)] {
            let Some(answer) = all.iter().find(|a| a.column == column) else { continue };
            let bound = answer.result.clone().unwrap().bound;
            let margin = q / size.powf(degree);
            assert!(margin <= bound * (1.0 + 1e-12), "{column}: {margin} above {bound}");
        }
    }
}

#[test]
fn digits_have_closed_gaps_in_every_norm() {
    let asked: Vec<String> =
        ["l1", "l2", "linf", "spectral", "nuclear", "{ kind = \"lp\", p = 3 }"].map(String::from).to_vec();
    for (data, loss) in [
        (r#"{ kind = "digits", classes = "even-odd", train = 300 }"#, "logistic"),
        (r#"{ kind = "digits", classes = [0, 1, 2, 3], train = 120 }"#, "cross-entropy"),
        (r#"{ kind = "digits", train = 100 }"#, "cross-entropy"),
    ] {
        let text = format!(
            "data = {data}\nmodel = \"linear\"\nloss = \"{loss}\"\nstop = {{ steps = 1 }}\nalgorithm = {{ kind = \"flow\" }}"
        );
        let spec = Spec::parse(&text, "spec.toml", &[]).unwrap_or_else(|e| panic!("{}", e.report()));
        let built = built(&spec);
        let mut setting = Setting::of(&spec, &built.run.problem);
        ask::norms(&asked, &mut setting).unwrap();
        for answer in answers(&setting, &|_, _| true) {
            let bounds = answer.result.unwrap();
            let (column, seconds) = (&answer.column, answer.seconds);
            println!("{data} {column}: {} gap {:.1e} in {seconds:.2} s", bounds.value, bounds.gap());
            assert!(bounds.gap() <= 1e-9, "{data} {column}: {:e}", bounds.gap());
        }
    }
}

#[test]
fn data_that_nothing_separates_name_their_examples() {
    let spec = spec(r#""rings""#, "\"linear\"");
    let built = built(&spec);
    let all = all(&spec, &built);
    let answer = of(&all, "margin");
    assert!(matches!(answer.result, Err(Failure::NotSeparable { .. })), "{:?}", answer.result);
    assert!(!answer.weights.is_empty());
    assert!(answer.weights.iter().all(|w| w.example < built.run.problem.train.n() && w.weight > 0.0));
}

#[test]
fn wrong_names_are_met_with_the_nearest_right_ones() {
    let spec = spec(r#""four-points""#, "\"linear\"");
    let built = built(&spec);
    let setting = Setting::of(&spec, &built.run.problem);
    let error = ask::reference("linaer", &setting).unwrap_err().to_string();
    assert!(error.contains("did you mean `linear`"), "{error}");
    let error = ask::norm("l-inf", &setting).unwrap_err().to_string();
    assert!(error.contains("did you mean `linf`"), "{error}");
    let error = ask::reference("diagonal", &setting).unwrap_err().to_string();
    assert!(error.contains("does not apply") && error.contains("linear"), "{error}");
    assert_eq!(ask::norm("{ kind = \"lp\", p = 3 }", &setting).unwrap().name(), "lp");
}

#[test]
fn names_are_kebab_case_and_differ() {
    let names = names();
    assert_eq!(names.len(), LIST.len());
    for (k, name) in names.iter().enumerate() {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        assert!(!names[..k].contains(name), "{name} twice");
    }
}

#[test]
fn two_layer_networks_are_held_against_the_best_of_any_width() {
    let of_ref = |all: &[Answer], name: &str, column: &str| {
        let found = all.iter().find(|a| a.reference == name && a.column == column);
        found.unwrap_or_else(|| panic!("no {name} {column}")).clone()
    };
    let data = r#"{ kind = "xor-parity", dim = 4 }"#;
    let spec = spec(data, r#"{ kind = "mlp", widths = [200] }"#);
    let built = built(&spec);
    let mut setting = Setting::of(&spec, &built.run.problem);
    setting.start = Some(built.run.at.theta());
    let all = answers(&setting, &|_, _| true);
    let exact = 1.0 / 32f64.sqrt();
    for (name, column, factor) in
        [("two-layer", "margin", 0.5), ("two-layer", "margin_product", 1.0), ("parity", "margin", 0.5)]
    {
        let answer = of_ref(&all, name, column);
        let bounds = answer.result.unwrap();
        assert_eq!(answer.scope, Scope::Global, "{name} {column}");
        close(bounds.value, factor * exact, 1e-6);
        close(bounds.bound, factor * exact, 1e-6);
    }
    never_exceeded(&built.run.problem, &all, 2.0);
    let fro = of_ref(&all, "tangent", "margin_ntk_fro").result.unwrap();
    let node = of_ref(&all, "tangent", "margin_ntk_node").result.unwrap();
    let limit = of_ref(&all, "tangent", "margin_ntk_infinite").result.unwrap();
    assert!(node.gap() < 1e-6 && fro.gap() < 1e-9 && node.value <= fro.bound);
    // 200 neurons are a draw of the limit's kernel: within a few times 1/sqrt(200).
    assert!((fro.value / limit.value - 1.0).abs() < 0.5, "{} against {}", fro.value, limit.value);
}

#[test]
fn neurons_that_are_few_or_cannot_turn_leave_the_upper_bound() {
    let data = r#"{ kind = "xor-parity", dim = 3 }"#;
    for model in [r#"{ kind = "mlp", widths = [2] }"#, r#"{ kind = "rotation-free", width = 20 }"#] {
        let spec = spec(data, model);
        let built = built(&spec);
        let all = all(&spec, &built);
        let bounds = of(&all, "margin").result.clone().unwrap();
        assert_eq!(of(&all, "margin").scope, Scope::Local);
        assert!(bounds.value.is_nan());
        close(bounds.bound, 0.5 / 24f64.sqrt(), 1e-6);
        assert!(all.iter().all(|a| a.reference != "linear"));
    }
}
