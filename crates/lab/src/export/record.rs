//! What an export knows of a run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::findings::Columns;
use crate::spec::Spec;
use crate::stint::{read_manifest, read_spec};
use crate::store::number;
use crate::store::tensors::read_blocks;

pub use crate::store::tensors::Block;

/// How deep below a directory runs are looked for: a sweep has them one below, a recipe two, Hydra's layout three.
const DEPTH: usize = 3;

/// A run, read back.
#[derive(Clone, Debug)]
pub struct Record {
    /// What tells it from the others of the export: its directory, or the path to it from a directory of runs.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Its rows by column.
    pub columns: Columns,
    /// Its spec.
    pub spec: Spec,
    /// Every setting by its dotted path, in the order of the resolved spec; lists stay values.
    pub settings: Vec<(String, toml::Value)>,
    /// Its manifest; null before it has one.
    pub manifest: serde_json::Value,
}

impl Record {
    /// Reads a run directory.
    ///
    /// # Errors
    /// When it is none, or a file cannot be read.
    pub fn read(dir: &Path, name: String) -> Result<Record, Error> {
        let spec = read_spec(dir)?;
        let mut settings = Vec::new();
        leaves("", &toml::Value::Table(spec.resolved_table()?), &mut settings);
        let columns = Columns::read(dir)?;
        let manifest = read_manifest(dir)?.unwrap_or_default();
        Ok(Record { name, dir: dir.to_owned(), columns, spec, settings, manifest })
    }

    /// Number of looks.
    pub fn rows(&self) -> usize {
        self.columns.0.first().map_or(0, |(_, values)| values.len())
    }

    /// What a column has at a look, as text; nothing for what was not measured or is no column.
    pub fn cell(&self, column: &str, row: usize) -> String {
        let known = self.columns.get(column).get(row).filter(|value| !value.is_nan());
        known.map_or_else(String::new, |value| number(*value))
    }

    /// The step of a look.
    pub fn step(&self, row: usize) -> f64 {
        self.columns.get("step").get(row).copied().unwrap_or(row as f64)
    }

    /// Seconds from the begin of the run to each look, by the manifest; 0 for what an earlier stint looked at.
    pub fn seconds(&self) -> Vec<f64> {
        let looks = self.manifest["looks"].as_array().into_iter().flatten();
        let of: HashMap<u64, f64> = looks.filter_map(|l| Some((l[0].as_u64()?, l[1].as_f64()?))).collect();
        (0..self.rows()).map(|k| of.get(&(self.step(k) as u64)).copied().unwrap_or(0.0)).collect()
    }

    /// θ at the end; empty where the run has none yet.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn theta(&self) -> Result<Vec<Block>, Error> {
        let path = self.dir.join("theta.safetensors");
        if path.exists() { blocks(&path) } else { Ok(Vec::new()) }
    }

    /// θ at the levels of loss that were kept, with the level as its file has it, from the largest loss.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn snapshots(&self) -> Result<Vec<(String, Vec<Block>)>, Error> {
        let mut levels = self.spec.keep.log10_loss.clone();
        levels.sort_by(|a, b| b.total_cmp(a));
        let mut found = Vec::new();
        for level in levels {
            let path = self.dir.join(crate::stint::snapshot_name(level));
            if path.exists() {
                found.push((number(level), blocks(&path)?));
            }
        }
        Ok(found)
    }
}

fn blocks(path: &Path) -> Result<Vec<Block>, Error> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    read_blocks(&bytes).map_err(|text| Error::content(format!("{}: {text}", path.display())))
}

fn leaves(path: &str, value: &toml::Value, out: &mut Vec<(String, toml::Value)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, v)| leaves(&below(key), v, out)),
        toml::Value::Array(list) if list.iter().any(|v| v.is_table() || v.is_array()) => {
            list.iter().enumerate().for_each(|(k, v)| leaves(&below(&k.to_string()), v, out));
        }
        leaf => out.push((path.to_owned(), leaf.clone())),
    }
}

/// The text of a setting: strings without quotes.
pub(super) fn text(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The runs of the directories, each under a name of its own.
///
/// # Errors
/// A directory without a run in or below it; a run that cannot be read.
pub(super) fn read_all(dirs: &[PathBuf]) -> Result<Vec<Record>, Error> {
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for dir in dirs {
        let mut below = Vec::new();
        walk(dir, DEPTH, &mut below)?;
        if below.is_empty() {
            return Err(Error::usage(format!(
                "{} is no run directory, nor are there any below it: no rows.csv",
                dir.display()
            )));
        }
        for path in below {
            let inside = path.strip_prefix(dir).unwrap_or(&path);
            // A run that was named itself goes by the name of its directory.
            let name = if inside.as_os_str().is_empty() { last(dir) } else { slashed(inside) };
            found.push((path, name));
        }
    }
    let is_taken = |name: &str| found.iter().filter(|(_, n)| n == name).count() > 1;
    let named = |(path, name): &(PathBuf, String)| if is_taken(name) { slashed(path) } else { name.clone() };
    found.iter().map(|run| Record::read(&run.0, named(run))).collect()
}

fn walk(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    if dir.join("rows.csv").is_file() {
        found.push(dir.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(dir).map_err(|e| Error::io(dir, "list", e))?;
    let mut inside: Vec<PathBuf> =
        entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir()).collect();
    inside.sort();
    match depth {
        0 => Ok(()),
        _ => inside.iter().try_for_each(|path| walk(path, depth - 1, found)),
    }
}

fn last(dir: &Path) -> String {
    let whole = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    whole.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned())
}

/// A path as a name: slashes on every system, nothing that leads out of a directory.
fn slashed(path: &Path) -> String {
    let part = |c: std::path::Component<'_>| match c {
        std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    };
    path.components().filter_map(part).collect::<Vec<_>>().join("/")
}
