//! `latephase exact`.

use latephase_core::exact::Failure as NoOptimum;
use latephase_lab::Spec;
use latephase_lab::findings::Columns;
use latephase_lab::optima::Answer;
use latephase_lab::optima::ask::{self, Asked};
use latephase_lab::source::Lookup;
use latephase_lab::stint::read_spec;

use crate::args::Exact;
use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::{aligned, say};

/// A margin above its bound by more than this is no rounding of the run's own.
const ROUNDING: f64 = 1e-9;
/// Examples of a certificate that are named.
const NAMED: usize = 12;

/// Prints the reference optima of a spec, or of a run beside its own margins.
///
/// # Errors
/// What is wrong with the spec, the data or the call.
pub fn exact(args: &Exact) -> Result<Exit, Failure> {
    let spec = match (&args.run, &args.spec) {
        (Some(dir), _) => read_spec(dir)?,
        (None, Some(what)) => input::read(what, &args.overrides)?.0,
        (None, None) => return Err(Failure::wrong("name a spec, a recipe, or --run RUN")),
    };
    let asked = Asked { norms: &args.norm, only: &args.only, run: args.run.as_deref() };
    let found = ask::answer(&spec, &asked, &Lookup::from_env())?;
    let (all, columns) = (found.answers, found.columns);
    if args.json {
        say(&with_seconds(found.value, &all).to_string())?;
    } else {
        say(&told(&all, columns.as_ref(), &spec))?;
    }
    Ok(exit(&all, columns.as_ref()))
}

fn exit(all: &[Answer], columns: Option<&Columns>) -> Exit {
    let above = |a: &Answer| match (&a.result, columns) {
        (Ok(bounds), Some(columns)) => columns.last(&a.column) > bounds.bound * (1.0 + ROUNDING),
        _ => false,
    };
    if all.iter().any(above) {
        return Exit::Violated;
    }
    if all.iter().any(|a| a.result.is_err()) { Exit::Otherwise } else { Exit::Done }
}

fn with_seconds(mut value: serde_json::Value, all: &[Answer]) -> serde_json::Value {
    for (k, answer) in all.iter().enumerate() {
        value["references"][k]["seconds"] = answer.seconds.into();
    }
    value
}

fn told(all: &[Answer], columns: Option<&Columns>, spec: &Spec) -> String {
    let mut head = vec!["reference", "column", "value", "bound", "gap", "scope", "unit", "seconds"];
    if columns.is_some() {
        head.extend(["run", "below"]);
    }
    let mut table = vec![head.into_iter().map(String::from).collect::<Vec<_>>()];
    let number = |x: f64| if x.is_finite() { format!("{x:.10}") } else { "-".into() };
    let small = |x: f64| if x.is_finite() { format!("{x:.1e}") } else { "-".into() };
    let mut failures = String::new();
    for answer in all {
        let Ok(bounds) = &answer.result else {
            failures += &failed(answer, spec);
            continue;
        };
        let mut row = vec![
            answer.reference.to_owned(),
            answer.column.clone(),
            number(bounds.value),
            number(bounds.bound),
            small(bounds.gap()),
            answer.scope.name().to_owned(),
            answer.unit.clone(),
            format!("{:.3}", answer.seconds),
        ];
        if let Some(columns) = columns {
            let margin = columns.last(&answer.column);
            row.extend([number(margin), small(bounds.distance(margin))]);
        }
        table.push(row);
    }
    let mut text = if table.len() > 1 { aligned(&table) } else { String::new() };
    text += &failures;
    text
}

fn failed(answer: &Answer, spec: &Spec) -> String {
    let Err(failure) = &answer.result else { return String::new() };
    let mut text = format!("{} {}: {failure}\n", answer.reference, answer.column);
    if !matches!(failure, NoOptimum::NotSeparable { .. }) {
        return text;
    }
    let mut heavy = answer.weights.clone();
    heavy.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.example.cmp(&b.example)));
    text += &format!("  no theta has a positive margin on all of these examples of {}:\n", spec.data.kind());
    for w in heavy.iter().take(NAMED) {
        let rival = w.rival.map_or(String::new(), |j| format!(" against class {j}"));
        text += &format!("    {}{rival}, weight {:.6}\n", w.example, w.weight);
    }
    if heavy.len() > NAMED {
        text += &format!("    and {} more\n", heavy.len() - NAMED);
    }
    text
}
