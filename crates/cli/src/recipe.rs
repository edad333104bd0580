//! `latephase recipe`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use latephase_lab::Spec;
use latephase_lab::expect::Compared;
use latephase_lab::progress::Current;
use latephase_lab::recipe::record::held;
use latephase_lab::recipe::{RecipeOptions, RecipeResult, Size, find, outcome_of, read, run};
use latephase_lab::source::Lookup;

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
    let path = Path::new(&args.name);
    let is_file = path.is_file() || args.name.ends_with(".toml");
    let recipe = if is_file { read(path)? } else { find(&args.name)? };
    let size = match (args.quick, args.full) {
        (true, _) => Size::Quick,
        (_, true) => Size::Full,
        _ => Size::Usual,
    };
    let out = args.out.clone().unwrap_or_else(|| default_directory(&recipe.name, size));
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
        size,
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
    say(&if args.json { result.json(&recipe, size).to_string() } else { text(&result)? })?;
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

fn default_directory(name: &str, size: Size) -> PathBuf {
    let end = if size == Size::Usual { String::new() } else { format!("-{}", size.name()) };
    Path::new("runs").join(format!("recipe-{}{end}", name.replace('/', "-")))
}

fn text(result: &RecipeResult) -> Result<String, Failure> {
    if let Some(why) = &result.skipped {
        return Ok(format!("skipped: {why}"));
    }
    let mut text = String::new();
    for group in &result.groups {
        for (seed, dir) in &group.runs {
            let seed = if group.runs.len() > 1 { format!(" seed {seed}") } else { String::new() };
            text += &format!("{}{seed}: {}\n", group.label, outcome_of(dir)?);
        }
    }
    if !result.rows.is_empty() {
        let has_interval = result.rows.iter().any(|row| !row.interval.is_empty());
        let mut rows =
            vec![["", "paper", "ours", "95 % interval", "ratio", "held"].map(String::from).to_vec()];
        for row in &result.rows {
            let verdict = held(row.held).to_owned();
            let interval = if row.interval.is_empty() { "-" } else { &row.interval };
            rows.push(vec![
                row.id.clone(),
                row.paper.clone(),
                row.ours.clone(),
                interval.to_owned(),
                row.ratio.clone(),
                verdict,
            ]);
        }
        if !has_interval {
            rows.iter_mut().for_each(|row| drop(row.remove(3)));
        }
        text += &format!("\n{}\n", aligned(&rows));
        text += &sources(&result.rows);
    }
    for table in &result.tables {
        text += &format!("\n{}, {}\n{}", table.title, table.place, aligned(&table.cells()));
    }
    if let Some(report) = &result.report {
        text += &format!("\n{}\n", report.display());
    }
    Ok(text)
}

/// Each source once, in order, after the rows that it is behind.
fn sources(rows: &[Compared]) -> String {
    let mut behind: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        match behind.iter_mut().find(|(source, _)| *source == row.source) {
            Some((_, ids)) => ids.push(&row.id),
            None => behind.push((&row.source, vec![&row.id])),
        }
    }
    behind.iter().map(|(source, ids)| format!("{}: {source}\n", ids.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_violated_row_is_1_and_an_undecided_one_is_not() {
        let row = |held| Compared { held, ..Compared::default() };
        let result = |rows| RecipeResult { rows, ..RecipeResult::default() };
        assert_eq!(exit(&result(vec![row(Some(true)), row(None)]), false), Exit::Done);
        assert_eq!(exit(&result(vec![row(Some(true)), row(Some(false))]), false), Exit::Violated);
        assert_eq!(exit(&result(vec![row(Some(false))]), true), Exit::Interrupted);
    }

    #[test]
    fn a_source_is_told_once_for_all_rows_behind_it() {
        let row =
            |id: &str, source: &str| Compared { id: id.into(), source: source.into(), ..Compared::default() };
        let rows = [row("a", "Fig. 1"), row("b", "Fig. 2"), row("c", "Fig. 1")];
        assert_eq!(sources(&rows), "a, c: Fig. 1\nb: Fig. 2\n");
    }
}
