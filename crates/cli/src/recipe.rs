//! `latephase recipe`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use latephase_core::probe::Row;
use latephase_lab::Spec;
use latephase_lab::recipe::{RecipeOptions, RecipeResult, find, outcome_of, run};
use latephase_lab::source::Lookup;
use latephase_lab::stint::Progress;
use latephase_lab::stop::Status;
use serde_json::{Value, json};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output::{aligned, say};
use crate::progress::Watch;
use crate::signals;

/// Runs all of a recipe and prints paper | ours | ratio | held.
///
/// # Errors
/// When there is no such recipe, or what failed during its runs.
pub fn recipe(args: &args::Recipe) -> Result<Exit, Failure> {
    let recipe = find(&args.name)?;
    let out = args.out.clone().unwrap_or_else(|| default_directory(&args.name, args.quick));
    if !args.quiet {
        eprintln!("{}: {}", recipe.name, recipe.about);
    }
    signals::listen()?;
    let watch = std::sync::Mutex::new(None::<Watch>);
    let swap = |next: Option<Watch>| {
        let mut slot = watch.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(before) = std::mem::replace(&mut *slot, next) {
            before.finish();
        }
    };
    let mut announce = |label: &str, spec: &Spec| {
        swap(Some(Watch::new(&spec.stop, args.quiet)));
        if !args.quiet {
            eprintln!("run {label}");
        }
    };
    let result = run(
        &recipe,
        args.quick,
        &out,
        RecipeOptions {
            threads: args.threads.map(usize::from),
            stop: &signals::STOP,
            lookup: Lookup::from_env(),
            announce: &mut announce,
            progress: &mut Current(&watch),
        },
    );
    swap(None);
    let result = result.map_err(|e| Failure::during_run(&e))?;
    say(&if args.json { object(&args.name, &result).to_string() } else { text(&result)? })?;
    Ok(exit(&result, signals::STOP.load(Ordering::Relaxed)))
}

/// A row that is undecided violates nothing.
fn exit(result: &RecipeResult, stopped: bool) -> Exit {
    if result.interrupted || stopped {
        return Exit::Interrupted;
    }
    let violated = result.rows.iter().any(|row| row.held == Some(false));
    if violated { Exit::Violated } else { Exit::Done }
}

fn default_directory(name: &str, quick: bool) -> PathBuf {
    Path::new("runs").join(format!("recipe-{}{}", name.replace('/', "-"), if quick { "-quick" } else { "" }))
}

fn text(result: &RecipeResult) -> Result<String, Failure> {
    if let Some(why) = &result.skipped {
        return Ok(format!("skipped: {why}"));
    }
    let mut text = String::new();
    for (label, dir) in &result.dirs {
        text += &format!("{label}: {}\n", outcome_of(dir)?);
    }
    if !result.rows.is_empty() {
        let mut rows = vec![["", "paper", "ours", "ratio", "held"].map(String::from).to_vec()];
        for row in &result.rows {
            let held = row.held.map_or("undecided", |held| if held { "yes" } else { "NO" });
            rows.push(vec![
                row.id.clone(),
                row.paper.clone(),
                row.ours.clone(),
                row.ratio.clone(),
                held.into(),
            ]);
        }
        text += &format!("\n{}\n", aligned(&rows));
        for row in &result.rows {
            text += &format!("{}: {}\n", row.id, row.source);
        }
    }
    if let Some(report) = &result.report {
        text += &format!("\n{}\n", report.display());
    }
    Ok(text)
}

fn object(name: &str, result: &RecipeResult) -> Value {
    let rows = result.rows.iter().map(|row| {
        json!({ "id": row.id, "source": row.source, "paper": row.paper, "ours": row.ours, "ratio": row.ratio,
                "held": row.held })
    });
    let dirs =
        result.dirs.iter().map(|(label, dir)| json!({ "label": label, "dir": dir.display().to_string() }));
    json!({
        "recipe": name,
        "skipped": result.skipped,
        "interrupted": result.interrupted,
        "rows": rows.collect::<Vec<_>>(),
        "runs": dirs.collect::<Vec<_>>(),
        "report": result.report.as_ref().map(|r| r.display().to_string()),
    })
}

/// Passes on to the watcher of the run at hand.
struct Current<'a>(&'a std::sync::Mutex<Option<Watch>>);

impl Current<'_> {
    fn with(&mut self, tell: impl FnOnce(&mut Watch)) {
        let mut slot = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(watch) = slot.as_mut() {
            tell(watch);
        }
    }
}

impl Progress for Current<'_> {
    fn look(&mut self, row: &Row) {
        self.with(|watch| watch.look(row));
    }

    fn step(&mut self, status: &Status) {
        self.with(|watch| watch.step(status));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latephase_lab::expect::Compared;

    #[test]
    fn one_violated_row_is_1_and_an_undecided_one_is_not() {
        let row = |held| Compared {
            id: "a".into(),
            source: "b".into(),
            paper: "1".into(),
            ours: "2".into(),
            ratio: "2".into(),
            held,
        };
        let result = |rows| RecipeResult { rows, ..RecipeResult::default() };
        assert_eq!(exit(&result(vec![row(Some(true)), row(None)]), false), Exit::Done);
        assert_eq!(exit(&result(vec![row(Some(true)), row(Some(false))]), false), Exit::Violated);
        assert_eq!(exit(&result(vec![row(Some(false))]), true), Exit::Interrupted);
    }
}
