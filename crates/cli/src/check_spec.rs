//! `latephase check-spec`.

use latephase_lab::build::build;
use latephase_lab::source::Lookup;

use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::{aligned, say};

/// Parses the spec, loads its data and builds the run, without a step; prints what came of it.
///
/// # Errors
/// What is wrong with the spec or the data.
pub fn check_spec(what: &str, overrides: &[String]) -> Result<Exit, Failure> {
    let (spec, _) = input::read(what, overrides)?;
    let built = build(&spec, &Lookup::from_env()).map_err(|e| spec.locate(e))?;
    let problem = &built.run.problem;
    let test = problem.test.as_ref().map_or_else(|| "none".into(), |t| t.n().to_string());
    let mut rows = vec![
        ("examples", problem.train.n().to_string()),
        ("test examples", test),
        ("numbers in an input", problem.train.dim().to_string()),
        ("classes", problem.train.classes.join(", ")),
        ("parameters", problem.dim().to_string()),
        ("degree of the model", problem.model.degree().to_string()),
        ("hash", spec.hash8()?),
    ];
    rows.extend(built.files.iter().map(|f| ("file", format!("{} (SHA-256 {})", f.path, f.sha256))));
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(label, value)| vec![label.to_owned(), value]).collect();
    say(&format!("{}\n{}", spec.resolved_toml()?, commented(&aligned(&rows))))?;
    Ok(Exit::Done)
}

/// As comments, so that the whole output is a spec again.
fn commented(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}
