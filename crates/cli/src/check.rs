//! `latephase check`.

use latephase_lab::build::build;
use latephase_lab::claim::user::UserClaim;
use latephase_lab::claim::{Facts, find, twin};
use latephase_lab::findings::{listed, of_one, refresh};
use latephase_lab::refute::columns;
use latephase_lab::source::Lookup;
use latephase_lab::stint::{Options, read_spec};
use serde_json::{Value, json};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output::{aligned, say};
use crate::progress::Watch;
use crate::signals;

/// Holds every claim, or some, against a run, and says what it is.
///
/// # Errors
/// When the directory holds no run, a claim does not exist, or the twin cannot be made.
pub fn check(args: &args::Check) -> Result<Exit, Failure> {
    for id in &args.only {
        find(id).map_err(Failure::wrong)?;
    }
    let own = args.claim.as_ref().map(|path| UserClaim::read(path, &columns())).transpose()?;
    let dir = &args.run;
    if !dir.join("rows.csv").exists() {
        return Err(Failure::wrong(format!(
            "{} is not a run directory: it holds no rows.csv",
            dir.display()
        )));
    }
    let spec = read_spec(dir)?;
    let lookup = Lookup::from_env();
    if args.twin {
        signals::listen()?;
        let twin = twin::of(&spec)?;
        let mut watch = Watch::new(&twin.stop, args.quiet);
        let made = twin::make(
            &twin,
            dir,
            Options {
                threads: args.threads.map(usize::from),
                max_seconds: None,
                checkpoint_seconds: 60.0,
                stop: &signals::STOP,
                lookup: lookup.clone(),
                progress: &mut watch,
            },
        );
        watch.finish();
        made.map_err(|e| Failure::during_run(&e))?;
    }
    if let Some(own) = own {
        let built = build(&spec, &lookup).map_err(|e| spec.locate(e))?;
        let judged = of_one(dir, Facts::of_built(&spec, &built), &own)?.json();
        let violated = judged["verdict"] == "violated";
        say(&if args.json { judged.to_string() } else { table(&[judged], true, "") })?;
        return Ok(if violated { Exit::Violated } else { Exit::Done });
    }
    let findings = refresh(dir, &spec, &lookup)?;
    let wanted = |c: &Value| args.only.is_empty() || args.only.iter().any(|id| c["id"] == id.as_str());
    let judged: Vec<Value> = listed(&findings, "claims").iter().filter(|c| wanted(c)).cloned().collect();
    if args.json {
        say(&json!({ "tally": findings["tally"], "twin": findings["twin"], "claims": judged }).to_string())?;
    } else {
        say(&table(
            &judged,
            args.all || !args.only.is_empty(),
            findings["tally"].as_str().unwrap_or_default(),
        ))?;
    }
    let violated = judged.iter().any(|c| c["verdict"] == "violated");
    Ok(if violated { Exit::Violated } else { Exit::Done })
}

/// The claims, violated ones first; those that do not apply only where asked for.
fn table(judged: &[Value], all: bool, tally: &str) -> String {
    let mut rows = vec![["claim", "verdict", "", "source"].map(String::from).to_vec()];
    for verdict in ["violated", "holds", "undecided", "not-applicable"] {
        if verdict == "not-applicable" && !all {
            continue;
        }
        for claim in judged.iter().filter(|c| c["verdict"] == verdict) {
            let text = |key: &str| claim[key].as_str().unwrap_or_default().to_owned();
            rows.push(vec![text("id"), verdict.replace('-', " "), text("text"), text("source")]);
        }
    }
    let hint = if all { "" } else { "\n--all shows those that do not apply, and why" };
    format!("{}{tally}{hint}", aligned(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_violated_comes_first_and_what_does_not_apply_is_left_out() {
        let claim =
            |id: &str, verdict: &str| json!({ "id": id, "verdict": verdict, "text": "why", "source": "s" });
        let judged = [claim("a/x", "holds"), claim("a/y", "not-applicable"), claim("a/z", "violated")];
        let text = table(&judged, false, "tally");
        assert!(text.find("a/z") < text.find("a/x") && !text.contains("a/y"), "{text}");
        assert!(table(&judged, true, "tally").contains("a/y"));
    }

    #[test]
    fn a_directory_without_rows_is_refused() -> std::io::Result<()> {
        let place = tempfile::tempdir()?;

        let args = args::Check { run: place.path().to_owned(), ..args::Check::default() };
        assert!(check(&args).is_err_and(|f| f.message.contains("no rows.csv")));
        Ok(())
    }
}
