//! Setting one path of a spec's tree.

use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::source::Source;
use crate::spec::{choices, resolve_phases};

/// What setting a path did.
#[derive(Debug, Default)]
pub(super) struct Set {
    /// The path that has a new value: the table, where its kind changed.
    pub target: Vec<String>,
    /// Whether settings that were there are gone.
    pub replaces: bool,
    /// Paths where something was put that the text does not have: its kind may be a default.
    pub made: Vec<Vec<String>>,
}

/// Puts `value` at `path`, making tables on the way.
pub(super) fn set(root: &mut Value, path: &[String], value: Value) -> Result<Set, String> {
    let mut set = Set { target: path.to_vec(), ..Set::default() };
    let Some((last, way)) = path.split_last() else { return Ok(set) };
    let mut here = root;
    for (k, segment) in way.iter().enumerate() {
        here = match here {
            Value::Table(table) => table.entry(segment.clone()).or_insert_with(|| {
                set.made.push(path[..=k].to_vec());
                Value::Table(Table::new())
            }),
            Value::Array(list) => element(list, segment, &path[..k])?,
            other => return Err(no_settings(other, &path[..k])),
        };
        if let Value::String(kind) = here {
            *here = Value::Table(kind_table(kind));
        }
    }
    match here {
        Value::Table(table) if last == "kind" && value.is_str() => {
            let kind = value.as_str().unwrap_or_default();
            if table.get("kind").and_then(Value::as_str) != Some(kind) {
                // A table that only lacked its kind keeps its settings.
                if table.contains_key("kind") {
                    *table = replaced(kind, table, way);
                    set.replaces = true;
                } else {
                    table.insert("kind".into(), value);
                }
                set.target = way.to_vec();
            }
        }
        Value::Table(table) => match table.get_mut(last) {
            Some(there) => set.replaces = assign(there, value, path),
            None => {
                set.made.push(path.to_vec());
                table.insert(last.clone(), value);
            }
        },
        Value::Array(list) if last.parse() == Ok(list.len()) => list.push(value),
        Value::Array(list) => set.replaces = assign(element(list, last, way)?, value, path),
        other => return Err(no_settings(other, way)),
    }
    Ok(set)
}

/// Gives a place a new value; a bare name for a table is its kind. Says whether settings are gone.
fn assign(there: &mut Value, value: Value, path: &[String]) -> bool {
    match (&mut *there, &value) {
        (Value::Table(table), Value::String(kind)) if table.contains_key("kind") => {
            if table.get("kind").and_then(Value::as_str) == Some(kind) {
                return false;
            }
            *table = replaced(kind, table, path);
            true
        }
        _ => {
            *there = value;
            true
        }
    }
}

fn kind_table(kind: &str) -> Table {
    Table::from_iter([("kind".to_owned(), Value::from(kind))])
}

/// A table of another kind. The end of a phase belongs to the phase, whatever its algorithm.
fn replaced(kind: &str, old: &mut Table, path: &[String]) -> Table {
    let mut table = kind_table(kind);
    let is_phase = path.first().is_some_and(|p| p == "algorithm") && path.len() <= 2;
    if let Some(until) = old.remove("until").filter(|_| is_phase) {
        table.insert("until".into(), until);
    }
    table
}

fn element<'a>(list: &'a mut [Value], segment: &str, path: &[String]) -> Result<&'a mut Value, String> {
    let (n, name) = (list.len(), path.join("."));
    let index = segment.parse::<usize>();
    match index.ok().and_then(|k| list.get_mut(k)) {
        Some(item) => Ok(item),
        None if n == 0 => Err(format!("{name} is an empty list; it has no item `{segment}`")),
        None => {
            let names: Vec<String> = (0..n.min(20)).map(|k| format!("{name}.{k}")).collect();
            Err(format!("{name} is a list of {n}; it has no item `{segment}`{}", choices("", &names)))
        }
    }
}

fn no_settings(value: &Value, path: &[String]) -> String {
    format!("{} is {value} and has no settings", path.join("."))
}

/// Gives what was made without a kind the kind that it has by default: `model.init.alpha=2` is of the default init.
pub(super) fn complete(root: &mut Value, made: &[Vec<String>]) {
    for path in made {
        if !lacks_kind(root, path) {
            continue;
        }
        // What else was made may have to be there, or may be in the way because its kind is not there yet.
        let kind = default_kind(root, path, &[]).or_else(|| default_kind(root, path, made));
        match (kind, at_mut(root, path)) {
            (Some(kind), Some(Value::Table(table))) => {
                table.insert("kind".into(), kind.into());
            }
            // A bare name where the default is a table with a kind.
            (Some(_), Some(place)) => {
                let own = place.as_str().unwrap_or_default().to_owned();
                *place = Value::Table(kind_table(&own));
            }
            _ => {}
        }
    }
}

fn lacks_kind(root: &Value, path: &[String]) -> bool {
    match at(root, path) {
        Some(Value::Table(table)) => !table.contains_key("kind"),
        Some(Value::String(_)) => path.len() > 1,
        _ => false,
    }
}

/// The kind that stands at a path when nothing is said there, nor at the paths of `others` that lack their kind.
fn default_kind(root: &Value, path: &[String], others: &[Vec<String>]) -> Option<String> {
    let [part, inner @ ..] = path else { return None };
    let mut stripped = root.clone();
    for gone in others.iter().filter(|other| lacks_kind(root, other)).chain([&path.to_vec()]) {
        let (last, way) = gone.split_last()?;
        if let Some(Value::Table(table)) = at_mut(&mut stripped, way) {
            table.remove(last);
        }
    }
    let value = stripped.get(part)?.clone();
    let whole = match part.as_str() {
        "data" => written_out::<Source>(value),
        "model" => written_out::<AnyModel>(value),
        "loss" => written_out::<AnyLoss>(value),
        "algorithm" => resolve_phases(value),
        _ => None,
    }?;
    Some(at(&whole, inner)?.get("kind")?.as_str()?.to_owned())
}

/// The same value with every setting written out, where it is valid.
fn written_out<T: DeserializeOwned + Serialize>(value: Value) -> Option<Value> {
    Value::try_from(value.try_into::<T>().ok()?).ok()
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, segment| match value {
        Value::Table(table) => table.get(segment),
        Value::Array(list) => list.get(segment.parse::<usize>().ok()?),
        _ => None,
    })
}

fn at_mut<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, segment| match value {
        Value::Table(table) => table.get_mut(segment),
        Value::Array(list) => list.get_mut(segment.parse::<usize>().ok()?),
        _ => None,
    })
}
