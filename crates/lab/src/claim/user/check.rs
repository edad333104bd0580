//! What a claim of one's own says of the columns of a run: the five kinds of `check`.
//!
//! A violation is a number beyond rounding and beyond `tolerance`, at a look that can be named. A statement about the
//! limit is never violated by a number that is still on its way there: it is undecided.

use std::fmt;

use latephase_core::catalogue::{quoted, settings, split_kind};
use serde::{Deserialize, Deserializer, Serialize};

use super::look::{From, Where};
use crate::findings::Columns;
use crate::line::Line;

/// A run shows that a limit is another one where ln(1/𝓛) is at least this at the end, has grown by a factor over at least so
/// many looks, and the distance is still this part of what it was.
const LATE: f64 = 20.0;
const GROWS: f64 = 4.0;
const LOOKS: usize = 6;
const STAYS: f64 = 0.98;

/// Which way a column goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It never falls.
    #[default]
    Up,
    /// It never rises.
    Down,
}

/// `kind = "monotone"`: between consecutive looks the column never falls (or never rises).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Monotone {
    /// The column.
    pub column: String,
    /// `up` (default) or `down`.
    #[serde(default)]
    pub direction: Direction,
    /// A fall by less than this part of the value is none; 1e-9 by default.
    #[serde(default = "billionth")]
    pub tolerance: f64,
}

/// `kind = "limit"`: the column tends to a number.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The column.
    pub column: String,
    /// The number.
    pub to: f64,
    /// How near the last look has to be.
    pub within: f64,
}

/// `kind = "order"`: at every look the columns are in this order, the largest first.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Two columns or more, the largest first.
    pub columns: Vec<String>,
    /// An excess below this part of the larger value is none; 1e-9 by default.
    #[serde(default = "billionth")]
    pub tolerance: f64,
}

/// `kind = "slope"`: the least-squares slope of one column against another is within bounds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Slope {
    /// The column on the vertical axis.
    pub column: String,
    /// The column on the horizontal axis.
    pub against: String,
    /// Whether logarithms are taken of both; not by default.
    #[serde(default)]
    pub log: bool,
    /// The least slope.
    pub at_least: Option<f64>,
    /// The largest slope.
    pub at_most: Option<f64>,
    /// How far beyond a bound is still none; 0.01 by default.
    #[serde(default = "hundredth")]
    pub tolerance: f64,
}

/// `kind = "bound"`: at every look the column is within bounds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The column.
    pub column: String,
    /// The least value.
    pub at_least: Option<f64>,
    /// The largest value.
    pub at_most: Option<f64>,
    /// How far beyond a bound is still none; 1e-9 by default.
    #[serde(default = "billionth")]
    pub tolerance: f64,
}

fn billionth() -> f64 {
    1e-9
}

fn hundredth() -> f64 {
    0.01
}

/// A kind of statement with its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `monotone`
    Monotone(Monotone),
    /// `limit`
    Limit(Limit),
    /// `order`
    Order(Order),
    /// `slope`
    Slope(Slope),
    /// `bound`
    Bound(Bound),
}

/// `[claim.check]`: a statement, the looks that it is about, and a condition on them.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is said.
    pub says: Statement,
    /// From where on: `from = "separation"` by default.
    pub from: From,
    /// Which looks count: `where = { column = …, at_most = … }`; all by default.
    pub only: Option<Where>,
}

/// What became of a check on one run.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// It holds, with this much to spare: the least distance to a violation, in the unit of the tolerance.
    Holds {
        /// What is left.
        slack: f64,
    },
    /// It does not.
    Violated {
        /// Index of the look.
        row: usize,
        /// By how much, in the unit of the tolerance.
        by: f64,
    },
    /// Nothing is to be said, for this reason.
    Undecided {
        /// Why.
        why: String,
    },
}

impl Check {
    /// The kinds.
    pub const NAMES: &'static [&'static str] = &["monotone", "limit", "order", "slope", "bound"];

    /// The columns that it reads.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = match &self.says {
            Statement::Monotone(s) => vec![&s.column],
            Statement::Limit(s) => vec![&s.column],
            Statement::Order(s) => s.columns.iter().map(String::as_str).collect(),
            Statement::Slope(s) => vec![&s.column, &s.against],
            Statement::Bound(s) => vec![&s.column],
        };
        columns.extend(self.only.iter().map(|w| w.column.as_str()));
        columns.extend(self.from.columns());
        if matches!(self.says, Statement::Limit(_)) {
            columns.push("ln_loss_sum");
        }
        columns
    }

    /// Where in `[claim.check]` a column is named, for messages.
    pub fn field_of(&self, column: &str) -> String {
        match &self.says {
            Statement::Order(s) => match s.columns.iter().position(|c| c == column) {
                Some(k) => format!("columns[{k}]"),
                None => "where.column".into(),
            },
            Statement::Slope(s) if s.against == column => "against".into(),
            _ if self.only.as_ref().is_some_and(|w| w.column == column) => "where.column".into(),
            _ => "column".into(),
        }
    }

    /// What is wrong with the settings: the field and a message.
    pub fn check(&self) -> Result<(), (String, String)> {
        let bad = |field: &str, text: String| Err((field.to_owned(), text));
        let tolerance = match &self.says {
            Statement::Monotone(s) => s.tolerance,
            Statement::Limit(s) if !s.to.is_finite() => {
                return bad("to", format!("{} is no limit that a run can show; use a finite number", s.to));
            }
            Statement::Limit(s) if !(s.within > 0.0 && s.within.is_finite()) => {
                return bad("within", format!("{} is not allowed; use a positive number", s.within));
            }
            Statement::Limit(s) => s.within,
            Statement::Order(s) if s.columns.len() < 2 => {
                return bad("columns", "an order is of two columns or more, the largest first".into());
            }
            Statement::Order(s) => s.tolerance,
            Statement::Slope(Slope { at_least, at_most, tolerance, .. })
            | Statement::Bound(Bound { at_least, at_most, tolerance, .. }) => {
                match (at_least, at_most) {
                    (None, None) => {
                        return bad("", "nothing is bounded; give `at_least`, `at_most` or both".into());
                    }
                    (Some(a), Some(b)) if !(a <= b) => {
                        return bad(
                            "at_least",
                            format!("{a} is above at_most = {b}, so no number is allowed"),
                        );
                    }
                    _ => {}
                }
                *tolerance
            }
        };
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            return bad("tolerance", format!("{tolerance} is not allowed; use 0 or more"));
        }
        self.from.check().map_err(|text| ("from".to_owned(), text))
    }

    /// Judges the rows of a run; `ln_threshold` is the ln 𝓛_sum below which its data are separated.
    pub fn judge(&self, columns: &Columns, ln_threshold: f64) -> Judged {
        if let Some(missing) = self.columns().into_iter().find(|c| columns.get(c).is_empty()) {
            return Judged::Undecided { why: format!("the run has no column `{missing}`") };
        }
        let Some(start) = self.from.row(columns, ln_threshold) else {
            return Judged::Undecided { why: format!("the run never gets to {}", self.from) };
        };
        let counts = |k: &usize| self.only.as_ref().is_none_or(|w| w.admits(columns.get(&w.column)[*k]));
        let looks: Vec<usize> = (start..columns.get("step").len()).filter(counts).collect();
        if looks.is_empty() {
            return Judged::Undecided { why: "no look meets the condition `where`".into() };
        }
        match &self.says {
            Statement::Monotone(s) => s.judge(columns, &looks),
            Statement::Limit(s) => s.judge(columns, &looks),
            Statement::Order(s) => s.judge(columns, &looks),
            Statement::Slope(s) => s.judge(columns, &looks),
            Statement::Bound(s) => s.judge(columns, &looks),
        }
    }
}

/// The worst of many (distance to a violation, look), NaN left out.
fn worst(distances: impl Iterator<Item = (f64, usize)>, tolerance: f64) -> Judged {
    let known = distances.filter(|(d, _)| !d.is_nan());
    match known.min_by(|a, b| a.0.total_cmp(&b.0)) {
        None => Judged::Undecided { why: "too few looks at which the numbers are known".into() },
        Some((d, row)) if d < -tolerance => Judged::Violated { row, by: -d },
        Some((d, _)) => Judged::Holds { slack: d + tolerance },
    }
}

impl Monotone {
    fn judge(&self, columns: &Columns, looks: &[usize]) -> Judged {
        let values = columns.get(&self.column);
        let sign = if self.direction == Direction::Up { 1.0 } else { -1.0 };
        let known: Vec<usize> = looks.iter().copied().filter(|k| values[*k].is_finite()).collect();
        let rise = |a: usize, b: usize| sign * (values[b] - values[a]) / values[a].abs().max(values[b].abs());
        worst(known.windows(2).map(|w| (rise(w[0], w[1]), w[1])), self.tolerance)
    }
}

impl Limit {
    fn judge(&self, columns: &Columns, looks: &[usize]) -> Judged {
        let values = columns.get(&self.column);
        let far = |k: usize| (values[k] - self.to).abs();
        let known: Vec<usize> = looks.iter().copied().filter(|k| values[*k].is_finite()).collect();
        let Some(&last) = known.last() else {
            return Judged::Undecided { why: format!("`{}` is not known at any look", self.column) };
        };
        if far(last) <= self.within {
            return Judged::Holds { slack: self.within - far(last) };
        }
        // Standing still, or moving away, while ln(1/𝓛) grows by a factor to a late loss: another limit, or none.
        let late = |k: usize| -columns.get("ln_loss_sum")[k];
        let over: Vec<usize> = known.iter().copied().filter(|k| late(*k) >= late(last) / GROWS).collect();
        let stays = late(last) >= LATE && over.len() >= LOOKS && far(last) >= STAYS * far(over[0]);
        match stays {
            true => Judged::Violated { row: last, by: far(last) - self.within },
            false => Judged::Undecided {
                why: format!(
                    "`{}` is {:.2e} away from {}, and the run too short or still on its way",
                    self.column,
                    far(last),
                    self.to
                ),
            },
        }
    }
}

impl Order {
    fn judge(&self, columns: &Columns, looks: &[usize]) -> Judged {
        let pairs = self.columns.windows(2);
        let distances = pairs.flat_map(|pair| {
            let (large, small) = (columns.get(&pair[0]), columns.get(&pair[1]));
            looks.iter().map(|&k| ((large[k] - small[k]) / large[k].abs().max(small[k].abs()), k))
        });
        worst(distances, self.tolerance)
    }
}

impl Slope {
    fn judge(&self, columns: &Columns, looks: &[usize]) -> Judged {
        let (x, y) = (columns.get(&self.against), columns.get(&self.column));
        let scaled = |v: f64| if self.log { v.abs().ln() } else { v };
        let points = looks.iter().map(|&k| (scaled(x[k]), scaled(y[k])));
        let points: Vec<(f64, f64)> = points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        let slope = Line::of(&points).slope;
        let last = looks.last().copied().unwrap_or(0);
        if points.len() < 4 || slope.is_nan() {
            return Judged::Undecided { why: "a slope needs four looks or more".into() };
        }
        worst(within(slope, self.at_least, self.at_most, last), self.tolerance)
    }
}

impl Bound {
    fn judge(&self, columns: &Columns, looks: &[usize]) -> Judged {
        let values = columns.get(&self.column);
        let distances = looks.iter().flat_map(|&k| within(values[k], self.at_least, self.at_most, k));
        worst(distances, self.tolerance)
    }
}

/// How far a value is inside each bound.
fn within(v: f64, least: Option<f64>, most: Option<f64>, row: usize) -> impl Iterator<Item = (f64, usize)> {
    let inside = [least.map(|a| v - a), most.map(|b| b - v)];
    inside.into_iter().flatten().map(move |d| (d, row))
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let value = toml::Value::deserialize(d)?;
        let (kind, mut table) = split_kind("check", Self::NAMES, value).map_err(D::Error::custom)?;
        let mut part = |key: &str| table.remove(key).map(|v| toml::Table::from_iter([(key.to_owned(), v)]));
        let (from, only) = (part("from"), part("where"));
        #[derive(Deserialize)]
        struct Begin {
            #[serde(default)]
            from: From,
        }
        #[derive(Deserialize)]
        struct Only {
            r#where: Where,
        }
        let from = settings::<Begin>(from.unwrap_or_default()).map_err(D::Error::custom)?.from;
        let only = only.map(settings::<Only>).transpose().map_err(D::Error::custom)?.map(|o| o.r#where);
        let says = match kind.as_str() {
            "monotone" => settings(table).map(Statement::Monotone),
            "limit" => settings(table).map(Statement::Limit),
            "order" => settings(table).map(Statement::Order),
            "slope" => settings(table).map(Statement::Slope),
            "bound" => settings(table).map(Statement::Bound),
            other => Err(format!("@kind@unknown check `{other}`, expected one of {}", quoted(Self::NAMES))),
        };
        Ok(Check { says: says.map_err(D::Error::custom)?, from, only })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = |least: &Option<f64>, most: &Option<f64>| match (least, most) {
            (Some(a), Some(b)) => format!("between {a} and {b}"),
            (Some(a), None) => format!("at least {a}"),
            (None, Some(b)) => format!("at most {b}"),
            (None, None) => String::new(),
        };
        match self {
            Statement::Monotone(s) if s.direction == Direction::Up => write!(f, "{} never falls", s.column),
            Statement::Monotone(s) => write!(f, "{} never rises", s.column),
            Statement::Limit(s) => write!(f, "{} tends to {}", s.column, s.to),
            Statement::Order(s) => write!(f, "{}", s.columns.join(" >= ")),
            Statement::Slope(s) => {
                let (a, b) = (&s.column, &s.against);
                write!(f, "the slope of {a} against {b} is {}", bounds(&s.at_least, &s.at_most))
            }
            Statement::Bound(s) => write!(f, "{} is {}", s.column, bounds(&s.at_least, &s.at_most)),
        }
    }
}
