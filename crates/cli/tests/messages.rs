//! What is wrong is said with its place and the nearest valid choice, and leaves nothing behind.
#![allow(missing_docs)]

mod common;

use common::{Place, TINY};

/// Runs a changed spec, and holds its message to contain all of `parts`.
#[track_caller]
fn complains(from: &str, to: &str, parts: &[&str]) {
    assert!(TINY.contains(from), "{from}");
    let place = Place::with(&TINY.replace(from, to));
    for command in ["run", "check-spec"] {
        let err = place.ends(2, &[command, "spec.toml"]).err;
        for part in parts {
            assert!(err.contains(part), "{command}: no {part:?} in\n{err}");
        }
    }
    assert!(!place.path("runs").exists(), "a wrong spec left a directory");
}

#[test]
fn an_unknown_key_is_shown_where_it_stands_with_the_nearest() {
    complains("stop = {", "stopp = {", &["spec.toml:6:1", "stopp", "stop"]);
    complains(
        "log10_loss = -100",
        "log_loss = -100",
        &["spec.toml:6:", "log_loss", "did you mean `log10_loss`"],
    );
}

#[test]
fn an_unknown_name_is_shown_where_it_stands_with_the_nearest() {
    complains("\"l2\"", "\"l-inf\"", &["spec.toml:9:", "l-inf", "did you mean `linf`"]);
    complains("\"logistic\"", "\"logistics\"", &["spec.toml:4:8", "did you mean `logistic`"]);
    complains("\"four-points\"", "\"four-point\"", &["spec.toml:2:8", "did you mean `four-points`"]);
}

#[test]
fn a_value_in_the_wrong_unit_is_refused() {
    complains("log10_loss = -100", "log10_loss = 100", &["spec.toml:6:", "100", "negative", "-100"]);
    complains("log10_loss = -100", "steps = -5", &["spec.toml:6:", "steps"]);
    complains("eta = 0.5", "eta = \"fast\"", &["spec.toml:10:", "eta", "fast"]);
}

#[test]
fn a_file_that_is_nowhere_is_named_with_the_places_looked_at() {
    let place = Place::with(&TINY.replace("\"four-points\"", "{ kind = \"csv\", path = \"none.csv\" }"));
    let err = place.ends(2, &["run", "spec.toml"]).err;
    assert!(err.contains("none.csv") && err.contains("looked for"), "{err}");
    assert!(!place.path("runs").exists());
}

#[test]
fn combinations_that_cannot_be_are_refused() {
    complains(
        "loss = \"logistic\"",
        "loss = \"cross-entropy\"\nkeep = { log10_loss = [5] }",
        &["log10_loss", "negative"],
    );
    let place = Place::with(TINY);
    let digits = "data={ kind = \"digits\", train = 100 }";
    for loss in ["exponential", "logistic"] {
        let err = place.ends(2, &["run", "spec.toml", digits, &format!("loss={loss}")]).err;
        assert!(err.contains("10") && err.contains("cross-entropy"), "{err}");
    }
    assert!(!place.path("runs").exists());
}

#[test]
fn text_that_is_no_toml_is_shown_where_it_breaks() {
    complains("stop = {", "stop = = {", &["spec.toml:6:8"]);
}

#[test]
fn a_wrong_override_is_named() {
    let place = Place::with(TINY);
    for (text, part) in
        [("seed", "no `=`"), ("sead=1", "did you mean `seed`"), ("stop.steps=x", "stop.steps=x")]
    {
        let err = place.ends(2, &["run", "spec.toml", text]).err;
        assert!(err.contains("override") && err.contains(part), "{err}");
    }
}

#[test]
fn an_unknown_recipe_is_answered_with_the_nearest() {
    let place = Place::new();
    for command in ["run", "recipe", "check-spec", "cite"] {
        let err = place.ends(2, &[command, "quickstrat"]).err;
        assert!(err.contains("did you mean `quickstart`"), "{err}");
    }
}
