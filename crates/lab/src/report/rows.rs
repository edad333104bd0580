//! `rows.csv` back into columns.

use std::path::Path;

/// A record that cannot be read, with the place and, for a bad file, what stands there.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ReportError {
    place: String,
    message: String,
    #[source]
    source: Option<csv::Error>,
}

impl ReportError {
    /// Did reading fail, rather than the content?
    pub fn is_io(&self) -> bool {
        self.source.as_ref().is_some_and(csv::Error::is_io_error)
    }
}

/// Returns the columns of a record in the order of its header; `NaN` is a number not measured.
///
/// # Errors
/// A file that cannot be opened; a line with more or fewer cells than the header; a cell that is no number
/// (`NaN`, `inf` and `-inf` are numbers). Each names file, line and, for a cell, the column.
pub fn read_rows_csv(path: &Path) -> Result<Vec<(String, Vec<f64>)>, ReportError> {
    let file = path.display().to_string();
    let broken = |e: csv::Error| {
        let place = match e.position() {
            Some(at) => format!("{file}:{}", at.line()),
            None => file.clone(),
        };
        let message = match e.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("{len} cells, but the header has {expected_len} columns; was the line cut off?")
            }
            csv::ErrorKind::Utf8 { .. } => "not valid UTF-8".to_string(),
            csv::ErrorKind::Io(io) => io.to_string(),
            _ => e.to_string(),
        };
        ReportError { place, message, source: Some(e) }
    };
    let mut reader = csv::Reader::from_path(path).map_err(broken)?;
    let header = reader.headers().map_err(broken)?;
    let mut columns: Vec<(String, Vec<f64>)> =
        header.iter().map(|name| (name.to_string(), Vec::new())).collect();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        for ((name, values), cell) in columns.iter_mut().zip(&record) {
            let value = cell.trim().parse().map_err(|_| ReportError {
                place: format!("{file}:{line}"),
                message: format!("{cell:?} in column `{name}` is not a number (a missing one is NaN)"),
                source: None,
            })?;
            values.push(value);
        }
    }
    Ok(columns)
}
