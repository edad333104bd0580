//! `latephase cite`.

use std::path::Path;

use latephase_lab::source::Lookup;
use latephase_lab::stint::{read_manifest, read_spec};
use latephase_lab::summary::works;

use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::say;

/// Prints the works behind a spec, a recipe or a run, and whom the data want named.
///
/// # Errors
/// When it cannot be read.
pub fn cite(what: &str) -> Result<Exit, Failure> {
    let dir = Path::new(what);
    let (spec, credit) = if dir.is_dir() {
        let credit = read_manifest(dir)?.and_then(|m| m["data"]["credit"].as_str().map(str::to_owned));
        (read_spec(dir)?, credit)
    } else {
        (input::read(what, &[])?.0, None)
    };
    let works = works(&spec, credit, &Lookup::from_env());
    say(&if works.is_empty() { "nothing to cite".into() } else { works.join("\n") })?;
    Ok(Exit::Done)
}
