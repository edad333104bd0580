//! `refute` as it is typed: what is found is saved and can be run and checked, and mistakes are told.
#![allow(missing_docs)]

mod common;

use common::Place;

const MINE: &str = r#"
[claim]
id = "mine"
says = "sign descent never lowers the l1 margin"
[claim.when]
norm = "linf"
model = "linear"
[claim.check]
kind = "monotone"
column = "margin_l1"
tolerance = 1e-6
"#;

#[test]
fn what_refutes_a_conjecture_can_be_run_and_checked() {
    let place = Place::new();
    place.write("mine.toml", MINE);
    let ran = place.ends(1, &["refute", "mine.toml", "--out", "found", "--quiet"]);
    assert!(ran.out.contains("refuted") && ran.out.contains("latephase check found/run"), "{}", ran.out);
    place.ends(0, &["run", "found/spec.toml", "--out", "found/run", "--quiet"]);
    let ran = place.ends(1, &["check", "found/run", "--claim", "found/claim.toml"]);
    assert!(ran.out.contains("violated"), "{}", ran.out);
}

#[test]
fn a_claim_that_holds_ends_with_0_and_saves_nothing() {
    let place = Place::new();
    let ran = place.ends(0, &["refute", "lyu-li/margin-sandwich", "--budget", "1", "--json", "--quiet"]);
    assert!(ran.out.contains("\"refuted\":false"), "{}", ran.out);
    assert!(!place.path("runs").exists());
}

#[test]
fn a_name_that_is_not_there_and_a_column_that_is_not_there_are_told() {
    let place = Place::new();
    let err = place.ends(2, &["refute", "lyu-li/margin-sandwhich"]).err;
    assert!(err.contains("did you mean `lyu-li/margin-sandwich`"), "{err}");
    place.write("mine.toml", &MINE.replace("margin_l1", "margin_l9"));
    let err = place.ends(2, &["refute", "mine.toml"]).err;
    assert!(err.contains("mine.toml:10:10") && err.contains("margin_l9"), "{err}");
    assert!(err.contains("smooth_margin") && err.contains("kkt_epsilon"), "{err}");
    let err = place.ends(2, &["refute", "nowhere.toml"]).err;
    assert!(err.contains("nowhere.toml"), "{err}");
}

#[test]
fn the_list_names_conjectures_and_claims() {
    let out = Place::new().ends(0, &["refute", "--list"]).out;
    assert!(out.contains("gd-any-step-monotone") && out.contains("lyu-li/smoothed-margin-monotone"), "{out}");
}

#[test]
fn an_interrupted_search_ends_with_130() {
    let place = Place::new();
    let mut child =
        place.process(&["refute", "lyu-li/margin-sandwich", "--budget", "3000"]).spawn().expect("it starts");
    // Before it listens, a signal would end it without a code.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.is_ok_and(|s| s.success()));
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}
