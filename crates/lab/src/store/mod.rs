//! The run directory: rows as they come, checkpoints that are whole or absent, snapshots and θ.
//!
//! | file | what |
//! |---|---|
//! | `spec.toml` | fully resolved: running it again gives the same bytes |
//! | `rows.csv` | one line a look, flushed |
//! | `checkpoints/` | the last two, each written to a temporary file, synced and renamed |
//! | `snapshots/` | θ at the levels of loss in `keep` |
//! | `theta.safetensors` | θ at the end |
//! | `manifest.json` | version, machine, outcome, timings, counts |
//! | `findings.json`, `report.html` | what was found, and the page |
//! | `limit/` | the KKT point that it is heading for, where it has been [looked for](crate::limit) |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use latephase_core::State;
use latephase_core::probe::Row;

use crate::error::Error;

pub mod tensors;
mod weights;

/// How many checkpoints are kept.
const KEPT: usize = 2;

/// Where the lines of `rows.csv` go; a test puts a failing one in its place.
pub trait Lines: Write + Send {
    /// Makes what was written survive a loss of power.
    ///
    /// # Errors
    /// What the device says.
    fn sync(&mut self) -> io::Result<()>;
}

impl Lines for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A run directory that is being written.
pub struct Store {
    dir: PathBuf,
    rows: Box<dyn Lines>,
    /// Bytes of `rows.csv` written so far.
    length: u64,
    /// Number of the next checkpoint.
    next: u64,
    /// Whether what is written survives a loss of power.
    synced: bool,
}

impl Store {
    /// Begins a new run directory: `spec.toml` and an empty `rows.csv` with its header.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn create(dir: &Path, spec: &str, columns: &[String]) -> Result<Store, Error> {
        Store::create_as(dir, spec, columns, true)
    }

    /// The same, without waiting for the device: what is written survives the end of the process, not a loss of power.
    ///
    /// # Errors
    /// As [`create`](Store::create).
    pub fn create_briefly(dir: &Path, spec: &str, columns: &[String]) -> Result<Store, Error> {
        Store::create_as(dir, spec, columns, false)
    }

    fn create_as(dir: &Path, spec: &str, columns: &[String], synced: bool) -> Result<Store, Error> {
        for sub in ["", "checkpoints", "snapshots"] {
            let path = dir.join(sub);
            fs::create_dir_all(&path).map_err(|e| Error::io(&path, "make the directory", e))?;
        }
        write_as(&dir.join("spec.toml"), spec.as_bytes(), synced)?;
        let path = dir.join("rows.csv");
        let rows = File::create(&path).map_err(|e| Error::io(&path, "create", e))?;
        let mut store = Store { dir: dir.to_owned(), rows: Box::new(rows), length: 0, next: 0, synced };
        store.line(&columns.join(","))?;
        Ok(store)
    }

    /// Whether a run directory has a checkpoint, whole or not.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn has_checkpoints(dir: &Path) -> Result<bool, Error> {
        Ok(!checkpoints(dir)?.is_empty())
    }

    /// The newest checkpoint of a run directory, whole or not.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn last_checkpoint(dir: &Path) -> Result<Option<PathBuf>, Error> {
        Ok(checkpoints(dir)?.pop().map(|(_, path)| path))
    }

    /// Goes on with a run directory from its newest whole checkpoint; `rows.csv` is cut to that checkpoint's length.
    ///
    /// # Errors
    /// When there is no whole checkpoint, or the directory cannot be written.
    pub fn reopen(dir: &Path) -> Result<(Store, State), Error> {
        let mut complaints = Vec::new();
        for (number, path) in checkpoints(dir)?.into_iter().rev() {
            let bytes = fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
            let (state, _) = match tensors::read_state(&bytes) {
                Ok(read) => read,
                Err(text) => {
                    complaints.push(format!("{}: {text}", path.display()));
                    continue;
                }
            };
            let [length] =
                state.counters("rows").map_err(|e| Error::usage(format!("{}: {e}", path.display())))?;
            let rows_path = dir.join("rows.csv");
            let open = OpenOptions::new().append(true).open(&rows_path);
            let rows = open.map_err(|e| Error::io(&rows_path, "open", e))?;
            let there = rows.metadata().map_err(|e| Error::io(&rows_path, "look at", e))?;
            if there.is_file() && there.len() < length {
                return Err(Error::usage(format!(
                    "{} has {} bytes, fewer than the {length} of its last checkpoint: it was changed from outside",
                    rows_path.display(),
                    there.len()
                )));
            }
            if there.is_file() {
                rows.set_len(length).map_err(|e| Error::io(&rows_path, "cut to the checkpoint", e))?;
            }
            let store =
                Store { dir: dir.to_owned(), rows: Box::new(rows), length, next: number + 1, synced: true };
            return Ok((store, state));
        }
        let why = if complaints.is_empty() { "there is none".to_owned() } else { complaints.join("; ") };
        Err(Error::usage(format!("{} has no whole checkpoint to resume from: {why}", dir.display())))
    }

    /// Sends the rows elsewhere; for tests of failing devices.
    pub fn with_lines(mut self, rows: Box<dyn Lines>) -> Store {
        self.rows = rows;
        self
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one look.
    ///
    /// # Errors
    /// When the device refuses it.
    pub fn row(&mut self, row: &Row) -> Result<(), Error> {
        let cells: Vec<String> = row.cells.iter().map(|(_, value)| number(*value)).collect();
        self.line(&cells.join(","))
    }

    fn line(&mut self, text: &str) -> Result<(), Error> {
        let bytes = format!("{text}\n");
        let path = self.dir.join("rows.csv");
        let write = self.rows.write_all(bytes.as_bytes()).and_then(|()| self.rows.flush());
        write.map_err(|e| Error::io(&path, "append to", e))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Writes a checkpoint and drops all but the last two.
    ///
    /// # Errors
    /// When the device refuses it; the former checkpoints are still there then.
    pub fn checkpoint(&mut self, mut state: State) -> Result<(), Error> {
        let rows = self.dir.join("rows.csv");
        if self.synced {
            self.rows.sync().map_err(|e| Error::io(&rows, "sync", e))?;
        }
        state.put_counts("rows", &[self.length]);
        let path = self.dir.join("checkpoints").join(format!("{:08}.safetensors", self.next));
        let bytes = tensors::state_bytes(&state, "checkpoint").map_err(Error::usage)?;
        write_as(&path, &bytes, self.synced)?;
        self.next += 1;
        let all = checkpoints(&self.dir)?;
        for (_, old) in &all[..all.len().saturating_sub(KEPT)] {
            fs::remove_file(old).map_err(|e| Error::io(old, "remove", e))?;
        }
        Ok(())
    }

    /// Writes any file of the run directory, whole or not at all.
    ///
    /// # Errors
    /// When the device refuses it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_as(&self.dir.join(name), bytes, self.synced)
    }
}

/// Shortest text that reads back as the same f64; whole numbers without a point.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 && !(value == 0.0 && value.is_sign_negative()) {
        format!("{}", value as i64)
    } else {
        format!("{value:?}")
    }
}

/// Writes to a temporary file beside, syncs, renames.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_as(path, bytes, true)
}

fn write_as(path: &Path, bytes: &[u8], synced: bool) -> Result<(), Error> {
    let temporary = path.with_extension("partial");
    let write = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(|e| Error::io(path, "write", e))
}

/// The same where several processes may write the same bytes at once; does nothing where they stand there.
pub fn write_shared(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    // Threads of one process stand for processes in tests.
    let mine = format!("partial-{}-{:?}", std::process::id(), std::thread::current().id());
    let temporary = path.with_extension(mine.replace(['(', ')'], ""));
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|e| Error::io(path, "write", e))
}

fn checkpoints(dir: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let folder = dir.join("checkpoints");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(Error::io(&folder, "list", e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(&folder, "list", e))?.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
        if let (Some(number), Some("safetensors")) = (stem, path.extension().and_then(|e| e.to_str())) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}
