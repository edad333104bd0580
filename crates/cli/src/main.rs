//! The command line of latephase: every command is a file here, and the work is done in the lab.

mod args;
mod audit;
mod check;
mod check_spec;
mod cite;
mod compare;
mod degree;
mod exact;
mod exit;
mod export;
mod init;
mod limit;
mod list;
mod output;
mod progress;
mod recipe;
mod refute;
mod report;
mod resume;
mod run;
mod signals;
mod summary;
mod sweep;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;
use exit::{Exit, Failure};
use latephase_lab::input;

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{}", failure.message);
            failure.exit.into()
        }
    }
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::Merge { dir, json } => sweep::merge(&dir, json),
        Command::List { kind, names } => list::list(kind.as_deref(), names),
        Command::Report { runs, out } => report::report(&runs, out.as_deref()),
        Command::Compare { a, b, json } => compare::compare(&a, &b, json),
        Command::Export(args) => export::export(&args),
        Command::Init { file } => init::init(file.as_deref()),
        Command::Cite { what } => cite::cite(&what),
        Command::CheckSpec { spec, overrides } => check_spec::check_spec(&spec, &overrides),
        Command::Check(args) => check::check(&args),
        Command::Audit(args) => audit::audit(&args),
        Command::Degree { spec, overrides, radius, json } => degree::degree(&spec, &overrides, radius, json),
        Command::Exact(args) => exact::exact(&args),
        Command::Limit(args) => limit::limit(&args),
        Command::Refute(args) => refute::refute(&args),
        Command::Recipe(args) => recipe::recipe(&args),
    }
}
