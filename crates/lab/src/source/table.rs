//! Tables of numbers with a label column, from delimited text.

use super::SourceError;
use super::table_settings::{Column, Header};

/// How to read the text.
pub(super) struct Format {
    pub label: Column,
    pub header: Header,
    pub delimiter: u8,
}

/// The numbers, row after row, and the label of every row as it is written.
#[derive(Debug)]
pub(super) struct Table {
    pub values: Vec<f64>,
    pub dim: usize,
    pub labels: Vec<String>,
}

/// Reads a table; `file` is for messages.
pub(super) fn parse(bytes: &[u8], format: &Format, file: &str) -> Result<Table, SourceError> {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .delimiter(format.delimiter)
        .from_reader(bytes);
    let mut record = ::csv::ByteRecord::new();
    let mut table = Table { values: Vec::new(), dim: 0, labels: Vec::new() };
    let mut names: Vec<String> = Vec::new();
    let (mut columns, mut label, mut count) = (0, 0, 0usize);
    loop {
        let read = reader.read_byte_record(&mut record);
        if !read.map_err(|e| SourceError::format(file, "", e.to_string()))? {
            break;
        }
        count += 1;
        let line = record.position().map_or(0, |p| p.line());
        let place = || format!("record {count} (line {line})");
        if count == 1 {
            columns = record.len();
            label = label_column(&format.label, &record, file)?;
            if columns < 2 {
                let message = "one column only; a label and at least one input are needed \
                    (is the delimiter right?)";
                return Err(SourceError::format(file, place(), message));
            }
            table.dim = columns - 1;
            if is_header(format, &record, label) {
                names = record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
                continue;
            }
        }
        if record.len() != columns {
            let message = format!("{} columns, but the first record has {columns}", record.len());
            return Err(SourceError::format(file, place(), message));
        }
        for (column, cell) in record.iter().enumerate() {
            let here = || match names.get(column) {
                Some(name) => format!("{}, column {column} `{name}`", place()),
                None => format!("{}, column {column}", place()),
            };
            let text = std::str::from_utf8(cell)
                .map_err(|_| SourceError::format(file, here(), "the cell is not UTF-8"))?;
            if column == label {
                if text.is_empty() {
                    return Err(SourceError::format(file, here(), "the label is empty"));
                }
                table.labels.push(text.to_string());
                continue;
            }
            let value: f64 = text.parse().map_err(|_| {
                SourceError::format(file, here(), format!("`{}` is not a number", shortened(text)))
            })?;
            if !value.is_finite() {
                return Err(SourceError::format(file, here(), format!("`{text}` is not finite")));
            }
            table.values.push(value);
        }
    }
    if table.labels.is_empty() {
        return Err(SourceError::format(file, "", "there are no examples in it"));
    }
    Ok(table)
}

fn label_column(label: &Column, first: &::csv::ByteRecord, file: &str) -> Result<usize, SourceError> {
    let columns = first.len();
    match label {
        Column::First => Ok(0),
        Column::Last => Ok(columns.saturating_sub(1)),
        Column::Index(i) if *i < columns => Ok(*i),
        Column::Index(i) => {
            let message = format!("column {i} does not exist: {file} has {columns}, counted from 0");
            Err(SourceError::setting("label", message))
        }
        Column::Name(name) => {
            let mut found = (0..columns).filter(|&c| &first[c] == name.as_bytes());
            match (found.next(), found.next()) {
                (Some(column), None) => Ok(column),
                (Some(_), Some(_)) => {
                    let message = format!("two columns of {file} are called `{name}`; give a number instead");
                    Err(SourceError::setting("label", message))
                }
                (None, _) => {
                    let names: Vec<_> =
                        first.iter().take(20).map(|c| shortened(&String::from_utf8_lossy(c))).collect();
                    let message = format!(
                        "no column of {file} is called `{name}`; its first record is {}",
                        names.join(", ")
                    );
                    Err(SourceError::setting("label", message))
                }
            }
        }
    }
}

fn is_header(format: &Format, first: &::csv::ByteRecord, label: usize) -> bool {
    let is_number = |cell: &[u8]| std::str::from_utf8(cell).is_ok_and(|t| t.parse::<f64>().is_ok());
    match format.header {
        Header::Yes => true,
        Header::No => false,
        Header::Auto => {
            matches!(format.label, Column::Name(_))
                || first.iter().enumerate().all(|(column, cell)| column == label || !is_number(cell))
        }
    }
}

/// A cell short enough for a message.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
