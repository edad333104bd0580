//! `latephase resume`.

use latephase_lab::stint::{Standing, read_spec, resume as go_on, standing};
use latephase_lab::sweep::Plan;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::run::watched;
use crate::summary;

/// Goes on with a run or a sweep, or shows it when it has finished.
///
/// # Errors
/// When the directory holds no run, or what failed during it.
pub fn resume(args: &args::Resume) -> Result<Exit, Failure> {
    let dir = &args.dir;
    if dir.join("sweep.toml").is_file() {
        return crate::sweep::go(Plan::read(dir)?, &args.stint, true);
    }
    if !dir.join("spec.toml").is_file() {
        return Err(Failure::wrong(format!(
            "{} is not a run directory: it holds no spec.toml",
            dir.display()
        )));
    }
    let spec = read_spec(dir)?;
    if standing(dir, &spec)? == Standing::Finished {
        summary::print(dir, args.stint.json)?;
        return Ok(Exit::Done);
    }
    watched(&spec, &args.stint, |options| go_on(dir, options))
}
