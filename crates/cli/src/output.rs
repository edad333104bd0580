//! Standard output: tables, and what to do when nobody reads.

use std::io::{ErrorKind, Write};

use crate::exit::{Exit, Failure};

/// Writes to standard output and adds a line break where there is none.
///
/// # Errors
/// When the device refuses it. A reader that has gone away (`| head`) has seen enough, which is no error.
pub fn say(text: &str) -> Result<(), Failure> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = std::io::stdout().lock();
    let write = write!(out, "{text}{end}").and_then(|()| out.flush());
    match write {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure { message: format!("cannot write to standard output: {e}"), exit: Exit::Io })
        }
        _ => Ok(()),
    }
}

/// Columns padded to their widest cell, two spaces apart. Cells that are numbers stand to the right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |k: usize| rows.iter().filter_map(move |row| row.get(k));
    let width = |k: usize| cells(k).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_number = |c: &str| c == "-" || c.parse::<f64>().is_ok();
    // The first row may be a header.
    let right: Vec<bool> = (0..columns)
        .map(|k| k > 0 && cells(k).skip(1).any(|c| c != "-") && cells(k).skip(1).all(|c| is_number(c)))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (k, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[k] - cell.chars().count());
            let (before, after) = if right[k] { (pad.as_str(), "") } else { ("", pad.as_str()) };
            line += &format!("{before}{cell}{after}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let text = aligned(&[
            row(["norm", "margin", "outcome"]),
            row(["l2", "0.5", "reached"]),
            row(["linf", "-", "diverged"]),
        ]);
        assert_eq!(text, "norm  margin  outcome\nl2       0.5  reached\nlinf       -  diverged\n");
    }
}
