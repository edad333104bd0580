//! Runs in the formats of other tools. One file and one line in [`LIST`] add a format.
//!
//! A [`Format`] turns [`Record`]s into files; it reads no clock and nothing but the run directories, so that the same runs give
//! the same bytes.
//!
//! # Examples
//! The rows of a finished run as one table:
//! ```
//! use std::sync::atomic::AtomicBool;
//! use latephase_lab::export::{Options, export, find};
//! use latephase_lab::stint::{Options as Stint, Unwatched, begin};
//! use latephase_lab::{Spec, source::Lookup};
//! let place = tempfile::tempdir()?;
//! let text = "data = \"two-points\"\nmodel = \"linear\"\nloss = \"exponential\"\n\
//!             algorithm = { kind = \"flow\", norm = \"l2\" }\nstop = { log10_loss = -5 }\n";
//! let spec = Spec::parse(text, "spec.toml", &[])?;
//! let (run, table) = (place.path().join("run"), place.path().join("rows.csv"));
//! let stop = AtomicBool::new(false);
//! let lookup = Lookup::from_env();
//! let stint = Stint { threads: None, max_seconds: None, checkpoint_seconds: 30.0, stop: &stop, lookup, progress: &mut Unwatched };
//! begin(&spec, &run, stint)?;
//! export(&[run], find("csv")?, &Options { out: Some(table.clone()), ..Options::default() })?;
//! assert!(std::fs::read_to_string(table)?.starts_with("run,"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::spec::choices;
use crate::store::write_whole;

mod csv;
mod lightning;
mod mlflow;
mod npz;
mod parquet;
mod record;
mod tensorboard;
#[cfg(test)]
mod tests;

pub use record::{Block, Record};

/// Every format, in the order in which they are shown.
pub const LIST: &[&dyn Format] = &[
    &tensorboard::TensorBoard,
    &mlflow::MlFlow,
    &csv::Wide,
    &csv::Long,
    &npz::Npz,
    &parquet::Parquet,
    &lightning::Lightning,
];

/// A file below what `--out` names; the empty path is that itself.
pub type File = (PathBuf, Vec<u8>);

/// One way to write runs down.
pub trait Format: Sync {
    /// What `--to` calls it.
    fn name(&self) -> &'static str;

    /// What it is, in one line.
    fn about(&self) -> &'static str;

    /// How the result at `out` is opened.
    fn opened(&self, out: &str) -> String;

    /// Where it goes when nobody says.
    fn place(&self, runs: &[Record]) -> PathBuf;

    /// The files.
    ///
    /// # Errors
    /// A run that the format cannot hold, or whose files cannot be read.
    fn files(&self, runs: &[Record]) -> Result<Vec<File>, Error>;

    /// Writes them; a format that another program has to write does it here.
    ///
    /// # Errors
    /// As [`Format::files`]; what stands in the way without [`Options::force`]; what cannot be written.
    fn write(&self, runs: &[Record], out: &Path, options: &Options) -> Result<(), Error> {
        let at = |name: &Path| if name.as_os_str().is_empty() { out.to_owned() } else { out.join(name) };
        let files = self.files(runs)?;
        if !options.force
            && let Some(there) = files.iter().map(|(name, _)| at(name)).find(|path| path.exists())
        {
            return Err(Error::usage(format!(
                "{} is there; choose another place with --out, or replace it with --force",
                there.display()
            )));
        }
        for (name, bytes) in files {
            let path = at(&name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|e| Error::io(parent, "make the directory", e))?;
            }
            write_whole(&path, &bytes)?;
        }
        Ok(())
    }
}

/// What the caller decides about an export.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it goes; the format's own [`Format::place`] when absent.
    pub out: Option<PathBuf>,
    /// Whether files that are there are replaced.
    pub force: bool,
    /// The Python that has MLflow; `python3` when absent. The other formats need none.
    pub python: Option<PathBuf>,
}

/// The format of this name.
///
/// # Errors
/// When there is none; names the nearest.
pub fn find(name: &str) -> Result<&'static dyn Format, Error> {
    LIST.iter().find(|f| f.name() == name).copied().ok_or_else(|| {
        let names: Vec<&str> = LIST.iter().map(|f| f.name()).collect();
        Error::usage(format!("unknown format `{name}`{}", choices(name, &names)))
    })
}

/// Exports run directories, or all runs below a directory of them (a sweep, a recipe). Returns where it went.
///
/// # Errors
/// A directory that holds no run; as [`Format::write`].
pub fn export(dirs: &[PathBuf], format: &dyn Format, options: &Options) -> Result<PathBuf, Error> {
    let runs = record::read_all(dirs)?;
    let out = options.out.clone().unwrap_or_else(|| format.place(&runs));
    format.write(&runs, &out, options)?;
    Ok(out)
}
