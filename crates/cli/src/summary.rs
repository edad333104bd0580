//! What is said at the end of a run, for people and for programs.

use std::path::Path;

use latephase_lab::findings::{self, Columns};
use latephase_lab::stint::{read_manifest, read_spec};
use latephase_lab::summary;
use serde_json::{Map, Value, json};

use crate::exit::Failure;
use crate::output::{aligned, say};

/// Prints the summary of a run directory.
///
/// # Errors
/// When it cannot be read, or standard output cannot be written.
pub fn print(dir: &Path, as_json: bool) -> Result<(), Failure> {
    let spec = read_spec(dir)?;
    let manifest = read_manifest(dir)?.unwrap_or_default();
    let columns = Columns::read(dir)?;
    let sentence = summary::sentence(&manifest, &columns);
    if as_json {
        let mut object = object(dir, &manifest, &columns, &sentence);
        object["claims"] = json!(tally(dir));
        return say(&object.to_string());
    }
    let rows: Vec<Vec<String>> = summary::table(&columns, &spec, &manifest)
        .into_iter()
        .map(|(label, value)| vec![label, value])
        .collect();
    let report = dir.join("report.html");
    let claims = match tally(dir) {
        Some(tally) => format!("claims: {tally} (`latephase check {}`)\n", dir.display()),
        None => String::new(),
    };
    say(&format!("{}\n{sentence}\n{claims}{}", aligned(&rows), report.display()))
}

/// How many claims hold, are violated, undecided and not applicable, as the run's findings say.
fn tally(dir: &Path) -> Option<String> {
    findings::read(dir)["tally"].as_str().map(str::to_owned)
}

/// The object of `--json`; what was not measured is null.
fn object(dir: &Path, manifest: &Value, columns: &Columns, sentence: &str) -> Value {
    let last = columns.0.iter().map(|(name, values)| (name.clone(), json!(values.last())));
    json!({
        "dir": dir.display().to_string(),
        "outcome": manifest["outcome"]["kind"],
        "seconds": manifest["seconds"],
        "sentence": sentence,
        "final": last.collect::<Map<_, _>>(),
        "counts": manifest["counts"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_not_measured_is_null_in_json() {
        let columns =
            Columns(vec![("a".into(), vec![1.0, f64::NAN]), ("b".into(), vec![]), ("c".into(), vec![2.0])]);
        let object = object(Path::new("d"), &json!({"outcome": {"kind": "reached"}}), &columns, "Done.");
        assert_eq!(object["final"].to_string(), r#"{"a":null,"b":null,"c":2.0}"#);
        assert_eq!(object["outcome"], "reached");
    }
}
