//! The book's examples run: every page is a directory of its own, in which its files are written and its commands run in order.
//!
//! - A block of `toml file=NAME` is written to that file.
//! - A block of `sh` is run by the shell with the program in its path; it has to end with 0.
//! - The lines of a block of `text output` have to stand in what the block before printed.
//! - Files of the project that a page names are there.
//!
//! Programs in Rust are run as examples of the lab's documentation, those in Python by the package's tests; `console` is not run.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Place;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A fenced block: what stands behind the fence, and its text.
struct Block {
    kind: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => found.push(block),
            (Some(kind), None) => open = Some(Block { kind: kind.trim().to_owned(), text: String::new() }),
            (None, Some(mut block)) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// A line without regard to how wide its gaps are.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn run_page(name: &str, page: &str) {
    let place = Place::new();
    let program = Path::new(env!("CARGO_BIN_EXE_latephase")).parent().expect("a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(program.to_owned()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths).expect("a path");
    let mut printed = String::new();
    for block in blocks(page) {
        if let Some(file) = block.kind.strip_prefix("toml file=") {
            place.write(file, &block.text);
        } else if block.kind == "sh" {
            let mut shell = Command::new("sh");
            shell.args(["-eu", "-c", &block.text]).current_dir(place.path("")).env("PATH", &path);
            let output = shell.env_remove("LATEPHASE_DATA").output().expect("a shell");
            printed = String::from_utf8_lossy(&output.stdout).into_owned();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {}\n{printed}\n{said}", block.text);
        } else if block.kind == "text output" {
            for line in block.text.lines().map(words) {
                let found = printed.lines().any(|l| words(l).starts_with(&line));
                assert!(found, "{name}: no line begins with `{line}` in\n{printed}");
            }
        } else {
            let known = ["console", "rust", "python", "python full", "text"];
            assert!(
                known.contains(&block.kind.as_str()),
                "{name}: a block of `{}` is not tested",
                block.kind
            );
        }
    }
}

/// Paths of the project in backquotes, but for those with a part to fill in.
fn named(page: &str) -> Vec<String> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_path = |p: &&str| {
        ["crates/", "examples/", "scripts/", "docs/"].iter().any(|start| p.starts_with(start))
            && !p.contains(' ')
            && !["NAME", "PAPER"].iter().any(|part| p.contains(part))
    };
    quoted.filter(is_path).map(str::to_owned).collect()
}

macro_rules! pages {
    ($($test:ident: $file:literal),+ $(,)?) => {
        const PAGES: &[&str] = &[$($file),+];
        $(#[test]
        fn $test() {
            let page = fs::read_to_string(root().join("docs/book/src").join($file)).expect("a page");
            for path in named(&page) {
                assert!(root().join(&path).exists(), "{}: there is no {path}", $file);
            }
            if cfg!(unix) {
                run_page($file, &page);
            }
        })+
    };
}

pages! {
    what_this_is: "index.md",
    a_first_run: "first-run.md",
    choosing_an_algorithm: "choose.md",
    reading_verdicts: "verdicts.md",
    exact_optima: "exact.md",
    sweeps: "sweeps.md",
    trackers: "trackers.md",
    from_python: "python.md",
    extending: "extend.md",
    from_theory_to_code: "map.md",
    lists: "lists.md",
}

#[test]
fn every_page_is_in_the_summary_and_tested() {
    let src = root().join("docs/book/src");
    let summary = fs::read_to_string(src.join("SUMMARY.md")).expect("a summary");
    let mut pages: BTreeMap<String, bool> = BTreeMap::new();
    for entry in fs::read_dir(&src).expect("the book").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "SUMMARY.md" {
            pages.insert(
                name.clone(),
                PAGES.contains(&name.as_str()) && summary.contains(&format!("({name})")),
            );
        }
    }
    assert!(pages.values().all(|fine| *fine) && pages.len() == PAGES.len(), "{pages:?}");
}

#[test]
fn the_claims_of_the_map_are_in_the_list() {
    let map = fs::read_to_string(root().join("docs/book/src/map.md")).expect("a page");
    let listed = Place::new().ends(0, &["list", "claims", "--names"]).out;
    let papers = ["lyu-li/", "ji-telgarsky/", "telgarsky/", "tsilivis/", "cai/", "schechtman/"];
    let quoted = map.split('`').skip(1).step_by(2);
    let claims: Vec<&str> = quoted.filter(|q| papers.iter().any(|p| q.starts_with(p))).collect();
    assert!(claims.len() > 20);
    for claim in claims {
        assert!(listed.lines().any(|line| line == claim), "{claim}");
    }
}
