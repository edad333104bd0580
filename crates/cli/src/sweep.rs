//! `latephase run --sweep` and `latephase merge`.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use latephase_lab::expect::spread_text;
use latephase_lab::source::Lookup;
use latephase_lab::stint::{Progress, Standing, Unwatched, standing};
use latephase_lab::summary::{loss, plain};
use latephase_lab::sweep::{
    End, Member, Plan, SweepOptions, Watch, is_wide, run, table, thread_count, write_summary,
};
use latephase_lab::sweep_axes::{Axis, multirun};
use latephase_lab::sweep_seeds::{Group, columns, groups};
use serde_json::{Map, Value, json};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output::{aligned, say};
use crate::run::{move_aside, now};
use crate::{input, progress, signals};

/// Columns of the printed table; `sweep.csv` has them all.
const SHOWN: &[&str] =
    &["log10_loss", "step", "margin", "smooth_margin", "kkt_epsilon_fit", "train_accuracy", "test_accuracy"];

/// Runs every combination, or a part of them.
///
/// # Errors
/// What is wrong with the call, any of the specs or the directory.
pub fn sweep(args: &args::Run) -> Result<Exit, Failure> {
    let input = input::text(&args.spec)?;
    let base = (input.text.as_str(), input.file.as_str(), input.name.as_str());
    let (overrides, found) = match args.multirun {
        true => multirun(&args.overrides)?,
        false => (args.overrides.clone(), Vec::new()),
    };
    let axes = [found, args.sweep.clone()].concat();
    if args.hydra && args.shard.is_some() && args.out.is_none() {
        return Err(Failure::wrong(
            "shards need one directory: give --out, for --hydra would name each by its time",
        ));
    }
    let dated = || Path::new("multirun").join(now());
    let out = args.out.clone().or_else(|| args.hydra.then(dated));
    let mut plan = Plan::new(base, &overrides, &axes, out.as_deref())?;
    if args.hydra {
        plan = plan.in_hydra_layout();
    }
    let all = plan.members.len();
    if let Some((i, n)) = args.shard {
        plan = plan.part(i, n);
    }
    if args.dry_run {
        say(&match args.stint.json {
            true => planned_json(&plan)?.to_string(),
            false => format!("{}{}", planned(&plan, all, args.shard)?, states(&plan)?),
        })?;
        return Ok(Exit::Done);
    }
    if let Some(why) = plan.in_the_way()? {
        let dir = plan.dir.display();
        if !args.force {
            return Err(Failure::wrong(format!(
                "{dir} is not this sweep's: {why}; choose another directory with --out, or use --force, which moves \
                 it aside"
            )));
        }
        let aside = move_aside(&plan.dir)?;
        eprintln!("moved {dir} to {}", aside.display());
    }
    if !args.stint.quiet {
        eprint!("{}", planned(&plan, all, args.shard)?);
    }
    go(plan, &args.stint, args.shard.is_none())
}

/// Does what is left of a sweep, or of a part of it. A whole sweep is merged at its end.
///
/// # Errors
/// What failed, with the code of a failure during a run.
pub fn go(plan: Plan, stint: &args::Stint, is_whole: bool) -> Result<Exit, Failure> {
    let threads = thread_count(stint.threads.map(usize::from));
    let wide = is_wide(plan.members.len(), threads);
    if !stint.quiet {
        announce(&plan, threads, wide);
    }
    signals::listen()?;
    let watch = Watcher { quiet: stint.quiet, wide, ended: AtomicUsize::new(0), count: plan.members.len() };
    let options = SweepOptions {
        threads: Some(threads),
        max_seconds: stint.max_seconds,
        checkpoint_seconds: stint.checkpoint_seconds,
        stop: &signals::STOP,
        lookup: Lookup::from_env(),
        watch: &watch,
    };
    let ends = run(&plan, &options).map_err(|e| Failure::during_run(&e))?;
    if is_whole {
        write_summary(&plan, &plan.asked.name, &options.lookup).map_err(|e| Failure::during_run(&e))?;
    } else if !stint.quiet {
        eprintln!("`latephase merge {}` puts the parts together", plan.dir.display());
    }
    print(&plan, stint.json, is_whole)?;
    for (member, end) in plan.members.iter().zip(&ends) {
        if let End::Failed(error) = end {
            eprintln!("{}: {}", member.label, error.report());
        }
    }
    Ok(exit(&ends))
}

/// `latephase merge`: the tables, bands and the page of a sweep, from what its runs have left.
///
/// # Errors
/// A directory that holds no sweep; what cannot be read or written.
pub fn merge(dir: &Path, as_json: bool) -> Result<Exit, Failure> {
    let plan = Plan::read(dir)?;
    write_summary(&plan, &plan.asked.name, &Lookup::from_env())?;
    let left = plan.members.iter().filter(|m| !is_finished(m)).count();
    if left > 0 {
        let dir = dir.display();
        eprintln!(
            "{left} of {} runs have not finished; `latephase resume {dir}` does them",
            plan.members.len()
        );
    }
    print(&plan, as_json, true)?;
    Ok(if left == 0 { Exit::Done } else { Exit::Interrupted })
}

fn is_finished(member: &Member) -> bool {
    standing(&member.dir, &member.spec).is_ok_and(|s| s == Standing::Finished)
}

/// How many runs, where, and over what.
fn planned(plan: &Plan, all: usize, shard: Option<(usize, usize)>) -> Result<String, Failure> {
    let n = plan.members.len();
    let done = plan.members.iter().filter(|m| is_finished(m)).count();
    let done = if done > 0 { format!(", {done} of them finished") } else { String::new() };
    let part = shard.map_or(String::new(), |(i, of)| format!("shard {i}/{of}: {n} of "));
    let mut text = format!("{part}{all} runs in {}{done}\n", plan.dir.display());
    for axis in &plan.asked.axes {
        let axis = Axis::parse(axis)?;
        text += &format!("  {} = {}\n", axis.key(), axis.values().join(", "));
    }
    Ok(text)
}

/// A line for each run: its directory, and how far it is.
fn states(plan: &Plan) -> Result<String, Failure> {
    let line = |m: &Member| {
        let state = match standing(&m.dir, &m.spec)? {
            Standing::Free => "not begun",
            Standing::Finished => "finished",
            Standing::Unfinished => "unfinished",
            Standing::Foreign(_) => "in the way of another",
        };
        let dir = m.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(vec![format!("  {}", m.label), state.into(), dir])
    };
    let lines = plan.members.iter().map(line).collect::<Result<Vec<_>, Failure>>()?;
    Ok(aligned(&lines))
}

fn planned_json(plan: &Plan) -> Result<Value, Failure> {
    let axes = plan.asked.axes.iter().map(|text| {
        let axis = Axis::parse(text)?;
        Ok((axis.key(), json!(axis.values())))
    });
    let axes = axes.collect::<Result<Map<_, _>, Failure>>()?;
    let of = |m: &Member| {
        let dir = m.dir.display().to_string();
        json!({ "label": m.label, "dir": dir, "overrides": m.overrides, "finished": is_finished(m) })
    };
    let runs: Vec<Value> = plan.members.iter().map(of).collect();
    Ok(json!({ "dir": plan.dir.display().to_string(), "axes": axes, "runs": runs }))
}

/// The worst that happened, by what the caller has to do about it.
fn exit(ends: &[End]) -> Exit {
    let of = |end: &End| match end {
        End::Kept => Exit::Done,
        End::Ran(outcome) => Exit::from(outcome),
        End::Failed(error) => Failure::during_run(error).exit,
        End::NotBegun => Exit::Interrupted,
    };
    let order = [Exit::Io, Exit::Wrong, Exit::Interrupted, Exit::Otherwise];
    let found: Vec<Exit> = ends.iter().map(of).collect();
    order.into_iter().find(|exit| found.contains(exit)).unwrap_or(Exit::Done)
}

/// More runs than this are not named one by one before they begin.
const NAMED: usize = 32;

fn announce(plan: &Plan, threads: usize, wide: bool) {
    let how = match (wide, threads) {
        (true, _) => format!("{threads} at a time, one thread each"),
        (false, 1) => "one after another".into(),
        (false, _) => format!("one after another on {threads} threads"),
    };
    eprintln!("{how}:");
    for member in plan.members.iter().take(NAMED) {
        eprintln!("  {}", member.label);
    }
    if plan.members.len() > NAMED {
        eprintln!("  … and {} more", plan.members.len() - NAMED);
    }
}

/// One line of JSON a group: mean, deviation, interval and number of runs of every column.
fn groups_json(groups: &[Group]) -> Value {
    let names = columns(groups);
    let of = |group: &Group| {
        let column = |name: &String| {
            let s = group.last(name);
            (name.clone(), json!({ "mean": s.mean, "sd": s.sd, "interval": s.interval, "n": s.known }))
        };
        let all: Map<String, Value> = names.iter().map(column).collect();
        json!({ "label": group.label, "runs": group.runs.len(), "columns": all })
    };
    groups.iter().map(of).collect()
}

/// The table over seeds: a line a group.
fn groups_text(groups: &[Group]) -> String {
    let names = columns(groups);
    let shown: Vec<&str> = SHOWN.iter().copied().filter(|name| names.iter().any(|n| n == name)).collect();
    let mut lines = vec![["group", "seeds"].map(String::from).to_vec()];
    lines[0].extend(shown.iter().map(|name| (*name).to_owned()));
    for group in groups {
        let (n, planned) = (group.runs.len(), group.planned);
        let seeds = if n == planned { n.to_string() } else { format!("{n} of {planned}") };
        let mut line = vec![group.label.clone(), seeds];
        line.extend(shown.iter().map(|name| spread_text(&group.last(name), n)));
        lines.push(line);
    }
    aligned(&lines)
}

fn print(plan: &Plan, as_json: bool, is_merged: bool) -> Result<(), Failure> {
    let (header, rows) = table(plan)?;
    if as_json {
        let of = |row: &Vec<String>| -> Value {
            let cell = |(name, cell): (&String, &String)| {
                // Text, numbers, and null for what was not measured.
                let number = cell.parse::<f64>().map_or(Value::Null, |x| json!(x));
                let is_text = matches!(name.as_str(), "label" | "outcome" | "dir");
                (name.clone(), if is_text { json!(cell) } else { number })
            };
            header.iter().zip(row).map(cell).collect::<Map<_, _>>().into()
        };
        let runs: Vec<Value> = rows.iter().map(of).collect();
        let mut object = json!({ "dir": plan.dir.display().to_string(), "runs": runs });
        if let Some(groups) = groups(plan)? {
            object["groups"] = groups_json(&groups);
        }
        return say(&object.to_string());
    }
    let written = |names: &[&str]| -> String {
        let lines = names.iter().map(|name| format!("\n{}", plan.dir.join(name).display()));
        if is_merged { lines.collect() } else { String::new() }
    };
    if let Some(groups) = groups(plan)?.filter(|g| g.iter().any(|g| g.planned > 1 && !g.runs.is_empty())) {
        let files = written(&["sweep_seeds.csv", "sweep.csv", "report.html"]);
        return say(&format!("{}{files}", groups_text(&groups)));
    }
    let place = |name: &str| header.iter().position(|h| h == name);
    let shown: Vec<(&str, usize)> = SHOWN.iter().filter_map(|&name| Some((name, place(name)?))).collect();
    let title = |name: &str| if name == "log10_loss" { "loss".to_owned() } else { name.to_owned() };
    let mut lines = vec![["run", "outcome"].map(String::from).to_vec()];
    lines[0].extend(shown.iter().map(|(name, _)| title(name)));
    for row in &rows {
        let value = |&(name, k): &(&str, usize)| {
            let x = row[k].parse().unwrap_or(f64::NAN);
            if name == "log10_loss" { loss(x) } else { plain(x) }
        };
        let mut line = row[..2].to_vec();
        line.extend(shown.iter().map(value));
        lines.push(line);
    }
    say(&format!("{}{}", aligned(&lines), written(&["sweep.csv", "report.html"])))
}

struct Watcher {
    quiet: bool,
    wide: bool,
    ended: AtomicUsize,
    count: usize,
}

impl Watch for Watcher {
    fn begins(&self, member: &Member) -> Box<dyn Progress + Send> {
        if self.wide || self.quiet {
            // Several bars at once would jump; a line at each end says enough.
            return Box::new(Unwatched);
        }
        Box::new(progress::Watch::new(&member.spec.stop, false))
    }

    fn ended(&self, member: &Member, end: &End) {
        let k = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        let what = match end {
            End::Kept => "finished before".into(),
            End::Ran(outcome) => outcome.sentence(),
            End::Failed(error) => error.report(),
            End::NotBegun => "not begun".into(),
        };
        if !self.quiet {
            eprintln!("{k}/{} {}: {what}", self.count, member.label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latephase_lab::Error;
    use latephase_lab::outcome::Outcome;

    #[test]
    fn a_sweep_ends_with_the_worst_of_its_runs() {
        let reached = || End::Ran(Outcome::Reached { what: "x".into() });
        let diverged = || End::Ran(Outcome::Diverged { what: "x".into() });
        assert_eq!(exit(&[reached(), End::Kept]), Exit::Done);
        assert_eq!(exit(&[reached(), diverged()]), Exit::Otherwise);
        assert_eq!(exit(&[diverged(), End::NotBegun]), Exit::Interrupted);
        assert_eq!(exit(&[End::Failed(Error::usage("x")), End::NotBegun]), Exit::Wrong);
    }
}
