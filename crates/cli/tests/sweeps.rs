//! Sweeps as Hydra's users write them, in parts, and put together.
#![allow(missing_docs)]

mod common;

use std::fs;

use common::{Place, TINY};

#[test]
fn a_multirun_is_the_sweep_of_what_has_several_values() {
    let place = Place::with(TINY);
    let asked = ["seed=range(0,2)", "algorithm.pace.eta=choice(0.5,0.25)", "stop.log10_loss=-20"];
    let m = [&["run", "spec.toml", "--out", "a", "--quiet", "-m"], asked.as_slice()].concat();
    place.ends(0, &m);
    let sweep = [
        "run",
        "spec.toml",
        asked[2],
        "--out",
        "b",
        "--quiet",
        "--sweep",
        "seed=0..2",
        "algorithm.pace.eta=0.5,0.25",
    ];
    place.ends(0, &sweep);
    let read = |dir: &str| fs::read_to_string(place.path(dir).join("sweep.csv")).unwrap_or_default();
    assert!(read("a").lines().count() == 5 && read("a") == read("b"));
    let err = place.ends(2, &["run", "spec.toml", "-m", "seed=glob(*)"]).err;
    assert!(err.contains("glob(") && err.contains("range(0,8)"), "{err}");
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let place = Place::with(TINY);
    let dry = ["run", "spec.toml", "--out", "s", "--dry-run", "--sweep", "seed=0..3"];
    let out = place.ends(0, &dry).out;
    assert!(out.starts_with("3 runs in s\n  seed = 0, 1, 2\n") && out.contains("not begun"), "{out}");
    assert!(!place.path("s").exists());
    place.ends(0, &["run", "spec.toml", "--out", "s", "--quiet", "--shard", "1/3", "--sweep", "seed=0..3"]);
    let out = place.ends(0, &dry).out;
    assert!(out.starts_with("3 runs in s, 1 of them finished"), "{out}");
    let json = place.ends(0, &[dry.as_slice(), &["--json"]].concat()).out;
    assert!(json.contains("\"axes\":{\"seed\":[\"0\",\"1\",\"2\"]}"), "{json}");
    let one = place.ends(0, &["run", "spec.toml", "--dry-run"]).out;
    assert!(one.starts_with("1 run in runs") && !place.path("runs").exists(), "{one}");
}

#[test]
fn shards_that_run_at_once_merge_to_the_sweep() {
    let place = Place::with(TINY);
    let axes = ["--sweep", "seed=0..3", "algorithm.pace.eta=0.5,0.25"];
    let start = |shard: &str| {
        let run = ["run", "spec.toml", "--out", "parts", "--quiet", "--shard", shard];
        place.process(&[run.as_slice(), &axes].concat()).spawn().expect("the binary starts")
    };
    let jobs: Vec<_> = ["1/2", "2/2"].map(start).into();
    for mut job in jobs {
        assert!(job.wait().is_ok_and(|status| status.success()));
    }
    assert!(!place.path("parts/sweep.csv").exists(), "a part does not speak for the whole");
    place.ends(0, &["merge", "parts"]);
    place.ends(0, &[["run", "spec.toml", "--out", "whole", "--quiet"].as_slice(), &axes].concat());
    for name in ["sweep.csv", "sweep_seeds.csv", "sweep.toml", "plan.toml"] {
        let read = |dir: &str| fs::read(place.path(dir).join(name)).unwrap_or_default();
        assert!(!read("parts").is_empty() && read("parts") == read("whole"), "{name}");
    }
}

#[test]
fn a_merge_of_half_a_sweep_says_what_is_left_and_resume_does_it() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "s", "--quiet", "--shard", "1/2", "--sweep", "seed=0..2"]);
    let err = place.ends(130, &["merge", "s"]).err;
    assert!(err.contains("1 of 2 runs") && err.contains("latephase resume s"), "{err}");
    place.ends(0, &["resume", "s", "--quiet"]);
    place.ends(0, &["merge", "s"]);
    let err = place.ends(2, &["merge", "."]).err;
    assert!(err.contains("plan.toml"), "{err}");
}

#[test]
fn hydras_layout_has_numbers_and_settings() {
    let place = Place::with(TINY);
    let run =
        ["run", "spec.toml", "-m", "seed=0,1", "stop.log10_loss=-20", "--hydra", "--out", "h", "--quiet"];
    place.ends(0, &run);
    let read = |name: &str| fs::read_to_string(place.path("h").join(name)).unwrap_or_default();
    assert_eq!(read("1/.hydra/overrides.yaml"), "- \"stop.log10_loss=-20\"\n- \"seed=1\"\n");
    assert!(read("1/.hydra/config.yaml").contains("\nseed: 1\n"), "{}", read("1/.hydra/config.yaml"));
    assert!(read("1/.hydra/hydra.yaml").contains("mode: \"MULTIRUN\""));
    assert!(read("multirun.yaml").contains("task: [\"stop.log10_loss=-20\", \"seed=0,1\"]"));
    place.ends(0, &run);
    let dated = ["run", "spec.toml", "seed=4", "--hydra", "--quiet"];
    place.ends(0, &dated);
    let day = fs::read_dir(place.path("outputs")).expect("outputs").flatten().next().expect("a day").path();
    let time = fs::read_dir(day).expect("a day").flatten().next().expect("a time").path();
    assert!(time.join(".hydra/overrides.yaml").is_file() && time.join("report.html").is_file());
    let err = place.ends(2, &["run", "spec.toml", "-m", "seed=0,1", "--hydra", "--shard", "1/2"]).err;
    assert!(err.contains("--out"), "{err}");
}
