//! The one error of the lab: a wrong spec, a wrong call, or a file that could not be read or written.
//!
//! A run that diverges or chatters is not an error: it ends with an outcome.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use latephase_core::Invalid;

use crate::source::SourceError;

/// What went wrong, with the place where it can be mended.
///
/// Display says what was given, what is allowed and the nearest valid choice; the cause beneath it, such as the
/// operating system's message, is the [`source`](std::error::Error::source). [`Error::report`] prints both.
///
/// # Examples
/// A missing file names the file and keeps the cause:
/// ```
/// use latephase_lab::Error;
/// let missing = std::fs::read("no/such.toml").unwrap_err();
/// let error = Error::io("no/such.toml", "read", missing);
/// assert!(error.is_io());
/// assert!(error.report().starts_with("cannot read no/such.toml: "));
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Kind>);

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("{location}: {message}")]
    Spec { location: String, message: String },
    #[error("cannot {action} {}", path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Content(String),
}

impl Error {
    /// A spec that is wrong at `location`: `spec.toml:7:10`, an override, or the dotted path of a setting, which
    /// [`Spec::locate`](crate::Spec::locate) turns into one of these.
    pub fn spec(location: impl Display, message: impl Display) -> Self {
        Error(Box::new(Kind::Spec { location: location.to_string(), message: message.to_string() }))
    }

    /// A file or directory with which `action` ("read", "write", "create", …) failed.
    pub fn io(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Self {
        Error(Box::new(Kind::Io { path: path.into(), action, source }))
    }

    /// A call that makes no sense: arguments, or a run directory that is not what it should be.
    pub fn usage(message: impl Display) -> Self {
        Error(Box::new(Kind::Usage(message.to_string())))
    }

    /// A file that was read and is not what it should be; the message names it.
    pub fn content(message: impl Display) -> Self {
        Error(Box::new(Kind::Content(message.to_string())))
    }

    /// Whether a spec, or an override of it, is wrong.
    pub fn is_spec(&self) -> bool {
        matches!(*self.0, Kind::Spec { .. })
    }

    /// Whether reading or writing failed.
    pub fn is_io(&self) -> bool {
        matches!(*self.0, Kind::Io { .. })
    }

    /// Whether the call was wrong.
    pub fn is_usage(&self) -> bool {
        matches!(*self.0, Kind::Usage(_))
    }

    /// Whether a data file, a checkpoint or a record is not what it should be.
    pub fn is_content(&self) -> bool {
        matches!(*self.0, Kind::Content(_))
    }

    /// The setting that is wrong, where the location is a dotted path of a spec.
    pub(crate) fn setting(&self) -> Option<Invalid> {
        match &*self.0 {
            Kind::Spec { location, message } if !location.contains([':', ' ']) => {
                Some(Invalid::new(location, message))
            }
            _ => None,
        }
    }

    /// The message and all its causes, joined by colons: what a person should be shown.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Setting { field, message } if field.is_empty() => Error::spec("data", message),
            SourceError::Setting { field, message } => Error::spec(format!("data.{field}"), message),
            SourceError::NotFound { .. } => Error::spec("data", error),
            SourceError::Io { path, source } => Error::io(path, "read", source),
            SourceError::Format { .. } => Error::content(error),
        }
    }
}
