//! What a run's rows say about what the theory says: the columns, and the verdicts on every claim.

use std::path::Path;

use latephase_core::probe::Row;
use serde_json::{Value, json};

use crate::build::build;
use crate::claim::{self, Facts, Judged, View};
use crate::error::Error;
use crate::page;
use crate::rates::{Fitted, fit_all};
use crate::report::read_rows_csv;
use crate::source::Lookup;
use crate::spec::Spec;
use crate::stint::pretty;
use crate::store::write_whole;

/// The directory of a run's twin, in its own.
pub const TWIN: &str = "twin";

/// The rows of a run by column.
#[derive(Clone, Debug)]
pub struct Columns(pub Vec<(String, Vec<f64>)>);

impl Columns {
    /// Reads `rows.csv` of a run directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(dir: &Path) -> Result<Columns, Error> {
        let path = dir.join("rows.csv");
        read_rows_csv(&path).map(Columns).map_err(|e| Error::usage(e.to_string()))
    }

    /// Rows that all have the columns of the first.
    pub fn of_rows(rows: &[Row]) -> Columns {
        let names = rows.first().map_or(&[][..], |row| &row.cells);
        let column = |(k, (name, _)): (usize, &(String, f64))| {
            (name.clone(), rows.iter().map(|row| row.cells[k].1).collect())
        };
        Columns(names.iter().enumerate().map(column).collect())
    }

    /// One column, empty where it was not measured.
    pub fn get(&self, name: &str) -> &[f64] {
        self.0.iter().find(|(n, _)| n == name).map_or(&[], |(_, v)| v)
    }

    /// The last value of a column, NaN where there is none.
    pub fn last(&self, name: &str) -> f64 {
        self.get(name).last().copied().unwrap_or(f64::NAN)
    }
}

impl Columns {
    /// What `ln(1/L)` is called as a column.
    pub const DECAY: &'static str = "ln(1/L)";

    /// A column, or ln(1/𝓛) by the name of [`Columns::DECAY`]; empty where it was not measured.
    pub fn series(&self, name: &str) -> Vec<f64> {
        match name {
            Columns::DECAY => self.get("ln_loss").iter().map(|l| -l).collect(),
            name => self.get(name).to_vec(),
        }
    }

    /// A column where the loss first passes 10^`log10_loss`, linear in ln(1/𝓛) between looks; NaN where it never does.
    pub fn at_level(&self, name: &str, log10_loss: f64) -> f64 {
        let (loss, values) = (self.get("log10_loss"), self.get(name));
        let Some(k) = loss.iter().position(|&l| l <= log10_loss) else { return f64::NAN };
        if k == 0 || loss[k] == log10_loss {
            return values.get(k).copied().unwrap_or(f64::NAN);
        }
        let (Some(a), Some(b)) = (values.get(k - 1), values.get(k)) else { return f64::NAN };
        let part = (log10_loss - loss[k - 1]) / (loss[k] - loss[k - 1]);
        a + part * (b - a)
    }
}

/// The largest relative decrease of a column between consecutive looks from index `from` on; 0 if it never falls, NaN
/// with fewer than two values.
pub fn largest_relative_decrease(values: &[f64], from: usize) -> f64 {
    let late: Vec<f64> = values.iter().skip(from).copied().filter(|v| v.is_finite()).collect();
    if late.len() < 2 {
        return f64::NAN;
    }
    late.windows(2).map(|w| (w[0] - w[1]) / w[0].abs()).fold(0.0, f64::max)
}

/// The first look at which ln 𝓛_sum is below the loss's threshold: the data are separated from there on.
pub fn separation(columns: &Columns, spec: &Spec) -> Option<usize> {
    let threshold = spec.loss.build().ln_threshold();
    columns.get("ln_loss_sum").iter().position(|&l| l < threshold)
}

/// The rows of a run directory, and those of its [twin](crate::claim::twin) where it has one.
fn record(dir: &Path) -> Result<(Columns, Option<Columns>), Error> {
    let twin = dir.join(TWIN);
    let twin = if twin.join("rows.csv").exists() { Some(Columns::read(&twin)?) } else { None };
    Ok((Columns::read(dir)?, twin))
}

/// What one claim, of the catalogue or of one's own, makes of a run directory.
///
/// # Errors
/// When its rows cannot be read.
pub fn of_one<'a>(dir: &Path, facts: Facts, claim: &'a dyn claim::Claim) -> Result<Judged<'a>, Error> {
    let (rows, twin) = record(dir)?;
    let facts = facts.with_record(&rows);
    Ok(claim::judge_one(claim, &View { facts: &facts, rows: &rows, twin: twin.as_ref() }))
}

/// The findings of a run directory: every claim with its verdict, the rates of its end, and the exact margin where the data
/// source knows it. Where the run has a [twin](crate::claim::twin) in the directory, the claims about the flow are decided with
/// it.
///
/// # Errors
/// When its rows cannot be read.
pub fn of(dir: &Path, facts: Facts) -> Result<Value, Error> {
    let (rows, twin) = record(dir)?;
    let facts = facts.with_record(&rows);
    let view = View { facts: &facts, rows: &rows, twin: twin.as_ref() };
    let judged = claim::judge_all(&view);
    let mut findings = json!({
        "tally": claim::tally(&judged),
        "twin": twin.is_some(),
        "claims": judged.iter().map(Judged::json).collect::<Vec<_>>(),
        "rates": fit_all(&view).iter().map(Fitted::json).collect::<Vec<_>>(),
    });
    if let Some(best) = facts.truth.as_ref().and_then(|t| t.margin_l2) {
        let margin = rows.last("margin");
        findings["linear_margin"] = json!({ "exact": best, "margin": margin.is_finite().then_some(margin) });
    }
    Ok(findings)
}

/// Judges a run directory anew, and writes its `findings.json` and its page.
///
/// # Errors
/// When the problem cannot be built, or a file cannot be read or written.
pub fn refresh(dir: &Path, spec: &Spec, lookup: &Lookup) -> Result<Value, Error> {
    let built = build(spec, lookup).map_err(|e| spec.locate(e))?;
    let findings = of(dir, Facts::of_built(spec, &built))?;
    write_whole(&dir.join("findings.json"), &pretty(&findings))?;
    write_whole(&dir.join("report.html"), page::of_run(dir, &built.run.problem)?.as_bytes())?;
    Ok(findings)
}

/// What stands in the `findings.json` of a run directory; null where it has none.
pub fn read(dir: &Path) -> Value {
    let text = std::fs::read_to_string(dir.join("findings.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// One list of the findings, empty where they have none: `claims` or `rates`.
pub fn listed<'a>(findings: &'a Value, key: &str) -> &'a [Value] {
    findings[key].as_array().map_or(&[], Vec::as_slice)
}
