//! `latephase cite`.

use std::path::Path;

use latephase_lab::Spec;
use latephase_lab::source::{Lookup, Source};
use latephase_lab::stint::{read_manifest, read_spec};
use latephase_lab::summary::citations;

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
    // The list of works does not need the data files to be there.
    let credit = credit.or_else(|| {
        let loaded = spec.data.load(spec.seed, &Lookup::from_env()).ok()?;
        loaded.credit.map(str::to_owned)
    });
    say(&works(&spec, credit.as_deref()))?;
    Ok(Exit::Done)
}

fn works(spec: &Spec, credit: Option<&str>) -> String {
    let mut lines: Vec<String> = citations(spec).iter().map(|c| c.text.to_owned()).collect();
    for cite in Source::about(spec.data.kind()).into_iter().flat_map(|about| about.cite) {
        if !lines.iter().any(|line| line == cite) {
            lines.push((*cite).to_owned());
        }
    }
    if let Some(credit) = credit {
        lines.push(format!("Data: {credit}"));
    }
    if lines.is_empty() { "nothing to cite".into() } else { lines.join("\n") }
}
