//! Tables of a recipe: its variants in rows, columns of the record in columns.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::expect::{Group, spread_text};
use crate::findings::Columns;
use crate::place::{Place, PlaceKeys};
use crate::report::{ReportCell, ReportTable};
use crate::seeds::Spread;

/// What a table shows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOf {
    /// Its heading.
    pub title: String,
    /// Labels of the variants that it shows; all of them when absent.
    #[serde(default)]
    pub runs: Option<Vec<String>>,
    /// Columns of the record.
    pub columns: Vec<String>,
    /// Whether each value is also shown relative to the best of its column; not by default.
    #[serde(default)]
    pub relative: bool,
    /// Which value of a column is the best: the `largest` (default) or the `least`.
    #[serde(default)]
    pub best: Best,
    /// At this level of log10 loss; at the end when absent.
    #[serde(default)]
    pub at: Option<f64>,
    /// At this step.
    #[serde(default)]
    pub at_step: Option<f64>,
    /// At this epoch.
    #[serde(default)]
    pub at_epoch: Option<f64>,
    /// Whether a run that ended before is read at its end; it is not known otherwise.
    #[serde(default)]
    pub hold: bool,
}

/// Which value of a column is the best.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Best {
    /// The largest, as of a margin.
    #[default]
    Largest,
    /// The least, as of a residual.
    Least,
}

/// A table, filled.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// Where the values were read, in words.
    pub place: String,
    /// Columns of the record.
    pub columns: Vec<String>,
    /// Whether values are shown relative to the best of their column.
    pub relative: bool,
    /// Label of a variant, with a cell for each column.
    pub rows: Vec<(String, Vec<Cell>)>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The value in every seed; NaN where it is not known.
    pub values: Vec<f64>,
    /// Their spread.
    pub spread: Spread,
    /// The mean over the best mean of the column; NaN where either is not known.
    pub relative: f64,
    /// Whether it is the best of its column.
    pub is_best: bool,
}

impl TableOf {
    fn place(&self) -> Result<Place, String> {
        let &TableOf { at, at_step, at_epoch, hold, .. } = self;
        PlaceKeys { at, at_step, at_epoch, hold }.place()
    }

    pub(super) fn check(&self, labels: &[&str]) -> Result<(), String> {
        known(&self.runs, labels)?;
        if self.columns.is_empty() {
            return Err("a table needs `columns`, such as [\"margin\", \"test_accuracy\"]".into());
        }
        self.place().map(|_| ())
    }

    /// Fills the table from the runs.
    ///
    /// # Errors
    /// When the rows of a run cannot be read.
    pub fn fill(&self, groups: &[Group]) -> Result<Table, Error> {
        let place = self.place().map_err(|text| Error::usage(format!("{}: {text}", self.title)))?;
        let mut rows = Vec::new();
        for group in groups.iter().filter(|g| shows(&self.runs, &g.label)) {
            let runs: Result<Vec<Columns>, Error> =
                group.runs.iter().map(|(_, d)| Columns::read(d)).collect();
            let runs = runs?;
            let cell = |name: &String| {
                let values: Vec<f64> = runs.iter().map(|run| place.read(run, name)).collect();
                let spread = Spread::of(&values);
                Cell { values, spread, relative: f64::NAN, is_best: false }
            };
            rows.push((group.label.clone(), self.columns.iter().map(cell).collect()));
        }
        let mut table = Table {
            title: self.title.clone(),
            place: self.place_text(),
            columns: self.columns.clone(),
            relative: self.relative,
            rows,
        };
        table.rank(self.best);
        Ok(table)
    }

    fn place_text(&self) -> String {
        let text = match (self.at, self.at_step, self.at_epoch) {
            (Some(level), ..) => format!("where log10 of the loss passes {level}"),
            (_, Some(step), _) => format!("at step {step}"),
            (.., Some(epoch)) => format!("at epoch {epoch}"),
            _ => "at the end".into(),
        };
        if self.hold { format!("{text}, or at the end of a run that ended before") } else { text }
    }
}

/// Whether a table or figure of these runs, or of all, shows the variant.
pub(super) fn shows(runs: &Option<Vec<String>>, label: &str) -> bool {
    runs.as_ref().is_none_or(|runs| runs.iter().any(|r| r == label))
}

/// Refuses the label of a variant that there is not.
pub(super) fn known(runs: &Option<Vec<String>>, labels: &[&str]) -> Result<(), String> {
    match runs.iter().flatten().find(|r| !labels.contains(&r.as_str())) {
        None => Ok(()),
        Some(none) => {
            let labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
            Err(format!("there is no run `{none}`{}", crate::spec::choices(none, &labels)))
        }
    }
}

impl Table {
    fn rank(&mut self, best: Best) {
        for k in 0..self.columns.len() {
            let means = self.rows.iter().map(|(_, cells)| cells[k].spread.mean).filter(|m| m.is_finite());
            let top = means.reduce(|a, b| match best {
                Best::Largest => a.max(b),
                Best::Least => a.min(b),
            });
            let Some(top) = top else { continue };
            for (_, cells) in &mut self.rows {
                cells[k].relative = cells[k].spread.mean / top;
                cells[k].is_best = cells[k].spread.mean == top;
            }
        }
    }

    /// The text of a cell: `mean ± sd`, and the relative value in brackets.
    fn text(&self, cell: &Cell) -> String {
        let text = spread_text(&cell.spread, cell.values.len());
        match self.relative && cell.relative.is_finite() {
            true => format!("{text} ({})", relative_text(cell.relative)),
            false => text,
        }
    }

    /// Head and rows, as text.
    pub fn cells(&self) -> Vec<Vec<String>> {
        let head = std::iter::once(String::new()).chain(self.columns.iter().cloned());
        let mut lines = vec![head.collect::<Vec<_>>()];
        for (label, cells) in &self.rows {
            lines.push(std::iter::once(label.clone()).chain(cells.iter().map(|c| self.text(c))).collect());
        }
        lines
    }

    /// The table of the report page, the best of each column marked.
    pub fn for_report(&self) -> ReportTable {
        let relative = if self.relative { "; in brackets relative to the best of the column" } else { "" };
        let spread = if self.rows.iter().any(|(_, cells)| cells.iter().any(|c| c.values.len() > 1)) {
            "mean ± standard deviation over seeds, "
        } else {
            ""
        };
        let cell = |c: &Cell| ReportCell { text: self.text(c), is_best: c.is_best };
        ReportTable {
            title: self.title.clone(),
            note: format!("Values {spread}{}{relative}. The best of each column is set in bold.", self.place),
            columns: self.columns.clone(),
            rows: self.rows.iter().map(|(l, cells)| (l.clone(), cells.iter().map(cell).collect())).collect(),
        }
    }

    /// Everything in it, for programs; what is not known is null.
    pub fn json(&self) -> Value {
        let cell = |(name, c): (&String, &Cell)| {
            json!({ "column": name, "mean": c.spread.mean, "sd": c.spread.sd, "interval": c.spread.interval,
                    "known": c.spread.known, "relative": c.relative, "best": c.is_best, "values": c.values })
        };
        let row = |(label, cells): &(String, Vec<Cell>)| json!({ "label": label, "cells": self.columns.iter().zip(cells).map(cell).collect::<Vec<_>>() });
        json!({ "title": self.title, "place": self.place, "columns": self.columns,
                "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

/// Relative values span decades: two or three digits say enough.
fn relative_text(value: f64) -> String {
    match value.abs() {
        0.1..100.0 => format!("{value:.2}"),
        0.001..0.1 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &[&[f64]])], best: Best) -> Table {
        let cell = |values: &&[f64]| Cell {
            values: values.to_vec(),
            spread: Spread::of(values),
            relative: f64::NAN,
            is_best: false,
        };
        let rows: Vec<(String, Vec<Cell>)> =
            rows.iter().map(|(l, cells)| (l.to_string(), cells.iter().map(cell).collect())).collect();
        let columns = (0..rows[0].1.len()).map(|k| format!("c{k}")).collect();
        let mut table =
            Table { title: "t".into(), place: "at the end".into(), columns, relative: true, rows };
        table.rank(best);
        table
    }

    #[test]
    fn the_best_of_a_column_is_one_and_the_others_are_relative_to_it() {
        let table = table(
            &[("SD", &[&[40.0, 44.0], &[1.0, 3.0]]), ("GD", &[&[21.0, 21.0], &[4.0, 4.0]])],
            Best::Largest,
        );
        let relative: Vec<Vec<f64>> =
            table.rows.iter().map(|(_, cells)| cells.iter().map(|c| c.relative).collect()).collect();
        assert_eq!(relative, [[1.0, 0.5], [0.5, 1.0]]);
        let best: Vec<Vec<bool>> =
            table.rows.iter().map(|(_, cells)| cells.iter().map(|c| c.is_best).collect()).collect();
        assert_eq!(best, [[true, false], [false, true]]);
        assert_eq!(table.cells()[2][1], "21 ± 0 (0.50)");
    }

    #[test]
    fn of_residuals_the_least_is_the_best_and_what_is_not_known_is_none() {
        let table = table(&[("a", &[&[0.5], &[f64::NAN]]), ("b", &[&[0.25], &[f64::NAN]])], Best::Least);
        assert!(table.rows[1].1[0].is_best && !table.rows[0].1[0].is_best);
        assert!(!table.rows[0].1[1].is_best && table.rows[0].1[1].relative.is_nan());
        assert_eq!(table.cells()[1], ["a", "0.50000 (2.00)", "-"]);
        assert_eq!(table.json()["rows"][0]["cells"][1]["mean"], Value::Null);
    }
}
