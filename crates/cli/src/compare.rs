//! `latephase compare`.

use std::path::Path;

use latephase_lab::compare::{Comparison, compare as compare_runs};
use latephase_lab::summary::{loss, plain};

use crate::exit::{Exit, Failure};
use crate::output::{aligned, say};

/// Prints two runs at equal loss.
///
/// # Errors
/// When a run cannot be read, or they pass no level in common.
pub fn compare(a: &Path, b: &Path, as_json: bool) -> Result<Exit, Failure> {
    for dir in [a, b] {
        if !dir.join("rows.csv").exists() {
            return Err(Failure::wrong(format!(
                "{} is not a run directory: it holds no rows.csv",
                dir.display()
            )));
        }
    }
    let comparison = compare_runs(a, b)?;
    let text = if as_json { comparison.json(a, b).to_string() } else { text(a, b, &comparison) };
    say(&text)?;
    Ok(Exit::Done)
}

fn text(a: &Path, b: &Path, comparison: &Comparison) -> String {
    let mut rows = vec![vec![String::new(), String::new()]];
    rows[0].extend(comparison.levels.iter().map(|&l| loss(l)));
    let is_measured = |v: &[f64]| v.iter().any(|x| !x.is_nan());
    for column in comparison.columns.iter().filter(|c| is_measured(&c.a) || is_measured(&c.b)) {
        let line = |name: &str, who: &str, values: &[f64]| {
            let is_count = column.name == "evaluations";
            let cells = values.iter().map(|&v| plain(if is_count { v.round() } else { v }));
            [name.to_owned(), who.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
        };
        rows.push(line(&column.name, "A", &column.a));
        rows.push(line("", "B", &column.b));
    }
    let mut text = format!("A  {}\nB  {}\n\nat a loss of\n{}", a.display(), b.display(), aligned(&rows));
    if !comparison.cosines.is_empty() {
        let rows: Vec<Vec<String>> =
            comparison.cosines.iter().map(|c| vec![c.file.clone(), cosine(c.value)]).collect();
        text += &format!("\ncosine between the weights\n{}", aligned(&rows));
    }
    text
}

/// Two directions that agree differ in late digits.
fn cosine(value: f64) -> String {
    if value.is_nan() { "- (other blocks)".into() } else { format!("{value:.9}") }
}
