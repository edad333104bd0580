//! A directory, the binary in it, and specs that run in a fraction of a second.
#![allow(dead_code, missing_docs)] // Each test binary uses its part of this.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// Four points and a linear model: a hundred decades in a few hundred steps.
pub const TINY: &str = r#"
data = "four-points"
model = "linear"
loss = "logistic"
probes = ["margin"]
stop = { log10_loss = -100 }
[algorithm]
kind = "stepped"
descent = { kind = "steepest", norm = "l2" }
pace = { kind = "unit-decrease", eta = 0.5 }
"#;

/// Steps without end but for the budget, each of them cheap: a run that can be killed at any moment.
pub const LONG: &str = r#"
data = { kind = "gaussian-margin", n = 40, dim = 5, margin = 0.3, seed = 3 }
model = { kind = "mlp", widths = [12], activation = { kind = "relu-power", p = 2.0 } }
loss = "logistic"
seed = 5
probes = ["margin", "alignment", "direction"]
keep = { log10_loss = [-10, -100] }
look = { every = 20000 }
stop = { steps = 250000 }
[algorithm]
kind = "stepped"
descent = { kind = "steepest", norm = "l2" }
pace = { kind = "unit-decrease", eta = 0.002 }
"#;

pub struct Place(TempDir);

/// What a command did.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the temporary directory can be written");
    }

    pub fn with(spec: &str) -> Place {
        let place = Place::new();
        place.write("spec.toml", spec);
        place
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latephase"));
        command.current_dir(self.0.path()).env_remove("LATEPHASE_DATA").args(arguments);
        command
    }

    /// The same as a process that can be signalled while it runs.
    pub fn process(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_latephase"));
        command.current_dir(self.0.path()).args(arguments);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().expect("the binary starts");
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs, and holds the exit code to `code`.
    #[track_caller]
    pub fn ends(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Every file under a directory with its bytes, by relative path.
    pub fn files(&self, dir: &str) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(dir: &Path, root: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    let name = path.strip_prefix(root).expect("below the root").to_owned();
                    found.push((name, fs::read(&path).expect("a file of the test")));
                }
            }
        }
        let root = self.path(dir);
        let mut found = Vec::new();
        walk(&root, &root, &mut found);
        found.sort();
        found
    }
}

/// Holds two run directories to the same bytes, in all that the spec determines.
#[track_caller]
pub fn same_bytes(place: &Place, a: &str, b: &str) {
    let mut names =
        vec!["rows.csv".to_owned(), "theta.safetensors".into(), "findings.json".into(), "spec.toml".into()];
    for (name, _) in place.files(&format!("{a}/snapshots")) {
        names.push(format!("snapshots/{}", name.display()));
    }
    for name in names {
        let read = |dir: &str| fs::read(place.path(dir).join(&name)).unwrap_or_default();
        assert!(!read(a).is_empty(), "{a}/{name} is empty or absent");
        assert!(read(a) == read(b), "{name} differs between {a} and {b}");
    }
}
