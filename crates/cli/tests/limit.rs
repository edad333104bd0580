//! `latephase limit`: what it finds, what it writes and where, and how it says what is wrong.
#![allow(missing_docs)]

mod common;

use std::fs;

use common::{Place, TINY};
use serde_json::Value;

const RELU: &str = r#"
data = { kind = "gaussian-margin", n = 12, dim = 3, margin = 0.3, seed = 3 }
model = { kind = "mlp", widths = [6] }
loss = "logistic"
seed = 5
probes = ["margin"]
keep = { log10_loss = [-10] }
stop = { log10_loss = -100, steps = 20000 }
algorithm = { kind = "bundle", kappa = 0.01 }
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON value")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn a_linear_run_ends_at_the_largest_margin() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "here"]);
    let out = place.ends(0, &["limit", "here"]).out;
    assert!(out.contains("global maximum") && out.contains("limit.json"), "{out}");
    let record = json(&fs::read_to_string(place.path("here/limit/limit.json")).expect("it was written"));
    let way = &record["ways"][0];
    assert!((number(&way["margin"]) - 1.5 * 2f64.sqrt()).abs() < 1e-9, "{way}");
    assert!(number(&way["relative"]) < 1e-9 && number(&way["delta"]) < 1e-9, "{way}");
    assert!(place.path("here/limit/limit.safetensors").is_file());
    let page = fs::read_to_string(place.path("here/report.html")).expect("a page");
    assert!(page.contains("limit by the short cut: normalised margin"));
}

#[test]
fn both_ways_from_a_snapshot_say_the_angle_between() {
    let place = Place::with(RELU);
    place.ends(0, &["run", "spec.toml", "--out", "here"]);
    let arguments = ["limit", "here", "--at", "-10", "--method", "both", "--json", "--quiet"];
    let record = json(&place.ends(0, &arguments).out);
    assert!(record["from"].as_str().expect("a path").contains("log10_loss_-10"));
    let ways = record["ways"].as_array().expect("a list");
    assert_eq!(ways.len(), 2);
    assert!(number(&record["angle_between"]) >= 0.0);
    for way in ways {
        assert!(number(&way["relative"]) < 1e-3, "{way}");
        assert!(number(&way["margin"]) >= number(&way["margin_before"]), "{way}");
    }
    assert!(number(&ways[1]["ln_rho_gained"]) > 0.0);
    assert!(place.path("here/limit/flow.safetensors").is_file());
    // The limit's own weights are a limit, from a file and a spec: nothing moves any more.
    let again = [
        "limit",
        "here/limit/limit.safetensors",
        "--spec",
        "spec.toml",
        "--out",
        "again",
        "--json",
        "--quiet",
    ];
    let record = json(&place.ends(0, &again).out);
    assert!(number(&record["ways"][0]["angle"]) < 1e-6, "{record}");
}

#[test]
fn what_cannot_be_is_named() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "here"]);
    fs::create_dir(place.path("empty")).expect("a directory");
    fs::write(place.path("bad.safetensors"), "no weights").expect("a file");
    for (call, hint) in [
        (&["limit", "nowhere"][..], "neither a run directory nor a file"),
        (&["limit", "empty"], "spec.toml"),
        (&["limit", "here", "--at", "-7"], "no snapshot at log10_loss = -7"),
        (&["limit", "here", "--tolerance", "0"], "--tolerance"),
        (&["limit", "bad.safetensors"], "--spec SPEC"),
        (&["limit", "bad.safetensors", "--spec", "spec.toml"], "--out"),
        (&["limit", "bad.safetensors", "--spec", "spec.toml", "--out", "o"], "bad.safetensors"),
        (&["limit", "here", "--method", "shortcut"], "short-cut"),
    ] {
        let err = place.ends(2, call).err;
        assert!(err.contains(hint), "{hint} in {err}");
    }
}

#[test]
fn without_time_the_limit_is_not_reached_and_it_says_so() {
    let place = Place::with(RELU);
    place.ends(0, &["run", "spec.toml", "--out", "here"]);
    let out = place.ends(3, &["limit", "here", "--at", "-10", "--max-seconds", "0"]).out;
    assert!(out.contains("not reached") && out.contains("the seconds ran out"), "{out}");
    assert!(place.path("here/limit/limit.safetensors").is_file());
}
