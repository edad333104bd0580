//! What a run's rows say about what the theory says, with numbers and without a verdict where none is due.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::report::read_rows_csv;
use crate::source::Truth;
use crate::spec::Spec;

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

/// The findings of a run directory.
///
/// # Errors
/// When its rows cannot be read.
pub fn of(dir: &Path, spec: &Spec, truth: Option<&Truth>) -> Result<Value, Error> {
    let columns = Columns::read(dir)?;
    let separated = separation(&columns, spec);
    let fall = |name: &str| separated.map(|s| largest_relative_decrease(columns.get(name), s));
    let number = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or(Value::Null, |x| json!(x));
    let first_last = |name: &str| {
        let values = columns.get(name).iter().copied().filter(|v| v.is_finite());
        let all: Vec<f64> = values.collect();
        json!({ "first": number(all.first().copied()), "last": number(all.last().copied()),
                "least": number(all.iter().copied().reduce(f64::min)) })
    };
    let mut findings = vec![json!({
        "id": "lyu-li/smoothed-margin-monotone",
        "says": "gradient flow never lowers the smoothed margin after separation",
        "separated_at_step": separated.and_then(|s| columns.get("step").get(s)).map(|s| json!(s)),
        "largest_relative_decrease": number(fall("smooth_margin")),
    })];
    for name in ["kkt_epsilon", "kkt_epsilon_fit", "kkt_epsilon_bundle"] {
        findings.push(json!({ "id": "lyu-li/approx-kkt", "column": name, "values": first_last(name) }));
    }
    let identity: Vec<f64> = columns.get("euler_defect").iter().copied().filter(|v| v.is_finite()).collect();
    findings.push(json!({
        "id": "lyu-li/norm-growth",
        "says": "Euler's identity <theta, grad ln L> = -L sum w q, relative to |theta| |grad ln L|",
        "largest_defect": number(identity.into_iter().reduce(f64::max)),
    }));
    if let Some(best) = truth.and_then(|t| t.margin_l2) {
        findings.push(json!({ "id": "linear-margin", "exact_margin_l2": best,
            "margin": number(Some(columns.last("margin"))) }));
    }
    Ok(json!({ "findings": findings }))
}
