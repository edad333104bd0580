//! `latephase audit` and `latephase degree`: what they find of networks that are known, and what they refuse.

mod common;

use std::fs;

use common::Place;
use serde_json::Value;

const RUN: &str = r#"
data = { kind = "digits", classes = [3, 5, 8], train = 60, test = 40 }
model = { kind = "mlp", widths = [6], bias = "first" }
loss = "cross-entropy"
probes = ["margin", "alignment", "kkt", "accuracy"]
stop = { log10_loss = -30 }
look = { every = 200 }
[algorithm]
kind = "stepped"
pace = { kind = "unit-decrease", eta = 0.05 }
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A run to 1e-30, in `run`.
fn trained() -> Place {
    let place = Place::with(RUN);
    place.ends(0, &["run", "spec.toml", "--out", "run", "--quiet"]);
    place
}

#[test]
fn the_audit_of_a_runs_weights_is_its_last_row() {
    let place = trained();
    let ran =
        place.ends(0, &["audit", "run/theta.safetensors", "--model", "run", "--examples", "5", "--json"]);
    let found = json(&ran.out);
    let rows = fs::read_to_string(place.path("run/rows.csv")).unwrap();
    let (names, last) = (rows.lines().next().unwrap(), rows.lines().last().unwrap());
    let mut compared = 0;
    for (name, value) in names.split(',').zip(last.split(',')) {
        let (Some(ours), Ok(theirs)) = (found["row"][name].as_f64(), value.parse::<f64>()) else { continue };
        // The probes look at the same θ, so they say the same to the last digit.
        assert!(ours == theirs, "{name}: {ours} against {theirs}");
        compared += 1;
    }
    assert!(compared >= 15, "only {compared} columns in common");
    assert_eq!(found["is_separated"], true);
    assert_eq!(found["degree"], "homogeneous of degree 2");
    // The multipliers are shares of one whole, and the support begins with the least margin.
    let support = found["support"].as_array().unwrap();
    let total: f64 = support.iter().map(|s| s["share"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-12, "{total}");
    let least = support.iter().map(|s| s["relative"].as_f64().unwrap()).fold(f64::INFINITY, f64::min);
    assert_eq!(least, 1.0);
    // At 1e-30 every margin is past 16.6: float32 has lost every right class, and its gradient points elsewhere.
    let single = &found["stock"][0];
    assert_eq!((single["precision"].as_str(), single["value"].as_f64()), (Some("float32"), Some(0.0)));
    assert_eq!(single["wrong"].as_f64(), Some(1.0));
    assert!(single["cosine"].as_f64().unwrap() < 0.9);
}

#[test]
fn the_model_the_data_and_the_loss_can_be_named_in_every_way() {
    let place = trained();
    let model = "{ kind = \"mlp\", widths = [6], bias = \"first\" }";
    place.write("model.toml", "kind = \"mlp\"\nwidths = [6]\nbias = \"first\"\n");
    let of = |arguments: &[&str]| {
        let all = [&["audit", "run/theta.safetensors", "--examples", "0", "--json"], arguments].concat();
        json(&place.ends(0, &all).out)
    };
    let base = of(&["--model", "run"]);
    for arguments in [
        vec!["--model", "run/spec.toml"],
        vec!["--model", model, "--data", "spec.toml", "--loss", "cross-entropy"],
        vec![
            "--model",
            "model.toml",
            "--data",
            "{ kind = \"digits\", classes = [3, 5, 8], train = 60, test = 40 }",
        ],
    ] {
        assert_eq!(of(&arguments)["row"], base["row"], "{arguments:?}");
    }
    // Two classes and one output mean logistic loss, two outputs cross-entropy.
    for (loss, outputs) in [("logistic", 1), ("cross-entropy", 2)] {
        let name = format!("two-{outputs}.toml");
        let two = RUN.replace("[3, 5, 8]", "[3, 5]").replace("cross-entropy", loss).replace("-30", "-1");
        place.write(&name, &two);
        place.ends(0, &["run", &name, "--out", loss, "--quiet"]);
        let weights = format!("{loss}/theta.safetensors");
        let data = "{ kind = \"digits\", classes = [3, 5], train = 60, test = 40 }";
        let audit = ["audit", &weights, "--model", model, "--data", data, "--examples", "0", "--json"];
        assert_eq!(json(&place.ends(0, &audit).out)["loss"], loss);
    }
}

#[test]
fn what_does_not_fit_is_told_and_nothing_is_written() {
    let place = trained();
    let weights = "run/theta.safetensors";
    place.write("not.safetensors", "PK a zip file");
    let digits = "{ kind = \"digits\", classes = [3, 5, 8], train = 60 }";
    for (arguments, parts) in [
        (
            vec![weights, "--model", "{ kind = \"mlp\", widths = [7], bias = \"first\" }", "--data", digits],
            vec!["block `0.weight` has shape [6, 64]; the model has [7, 64]"],
        ),
        (
            vec![weights, "--model", "{ kind = \"mlp\", widths = [6] }", "--data", digits],
            vec!["block `0.bias` is not in the model"],
        ),
        (
            vec![weights, "--model", "{ kind = \"mlp\", widths = [6], bias = \"first\" }", "--data", "rings"],
            vec!["the data have inputs of 2 = 2 numbers"],
        ),
        (
            vec!["not.safetensors", "--model", "run"],
            vec!["not.safetensors", "no safetensors file", "save_file"],
        ),
        (vec!["missing.safetensors", "--model", "run"], vec!["cannot find `missing.safetensors`"]),
        (
            vec!["embedded:x", "--model", "run"],
            vec!["no file `x` in it", "embedded:torch-digits.safetensors"],
        ),
        (vec![weights, "--model", "{ kind = \"mlp\", widths = [6] }"], vec!["name the data, too"]),
        (
            vec![weights, "--model", "{ kind = \"mpl\" }", "--data", digits],
            vec!["unknown model `mpl`", "mlp"],
        ),
    ] {
        let call = [&["audit"], &arguments[..], &["--out", "audit"]].concat();
        let ran = place.ends(2, &call);
        for part in parts {
            assert!(ran.err.contains(part), "{arguments:?}: {}", ran.err);
        }
        assert!(!place.path("audit").exists(), "{arguments:?} left a directory");
    }
}

#[test]
fn an_audit_is_written_once_and_moved_aside_by_force() {
    let place = trained();
    let call = ["audit", "run/theta.safetensors", "--model", "run", "--examples", "3", "--out", "audit"];
    let ran = place.ends(0, &call);
    assert!(ran.out.contains("cross_entropy in float32") && ran.out.contains("report.html"), "{}", ran.out);
    let page = fs::read_to_string(place.path("audit/report.html")).unwrap();
    assert!(page.contains("Support") && page.contains("cross_entropy in float64"));
    let found = json(&fs::read_to_string(place.path("audit/audit.json")).unwrap());
    assert!(found["row"]["robust_radius_train"].as_f64().unwrap() > 0.0);
    let refused = place.ends(2, &call);
    assert!(refused.err.contains("is there already") && refused.err.contains("--force"), "{}", refused.err);
    place.ends(0, &[&call[..], &["--force"]].concat());
    assert!(place.path("audit.old-1/audit.json").exists() && place.path("audit/audit.json").exists());
}

#[test]
fn the_degree_of_a_network_is_told_layer_by_layer() {
    let place = Place::with(RUN);
    let exact = place.ends(0, &["degree", "spec.toml"]);
    assert!(exact.out.contains("homogeneous of degree 2") && !exact.out.contains("p_a"), "{}", exact.out);
    let near = place.ends(0, &["degree", "spec.toml", "model.bias=all", "--radius", "1"]);
    for part in
        ["near-homogeneous of order 2", "p'(rho) = ", "p_a(rho) = ", "drops or replaces", "2.bias", "relu"]
    {
        assert!(near.out.contains(part), "{part}: {}", near.out);
    }
    let found =
        json(&place.ends(0, &["degree", "spec.toml", "model.bias=all", "--radius", "1", "--json"]).out);
    // Three outputs, a bias of degree 1 beside degree 2: |⟨∇f, θ⟩ − 2f| = |b| ≤ ρ, and |f − f_H| = |b|.
    assert_eq!(found["defect"], serde_json::json!([[1.0, 1.0]]));
    assert_eq!(found["gap"], serde_json::json!([[1.0, 1.0]]));
    assert_eq!(found["layers"].as_array().map(Vec::len), Some(3));
}
