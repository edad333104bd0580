//! `latephase limit`.

use std::io::Write;
use std::time::{Duration, Instant};

use latephase_lab::build::build;
use latephase_lab::input;
use latephase_lab::limit::{self, DIR, Method, Start, Wanted, find};
use latephase_lab::source::Lookup;

use crate::args::{self, By};
use crate::exit::{Exit, Failure};
use crate::output::{aligned, say};
use crate::signals;

/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(1);

/// Goes from a run, or from weights, to the KKT point that the direction is heading for.
///
/// # Errors
/// What is wrong with the call or the files; models without a limit of the kind.
pub fn limit(args: &args::Limit) -> Result<Exit, Failure> {
    if !(args.tolerance > 0.0 && args.tolerance < 1.0) {
        return Err(Failure::wrong(format!("--tolerance: {} is not between 0 and 1", args.tolerance)));
    }
    let start = match &args.spec {
        Some(spec) => Start::read(input::read(spec, &[])?.0, &args.from, None)?,
        None => Start::of_run(&args.from, args.at)?,
    };
    let dir = match (&args.out, &start.run) {
        (Some(dir), _) => dir.clone(),
        (None, Some(run)) => run.join(DIR),
        (None, None) => return Err(Failure::wrong("name a directory for what is found with --out")),
    };
    let built = build(&start.spec, &Lookup::from_env()).map_err(|e| start.spec.locate(e))?;
    let problem = &built.run.problem;
    let theta = start.theta(problem)?;
    signals::listen()?;
    let mut last = Instant::now();
    let mut watch = |way: &'static str, look: &latephase_core::limit::Look| {
        if args.quiet || last.elapsed() < EVERY {
            return;
        }
        last = Instant::now();
        // A log that nobody reads any more must not end the search.
        drop(writeln!(
            std::io::stderr(),
            "{way}  step {}  residual {:.2e}  margin {:.7}  pieces {}  ln rho +{:.2}",
            look.step,
            look.residual,
            look.margin,
            look.pieces,
            look.ln_rho
        ));
    };
    let wanted = Wanted {
        method: match args.method {
            By::Flow => Method::Flow,
            By::ShortCut => Method::ShortCut,
            By::Both => Method::Both,
        },
        tolerance: args.tolerance,
        max_seconds: args.max_seconds,
        stop: &signals::STOP,
        watch: &mut watch,
    };
    let found = find(problem, &theta, wanted)?;
    let record = found.json(&start.spec, &start.from, args.tolerance)?;
    found.write(&dir, &record, &start, problem).map_err(|e| Failure::during_run(&e))?;
    if args.json {
        say(&record.to_string())?;
    } else {
        let rows: Vec<Vec<String>> =
            limit::table(&record).into_iter().map(|(label, value)| vec![label, value]).collect();
        say(&aligned(&rows))?;
        say(&format!("{}", dir.join(limit::FILE).display()))?;
    }
    Ok(if found.is_found() {
        Exit::Done
    } else if signals::STOP.load(std::sync::atomic::Ordering::Relaxed) {
        Exit::Interrupted
    } else {
        Exit::Otherwise
    })
}
