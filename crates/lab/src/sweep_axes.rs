//! The axes of a sweep: `seed=0..8 algorithm.descent.norm=l2,linf` is sixteen lists of overrides.
//!
//! # Examples
//! The last axis turns fastest:
//! ```
//! use latephase_lab::sweep_axes::points;
//! let sweep = points(&["algorithm.descent.norm=l2,linf".into(), "seed=0..2".into()]).unwrap();
//! let labels: Vec<&str> = sweep.iter().map(|p| p.label.as_str()).collect();
//! assert_eq!(labels, ["norm=l2 seed=0", "norm=l2 seed=1", "norm=linf seed=0", "norm=linf seed=1"]);
//! assert_eq!(sweep[3].overrides, ["algorithm.descent.norm=linf", "seed=1"]);
//! ```

use crate::Error;
use crate::overrides::{Override, parse_key};

/// The axis whose runs are repetitions of each other.
const SEED: &str = "seed";
/// More runs than this are a slip of the pen.
const MOST: usize = 100_000;

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What sets it apart: `norm=linf seed=3`.
    pub label: String,
    /// For [`Spec::parse`](crate::Spec::parse), after all others.
    pub overrides: Vec<String>,
    /// The label without the axis `seed`: what it shares with other seeds. None where there is no such axis.
    pub group: Option<String>,
}

/// One axis: a key and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    path: Vec<String>,
    values: Vec<String>,
}

impl Axis {
    /// Reads `key.path=a,b,c`, or Hydra's `key.path=choice(a,b,c)`. Ranges are of whole numbers and half-open: `0..8`,
    /// `range(8)`, `range(0,8)`, `range(0,8,2)`. Commas inside brackets, braces, parentheses or quotes do not separate.
    ///
    /// # Errors
    /// No `=`, no values, a range that is empty or not of whole numbers, brackets or quotes that do not close.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |message: String| Error::spec(format!("sweep `{text}`"), message);
        let (key, list) =
            text.split_once('=').ok_or_else(|| fail("it has no `=`; write key.path=a,b,c".into()))?;
        let path = parse_key(key).map_err(fail)?;
        let mut values = Vec::new();
        for piece in pieces(list).map_err(fail)? {
            match range(piece).map_err(fail)? {
                Some(numbers) => values.extend(numbers),
                None if piece.is_empty() => {
                    return Err(fail("a value is missing; write key.path=a,b,c".into()));
                }
                None => values.push(piece.to_owned()),
            }
        }
        if let Some((k, twice)) = values.iter().enumerate().find(|(k, v)| values[..*k].contains(v)) {
            return Err(fail(format!("value {} is `{twice}` again, and would be the same run", k + 1)));
        }
        for value in &values {
            Override::parse(&format!("{}={value}", key.trim()))?;
        }
        Ok(Axis { path, values })
    }

    /// The key, in full.
    pub fn key(&self) -> String {
        self.path.join(".")
    }

    /// The values, as they were written.
    pub fn values(&self) -> &[String] {
        &self.values
    }
}

/// Tells overrides and axes apart as Hydra's `--multirun` does: what has several values is an axis.
///
/// # Errors
/// As [`Axis::parse`].
///
/// # Examples
/// ```
/// use latephase_lab::sweep_axes::multirun;
/// let given = ["seed=range(0,3)", "loss=logistic", "model.widths=[8,8]"].map(String::from);
/// let (overrides, axes) = multirun(&given).unwrap();
/// assert_eq!((overrides.len(), axes), (2, vec!["seed=range(0,3)".to_owned()]));
/// ```
pub fn multirun(given: &[String]) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut overrides, mut axes) = (Vec::new(), Vec::new());
    for text in given {
        match Axis::parse(text)?.values() {
            // A range or a choice of one value is that value.
            [one] => overrides.push(match text.split_once('=') {
                Some((key, _)) => format!("{key}={one}"),
                None => text.clone(),
            }),
            _ => axes.push(text.clone()),
        }
    }
    Ok((overrides, axes))
}

/// Every combination of the axes' values; the last axis turns fastest.
///
/// # Errors
/// As [`Axis::parse`]; the same key twice; more combinations than 100 000.
pub fn points(axes: &[String]) -> Result<Vec<Point>, Error> {
    let axes = axes.iter().map(|text| Axis::parse(text)).collect::<Result<Vec<_>, _>>()?;
    product(&axes)
}

/// Every combination of the axes' values; the last axis turns fastest. No axes make one point without overrides.
///
/// # Errors
/// The same key twice; more combinations than 100 000.
pub fn product(axes: &[Axis]) -> Result<Vec<Point>, Error> {
    if let Some((_, axis)) =
        axes.iter().enumerate().find(|(k, a)| axes[..*k].iter().any(|b| a.path == b.path))
    {
        return Err(Error::spec(format!("sweep `{}`", axis.key()), "two axes have this key"));
    }
    let count = axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.values.len()));
    if count.is_none_or(|n| n > MOST) {
        return Err(Error::spec("sweep", format!("more than {MOST} runs")));
    }
    let group = axes.iter().any(|axis| axis.key() == SEED).then(String::new);
    let mut points = vec![Point { label: String::new(), overrides: Vec::new(), group }];
    for (k, axis) in axes.iter().enumerate() {
        let (name, key) = (short_name(axes, k), axis.key());
        let add = |label: &mut String, value: &str| {
            let gap = if label.is_empty() { "" } else { " " };
            label.push_str(&format!("{gap}{name}={value}"));
        };
        let longer = points.iter().flat_map(|point| {
            axis.values.iter().map(|value| {
                let mut point = point.clone();
                add(&mut point.label, value);
                if let Some(group) = point.group.as_mut().filter(|_| key != SEED) {
                    add(group, value);
                }
                point.overrides.push(format!("{key}={value}"));
                point
            })
        });
        points = longer.collect();
    }
    Ok(points)
}

/// The fewest last segments of an axis' key that no other axis ends in.
fn short_name(axes: &[Axis], k: usize) -> String {
    let path = &axes[k].path;
    let tail = |n: usize| &path[path.len() - n..];
    let others = || axes.iter().enumerate().filter(|(j, _)| *j != k).map(|(_, axis)| &axis.path);
    // An index or a kind alone says nothing.
    let telling = |n: usize| !matches!(tail(n)[0].as_str(), "kind") && tail(n)[0].parse::<usize>().is_err();
    let n = (1..path.len()).find(|&n| telling(n) && !others().any(|other| other.ends_with(tail(n))));
    tail(n.unwrap_or(path.len())).join(".")
}

/// Sweeps of Hydra whose values depend on more than what is written here.
const FOREIGN: [&str; 5] = ["glob(", "interval(", "shuffle(", "sort(", "tag("];

/// The values between commas, those inside `choice(…)` too.
fn pieces(list: &str) -> Result<Vec<&str>, String> {
    let mut all = Vec::new();
    for piece in split(list)? {
        if let Some(inside) = piece.strip_prefix("choice(").and_then(|p| p.strip_suffix(')')) {
            all.extend(split(inside)?);
        } else if let Some(name) = FOREIGN.iter().find(|name| piece.starts_with(*name)) {
            return Err(format!(
                "`{name}…)` is none of the sweeps known here: a,b,c  choice(a,b,c)  0..8  range(0,8)"
            ));
        } else {
            all.push(piece);
        }
    }
    Ok(all)
}

/// Pieces between commas that stand outside brackets and quotes.
fn split(list: &str) -> Result<Vec<&str>, String> {
    let mut pieces = Vec::new();
    let (mut start, mut open, mut quote, mut escaped) = (0, Vec::new(), None, false);
    for (k, c) in list.char_indices() {
        match (quote, c) {
            (Some('"'), _) if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{' | '(') => open.push(c),
            (None, ']' | '}' | ')') => {
                let wanted = match c {
                    ']' => '[',
                    '}' => '{',
                    _ => '(',
                };
                if open.pop() != Some(wanted) {
                    return Err(format!("`{c}` closes nothing"));
                }
            }
            (None, ',') if open.is_empty() => {
                pieces.push(list[start..k].trim());
                start = k + 1;
            }
            (None, _) => {}
        }
    }
    match open.last().or(quote.as_ref()) {
        Some(c) => Err(format!("`{c}` is not closed")),
        None => {
            pieces.push(list[start..].trim());
            Ok(pieces)
        }
    }
}

/// The numbers of `a..b`, `range(b)`, `range(a,b)` or `range(a,b,step)`; nothing where the piece is not a range.
fn range(piece: &str) -> Result<Option<Vec<String>>, String> {
    let bounds: Vec<&str> =
        if let Some(inside) = piece.strip_prefix("range(").and_then(|p| p.strip_suffix(')')) {
            inside.split(',').map(str::trim).collect()
        } else if let Some((a, b)) = piece.split_once("..")
            && a.trim().parse::<f64>().is_ok()
            && b.trim().parse::<f64>().is_ok()
        {
            vec![a.trim(), b.trim()]
        } else {
            return Ok(None);
        };
    let whole = |s: &str| {
        s.replace('_', "")
            .parse::<i64>()
            .map_err(|_| format!("`{s}` in the range `{piece}` is not a whole number"))
    };
    let numbers = bounds.iter().map(|s| whole(s)).collect::<Result<Vec<_>, _>>()?;
    let (from, to, step) = match numbers.as_slice() {
        [to] => (0, *to, 1),
        [from, to] => (*from, *to, 1),
        [from, to, step] => (*from, *to, *step),
        _ => return Err(format!("`{piece}` needs one to three whole numbers: range(from,to,step)")),
    };
    let step = usize::try_from(step)
        .ok()
        .filter(|&s| s > 0)
        .ok_or_else(|| format!("the step of `{piece}` is not positive"))?;
    if from >= to {
        return Err(format!("the range `{piece}` is empty; its end is left out, so 0..8 is 0 to 7"));
    }
    let count = to.abs_diff(from).div_ceil(step as u64);
    if count > MOST as u64 {
        return Err(format!("the range `{piece}` has {count} numbers, more than {MOST}"));
    }
    Ok(Some((from..to).step_by(step).map(|n| n.to_string()).collect()))
}
