//! `latephase report`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use latephase_lab::page;
use latephase_lab::report::Added;
use latephase_lab::source::Lookup;
use latephase_lab::store::write_whole;

use crate::exit::{Exit, Failure};
use crate::output::say;

/// What every report page holds in its head.
const MARK: &str = "<meta name=\"generator\" content=\"latephase\">";
/// Bytes of a page in which the mark stands.
const HEAD: u64 = 4096;

/// Writes the page of one run, or of several over each other.
///
/// # Errors
/// When a run cannot be read, or the file is not a report page or cannot be written.
pub fn report(runs: &[PathBuf], out: Option<&Path>) -> Result<Exit, Failure> {
    let path = match (out, runs) {
        (Some(path), _) => path.to_owned(),
        (None, [one]) => one.join("report.html"),
        (None, _) => PathBuf::from("report.html"),
    };
    for dir in runs {
        if !dir.join("rows.csv").exists() {
            return Err(Failure::wrong(format!(
                "{} is not a run directory: it holds no rows.csv",
                dir.display()
            )));
        }
    }
    refuse_foreign(&path)?;
    let dirs: Vec<&Path> = runs.iter().map(PathBuf::as_path).collect();
    let names: Vec<String> = runs.iter().map(|d| title(d)).collect();
    let text = page::of_dirs(&names.join(", "), &dirs, &Lookup::from_env(), &Added::default())?;
    write_whole(&path, text.as_bytes())?;
    say(&path.display().to_string())?;
    Ok(Exit::Done)
}

fn title(dir: &Path) -> String {
    dir.file_name().map_or_else(|| dir.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// A page may replace a page, and nothing else.
///
/// # Errors
/// When something else is there.
pub fn refuse_foreign(path: &Path) -> Result<(), Failure> {
    let Ok(file) = File::open(path) else { return Ok(()) };
    let mut head = Vec::new();
    let read = file.take(HEAD).read_to_end(&mut head);
    if read.is_ok() && String::from_utf8_lossy(&head).contains(MARK) {
        return Ok(());
    }
    Err(Failure::wrong(format!(
        "{} is there and is no report page; choose another with --out",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use latephase_lab::report::render;

    #[test]
    fn a_report_may_be_replaced_and_anything_else_may_not() -> std::io::Result<()> {
        let place = tempfile::tempdir()?;
        let path = place.path().join("report.html");
        assert!(refuse_foreign(&path).is_ok());
        std::fs::write(&path, render("a", &[], &Added::default()))?;
        assert!(refuse_foreign(&path).is_ok());
        std::fs::write(&path, "<!doctype html><title>mine</title>")?;
        assert!(refuse_foreign(&path).is_err());
        Ok(())
    }
}
