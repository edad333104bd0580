//! What may be asked for by name: references and norms.

use latephase_core::Problem;
use latephase_core::norm::AnyNorm;

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Answer, LIST, Setting, answers, column, names, record};
use crate::build::build;
use crate::error::Error;
use crate::findings::Columns;
use crate::page;
use crate::source::Lookup;
use crate::spec::{Spec, choices};
use crate::store::{tensors, write_whole};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Margins in these norms only, each as it stands in a spec; those that the run measures where there are none.
    pub norms: &'a [String],
    /// These references only; all where there are none.
    pub only: &'a [String],
    /// A run directory whose margins stand beside the optima, and which keeps them.
    pub run: Option<&'a Path>,
}

/// What came of it.
#[derive(Debug)]
pub struct Found {
    /// The optima.
    pub answers: Vec<Answer>,
    /// The columns of the run.
    pub columns: Option<Columns>,
    /// The record of it.
    pub value: Value,
}

/// The optima that were asked for. Those of a run are written into its directory and onto its page.
///
/// # Errors
/// What is wrong with the spec, the data, the run or what was asked for; that no reference knows anything of it.
pub fn answer(spec: &Spec, asked: &Asked<'_>, lookup: &Lookup) -> Result<Found, Error> {
    let built = build(spec, lookup).map_err(|e| spec.locate(e))?;
    let problem = &built.run.problem;
    let columns = asked.run.map(Columns::read).transpose()?;
    let theta = asked.run.map(|dir| theta(dir, problem)).transpose()?;
    let mut setting = Setting::of(spec, problem);
    setting.start = Some(built.run.at.theta());
    setting.theta = theta.as_deref();
    for name in asked.only {
        reference(name, &setting)?;
    }
    let wanted_columns = match asked.norms.is_empty() {
        true => None,
        false => Some(norms(asked.norms, &mut setting)?),
    };
    let wanted = |reference: &str, column: &str| {
        (asked.only.is_empty() || asked.only.iter().any(|name| name == reference))
            && wanted_columns.as_ref().is_none_or(|wanted| wanted.iter().any(|c| c == column))
    };
    let answers = answers(&setting, &wanted);
    if answers.is_empty() {
        return Err(Error::usage(nothing(&setting)));
    }
    let value = record::value(&spec.hash8()?, &answers, columns.as_ref());
    if let Some(dir) = asked.run {
        record::write(dir, &value)?;
        write_whole(&dir.join("report.html"), page::of_run(dir, problem)?.as_bytes())?;
    }
    Ok(Found { answers, columns, value })
}

/// θ at the end of a run.
fn theta(dir: &Path, problem: &Problem) -> Result<Vec<f64>, Error> {
    let path = dir.join("theta.safetensors");
    let bytes = fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
    tensors::theta_of(&bytes, &path, problem.model.as_ref())
}

fn nothing(setting: &Setting<'_>) -> String {
    let mut text = String::from("no reference knows an optimum of what was asked for:\n");
    for reference in LIST {
        let why = match reference.applies(setting) {
            Err(why) => why,
            Ok(()) => format!("it knows {}", reference.columns(setting).join(", ")),
        };
        text += &format!("  {}: {why}\n", reference.name());
    }
    text
}

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
