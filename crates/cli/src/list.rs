//! `latephase list`: what a spec can name, from the catalogues.

use clap::builder::{PossibleValue, PossibleValuesParser};
use latephase_lab::listing::{Kind, lines};

use crate::exit::{Exit, Failure};
use crate::output::{aligned, say};

/// The kinds as they are typed.
pub fn kinds() -> PossibleValuesParser {
    Kind::ALL.iter().map(|kind| PossibleValue::new(kind.name()).help(kind.about())).collect::<Vec<_>>().into()
}

/// Lists one kind with examples or by its names alone, or everything there is.
///
/// # Errors
/// When standard output cannot be written.
pub fn list(kind: Option<&str>, names: bool) -> Result<Exit, Failure> {
    match kind.and_then(Kind::named) {
        Some(kind) if names => say(&lines(kind).iter().map(|l| format!("{}\n", l.name)).collect::<String>())?,
        Some(kind) => say(&of_kind(kind))?,
        None => say(&everything())?,
    }
    Ok(Exit::Done)
}

fn everything() -> String {
    let mut text = String::new();
    for &kind in Kind::ALL {
        let rows: Vec<Vec<String>> =
            lines(kind).into_iter().map(|l| vec![format!("  {}", l.name), l.about]).collect();
        text += &format!("{}\n{}\n", kind.name(), aligned(&rows));
    }
    text + "`latephase list KIND` shows what to write for each."
}

fn of_kind(kind: Kind) -> String {
    let lines = lines(kind);
    let width = lines.iter().map(|l| l.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        text += &format!("{:width$}  {}\n{:width$}  {}\n", line.name, line.about, "", line.example);
    }
    text
}
