//! `latephase export`.

use latephase_lab::export::{self, Options};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output::say;

/// Writes runs in the format of another tool, and says how it is opened.
///
/// # Errors
/// What is wrong with the runs, or stands in the way; what cannot be written.
pub fn export(args: &args::Export) -> Result<Exit, Failure> {
    let format = export::find(args.to)?;
    let options = Options { out: args.out.clone(), force: args.force, python: args.python.clone() };
    let out = export::export(&args.runs, format, &options)?;
    say(&format!("{}\n{}", out.display(), format.opened(&out.display().to_string())))?;
    Ok(Exit::Done)
}
