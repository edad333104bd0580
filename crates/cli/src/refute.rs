//! `latephase refute`.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use latephase_lab::Error;
use latephase_lab::claim::{Kind, Mark, all};
use latephase_lab::company;
use latephase_lab::refute::{CONJECTURES, Report, Search, Standing, Target, refute as search, save};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output::{aligned, say};
use crate::signals;

/// Positions of a full bar.
const FULL: u64 = 1000;
/// Between two lines of a log.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Searches, saves what was found and says what it is.
///
/// # Errors
/// A claim that is not there or cannot be searched, a file that is wrong, or what cannot be written.
pub fn refute(args: &args::Refute) -> Result<Exit, Failure> {
    let Some(name) = args.claim.as_deref().filter(|_| !args.list) else {
        say(&list()?)?;
        return Ok(Exit::Done);
    };
    let target = Target::find(name)?;
    let about = target.claim().about();
    let out = args.out.clone().unwrap_or_else(|| default_directory(about.id));
    if !args.quiet {
        eprintln!("{}: {}", about.id, about.says);
    }
    let beyond = target.beyond_the_twin();
    if !beyond.is_empty() && !args.quiet {
        eprintln!("no hit can be confirmed in double-double, which has no {}", beyond.join(", "));
    }
    signals::listen()?;
    let mut watch = Watch::new(args.quiet);
    let report = company::pool(args.threads.map(usize::from))?.install(|| {
        search(
            &target,
            Search {
                budget: Duration::from_secs_f64(args.budget),
                seed: args.seed,
                stop: &signals::STOP,
                progress: &mut |standing| watch.tell(standing),
            },
        )
    });
    watch.finish();
    let report = report?;
    if report.found.is_some() {
        save(&out, &target, &report).map_err(|e: Error| Failure::during_run(&e))?;
    }
    say(&if args.json { report.json(target.claim()).to_string() } else { text(&report, &target, &out) })?;
    Ok(match (&report.found, report.stopped) {
        (Some(_), _) => Exit::Violated,
        (None, true) => Exit::Interrupted,
        (None, false) => Exit::Done,
    })
}

fn default_directory(id: &str) -> PathBuf {
    Path::new("runs").join(format!("refute-{}", id.replace('/', "-")))
}

fn text(report: &Report, target: &Target, out: &Path) -> String {
    let about = target.claim().about();
    let mut text = match &report.found {
        Some(found) => {
            let place = out.join("spec.toml");
            let claim = match target {
                Target::Own(_) => format!("--claim {}", out.join("claim.toml").display()),
                Target::Stated(_) => format!("--only {}", about.id),
            };
            let run = out.join("run");
            format!(
                "refuted: {}\n  violated at step {} by {:.1e}\n  {}\n\n{}\nreproduce it with\n  latephase run {} --out {}\n  \
                 latephase check {} {claim}\n",
                about.says,
                found.at,
                found.by,
                found.candidate.describe(),
                found.spec,
                place.display(),
                run.display(),
                run.display(),
            )
        }
        None => format!("not refuted: {}\n", about.says),
    };
    let (decided, tried) = (report.decided, report.tried);
    text += &format!("{decided} of {tried} runs decided it, in {:.1} s", report.seconds);
    if report.slack.is_finite() {
        text += &format!(", least slack {:.1e}", report.slack);
    }
    if report.doubtful > 0 {
        let why = report.doubt.as_deref().unwrap_or("");
        text += &format!("; {} hits did not survive, the last one because {why}", report.doubtful);
    }
    text + "\n"
}

/// What can be named.
fn list() -> Result<String, Failure> {
    let mut rows = vec![["conjecture", "says"].map(String::from).to_vec()];
    for (id, _) in CONJECTURES {
        rows.push(vec![(*id).to_owned(), Target::find(id)?.claim().about().says.to_owned()]);
    }
    let mut claims = vec![["claim", "says"].map(String::from).to_vec()];
    for claim in all() {
        let about = claim.about;
        let decides = !matches!(about.kind, Kind::Limit | Kind::Diagnostic | Kind::Negative);
        if decides && about.mark != Mark::Recalled {
            claims.push(vec![about.id.to_owned(), about.says.to_owned()]);
        }
    }
    Ok(format!("{}\n{}", aligned(&rows), aligned(&claims)))
}

/// A bar over the budget on a terminal, lines elsewhere.
struct Watch {
    bar: Option<ProgressBar>,
    quiet: bool,
    last: Instant,
}

impl Watch {
    fn new(quiet: bool) -> Watch {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(FULL), ProgressDrawTarget::stderr_with_hz(10));
            let style = ProgressStyle::with_template("{bar:30} {elapsed}  {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Watch { bar, quiet, last: Instant::now() }
    }

    fn tell(&mut self, standing: &Standing) {
        let mut text = format!("{} runs", standing.tried);
        if standing.slack.is_finite() {
            text += &format!("  least slack {:.1e}", standing.slack);
        }
        if standing.doubtful > 0 {
            text += &format!("  {} did not survive", standing.doubtful);
        }
        if let Some(kept) = standing.shrunk {
            text += &format!("  violated; shrinking, {kept} changes");
        }
        match &self.bar {
            Some(bar) => {
                bar.set_position((standing.part.min(1.0) * FULL as f64) as u64);
                bar.set_message(text);
            }
            None if !self.quiet && self.last.elapsed() > LINE_EVERY => {
                self.last = Instant::now();
                // A log that nobody reads any more must not end the search.
                drop(writeln!(std::io::stderr(), "{text}"));
            }
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
