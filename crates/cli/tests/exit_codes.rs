//! Every exit code, by a run that ends so.
#![allow(missing_docs)]

mod common;

use common::{Place, TINY};

#[test]
fn a_run_that_reaches_its_target_is_0_and_is_not_run_again() {
    let place = Place::with(TINY);
    let first = place.ends(0, &["run", "spec.toml"]);
    assert!(first.out.contains("outcome") && first.out.contains("e-101"), "{}", first.out);
    assert!(first.out.trim_end().ends_with("report.html"), "{}", first.out);
    let before = place.files("runs");
    let again = place.ends(0, &["run", "spec.toml"]);
    assert_eq!(again.out, first.out);
    assert!(place.files("runs") == before, "a finished run was written to");
    let dir =
        first.out.trim_end().lines().last().and_then(|l| l.strip_suffix("/report.html")).unwrap_or_default();
    assert_eq!(place.ends(0, &["resume", dir]).out, first.out);
}

#[test]
fn a_budget_alone_is_a_target_and_beside_one_it_is_3() {
    let place = Place::with(TINY);
    let out = place.ends(0, &["run", "spec.toml", "stop={ steps = 5 }", "--out", "a"]).out;
    assert!(out.contains("reached"), "{out}");
    let out = place.ends(3, &["run", "spec.toml", "stop.steps=5", "--out", "b"]).out;
    assert!(out.contains("out-of-steps"), "{out}");
}

#[test]
fn a_run_that_diverges_is_3() {
    let place = Place::with(TINY);
    let wild = [
        "run",
        "spec.toml",
        "model={ kind = \"deep-linear\", widths = [4, 4, 4] }",
        "algorithm.pace={ kind = \"constant\", eta = 1e200 }",
    ];
    let out = place.ends(3, &wild).out;
    assert!(out.contains("diverged") && out.contains("smaller eta"), "{out}");
}

// Margins of -1e100 are finite, and f64 cannot rank them: that is no late phase.
#[test]
fn a_run_that_leaves_for_the_wrong_side_has_diverged_and_not_run_out_of_precision() {
    let place = Place::with(TINY);
    let wild = [
        "run",
        "spec.toml",
        "loss=exponential",
        "model={ kind = \"mlp\", widths = [8] }",
        "algorithm.descent.norm=linf",
        "algorithm.pace={ kind = \"constant\", eta = 0.1 }",
        "stop.steps=1000",
    ];
    let out = place.ends(3, &wild).out;
    assert!(out.contains("diverged") && out.contains("wrong side"), "{out}");
}

#[test]
fn what_is_wrong_with_the_call_is_2() {
    let place = Place::with(TINY);
    for call in [
        &["run"][..],
        &["run", "none.toml"],
        &["run", "spec.toml", "--threads", "0"],
        &["run", "spec.toml", "--max-seconds", "-1"],
        &["run", "spec.toml", "--bogus"],
        &["resume", "nowhere"],
        &["resume", "spec.toml"],
        &["list", "pace"],
        &["report", "nowhere"],
        &["compare", "nowhere", "neither"],
        &["cite", "nowhere"],
        &["check-spec", "."],
        &["recipe", "quickstrat"],
        &["frobnicate"],
    ] {
        let ran = place.ends(2, call);
        assert!(!ran.err.is_empty() && !ran.err.contains("panicked"), "{call:?}: {}", ran.err);
    }
    assert_eq!(place.files("."), [("spec.toml".into(), TINY.as_bytes().to_vec())]);
}

#[test]
fn a_budget_of_seconds_interrupts_with_130_and_the_run_goes_on() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "whole"]);
    let out = place.ends(130, &["run", "spec.toml", "--out", "parts", "--max-seconds", "0"]).out;
    assert!(out.contains("interrupted") && out.contains("latephase resume"), "{out}");
    let err = place.ends(2, &["run", "spec.toml", "--out", "parts"]).err;
    assert!(err.contains("latephase resume parts"), "{err}");
    place.ends(0, &["resume", "parts"]);
    common::same_bytes(&place, "whole", "parts");
}

/// A claim cannot be violated by hand; the mapping of rows to code 1 is tested beside the command.
#[test]
fn help_tells_the_exit_codes_and_every_command() {
    let place = Place::new();
    let out = place.ends(0, &["--help"]).out;
    for word in ["130", "run", "resume", "list", "report", "compare", "init", "cite", "check-spec", "recipe"]
    {
        assert!(out.contains(word), "{word} is not in\n{out}");
    }
}
