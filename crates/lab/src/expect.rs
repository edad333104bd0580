//! What a recipe expects of its runs, and how it compares.
//!
//! A variant that is run with several seeds is judged by the mean; an order of runs is judged seed by seed.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::measure::{Measure, Seen};
use crate::place::{Place, PlaceKeys};
use crate::seeds::Spread;
use crate::stint::read_manifest;
use crate::summary::plain;

/// The runs of one variant, one a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The variant's label.
    pub label: String,
    /// Seed and directory of every run.
    pub runs: Vec<(u64, PathBuf)>,
}

/// One expected value, or one expected order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Short id.
    pub id: String,
    /// Where the value comes from.
    pub source: String,
    /// Label of the variant; the first when absent.
    #[serde(default)]
    pub run: Option<String>,
    /// Label of the variant that it is compared with, seed by seed; the value is then of the ratio, or of the pair.
    #[serde(default)]
    pub against: Option<String>,
    /// What is measured.
    pub measure: Measure,
    /// Labels of variants whose measures fall strictly in this order, in every seed.
    #[serde(default)]
    pub order: Option<Vec<String>>,
    /// Whether an order is judged by the means over seeds, for statements about means; seed by seed otherwise.
    #[serde(default)]
    pub of_means: bool,
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
    /// The expected value; none reports without judging.
    #[serde(default)]
    pub value: Option<Value>,
    /// How near it has to be.
    #[serde(default)]
    pub tolerance: Tolerance,
    /// Left out under `--quick`.
    #[serde(default)]
    pub full_only: bool,
}

/// A number, or the name of one that the data source knows exactly.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(f64),
    /// `margin_l1`, `margin_l2`, `margin_linf`, `margin_nc`, `margin_global/2` or `margin_global_lower`.
    Truth(String),
}

/// How near a value has to be; nothing set judges nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// |ours/expected − 1| at most this.
    pub relative: Option<f64>,
    /// |ours − expected| at most this.
    pub absolute: Option<f64>,
    /// ours/expected between 1/factor and factor.
    pub factor: Option<f64>,
    /// ours at most expected times this.
    pub at_most: Option<f64>,
    /// ours at least expected times this.
    pub at_least: Option<f64>,
}

impl Tolerance {
    /// Whether ours is near enough; none where nothing is set.
    fn admits(&self, ours: f64, expected: f64) -> Option<bool> {
        let ratio = ours / expected;
        let judged = [
            self.relative.map(|r| (ratio - 1.0).abs() <= r),
            self.absolute.map(|a| (ours - expected).abs() <= a),
            self.factor.map(|f| ratio >= 1.0 / f && ratio <= f),
            self.at_most.map(|f| ours <= expected * f),
            self.at_least.map(|f| ours >= expected * f),
        ];
        let judged: Vec<bool> = judged.into_iter().flatten().collect();
        (!judged.is_empty()).then(|| judged.iter().all(|held| *held))
    }

    fn check(&self) -> Result<(), String> {
        let set = [self.relative, self.absolute, self.factor, self.at_most, self.at_least];
        if let Some(bad) = set.into_iter().flatten().find(|t| !t.is_finite()) {
            return Err(format!("tolerance: {bad} is no tolerance"));
        }
        match self.factor {
            Some(f) if f < 1.0 => {
                Err(format!("tolerance.factor = {f} admits nothing; it is 1 or more, as in `factor = 1.5`"))
            }
            _ => Ok(()),
        }
    }
}

/// Expected against found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Short id.
    pub id: String,
    /// Where the expected value comes from.
    pub source: String,
    /// The expected value, as text.
    pub paper: String,
    /// Ours, as text: the mean, ± the standard deviation over seeds where there are several.
    pub ours: String,
    /// ours/expected, as text; for an order, in how many seeds it holds.
    pub ratio: String,
    /// The 95 % interval of the mean, as text; empty for a single run.
    pub interval: String,
    /// Whether it held; none where nothing is judged or ours is not known in every seed.
    pub held: Option<bool>,
    /// The labels that were measured, with a value for each seed.
    pub values: Vec<(String, Vec<f64>)>,
    /// The expected number; NaN where there is none.
    pub expected: f64,
}

impl Expect {
    /// Where it reads.
    ///
    /// # Errors
    /// Marks that exclude each other.
    pub fn place(&self) -> Result<Place, String> {
        let Expect { at, at_step, at_epoch, hold, .. } = *self;
        PlaceKeys { at, at_step, at_epoch, hold }.place()
    }

    /// What is wrong with it, given the labels of the recipe's runs.
    ///
    /// # Errors
    /// Unknown labels and settings that exclude each other.
    pub fn check(&self, labels: &[&str]) -> Result<(), String> {
        let named = self.run.iter().chain(&self.against).chain(self.order.iter().flatten());
        if let Some(unknown) = named.into_iter().find(|l| !labels.contains(&l.as_str())) {
            let choices = crate::spec::choices(unknown, labels);
            return Err(format!("the recipe has no run `{unknown}`{choices}"));
        }
        let part = self.measure.part();
        part.check()?;
        self.tolerance.check()?;
        let place = self.place()?;
        if place != Place::default() && !part.has_place() {
            return Err("this measure is of a whole run; leave out `at`, `at_step` and `at_epoch`".into());
        }
        if part.needs_two() && self.against.is_none() {
            return Err("this measure is of two runs; name the other one with `against`".into());
        }
        let Some(order) = &self.order else {
            let text = "`of_means` says how an order is judged; a value is judged by its mean anyway";
            return if self.of_means { Err(text.into()) } else { Ok(()) };
        };
        let judged = self.tolerance.admits(1.0, 1.0).is_some();
        if self.run.is_some() || self.against.is_some() || self.value.is_some() || judged {
            return Err(
                "an order is judged by itself; leave out `run`, `against`, `value` and `tolerance`".into()
            );
        }
        if order.len() < 2 || order.iter().enumerate().any(|(k, l)| order[..k].contains(l)) {
            return Err("an order names two or more runs, each once, the largest first".into());
        }
        Ok(())
    }
}

/// Compares one expectation with the runs.
///
/// # Errors
/// When a run's files cannot be read, or the recipe names a run that it does not have.
pub fn compare(expect: &Expect, groups: &[Group]) -> Result<Compared, Error> {
    let place = expect.place().map_err(|text| Error::usage(format!("{}: {text}", expect.id)))?;
    let find = |label: &str| {
        let found = groups.iter().find(|g| g.label == label);
        found.ok_or_else(|| Error::usage(format!("{}: the recipe has no run `{label}`", expect.id)))
    };
    if let Some(order) = &expect.order {
        let mut values = Vec::new();
        for label in order {
            values.push((label.clone(), measured(expect, find(label)?, None, &place)?));
        }
        return Ok(compare_order(expect, values));
    }
    let group = match (&expect.run, groups.first()) {
        (Some(label), _) => find(label)?,
        (None, Some(first)) => first,
        (None, None) => return Err(Error::usage(format!("{}: the recipe has no runs", expect.id))),
    };
    let other = expect.against.as_deref().map(find).transpose()?;
    let ours = measured(expect, group, other, &place)?;
    let expected = match &expect.value {
        None => f64::NAN,
        Some(Value::Number(v)) => *v,
        Some(Value::Truth(name)) => {
            // Each seed may have drawn data of its own, with a truth of its own.
            let truths: Result<Vec<f64>, Error> = group.runs.iter().map(|(_, d)| truth(d, name)).collect();
            Spread::of(&truths?).mean
        }
    };
    Ok(compare_value(expect, group.label.clone(), ours, expected))
}

/// The measure of every run of a group, NaN where it is not known.
fn measured(expect: &Expect, group: &Group, other: Option<&Group>, place: &Place) -> Result<Vec<f64>, Error> {
    let part = expect.measure.part();
    let mut values = Vec::new();
    for (k, (_, dir)) in group.runs.iter().enumerate() {
        let run = Seen::read(dir)?;
        values.push(match other.map(|o| o.runs.get(k)) {
            None => part.of(&run, place)?,
            Some(Some((_, dir))) => part.of_two(&run, &Seen::read(dir)?, place)?,
            Some(None) => f64::NAN,
        });
    }
    Ok(values)
}

fn compare_value(expect: &Expect, label: String, values: Vec<f64>, expected: f64) -> Compared {
    let spread = Spread::of(&values);
    let t = &expect.tolerance;
    let told = |value: f64| expect.measure.part().told(value);
    // A seed whose number is not known could have been anything.
    let is_known = spread.known == values.len() && expected.is_finite();
    let paper = match (t.at_most, t.at_least) {
        _ if expected.is_nan() => "-".into(),
        (Some(f), None) => format!("<= {}", plain(expected * f)),
        (None, Some(f)) => format!(">= {}", plain(expected * f)),
        _ => plain(expected),
    };
    Compared {
        id: expect.id.clone(),
        source: expect.source.clone(),
        paper: told(expected).unwrap_or(paper),
        ours: told(spread.mean).unwrap_or_else(|| spread_text(&spread, values.len())),
        ratio: if told(expected).is_some() { String::new() } else { plain(spread.mean / expected) },
        interval: spread.interval.map_or(String::new(), |[a, b]| format!("{} to {}", plain(a), plain(b))),
        held: if is_known { t.admits(spread.mean, expected) } else { None },
        values: vec![(label, values)],
        expected,
    }
}

/// `mean ± sd` for people, with the number of seeds where some are not known.
pub fn spread_text(spread: &Spread, of: usize) -> String {
    let mut text = plain(spread.mean);
    if spread.sd.is_finite() {
        text += &format!(" ± {}", two_digits(spread.sd));
    }
    if spread.known < of && of > 1 {
        text += &format!(" ({} of {of} known)", spread.known);
    }
    text
}

/// A deviation to two digits, which say enough.
fn two_digits(sd: f64) -> String {
    if sd == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e6).contains(&sd) {
        return format!("{sd:.1e}");
    }
    let decimals = (1.0 - sd.log10().floor()).max(0.0) as usize;
    format!("{sd:.decimals$}")
}

fn compare_order(expect: &Expect, values: Vec<(String, Vec<f64>)>) -> Compared {
    let seeds = values.iter().map(|(_, v)| v.len()).min().unwrap_or(0);
    let in_seed = |k: usize| -> Option<bool> {
        let of: Vec<f64> = values.iter().map(|(_, v)| v[k]).collect();
        of.iter().all(|v| !v.is_nan()).then(|| of.windows(2).all(|w| w[0] > w[1]))
    };
    let held: Vec<Option<bool>> = (0..seeds).map(in_seed).collect();
    let count = held.iter().filter(|h| **h == Some(true)).count();
    let names: Vec<&str> = values.iter().map(|(label, _)| label.as_str()).collect();
    let means: Vec<String> = values.iter().map(|(_, v)| plain(Spread::of(v).mean)).collect();
    Compared {
        id: expect.id.clone(),
        source: expect.source.clone(),
        paper: names.join(" > "),
        ours: means.join(", "),
        ratio: if seeds == 1 { String::new() } else { format!("{count} of {seeds} seeds") },
        held: match () {
            () if expect.of_means && !held.contains(&None) => {
                let means: Vec<f64> = values.iter().map(|(_, v)| Spread::of(v).mean).collect();
                Some(means.windows(2).all(|w| w[0] > w[1]))
            }
            () if held.contains(&Some(false)) => Some(false),
            () if held.contains(&None) || held.is_empty() => None,
            () => Some(true),
        },
        values,
        expected: f64::NAN,
        ..Compared::default()
    }
}

fn truth(dir: &Path, name: &str) -> Result<f64, Error> {
    let manifest = read_manifest(dir)?.unwrap_or_default();
    let known = &manifest["data"]["truth"];
    let value = match name {
        "margin_global/2" => known["margin_global"].as_f64().map(|g| g / 2.0),
        name => known[name].as_f64(),
    };
    value.ok_or_else(|| Error::usage(format!("the data source does not know `{name}`")))
}

#[cfg(test)]
mod tests;
