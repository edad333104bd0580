//! A sweep: one spec at every combination of some values, each run in a directory of its own.
//!
//! The runs are independent and their directories are named by content, so that a sweep can be stopped at any moment and
//! begun again: what has finished stays, what has not goes on.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::build::sha256_hex;
use crate::company;
use crate::error::Error;
use crate::findings::Columns;
use crate::hydra;
use crate::report::Added;
use crate::source::Lookup;
use crate::spec::Spec;
use crate::stint::{
    Company, Options, Progress, Standing, begin_among, read_manifest, resume_among, standing,
};
use crate::store::{number, write_shared, write_whole};
use crate::sweep_axes::points;
use crate::sweep_seeds;

/// The first line of `sweep.toml`.
const MARK: &str = "# A sweep: each run has its own spec.toml in its directory.\n";
/// What a sweep was asked for: spec, overrides and axes, from which it can be planned again.
const ASKED: &str = "plan.toml";
/// Runs beyond which each writes rows, spec, weights, findings and manifest but no page of its own, which `latephase report` makes
/// when it is wanted, and does not wait for the device. So many pages would be gigabytes.
const MANY: usize = 100;
/// Runs of so large a sweep whose curves are on its page.
const DRAWN: usize = 24;
/// Bytes of a label in the name of a directory; with the hash it stays far from the 255 of file systems.
const LABEL: usize = 80;

/// What a sweep will do, before anything is written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it is done.
    pub dir: PathBuf,
    /// The runs, the last axis turning fastest.
    pub members: Vec<Member>,
    /// What it was asked for.
    pub asked: Asked,
    /// What `sweep.toml` says of all runs, where `members` are a part of them.
    whole: Option<String>,
}

/// What a sweep was asked for; `plan.toml` keeps it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What the spec was called.
    pub name: String,
    /// Its text, before the overrides.
    pub spec: String,
    /// Changes to it that all runs share.
    pub overrides: Vec<String>,
    /// `key.path=a,b,c`.
    pub axes: Vec<String>,
    /// Whether the runs are numbered as Hydra numbers them.
    #[serde(default)]
    pub hydra: bool,
}

/// One run of a sweep.
#[derive(Clone, Debug)]
pub struct Member {
    /// What sets it apart: `norm=linf seed=3`.
    pub label: String,
    /// Its spec, named by the label.
    pub spec: Spec,
    /// Its directory.
    pub dir: PathBuf,
    /// What it shares with the runs of other seeds; none where no axis is `seed`.
    pub group: Option<String>,
    /// What was changed in the spec for it: what all runs share, then its point.
    pub overrides: Vec<String>,
}

impl Plan {
    /// Plans the runs of a spec's text (`file` is what messages call it), with `overrides` and every combination of
    /// `axes`, in `out` or else in `runs/NAME-sweep-HASH`.
    ///
    /// # Errors
    /// What is wrong with the spec at any combination, or with an axis.
    pub fn new(
        (text, file, name): (&str, &str, &str),
        overrides: &[String],
        axes: &[String],
        out: Option<&Path>,
    ) -> Result<Plan, Error> {
        let mut members = Vec::new();
        for point in points(axes)? {
            let all: Vec<String> = overrides.iter().chain(&point.overrides).cloned().collect();
            let mut spec = Spec::parse(text, file, &all)?;
            let label = plain(&point.label);
            spec.name = Some(label.clone());
            let dir = PathBuf::from(format!("{}-{}", label.replace(' ', ","), spec.hash8()?));
            members.push(Member { label: point.label, spec, dir, group: point.group, overrides: all });
        }
        let mut taken = HashSet::new();
        if let Some(twice) = members.iter().find(|m| !taken.insert(m.dir.clone())) {
            return Err(Error::usage(format!("two runs of the sweep are the same: {}", twice.label)));
        }
        let dir = match out {
            Some(dir) => dir.to_owned(),
            None => Path::new("runs").join(format!("{name}-sweep-{}", hash8(&members))),
        };
        members.iter_mut().for_each(|m| m.dir = dir.join(&m.dir));
        let (name, spec) = (name.to_owned(), text.to_owned());
        let asked = Asked { name, spec, overrides: overrides.to_vec(), axes: axes.to_vec(), hydra: false };
        Ok(Plan { dir, members, asked, whole: None })
    }

    /// The plan of the sweep that stands in a directory.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(dir: &Path) -> Result<Plan, Error> {
        let path = dir.join(ASKED);
        let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::usage(format!(
                "{} is not the directory of a sweep: it holds no {ASKED}",
                dir.display()
            )),
            _ => Error::io(&path, "read", e),
        })?;
        let broken = |e: toml::de::Error| Error::content(format!("{}: {}", path.display(), e.message()));
        let asked: Asked = toml::from_str(&text).map_err(broken)?;
        let file = path.display().to_string();
        let base = (asked.spec.as_str(), file.as_str(), asked.name.as_str());
        let plan = Plan::new(base, &asked.overrides, &asked.axes, Some(dir))?;
        Ok(if asked.hydra { plan.in_hydra_layout() } else { plan })
    }

    /// The same runs in directories `0`, `1`, … with Hydra's settings beside each.
    pub fn in_hydra_layout(mut self) -> Plan {
        let dir = &self.dir;
        self.members.iter_mut().enumerate().for_each(|(k, m)| m.dir = dir.join(k.to_string()));
        self.asked.hydra = true;
        self
    }

    /// The `shard`-th of `of` parts, counted from 1: every `of`-th run, so that parts of a sweep whose later runs take longer
    /// take as long as each other. The parts have no run in common, and may run at once in several processes.
    ///
    /// # Panics
    /// When `shard` is not one of 1 to `of`.
    pub fn part(mut self, shard: usize, of: usize) -> Plan {
        assert!((1..=of).contains(&shard), "shard {shard} of {of}");
        self.whole = Some(self.text());
        let all = std::mem::take(&mut self.members).into_iter().enumerate();
        self.members = all.filter(|(k, _)| k % of == shard - 1).map(|(_, m)| m).collect();
        self
    }

    /// Makes the directory, with what the sweep is and was asked for. Several processes may do so at once.
    fn begin(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.dir).map_err(|e| Error::io(&self.dir, "make the directory", e))?;
        write_shared(&self.dir.join("sweep.toml"), self.text().as_bytes())?;
        let asked = toml::to_string(&self.asked).map_err(|e| Error::usage(format!("{ASKED}: {e}")))?;
        write_shared(&self.dir.join(ASKED), asked.as_bytes())?;
        if !self.asked.hydra {
            return Ok(());
        }
        write_shared(&self.dir.join("multirun.yaml"), hydra::multirun(&self.asked)?.as_bytes())
    }

    /// What `sweep.toml` says.
    fn text(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut text = MARK.to_owned();
        for member in &self.members {
            let dir = member.dir.file_name().unwrap_or_default().to_string_lossy();
            text += &format!("\n[[run]]\nlabel = {:?}\ndir = {dir:?}\n", member.label);
        }
        text
    }

    /// Whether the directory is free or holds this very sweep; else what stands there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn in_the_way(&self) -> Result<Option<&'static str>, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&self.dir, "list", e)),
        };
        // Another part of this sweep may be writing its first file right now.
        let is_begun = |e: fs::DirEntry| !e.file_name().to_string_lossy().contains(".partial");
        if !entries.flatten().any(is_begun) {
            return Ok(None);
        }
        Ok(match fs::read_to_string(self.dir.join("sweep.toml")) {
            Ok(text) if text == self.text() => None,
            Ok(text) if text.starts_with(MARK) => Some("it holds another sweep"),
            _ => Some("it holds no sweep"),
        })
    }
}

fn hash8(members: &[Member]) -> String {
    let all: String = members.iter().map(|m| format!("{}\n", m.dir.display())).collect();
    sha256_hex(all.as_bytes()).chars().take(8).collect()
}

/// A label that can name a run and a directory.
fn plain(label: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "-_.+=, ".contains(c) { c } else { '-' };
    let mut text = String::new();
    for c in label.chars().map(keep) {
        if text.len() + c.len_utf8() > LABEL {
            break;
        }
        text.push(c);
    }
    text.trim_start_matches(['.', ' ']).trim_end().to_owned()
}

/// What the caller decides about a sweep, none of which changes a byte of its results.
pub struct SweepOptions<'a> {
    /// Threads, over runs or within each, whichever is wider; all cores when absent.
    pub threads: Option<usize>,
    /// Wall-clock budget of the whole sweep.
    pub max_seconds: Option<f64>,
    /// Seconds between checkpoints of a run.
    pub checkpoint_seconds: f64,
    /// Set from outside to end every run after its current step.
    pub stop: &'a AtomicBool,
    /// Where data files are looked for.
    pub lookup: Lookup,
    /// Watches.
    pub watch: &'a dyn Watch,
}

/// Someone who watches a sweep, from several threads.
pub trait Watch: Sync {
    /// A run begins or goes on; what is returned watches its steps.
    fn begins(&self, member: &Member) -> Box<dyn Progress + Send>;
    /// A run has ended.
    fn ended(&self, member: &Member, end: &End);
}

/// How a run of a sweep ended.
#[derive(Debug)]
pub enum End {
    /// It had finished before.
    Kept,
    /// It ended with this outcome.
    Ran(crate::outcome::Outcome),
    /// It could not be run.
    Failed(Error),
    /// The sweep was interrupted before it.
    NotBegun,
}

/// Runs over several threads, one run on each (true), or the runs one after another on all threads.
pub fn is_wide(runs: usize, threads: usize) -> bool {
    threads > 1 && runs >= threads
}

/// All cores, or as many as asked for.
pub fn thread_count(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// Runs what has not finished. One run that fails does not end the others.
///
/// # Errors
/// When the sweep's own directory cannot be written.
pub fn run(plan: &Plan, options: &SweepOptions<'_>) -> Result<Vec<End>, Error> {
    plan.begin()?;
    let started = Instant::now();
    let threads = thread_count(options.threads);
    let (workers, inside) = if is_wide(plan.members.len(), threads) { (threads, 1) } else { (1, threads) };
    let (data, brief) = (company::Data::default(), plan.members.len() > MANY);
    company::share(plan.members.len(), workers, inside, |k, pool| {
        let (member, company) = (&plan.members[k], Company { pool: Some(pool), data: Some(&data), brief });
        let settled = if plan.asked.hydra { hydra::settle(member) } else { Ok(()) };
        let end = settled.map_or_else(End::Failed, |()| one(member, &company, started, options));
        options.watch.ended(member, &end);
        end
    })
}

fn one(member: &Member, company: &Company<'_>, started: Instant, options: &SweepOptions<'_>) -> End {
    let left = options.max_seconds.map(|s| (s - started.elapsed().as_secs_f64()).max(0.0));
    let over = left == Some(0.0) || options.stop.load(Ordering::Relaxed);
    let go = || -> Result<End, Error> {
        let there = standing(&member.dir, &member.spec)?;
        match there {
            Standing::Finished => return Ok(End::Kept),
            Standing::Foreign(why) => {
                return Err(Error::usage(format!("{} is in the way: {why}", member.dir.display())));
            }
            _ if over => return Ok(End::NotBegun),
            Standing::Free | Standing::Unfinished => {}
        }
        let mut progress = options.watch.begins(member);
        let stint = Options {
            threads: None,
            max_seconds: left,
            checkpoint_seconds: options.checkpoint_seconds,
            stop: options.stop,
            lookup: options.lookup.clone(),
            progress: progress.as_mut(),
        };
        let finished = match there {
            Standing::Unfinished => resume_among(&member.spec, &member.dir, stint, company),
            _ => begin_among(&member.spec, &member.dir, stint, company),
        };
        finished.map(|f| End::Ran(f.outcome))
    };
    go().unwrap_or_else(End::Failed)
}

/// The final row of every run: `label`, `outcome`, `dir`, then its columns; empty cells where there is no run yet.
///
/// # Errors
/// When the files of a run cannot be read.
pub fn table(plan: &Plan) -> Result<(Vec<String>, Vec<Vec<String>>), Error> {
    let mut header: Vec<String> = ["label", "outcome", "dir"].map(String::from).to_vec();
    let mut last_rows = Vec::new();
    for member in &plan.members {
        let is_begun = member.dir.join("rows.csv").exists();
        let columns = if is_begun { Columns::read(&member.dir)? } else { Columns(Vec::new()) };
        let manifest = read_manifest(&member.dir)?.unwrap_or_default();
        let otherwise = if is_begun { "unfinished" } else { "not begun" };
        let outcome = manifest["outcome"]["kind"].as_str().unwrap_or(otherwise).to_owned();
        for (name, _) in &columns.0 {
            if !header.contains(name) {
                header.push(name.clone());
            }
        }
        last_rows.push((member, outcome, columns));
    }
    let cells = |(member, outcome, columns): (&Member, String, Columns)| {
        let dir = member.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let cell = |name: &String| columns.get(name).last().map_or_else(String::new, |v| number(*v));
        let values: Vec<String> = header[3..].iter().map(cell).collect();
        [vec![member.label.clone(), outcome, dir], values].concat()
    };
    let rows = last_rows.into_iter().map(cells).collect();
    Ok((header, rows))
}

/// Writes `sweep.csv` beside the runs, `sweep_seeds.csv` where an axis is `seed`, and the page of all runs that have begun.
///
/// # Errors
/// When a run cannot be read, or the directory cannot be written.
pub fn write_summary(plan: &Plan, title: &str, lookup: &Lookup) -> Result<(), Error> {
    let (header, rows) = table(plan)?;
    let path = plan.dir.join("sweep.csv");
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fail = |e: csv::Error| Error::usage(format!("{}: {e}", path.display()));
    writer.write_record(&header).map_err(fail)?;
    for row in &rows {
        writer.write_record(row).map_err(fail)?;
    }
    let bytes = writer.into_inner().map_err(|e| Error::usage(format!("{}: {e}", path.display())))?;
    write_whole(&path, &bytes)?;
    let begun: Vec<&Member> = plan.members.iter().filter(|m| m.dir.join("rows.csv").exists()).collect();
    if begun.is_empty() {
        return Ok(());
    }
    let mut added = Added::default();
    if let Some(groups) = sweep_seeds::groups(plan)? {
        let path = plan.dir.join("sweep_seeds.csv");
        let fail = |e: csv::Error| Error::usage(format!("{}: {e}", path.display()));
        write_whole(&path, &sweep_seeds::csv(&groups).map_err(fail)?)?;
        added.figures = sweep_seeds::figures(&groups);
        added.tables.extend(sweep_seeds::report_table(&groups));
        added.colours = sweep_seeds::colours(&begun);
    }
    // A page of a thousand runs would be a hundred megabytes; the tables have them all.
    let drawn = begun.len().min(if begun.len() > MANY { DRAWN } else { MANY });
    let dirs: Vec<&Path> = begun[..drawn].iter().map(|m| m.dir.as_path()).collect();
    let title = match drawn < begun.len() {
        true => format!("{title} (curves of the first {drawn} of {} runs)", begun.len()),
        false => title.to_owned(),
    };
    let page = crate::page::of_dirs(&title, &dirs, lookup, &added)?;
    write_whole(&plan.dir.join("report.html"), page.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "data = \"two-points\"\nmodel = \"linear\"\nloss = \"exponential\"\n\
                        algorithm = { kind = \"flow\", norm = \"l2\" }\nstop = { log10_loss = -5 }\n";

    fn plan(axes: &[&str], out: Option<&Path>) -> Result<Plan, Error> {
        let axes: Vec<String> = axes.iter().map(|a| a.to_string()).collect();
        Plan::new((SPEC, "spec.toml", "spec"), &[], &axes, out)
    }

    struct Nobody;
    impl Watch for Nobody {
        fn begins(&self, _: &Member) -> Box<dyn Progress + Send> {
            Box::new(crate::stint::Unwatched)
        }
        fn ended(&self, _: &Member, _: &End) {}
    }

    fn options(stop: &AtomicBool) -> SweepOptions<'_> {
        SweepOptions {
            threads: Some(2),
            max_seconds: None,
            checkpoint_seconds: 10.0,
            stop,
            lookup: Lookup::from_env(),
            watch: &Nobody,
        }
    }

    #[test]
    fn a_plan_is_the_product_of_its_axes_with_one_directory_each() -> Result<(), Error> {
        let plan = plan(&["seed=0..3", "stop.log10_loss=-5,-6"], None)?;
        let labels: Vec<&str> = plan.members.iter().map(|m| m.label.as_str()).collect();
        assert_eq!(labels.len(), 6);
        assert_eq!((labels[0], labels[5]), ("seed=0 log10_loss=-5", "seed=2 log10_loss=-6"));
        let dirs: HashSet<&PathBuf> = plan.members.iter().map(|m| &m.dir).collect();
        assert_eq!(dirs.len(), 6);
        assert!(plan.members.iter().all(|m| m.dir.starts_with(&plan.dir)));
        Ok(())
    }

    #[test]
    fn a_wrong_value_is_found_before_anything_runs() {
        assert!(plan(&["stop.log10_loss=-5,6"], None).is_err_and(|e| e.is_spec()));
    }

    #[test]
    fn runs_go_wide_only_when_there_are_enough_of_them() {
        assert!(is_wide(16, 4) && is_wide(4, 4));
        assert!(!is_wide(3, 4) && !is_wide(3, 1));
    }

    #[test]
    fn a_stopped_sweep_goes_on_where_it_was_and_keeps_what_has_finished()
    -> Result<(), Box<dyn std::error::Error>> {
        let place = tempfile::tempdir()?;
        let plan = plan(&["seed=0..3"], Some(&place.path().join("sweep")))?;
        let stop = AtomicBool::new(true);
        let ends = run(&plan, &options(&stop))?;
        assert!(ends.iter().all(|e| matches!(e, End::NotBegun)));
        stop.store(false, Ordering::Relaxed);
        let ends = run(&plan, &options(&stop))?;
        assert!(ends.iter().all(|e| matches!(e, End::Ran(o) if o.is_reached())), "{ends:?}");
        let ends = run(&plan, &options(&stop))?;
        assert!(ends.iter().all(|e| matches!(e, End::Kept)), "{ends:?}");
        assert_eq!(plan.in_the_way()?, None);

        write_summary(&plan, "sweep", &Lookup::from_env())?;
        let (header, rows) = table(&plan)?;
        assert_eq!(&header[..3], ["label", "outcome", "dir"]);
        assert!(rows.iter().all(|r| r[1] == "reached" && r.len() == header.len()));
        Ok(())
    }

    #[test]
    fn the_parts_of_a_sweep_are_the_sweep_and_have_nothing_in_common() -> Result<(), Error> {
        let all = plan(&["seed=0..7"], None)?;
        let parts: Vec<Plan> = (1..=3).map(|k| all.clone().part(k, 3)).collect();
        let sizes: Vec<usize> = parts.iter().map(|p| p.members.len()).collect();
        assert_eq!(sizes, [3, 2, 2]);
        let mut dirs: Vec<&PathBuf> = parts.iter().flat_map(|p| &p.members).map(|m| &m.dir).collect();
        dirs.sort();
        dirs.dedup();
        assert_eq!(dirs.len(), 7);
        assert!(parts.iter().all(|p| p.text() == all.text()), "each part knows the whole");
        Ok(())
    }

    #[test]
    fn a_sweep_is_planned_again_from_what_it_stored() -> Result<(), Box<dyn std::error::Error>> {
        let place = tempfile::tempdir()?;
        for hydra in [false, true] {
            let dir = place.path().join(format!("sweep-{hydra}"));
            let first = plan(&["seed=range(3)", "stop.log10_loss=choice(-5,-6)"], Some(&dir))?;
            let first = if hydra { first.in_hydra_layout() } else { first };
            let stop = AtomicBool::new(false);
            // Two parts at once, as two jobs of a cluster would.
            let parts = [first.clone().part(1, 2), first.clone().part(2, 2)];
            std::thread::scope(|scope| {
                let run = |part: &Plan| run(part, &options(&stop)).map(|ends| ends.len());
                let jobs: Vec<_> = parts.iter().map(|part| scope.spawn(move || run(part))).collect();
                jobs.into_iter().for_each(|job| assert!(job.join().is_ok_and(|n| n.is_ok_and(|n| n == 3))));
            });
            let again = Plan::read(&dir)?;
            assert_eq!(again.asked, first.asked);
            assert_eq!((again.in_the_way()?, again.text()), (None, first.text()));
            let ends = run(&again, &options(&stop))?;
            assert!(ends.iter().all(|e| matches!(e, End::Kept)), "{ends:?}");
            let (_, rows) = table(&again)?;
            assert!(rows.len() == 6 && rows.iter().all(|r| r[1] == "reached"));
            assert_eq!(dir.join("4/.hydra/overrides.yaml").exists(), hydra);
            assert_eq!(dir.join("multirun.yaml").exists(), hydra);
        }
        let error = Plan::read(place.path()).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("plan.toml"), "{error}");
        Ok(())
    }

    #[test]
    fn another_sweep_in_the_directory_is_in_the_way() -> Result<(), Box<dyn std::error::Error>> {
        let place = tempfile::tempdir()?;
        let first = plan(&["seed=0..2"], Some(place.path()))?;
        assert_eq!(first.in_the_way()?, None);
        fs::write(place.path().join("mine"), "x")?;
        assert_eq!(first.in_the_way()?, Some("it holds no sweep"));
        fs::write(place.path().join("sweep.toml"), first.text())?;
        assert_eq!(first.in_the_way()?, None);
        let second = plan(&["seed=0..3"], Some(place.path()))?;
        assert_eq!(second.in_the_way()?, Some("it holds another sweep"));
        Ok(())
    }
}
