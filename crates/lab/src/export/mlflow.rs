//! An MLflow store in sqlite.
//!
//! The tables of that store belong to MLflow: each of its versions migrates them, and refuses a store whose migrations it does not
//! know. So MLflow itself writes it: a script in this binary, run by a Python that has MLflow, reads the runs as JSON on its
//! standard input and logs them through MLflow's own client.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::record::text;
use super::{File, Format, Options, Record};
use crate::error::Error;

/// A run for each run, with its settings as parameters, its columns as metrics and its spec and findings as artifacts.
pub(super) struct MlFlow;

const SCRIPT: &str = include_str!("mlflow.py");
/// The exit code by which the script says that there is no MLflow.
const NO_MLFLOW: i32 = 64;

impl Format for MlFlow {
    fn name(&self) -> &'static str {
        "mlflow"
    }

    fn about(&self) -> &'static str {
        "MLflow's sqlite store, written by MLflow itself: needs a Python that has it"
    }

    fn opened(&self, out: &str) -> String {
        format!("mlflow ui --backend-store-uri sqlite:///{out}")
    }

    fn place(&self, _: &[Record]) -> PathBuf {
        "mlflow.db".into()
    }

    fn files(&self, _: &[Record]) -> Result<Vec<File>, Error> {
        Ok(Vec::new())
    }

    /// Adds the runs to the store, which is made where there is none. A run that is in it already is left out, or with
    /// [`Options::force`] logged again.
    fn write(&self, runs: &[Record], out: &Path, options: &Options) -> Result<(), Error> {
        let python = options.python.clone().unwrap_or_else(|| "python3".into());
        let job = json!({ "store": out, "again": options.force, "runs": described(runs)? });
        let missing = |why: &str| {
            Error::usage(format!(
                "MLflow's store is written by MLflow itself, and {} {why}; `pip install mlflow`, or name a Python that \
                 has it with --python",
                python.display()
            ))
        };
        let start = Command::new(&python)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = start.map_err(|e| missing(&format!("does not start ({e})")))?;
        if let Some(mut input) = child.stdin.take() {
            // A script that ends early says why itself.
            input.write_all(job.to_string().as_bytes()).ok();
        }
        let ended = child.wait_with_output().map_err(|e| Error::io(&python, "wait for", e))?;
        match ended.status.code() {
            Some(0) => Ok(()),
            Some(NO_MLFLOW) => Err(missing("has none")),
            _ => {
                let said = String::from_utf8_lossy(&ended.stderr);
                let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
                Err(Error::usage(format!("MLflow did not take the runs: {last}")))
            }
        }
    }
}

/// The runs as the script reads them; a number that is not measured or not finite is left out, which JSON cannot hold.
fn described(runs: &[Record]) -> Result<Vec<Value>, Error> {
    let of = |run: &Record| {
        let steps: Vec<i64> = (0..run.rows()).map(|row| run.step(row) as i64).collect();
        let columns: serde_json::Map<String, Value> =
            run.columns.0.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
        let settings: serde_json::Map<String, Value> =
            run.settings.iter().map(|(key, value)| (key.clone(), text(value).into())).collect();
        Ok(json!({
            "name": run.name,
            "dir": std::fs::canonicalize(&run.dir).unwrap_or_else(|_| run.dir.clone()),
            "spec": run.spec.hash8()?,
            "outcome": run.manifest["outcome"]["kind"],
            "sentence": run.manifest["sentence"],
            "version": run.manifest["latephase"],
            "params": settings,
            "steps": steps,
            "seconds": run.seconds(),
            "columns": columns,
        }))
    };
    runs.iter().map(of).collect()
}
