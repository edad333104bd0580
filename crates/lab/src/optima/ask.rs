//! What may be asked for by name: references and norms.

use latephase_core::norm::AnyNorm;

use super::{LIST, Setting, column, names};
use crate::error::Error;
use crate::spec::choices;

/// A reference by its name.
///
/// # Errors
/// A name that is none, with the nearest one; a reference that knows nothing of this setting, with the reason.
pub fn reference(name: &str, setting: &Setting<'_>) -> Result<(), Error> {
    let Some(found) = LIST.iter().find(|r| r.name() == name) else {
        return Err(Error::usage(format!("unknown reference `{name}`{}", choices(name, &names()))));
    };
    found.applies(setting).map_err(|why| Error::usage(format!("the reference {name} does not apply: {why}")))
}

/// A norm as it stands in a spec: a bare name, or `{ kind = "lp", p = 3 }`.
///
/// # Errors
/// What is wrong with it, with the nearest name.
pub fn norm(text: &str, setting: &Setting<'_>) -> Result<AnyNorm, Error> {
    let value = text.parse::<toml::Value>().ok().filter(|v| v.is_table());
    let value = value.unwrap_or_else(|| toml::Value::String(text.to_owned()));
    if let toml::Value::String(name) = &value
        && !AnyNorm::NAMES.contains(&name.as_str())
    {
        return Err(Error::usage(format!("unknown norm `{name}`{}", choices(name, AnyNorm::NAMES))));
    }
    let norm: AnyNorm = value.try_into().map_err(|e: toml::de::Error| {
        let text = e.message().to_owned();
        Error::usage(format!("norm {}", text.trim_start_matches('@').replacen('@', ": ", 1)))
    })?;
    let fits = norm.build().check(setting.problem.model.layout());
    fits.map_err(|e| Error::usage(format!("the norm {text} does not fit the model: {}", e.message)))?;
    Ok(norm)
}

/// Takes the norms that were asked for in place of those of the run, and returns their columns.
///
/// # Errors
/// As [`norm`].
pub fn norms(texts: &[String], setting: &mut Setting<'_>) -> Result<Vec<String>, Error> {
    let list = texts.iter().map(|text| norm(text, setting)).collect::<Result<Vec<_>, _>>()?;
    let columns = list.iter().map(column).collect();
    setting.norms = list;
    Ok(columns)
}
