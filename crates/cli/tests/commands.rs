//! The commands that look at runs, and sweeps.
#![allow(missing_docs)]

mod common;

use std::fs;

use common::{Place, TINY};

#[test]
fn json_is_one_object_on_standard_output() {
    let place = Place::with(TINY);
    for call in [
        &["run", "spec.toml", "--json"][..],
        &["run", "spec.toml", "--json"],
        &["run", "spec.toml", "--json", "stop.steps=3"],
    ] {
        let out = place.run(call).out;
        let object: serde_json::Value = serde_json::from_str(&out).expect("one JSON value");
        for key in ["dir", "outcome", "seconds", "sentence", "final", "counts"] {
            assert!(!object[key].is_null(), "{key} in {out}");
        }
        assert!(object["final"]["log10_loss"].is_f64() && object["counts"]["steps"].is_u64(), "{out}");
    }
}

#[test]
fn quiet_says_nothing_on_standard_error() {
    let place = Place::with(TINY);
    let ran = place.ends(0, &["run", "spec.toml", "--quiet"]);
    assert_eq!(ran.err, "");
}

#[test]
fn every_kind_can_be_listed() {
    let place = Place::new();
    let all = place.ends(0, &["list"]).out;
    for (kind, name) in [
        ("models", "mlp"),
        ("losses", "logistic"),
        ("norms", "linf"),
        ("descents", "steepest"),
        ("paces", "unit-decrease"),
        ("algorithms", "bundle"),
        ("probes", "margin"),
        ("data", "digits"),
        ("recipes", "quickstart"),
        ("layers", "conv2d"),
        ("activations", "relu"),
        ("initialisations", "he"),
    ] {
        let out = place.ends(0, &["list", kind]).out;
        assert!(out.contains(name) && all.contains(name), "{out}");
    }
    assert!(place.ends(0, &["list", "paces"]).out.contains("pace = { kind = \"unit-decrease\", eta ="));
    let names = place.ends(0, &["list", "norms", "--names"]).out;
    assert!(names.lines().any(|n| n == "linf") && names.lines().all(|n| !n.contains(' ')), "{names}");
    let err = place.ends(2, &["list", "norm"]).err;
    assert!(err.contains("norms"), "{err}");
}

#[test]
fn a_checked_spec_is_printed_as_a_spec_with_the_same_run() {
    let place = Place::with(TINY);
    let out = place.ends(0, &["check-spec", "spec.toml"]).out;
    assert!(out.contains("parameters") && out.contains("degree"), "{out}");
    place.write("again.toml", &out);
    let first = place.ends(0, &["run", "spec.toml", "--out", "dir"]).out;
    // The same run: it is found finished.
    assert_eq!(place.ends(0, &["run", "again.toml", "--out", "dir"]).out, first);
}

#[test]
fn works_are_cited_of_a_spec_and_of_its_run() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "dir"]);
    let of_spec = place.ends(0, &["cite", "spec.toml"]).out;
    assert!(of_spec.contains("Lyu"), "{of_spec}");
    assert_eq!(place.ends(0, &["cite", "dir"]).out, of_spec);
}

#[test]
fn a_run_compared_with_itself_agrees_everywhere() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "keep={ log10_loss = [-10] }", "--out", "a"]);
    place.ends(
        0,
        &["run", "spec.toml", "keep={ log10_loss = [-10] }", "algorithm.descent.norm=linf", "--out", "b"],
    );
    let out = place.ends(0, &["compare", "a", "a", "--json"]).out;
    let same: serde_json::Value = serde_json::from_str(&out).expect("one JSON value");
    for (_, column) in same["columns"].as_object().into_iter().flatten() {
        assert_eq!(column["a"], column["b"]);
    }
    let cosines =
        same["cosines"].as_object().map(|c| c.values().filter_map(|v| v.as_f64()).collect::<Vec<_>>());
    let cosines = cosines.unwrap_or_default();
    // A cosine of a vector with itself, rounded twice.
    assert!(cosines.len() == 2 && cosines.iter().all(|c| (c - 1.0).abs() < 1e-14), "{out}");
    let text = place.ends(0, &["compare", "a", "b"]).out;
    assert!(text.contains("margin") && text.contains("1.0e-10") && text.contains("cosine"), "{text}");
}

#[test]
fn a_sweep_runs_every_combination_once() {
    let place = Place::with(TINY);
    let call = [
        "run",
        "spec.toml",
        "--threads",
        "2",
        "--out",
        "s",
        "--sweep",
        "algorithm.descent.norm=l1,l2,linf",
        "seed=0..2",
    ];
    let first = place.ends(0, &call);
    assert!(first.err.contains("6 runs"), "{}", first.err);
    let table = fs::read_to_string(place.path("s/sweep.csv")).expect("a table");
    assert_eq!(table.lines().count(), 7, "{table}");
    assert!(table.lines().skip(1).all(|l| l.contains(",reached,")), "{table}");
    assert!(place.path("s/report.html").exists());
    let again = place.ends(0, &call);
    assert_eq!(again.err.matches("finished before").count(), 6, "{}", again.err);
    assert_eq!(fs::read_to_string(place.path("s/sweep.csv")).expect("a table"), table);
    // Alone, a member gives the same bytes.
    place.ends(0, &["run", "spec.toml", "algorithm.descent.norm=linf", "seed=1", "--out", "alone"]);
    let dir =
        table.lines().last().and_then(|l| l.split(',').find(|c| c.contains("linf") && c.contains("seed=1")));
    assert!(dir.is_some(), "{table}");
    let rows: Vec<_> = place.files("s").into_iter().filter(|(p, _)| p.ends_with("rows.csv")).collect();
    let alone = fs::read(place.path("alone/rows.csv")).expect("rows");
    assert!(rows.iter().any(|(_, bytes)| *bytes == alone));
}

#[test]
fn a_sweep_with_a_wrong_value_begins_nothing() {
    let place = Place::with(TINY);
    let err = place.ends(2, &["run", "spec.toml", "--sweep", "algorithm.descent.norm=l2,l-inf"]).err;
    assert!(err.contains("l-inf") && err.contains("linf"), "{err}");
    assert!(!place.path("runs").exists());
    place.write("mine", "precious");
    let err = place.ends(2, &["run", "spec.toml", "--out", ".", "--sweep", "seed=0..2"]).err;
    assert!(err.contains("--force"), "{err}");
}

#[test]
fn an_interrupted_sweep_is_130_and_goes_on() {
    let place = Place::with(TINY);
    let stopped = ["run", "spec.toml", "--out", "s", "--max-seconds", "0", "--sweep", "seed=0..3"];
    place.ends(130, &stopped);
    place.ends(0, &["run", "spec.toml", "--out", "s", "--sweep", "seed=0..3"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::io::Read;
    let place = Place::new();
    let mut child = place.process(&["list"]);
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().expect("the binary starts");
    let mut one = [0; 1];
    child.stdout.take().expect("a pipe").read_exact(&mut one).expect("a byte");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}
