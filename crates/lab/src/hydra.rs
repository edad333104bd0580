//! The layout that Hydra's users expect of a sweep: numbered directories with `.hydra/{config,overrides,hydra}.yaml`, and one
//! `multirun.yaml` beside them.
//!
//! The date in `multirun/DATE/TIME` is the caller's: nothing here reads a clock.

use std::path::Path;

use serde_json::json;

use crate::error::Error;
use crate::spec::Spec;
use crate::store::write_shared;
use crate::sweep::{Asked, Member};
use crate::yaml;

/// The directory of Hydra's settings, in that of a run.
pub const FOLDER: &str = ".hydra";

/// Writes the settings of a sweep's run beside it.
///
/// # Errors
/// When they cannot be written.
pub fn settle(member: &Member) -> Result<(), Error> {
    let number = member.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    describe(&member.dir, &member.spec, &member.overrides, &number, "MULTIRUN")
}

/// Writes the settings of a run beside it: `overrides` are what was asked of it, `number` its place in a sweep.
///
/// # Errors
/// When they cannot be written.
pub fn describe(
    dir: &Path,
    spec: &Spec,
    overrides: &[String],
    number: &str,
    mode: &str,
) -> Result<(), Error> {
    let folder = dir.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "make the directory", e))?;
    let job = json!({ "name": "latephase", "num": number, "override_dirname": overrides.join(",") });
    let hydra = section(job, overrides, mode, &dir.display().to_string())?;
    for (name, text) in [
        ("config.yaml", yaml::text(&toml::Value::Table(spec.resolved_table()?))),
        ("overrides.yaml", list(overrides)),
        ("hydra.yaml", hydra),
    ] {
        write_shared(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// `multirun.yaml`: what was asked of the whole sweep, and the spec that its runs share.
///
/// # Errors
/// When the spec is no TOML.
pub fn multirun(asked: &Asked) -> Result<String, Error> {
    let task: Vec<String> = asked.overrides.iter().chain(&asked.axes).cloned().collect();
    let hydra = section(json!({ "name": asked.name }), &task, "MULTIRUN", ".")?;
    let shared = Spec::parse(&asked.spec, &asked.name, &asked.overrides)?;
    Ok(hydra + &yaml::text(&toml::Value::Table(shared.resolved_table()?)))
}

fn section(job: serde_json::Value, task: &[String], mode: &str, output_dir: &str) -> Result<String, Error> {
    let all = json!({ "hydra": {
        "mode": mode,
        "job": job,
        "overrides": { "hydra": [], "task": task },
        "runtime": { "output_dir": output_dir, "version": concat!("latephase ", env!("CARGO_PKG_VERSION")) },
    }});
    let value = toml::Value::try_from(all).map_err(|e| Error::usage(format!("hydra.yaml: {e}")))?;
    Ok(yaml::text(&value))
}

/// A list of texts, one a line.
fn list(items: &[String]) -> String {
    match items {
        [] => "[]\n".into(),
        _ => items.iter().map(|item| format!("- {}\n", serde_json::Value::from(item.as_str()))).collect(),
    }
}
