//! `latephase run`.

use std::fs;
use std::path::{Path, PathBuf};

use latephase_lab::build::default_directory;
use latephase_lab::hydra;
use latephase_lab::source::Lookup;
use latephase_lab::stint::{Options, Standing, begin, standing};
use latephase_lab::{Error, Spec};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output::say;
use crate::progress::Watch;
use crate::{input, signals, summary};

/// Runs a spec in a new directory, or shows what stands there.
///
/// # Errors
/// What is wrong with the spec or the directory, or failed during the run.
pub fn run(args: &args::Run) -> Result<Exit, Failure> {
    if args.multirun || !args.sweep.is_empty() {
        return crate::sweep::sweep(args);
    }
    if args.shard.is_some() {
        return Err(Failure::wrong("--shard is a part of a sweep; give its axes with --sweep or -m"));
    }
    let (spec, name) = input::read(&args.spec, &args.overrides)?;
    let dir = match &args.out {
        Some(dir) => dir.clone(),
        None if args.hydra => Path::new("outputs").join(now()),
        None => default_directory(&spec, &name)?,
    };
    if args.dry_run {
        let is_there = match standing(&dir, &spec)? {
            Standing::Free => "not begun",
            Standing::Finished => "finished before",
            Standing::Unfinished => "unfinished",
            Standing::Foreign(_) => "in the way of another",
        };
        say(&format!("1 run in {}, {is_there}", dir.display()))?;
        return Ok(Exit::Done);
    }
    match standing(&dir, &spec)? {
        Standing::Free => {}
        _ if args.force => {
            let aside = move_aside(&dir)?;
            eprintln!("moved {} to {}", dir.display(), aside.display());
        }
        Standing::Finished => {
            summary::print(&dir, args.stint.json)?;
            return Ok(Exit::Done);
        }
        Standing::Unfinished => {
            let dir = dir.display();
            return Err(Failure::wrong(format!(
                "{dir} holds this run, unfinished; go on with `latephase resume {dir}`, or start anew with --force, \
                 which moves it aside"
            )));
        }
        Standing::Foreign(why) => {
            return Err(Failure::wrong(format!(
                "{} is not this run's: {why}; choose another directory with --out, or use --force, which moves it \
                 aside",
                dir.display()
            )));
        }
    }
    if args.hydra {
        hydra::describe(&dir, &spec, &args.overrides, "0", "RUN")?;
    }
    if !args.stint.quiet {
        eprintln!("running in {}", dir.display());
    }
    watched(&spec, &args.stint, |options| begin(&spec, &dir, options))
}

/// `DATE/TIME` of this machine, as Hydra names directories.
pub fn now() -> PathBuf {
    chrono::Local::now().format("%Y-%m-%d/%H-%M-%S").to_string().into()
}

/// Runs or resumes under the eyes of a watcher, and prints the summary.
///
/// # Errors
/// What failed, with the code of a failure during a run.
pub fn watched(
    spec: &Spec,
    stint: &args::Stint,
    work: impl FnOnce(Options<'_>) -> Result<latephase_lab::stint::Finished, Error>,
) -> Result<Exit, Failure> {
    signals::listen()?;
    let mut watch = Watch::new(&spec.stop, stint.quiet);
    let finished = work(Options {
        threads: stint.threads.map(usize::from),
        max_seconds: stint.max_seconds,
        checkpoint_seconds: stint.checkpoint_seconds,
        stop: &signals::STOP,
        lookup: Lookup::from_env(),
        progress: &mut watch,
    });
    watch.finish();
    let finished = finished.map_err(|e| Failure::during_run(&e))?;
    summary::print(&finished.dir, stint.json)?;
    Ok(Exit::from(&finished.outcome))
}

/// Renames a directory to `DIR.old-K` with the first K that is free; nothing is ever deleted.
pub fn move_aside(dir: &Path) -> Result<PathBuf, Failure> {
    let name =
        dir.file_name().ok_or_else(|| Failure::wrong(format!("{} cannot be moved aside", dir.display())))?;
    let mut k = 1;
    let aside = loop {
        let aside = dir.with_file_name(format!("{}.old-{k}", name.to_string_lossy()));
        // A link that points nowhere is there, too.
        if fs::symlink_metadata(&aside).is_err() {
            break aside;
        }
        k += 1;
    };
    fs::rename(dir, &aside).map_err(|e| Error::io(dir, "move aside", e))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_aside_never_overwrites() -> Result<(), Box<dyn std::error::Error>> {
        let place = tempfile::tempdir()?;
        let dir = place.path().join("run");
        for k in 1..=3 {
            fs::create_dir(&dir)?;
            fs::write(dir.join("mine"), k.to_string())?;
            let aside = move_aside(&dir).map_err(|f| f.message)?;
            assert_eq!(aside, place.path().join(format!("run.old-{k}")));
            assert_eq!(fs::read_to_string(aside.join("mine"))?, k.to_string());
        }
        Ok(())
    }
}
