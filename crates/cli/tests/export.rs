//! `latephase export`: what stands on the disk, and what is said about it.
#![allow(missing_docs)]

mod common;

use std::fs;

use common::{Place, TINY};

#[test]
fn an_export_says_where_it_is_and_how_it_is_opened() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "dir", "--quiet"]);
    let out = place.ends(0, &["export", "dir", "--to", "tensorboard"]).out;
    assert!(out.contains("tensorboard --logdir tensorboard"), "{out}");
    assert!(place.path("tensorboard/dir/events.out.tfevents.0.latephase").is_file());
    let err = place.ends(2, &["export", "dir", "--to", "tensorboard"]).err;
    assert!(err.contains("--force"), "{err}");
    place.ends(0, &["export", "dir", "--to", "tensorboard", "--force"]);
    place.ends(0, &["export", "dir", "--to", "npz"]);
    assert!(place.path("dir.npz").is_file());
}

#[test]
fn a_sweep_is_exported_as_all_its_runs() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--sweep", "seed=0..3", "--out", "sweep", "--quiet"]);
    place.ends(0, &["export", "sweep", "--to", "csv", "--out", "all.csv"]);
    let text = fs::read_to_string(place.path("all.csv")).unwrap_or_default();
    for seed in 0..3 {
        assert!(text.lines().any(|line| line.starts_with(&format!("seed={seed}-"))), "{text}");
    }
}

#[test]
fn a_format_and_a_directory_that_are_none_are_named() {
    let place = Place::with(TINY);
    let err = place.ends(2, &["export", ".", "--to", "numpy"]).err;
    assert!(err.contains("numpy") && err.contains("npz"), "{err}");
    let err = place.ends(2, &["export", ".", "--to", "csv"]).err;
    assert!(err.contains("no run directory"), "{err}");
}
