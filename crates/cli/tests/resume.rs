//! Killed, interrupted or out of disk: what comes after is what an uninterrupted run gives, byte for byte.
#![allow(missing_docs)]
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use common::{LONG, Place, TINY, same_bytes};

/// Deaths, and lives in which they have to happen. Each life is up to this many milliseconds.
const KILLS: u64 = 20;
const ATTEMPTS: u64 = 200;
const SIGKILL: i32 = 9;
const LIFE_MS: u64 = 250;

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let status = std::process::Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.is_ok_and(|s| s.success()), "kill -s {name}");
}

/// Waits until the first checkpoint is there: from then on the process is in the loop and listens.
fn wait_for_loop(place: &Place, dir: &str) {
    for _ in 0..2000 {
        let mut found = fs::read_dir(place.path(dir).join("checkpoints")).into_iter().flatten().flatten();
        if found.any(|e| e.path().extension().is_some_and(|x| x == "safetensors")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no checkpoint in 10 s");
}

#[test]
fn twenty_kills_at_random_moments_change_no_byte() {
    let place = Place::with(LONG);
    place.ends(0, &["run", "spec.toml", "--out", "whole", "--quiet"]);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
    let (mut killed, mut runs) = (0, 0);
    for _ in 0..ATTEMPTS {
        if killed == KILLS {
            break;
        }
        // xorshift: the moments only have to be scattered.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let dir = format!("killed-{runs}");
        let mut child = place.process(&go_on(&place, &dir)).spawn().expect("the binary starts");
        std::thread::sleep(Duration::from_millis(seed % LIFE_MS));
        child.kill().expect("a child");
        let status = child.wait().expect("a child");
        if status.signal() == Some(SIGKILL) {
            killed += 1;
            continue;
        }
        // It came to its end before the signal: however fast the machine, the kills go on in another directory.
        assert_eq!(status.code(), Some(0), "{dir} failed");
        same_bytes(&place, "whole", &dir);
        runs += 1;
    }
    assert_eq!(killed, KILLS, "lives cut short in {ATTEMPTS}");
    let dir = format!("killed-{runs}");
    let call = go_on(&place, &dir);
    place.ends(0, &call);
    same_bytes(&place, "whole", &dir);
}

/// The call that goes on with a directory, or begins it where nothing stands yet.
fn go_on<'a>(place: &Place, dir: &'a str) -> Vec<&'a str> {
    let rest = ["--quiet", "--checkpoint-seconds", "0.005"];
    let call = match place.path(dir).join("spec.toml").exists() {
        true => vec!["resume", dir],
        false => vec!["run", "spec.toml", "--out", dir],
    };
    [call, rest.to_vec()].concat()
}

#[test]
fn a_signal_ends_the_run_with_130_and_everything_saved() {
    let place = Place::with(LONG);
    place.ends(0, &["run", "spec.toml", "--out", "whole", "--quiet"]);
    for (name, dir) in [("INT", "int"), ("TERM", "term")] {
        let mut child =
            place.process(&["run", "spec.toml", "--out", dir, "--quiet"]).spawn().expect("it starts");
        wait_for_loop(&place, dir);
        signal(&child, name);
        let status = child.wait().expect("a child");
        assert_eq!(status.code(), Some(130), "{name}");
        let manifest = fs::read_to_string(place.path(dir).join("manifest.json")).unwrap_or_default();
        assert!(manifest.contains("interrupted"), "{manifest}");
        place.ends(0, &["resume", dir, "--quiet"]);
        same_bytes(&place, "whole", dir);
    }
}

#[test]
fn one_thread_and_several_give_the_same_bytes() {
    let place = Place::with(&LONG.replace("n = 40", "n = 9000").replace("steps = 250000", "steps = 20"));
    for (threads, dir) in [("1", "one"), ("2", "two"), ("5", "five")] {
        place.ends(0, &["run", "spec.toml", "--threads", threads, "--out", dir, "--quiet"]);
    }
    same_bytes(&place, "one", "two");
    same_bytes(&place, "one", "five");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_4_and_with_space_the_run_goes_on() {
    let place = Place::with(TINY);
    place.ends(0, &["run", "spec.toml", "--out", "whole"]);
    place.ends(130, &["run", "spec.toml", "--out", "dir", "--max-seconds", "0"]);
    let rows = place.path("dir/rows.csv");
    fs::rename(&rows, place.path("aside")).expect("a file");
    std::os::unix::fs::symlink("/dev/full", &rows).expect("a link");
    let err = place.ends(4, &["resume", "dir"]).err;
    assert!(err.contains("rows.csv"), "{err}");
    fs::remove_file(&rows).expect("a link");
    fs::rename(place.path("aside"), &rows).expect("a file");
    place.ends(0, &["resume", "dir"]);
    same_bytes(&place, "whole", "dir");
}

/// Interrupts a run every few milliseconds until it ends, and holds it to the uninterrupted one.
#[track_caller]
fn cut_into_pieces(overrides: &[&str]) {
    let place = Place::with(&LONG.replace("steps = 250000", "steps = 1500"));
    let call = [&["run", "spec.toml", "--quiet", "--out"], &["whole"][..], overrides].concat();
    let whole = place.run(&call);
    assert!([0, 3].contains(&whole.code), "{overrides:?}: {}", whole.err);
    let call =
        [&["run", "spec.toml", "--quiet", "--out"], &["parts", "--max-seconds", "0"][..], overrides].concat();
    place.ends(130, &call);
    for seconds in ["0", "0.001", "0.002", "0.003", "0.005", "1000"] {
        place.run(&["resume", "parts", "--quiet", "--max-seconds", seconds]);
    }
    assert_eq!(
        place.run(&["run", "spec.toml", "--out", "parts"]).code,
        2,
        "the overrides are part of the spec"
    );
    same_bytes(&place, "whole", "parts");
}

#[test]
fn every_algorithm_pace_and_batch_goes_on_from_where_it_was_cut() {
    let relu = "model.activation=relu";
    cut_into_pieces(&[relu, "algorithm=bundle"]);
    cut_into_pieces(&["algorithm=flow"]);
    cut_into_pieces(&[relu, "algorithm.pace=lyu-li"]);
    cut_into_pieces(&[
        relu,
        "algorithm.pace={ kind = \"constant\", eta = 0.01 }",
        "algorithm.batch={ kind = \"fresh\", size = 7 }",
    ]);
    cut_into_pieces(&[
        "algorithm.pace={ kind = \"loss-scaled\", eta = 0.01 }",
        "algorithm.batch={ kind = \"shuffle\", size = 7 }",
    ]);
    cut_into_pieces(&[
        relu,
        "keep.log10_loss=[-1, -2, -20]",
        "algorithm=[{ kind = \"stepped\", pace = { kind = \"unit-decrease\", eta = 0.01 }, until = { log10_loss = -1 } }, { kind = \"bundle\" }]",
    ]);
}
