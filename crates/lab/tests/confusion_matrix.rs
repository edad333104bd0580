//! Every claim against runs that must satisfy it and runs that must not pass: no false *holds*, no false *violated*.
//!
//! The table is kept in `docs/claims.md`; `LATEPHASE_BLESS=1` writes it anew.

#[path = "confusion/expect.rs"]
mod expect;
#[path = "confusion/runs.rs"]
mod runs;
#[path = "confusion/sabotage.rs"]
mod sabotage;
#[path = "confusion/table.rs"]
mod table;

use std::path::Path;

use latephase_core::probe::AnyProbe;
use latephase_lab::claim::{Kind, Verdict, all};

#[test]
fn every_claim_tells_runs_that_satisfy_it_from_runs_that_do_not() {
    let runs = runs::all();
    if std::env::var_os("LATEPHASE_DUMP").is_some() {
        runs::dump(&runs);
    }
    let verdict = |run: &str, id: &str| -> &Verdict {
        let run = runs.iter().find(|r| r.name == run).unwrap_or_else(|| panic!("no run {run}"));
        &run.judged.iter().find(|(known, _)| known == id).unwrap_or_else(|| panic!("no claim {id}")).1
    };
    let mut wrong = Vec::new();
    let mut expect = |run: &str, id: &str, word: &str| {
        let found = verdict(run, id);
        if found.word() != word {
            wrong.push(format!("{id} on `{run}`: {} ({found}), and not {word}", found.word()));
        }
    };
    for claim in expect::EXPECT {
        claim.holds.iter().for_each(|run| expect(run, claim.id, "holds"));
        claim.flagged.iter().for_each(|(run, word)| expect(run, claim.id, word));
    }
    // A run that breaks no assumption violates nothing.
    for run in runs.iter().filter(|r| r.is_sound) {
        for (id, found) in &run.judged {
            if let Verdict::Violated { .. } = found {
                wrong.push(format!("{id} on `{}`: violated {found}, a false alarm", run.name));
            }
        }
    }
    for claim in all() {
        let id = claim.about.id;
        let unmeasured = claim.about.needs.iter().any(|(_, probe)| !AnyProbe::NAMES.contains(probe));
        if unmeasured {
            continue;
        }
        let known = expect::EXPECT.iter().find(|e| e.id == id);
        let diagnostic = claim.about.kind == Kind::Diagnostic;
        match known {
            None => wrong.push(format!("{id} is expected of no run")),
            Some(e) if !diagnostic && (e.holds.len() < 2 || e.flagged.len() < 2) => {
                wrong.push(format!("{id} needs two runs that satisfy it and two that do not"));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/claims.md");
    let text = table::markdown(&runs);
    if std::env::var_os("LATEPHASE_BLESS").is_some() {
        std::fs::write(&path, &text).expect("docs can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/claims.md is not what the runs say; LATEPHASE_BLESS=1 writes it anew");
}
