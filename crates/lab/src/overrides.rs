//! `key.path=value`: one setting of a spec, from the command line or a recipe.
//!
//! The value is TOML where it can be read as TOML, and else a bare string: `algorithm.descent.norm=linf` needs no quotes.
//! A path goes through the shorthand of a catalogue (`loss = "logistic"` with `loss.reduction=mean`), and a number is the
//! index of a list item (`algorithm.0.kappa=0.01`). Another `kind` takes the place of the old one with all its settings.

mod set;

use crate::Error;
use crate::spec::Applied;

/// Longer paths than this are slips: the deepest setting of a spec is half as deep.
const DEEPEST: usize = 16;

/// One override, before it is known whether its key exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    text: String,
    path: Vec<String>,
    value: toml::Value,
}

impl Override {
    /// Reads `key.path=value`.
    ///
    /// # Errors
    /// No `=`, an empty key or value, or brackets and quotes that do not close.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |message: &str| Error::spec(format!("override `{text}`"), message);
        let (key, value) = text.split_once('=').ok_or_else(|| fail("it has no `=`; write key.path=value"))?;
        let path = parse_key(key).map_err(|message| fail(&message))?;
        let value = parse_value(value).map_err(|message| fail(&message))?;
        Ok(Override { text: text.to_owned(), path, value })
    }
}

/// The segments of a key; `algorithm[0].kappa` is `algorithm.0.kappa`.
pub(crate) fn parse_key(key: &str) -> Result<Vec<String>, String> {
    let dotted = key.trim().replace('[', ".").replace(']', "");
    let path: Vec<String> = dotted.split('.').map(str::to_owned).collect();
    if path.len() > DEEPEST {
        return Err(format!("a key of {} parts is deeper than any setting", path.len()));
    }
    let plain =
        |s: &String| !s.is_empty() && s.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match path.iter().find(|s| !plain(s)) {
        Some(_) => {
            Err(format!("`{}` is not a key; write words joined by dots, as in stop.steps", key.trim()))
        }
        None => Ok(path),
    }
}

/// TOML where it reads as TOML, else a bare string.
fn parse_value(text: &str) -> Result<toml::Value, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it has no value; an empty string is written \"\"".into());
    }
    match text.parse::<toml::Value>() {
        // No setting is a date: what looks like one is a name.
        Ok(toml::Value::Datetime(_)) => Ok(text.into()),
        Ok(value) => Ok(value),
        // A bare string does not begin like this; its text is a slip of the pen.
        Err(e) if text.starts_with(['[', '{', '"', '\'']) => {
            Err(format!("the value is not TOML: {}", e.message().lines().collect::<Vec<_>>().join("; ")))
        }
        Err(_) => Ok(text.into()),
    }
}

/// Applies overrides in order, and says which path each of them set.
pub(crate) fn apply(table: &mut toml::Table, overrides: &[Override]) -> Result<Vec<Applied>, Error> {
    let mut applied: Vec<Applied> = Vec::new();
    let mut made = Vec::new();
    let mut root = toml::Value::Table(std::mem::take(table));
    for this in overrides {
        let fail = |message: String| Error::spec(format!("override `{}`", this.text), message);
        let set = set::set(&mut root, &this.path, this.value.clone()).map_err(fail)?;
        if set.replaces
            && let Some(lost) = applied
                .iter()
                .find(|a| a.target.len() > set.target.len() && a.target.starts_with(&set.target))
        {
            let given = &lost.text;
            return Err(fail(format!("it undoes `{given}`, which was given before it; give the kind first")));
        }
        made.extend(set.made);
        applied.push(Applied { text: this.text.clone(), target: set.target });
    }
    set::complete(&mut root, &made);
    if let toml::Value::Table(whole) = root {
        *table = whole;
    }
    Ok(applied)
}
