//! `latephase exact`: the table, its filters, its exit codes, and what it leaves in a run directory.
#![allow(missing_docs)]

mod common;

use std::fs;

use common::{Place, TINY};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON value")
}

#[test]
fn the_four_points_have_their_margins_in_the_table() {
    let place = Place::with(TINY);
    let out = place.ends(0, &["exact", "spec.toml"]).out;
    for expected in ["margin_l1", "1.5000000000", "2.1213203436", "3.0000000000", "gamma(l2)"] {
        assert!(out.contains(expected), "{expected} in {out}");
    }
    let one = json(&place.ends(0, &["exact", "spec.toml", "--norm", "linf", "--json"]).out);
    let list = one["references"].as_array().expect("a list");
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["column"], "margin_linf");
    assert!(list[0]["gap"].as_f64().expect("a number") < 1e-9);
}

#[test]
fn wrong_names_end_with_code_2_and_the_nearest_right_one() {
    let place = Place::with(TINY);
    for (call, hint) in [
        (["exact", "spec.toml", "--norm", "l-inf"], "`linf`"),
        (["exact", "spec.toml", "--only", "linaer"], "`linear`"),
        (["exact", "spec.toml", "--only", "diagonal"], "does not apply"),
    ] {
        let err = place.ends(2, &call).err;
        assert!(err.contains(hint), "{err}");
    }
}

#[test]
fn data_that_nothing_separates_end_with_code_3_and_name_the_examples() {
    let place = Place::with(TINY);
    let out = place.ends(3, &["exact", "spec.toml", "data=rings", "--norm", "l2"]).out;
    assert!(out.contains("not separable") && out.contains("weight 0."), "{out}");
}

#[test]
fn a_run_is_held_against_its_optima() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "by-command"]);
    assert!(!place.path("by-command/exact.json").exists());
    place.ends(0, &["exact", "--run", "by-command"]);
    place.ends(0, &["run", "spec.toml", "exact=true", "--out", "by-spec"]);
    for dir in ["by-command", "by-spec"] {
        let text = fs::read_to_string(place.path(&format!("{dir}/exact.json"))).expect("it was written");
        let exact = json(&text);
        let margin = &exact["references"][0];
        assert_eq!(margin["column"], "margin");
        let below = margin["below"].as_f64().expect("a number");
        assert!(below > 0.0 && below < 0.1, "{below}");
        let page = fs::read_to_string(place.path(&format!("{dir}/report.html"))).expect("a page");
        assert!(
            page.contains("Against the optimum") && page.contains("\"references\":[{\"column\":\"margin\"")
        );
    }
}
