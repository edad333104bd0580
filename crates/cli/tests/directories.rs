//! Nothing of the user's is overwritten, and nothing is ever deleted.
#![allow(missing_docs)]

mod common;

use std::fs;

use common::{Place, TINY};

#[test]
fn a_foreign_directory_is_refused_and_force_moves_it_aside() {
    let place = Place::with(TINY);
    fs::create_dir(place.path("mine")).expect("a directory");
    place.write("mine/thesis.tex", "precious");
    let before = place.files("mine");
    let err = place.ends(2, &["run", "spec.toml", "--out", "mine"]).err;
    assert!(err.contains("--force") && err.contains("no spec.toml"), "{err}");
    assert!(place.files("mine") == before);
    place.ends(0, &["run", "spec.toml", "--out", "mine", "--force"]);
    assert!(place.files("mine.old-1") == before);
    assert!(place.path("mine/rows.csv").exists());
    let second = place.files("mine");
    place.ends(0, &["run", "spec.toml", "seed=9", "--out", "mine", "--force"]);
    assert!(place.files("mine.old-2") == second);
}

#[test]
fn a_run_of_another_spec_is_foreign() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "dir"]);
    let before = place.files("dir");
    let err = place.ends(2, &["run", "spec.toml", "stop.log10_loss=-50", "--out", "dir"]).err;
    assert!(err.contains("another spec"), "{err}");
    assert!(place.files("dir") == before);
}

#[test]
fn a_name_is_no_part_of_a_run() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "dir"]);
    let before = place.files("dir");
    place.ends(0, &["run", "spec.toml", "name=other", "--out", "dir"]);
    assert!(place.files("dir") == before);
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() {
    let place = Place::with(TINY);
    place.write("file", "precious");
    place.ends(2, &["run", "spec.toml", "--out", "file"]);
    assert_eq!(fs::read_to_string(place.path("file")).ok().as_deref(), Some("precious"));
}

#[test]
fn what_a_run_killed_at_its_very_beginning_leaves_is_free() {
    let place = Place::with(TINY);
    fs::create_dir_all(place.path("dir/checkpoints")).expect("a directory");
    place.write("dir/spec.partial", "data = ");
    place.ends(0, &["run", "spec.toml", "--out", "dir"]);
}

#[test]
fn a_run_killed_before_its_first_checkpoint_is_begun_again() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "whole"]);
    fs::create_dir_all(place.path("dir/checkpoints")).expect("a directory");
    fs::copy(place.path("whole/spec.toml"), place.path("dir/spec.toml")).expect("a copy");
    place.write("dir/rows.csv", "step,epo");
    place.ends(0, &["resume", "dir"]);
    common::same_bytes(&place, "whole", "dir");
}

#[test]
fn a_data_file_that_has_changed_since_ends_a_resume() {
    let place = Place::with(&TINY.replace("\"four-points\"", "{ kind = \"csv\", path = \"d.csv\" }"));
    place.write("d.csv", "a,b,label\n1,2,x\n-1,-2,y\n");
    place.ends(130, &["run", "spec.toml", "--out", "dir", "--max-seconds", "0"]);
    place.write("d.csv", "a,b,label\n1,2,x\n-1,-3,y\n");
    let err = place.ends(2, &["resume", "dir"]).err;
    assert!(err.contains("d.csv") && err.contains("SHA-256"), "{err}");
    place.write("d.csv", "a,b,label\n1,2,x\n-1,-2,y\n");
    place.ends(0, &["resume", "dir"]);
}

#[test]
fn init_writes_a_spec_that_checks_and_never_overwrites() {
    let place = Place::new();
    place.ends(0, &["init", "new.toml"]);
    place.ends(0, &["check-spec", "new.toml"]);
    place.write("new.toml", "mine");
    place.ends(2, &["init", "new.toml"]);
    assert_eq!(fs::read_to_string(place.path("new.toml")).ok().as_deref(), Some("mine"));
    let printed = place.ends(0, &["init"]).out;
    assert_eq!(place.ends(0, &["init", "-"]).out, printed);
    place.write("printed.toml", &printed);
    place.ends(0, &["check-spec", "printed.toml"]);
}

#[test]
fn a_page_of_several_runs_replaces_only_a_page() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "a"]);
    place.ends(0, &["run", "spec.toml", "seed=2", "--out", "b"]);
    place.ends(0, &["report", "a", "b"]);
    place.ends(0, &["report", "a", "b"]);
    place.write("report.html", "mine");
    let err = place.ends(2, &["report", "a", "b"]).err;
    assert!(err.contains("--out"), "{err}");
    assert_eq!(fs::read_to_string(place.path("report.html")).ok().as_deref(), Some("mine"));
    let one = fs::read(place.path("a/report.html")).expect("a report");
    place.ends(0, &["report", "a"]);
    assert!(fs::read(place.path("a/report.html")).expect("a report").len() == one.len());
}
