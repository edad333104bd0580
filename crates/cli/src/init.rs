//! `latephase init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use latephase_lab::{Error, Spec};

use crate::exit::{Exit, Failure};
use crate::output::say;

/// Writes a commented spec to a new file, or to standard output.
///
/// # Errors
/// When the file is there already, or cannot be written.
pub fn init(file: Option<&Path>) -> Result<Exit, Failure> {
    let Some(path) = file.filter(|f| *f != Path::new("-")) else {
        say(Spec::init_text())?;
        return Ok(Exit::Done);
    };
    // One operation both checks and creates, so that nothing can come between.
    let mut made =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => {
                Failure::wrong(format!("{} is there already; choose another name", path.display()))
            }
            _ => Error::io(path, "create", e).into(),
        })?;
    made.write_all(Spec::init_text().as_bytes()).map_err(|e| Error::io(path, "write", e))?;
    say(&format!("wrote {0}; `latephase run {0}` runs it", path.display()))?;
    Ok(Exit::Done)
}
