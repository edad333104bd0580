//! One table of all runs, for pandas, polars, R and spreadsheets.

use std::path::PathBuf;

use super::{File, Format, Record};
use crate::error::Error;
use crate::store::number;

/// A line for every look: `run`, then every column that one of the runs has. What was not measured is an empty cell.
pub(super) struct Wide;

/// A line for every number: `run`, `step`, `column`, `value`. What was not measured has no line.
pub(super) struct Long;

impl Format for Wide {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "one table, a line for every look, with the run's name"
    }

    fn opened(&self, out: &str) -> String {
        format!("pandas.read_csv({out:?})")
    }

    fn place(&self, _: &[Record]) -> PathBuf {
        "runs.csv".into()
    }

    fn files(&self, runs: &[Record]) -> Result<Vec<File>, Error> {
        let names = union(runs);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head = std::iter::once("run").chain(names.iter().map(String::as_str));
        writer.write_record(head).map_err(broken)?;
        for run in runs {
            for row in 0..run.rows() {
                let cells = names.iter().map(|name| run.cell(name, row));
                let line = std::iter::once(run.name.clone()).chain(cells);
                writer.write_record(line).map_err(broken)?;
            }
        }
        whole(writer)
    }
}

impl Format for Long {
    fn name(&self) -> &'static str {
        "csv-long"
    }

    fn about(&self) -> &'static str {
        "one table, a line for every number: run, step, column, value"
    }

    fn opened(&self, out: &str) -> String {
        format!("pandas.read_csv({out:?})")
    }

    fn place(&self, _: &[Record]) -> PathBuf {
        "runs-long.csv".into()
    }

    fn files(&self, runs: &[Record]) -> Result<Vec<File>, Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["run", "step", "column", "value"]).map_err(broken)?;
        for run in runs {
            for row in 0..run.rows() {
                let step = number(run.step(row));
                for (name, values) in run.columns.0.iter().filter(|(name, _)| name != "step") {
                    if !values[row].is_nan() {
                        let line = [run.name.as_str(), &step, name, &number(values[row])];
                        writer.write_record(line).map_err(broken)?;
                    }
                }
            }
        }
        whole(writer)
    }
}

/// Every column that one of the runs has, in the order of the first that has it.
pub(super) fn union(runs: &[Record]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in runs.iter().flat_map(|run| &run.columns.0) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// What a table in memory cannot fail with, said all the same.
pub(super) fn broken(error: csv::Error) -> Error {
    Error::usage(format!("the table cannot be written: {error}"))
}

fn whole(writer: csv::Writer<Vec<u8>>) -> Result<Vec<File>, Error> {
    let bytes = writer.into_inner().map_err(|e| broken(e.into_error().into()))?;
    Ok(vec![(PathBuf::new(), bytes)])
}
