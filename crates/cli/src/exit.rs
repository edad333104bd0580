//! Exit codes: what a script is told.

use std::process::ExitCode;

use latephase_lab::Error;
use latephase_lab::outcome::Outcome;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The run ended in an outcome that the spec allows, or the command did what was asked.
    Done = 0,
    /// A claim was violated.
    Violated = 1,
    /// The spec, a file or the call is wrong.
    Wrong = 2,
    /// The run ended otherwise.
    Otherwise = 3,
    /// Reading or writing failed during the run.
    Io = 4,
    /// Interrupted: 128 + SIGINT, as shells have it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<&Outcome> for Exit {
    fn from(outcome: &Outcome) -> Exit {
        if outcome.is_reached() {
            Exit::Done
        } else if outcome.is_interrupted() {
            Exit::Interrupted
        } else {
            Exit::Otherwise
        }
    }
}

/// Why a command could not do its work: what to say and how to end.
#[derive(Debug)]
pub struct Failure {
    /// Said on standard error.
    pub message: String,
    /// The code.
    pub exit: Exit,
}

impl Failure {
    /// The call is wrong, or what it names.
    pub fn wrong(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), exit: Exit::Wrong }
    }

    /// An error of a run under way: what cannot be written is not the caller's mistake.
    pub fn during_run(error: &Error) -> Failure {
        let exit = if error.is_io() { Exit::Io } else { Exit::Wrong };
        Failure { message: error.report(), exit }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::wrong(error.report())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_that_the_spec_does_not_name_are_3() {
        let what = || "x".to_owned();
        assert_eq!(Exit::from(&Outcome::Reached { what: what() }), Exit::Done);
        assert_eq!(Exit::from(&Outcome::Interrupted { what: what() }), Exit::Interrupted);
        for outcome in [
            Outcome::OutOfSteps { what: what() },
            Outcome::Diverged { what: what() },
            Outcome::Chattering { what: what() },
            Outcome::Precision { what: what() },
            Outcome::Stationary { what: what() },
            Outcome::Failed { what: what() },
        ] {
            assert_eq!(Exit::from(&outcome), Exit::Otherwise, "{}", outcome.name());
        }
    }

    #[test]
    fn a_device_that_fails_during_a_run_is_4_and_before_it_2() {
        let error = || Error::io("rows.csv", "append to", std::io::Error::other("full"));
        assert_eq!(Failure::during_run(&error()).exit, Exit::Io);
        assert_eq!(Failure::from(error()).exit, Exit::Wrong);
    }
}
