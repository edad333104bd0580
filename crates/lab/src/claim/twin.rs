//! The twin of a run: the same spec with half the step, whose rows tell the error of discretisation.

use std::path::Path;

use latephase_core::algorithm::{Bundle, Implicit};
use toml::Value;

use crate::error::Error;
use crate::findings::TWIN;
use crate::spec::Spec;
use crate::stint::{Options, Standing, begin, resume, standing};

/// A violation that is smaller than this part of itself at half the step goes away with the step.
pub const STAYS: f64 = 0.7;

/// Makes a [twin](of) in the directory of its run, or goes on with it; nothing where it is there.
///
/// # Errors
/// Something else in the way, or what failed during the run.
pub fn make(twin: &Spec, dir: &Path, options: Options<'_>) -> Result<(), Error> {
    let place = dir.join(TWIN);
    match standing(&place, twin)? {
        Standing::Finished => Ok(()),
        Standing::Free => begin(twin, &place, options).map(|_| ()),
        Standing::Unfinished => resume(&place, options).map(|_| ()),
        Standing::Foreign(why) => Err(Error::content(format!("{}: {why}", place.display()))),
    }
}

/// The spec of the twin.
///
/// | algorithm | halved |
/// |---|---|
/// | `stepped` | the pace's `eta` or `alpha`; counts of steps and epochs in `stop` and `look` are doubled |
/// | `bundle` | `kappa`, and `epsilon` where it is set; without `kappa` the `tolerance` |
/// | `implicit` | `kappa`; a `tolerance` is a quarter, for the error is of order two |
/// | `flow` | `rtol` is a sixteenth |
///
/// # Errors
/// An algorithm or a pace without a step to halve.
pub fn of(spec: &Spec) -> Result<Spec, Error> {
    let text = spec.resolved_toml()?;
    let mut table: toml::Table =
        toml::from_str(&text).map_err(|e| Error::usage(format!("the resolved spec: {e}")))?;
    let refuse = |what: String| Error::usage(format!("no twin: {what}"));
    let halve = |algorithm: &mut toml::Table| -> Result<(), Error> {
        let kind = algorithm.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "bundle" => {
                if !times(algorithm, "kappa", 0.5) {
                    algorithm.entry("tolerance").or_insert(Value::Float(Bundle::TOLERANCE));
                    times(algorithm, "tolerance", 0.5);
                }
                times(algorithm, "epsilon", 0.5);
                Ok(())
            }
            "implicit" => {
                if !times(algorithm, "tolerance", 0.25) {
                    algorithm.entry("kappa").or_insert(Value::Float(Implicit::KAPPA));
                    times(algorithm, "kappa", 0.5);
                }
                Ok(())
            }
            "flow" => {
                times(algorithm, "rtol", 1.0 / 16.0);
                Ok(())
            }
            "stepped" => {
                let pace = algorithm.get_mut("pace").and_then(Value::as_table_mut);
                let Some(pace) = pace else { return Err(refuse("the pace has no step to halve".into())) };
                if times(pace, "eta", 0.5) || times(pace, "alpha", 0.5) {
                    return Ok(());
                }
                let name = pace.get("kind").and_then(Value::as_str).unwrap_or("?").to_owned();
                Err(refuse(format!("the pace `{name}` has no step to halve")))
            }
            other => Err(refuse(format!("the algorithm `{other}` has no step to halve"))),
        }
    };
    match table.get_mut("algorithm") {
        Some(Value::Table(one)) => halve(one)?,
        Some(Value::Array(phases)) => {
            for phase in phases.iter_mut().filter_map(Value::as_table_mut) {
                halve(phase)?;
                if let Some(until) = phase.get_mut("until").and_then(Value::as_table_mut) {
                    counts(until, 2);
                }
            }
        }
        _ => return Err(refuse("the spec has no algorithm".into())),
    }
    let is_stepped = text.contains("\"stepped\"");
    for key in ["stop", "look"].into_iter().filter(|_| is_stepped) {
        if let Some(part) = table.get_mut(key).and_then(Value::as_table_mut) {
            counts(part, 2);
        }
    }
    let text = toml::to_string(&table).map_err(|e| Error::usage(format!("the twin's spec: {e}")))?;
    let mut twin = Spec::parse(&text, "the twin's spec", &[])?;
    twin.name = spec.name.as_ref().map(|name| format!("{name}, half the step"));
    Ok(twin)
}

/// Multiplies a number of a table, and says whether it is there.
fn times(table: &mut toml::Table, key: &str, factor: f64) -> bool {
    match table.get_mut(key) {
        Some(value) => {
            let number = value.as_float().or_else(|| value.as_integer().map(|i| i as f64));
            if let Some(number) = number {
                *value = Value::Float(number * factor);
            }
            number.is_some()
        }
        None => false,
    }
}

/// Multiplies the counts of steps and epochs.
fn counts(table: &mut toml::Table, factor: i64) {
    for key in ["steps", "epochs"] {
        if let Some(Value::Integer(count)) = table.get_mut(key) {
            *count = count.saturating_mul(factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halved(algorithm: &str, stop: &str) -> Result<Spec, Error> {
        let text = format!(
            "data = 'two-points'\nmodel = 'linear'\nloss = 'exponential'\nstop = {stop}\nalgorithm = {algorithm}"
        );
        of(&Spec::parse(&text, "spec", &[])?)
    }

    fn written(algorithm: &str, stop: &str) -> Result<String, Error> {
        halved(algorithm, stop)?.resolved_toml()
    }

    #[test]
    fn the_step_is_halved_and_counts_of_steps_are_doubled() -> Result<(), Error> {
        let text = written("{ kind = 'stepped', pace = { kind = 'constant', eta = 0.5 } }", "{ steps = 7 }")?;
        assert!(text.contains("eta = 0.25") && text.contains("steps = 14"), "{text}");
        let text = written("{ kind = 'bundle', kappa = 0.004, epsilon = 0.02 }", "{ steps = 7 }")?;
        assert!(text.contains("kappa = 0.002") && text.contains("epsilon = 0.01"), "{text}");
        let text = written("{ kind = 'bundle', tolerance = 0.04 }", "{ steps = 7 }")?;
        assert!(text.contains("tolerance = 0.02"), "{text}");
        let text = written("'bundle'", "{ steps = 7 }")?;
        assert!(text.contains("tolerance = 0.0075"), "{text}");
        let text = written("{ kind = 'flow', rtol = 1.6e-5 }", "{ steps = 7 }")?;
        assert!(text.contains("rtol = 1e-6") || text.contains("rtol = 0.000001"), "{text}");
        Ok(())
    }

    #[test]
    fn what_has_no_step_says_so() {
        let error = halved("{ kind = 'stepped', pace = { kind = 'normalized', c = 0.1 } }", "{ steps = 7 }");
        let text = error.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(text.contains("normalized") && text.contains("no step to halve"), "{text}");
    }
}
