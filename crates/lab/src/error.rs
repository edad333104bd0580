//! The one error of the lab: a wrong spec, a wrong call, or a file that could not be read or written.
//!
//! A run that diverges or chatters is not an error: it ends with an outcome.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

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
    Spec { location: String, key: Option<String>, message: String },
    #[error("cannot {action} {}", path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Content(String),
}

/// What is wrong with a spec, for callers that show it in their own way.
///
/// # Examples
/// ```
/// use latephase_lab::Spec;
/// let text = "data = 'two-points'\nmodel = 'linear'\nloss = 'logistics'\nalgorithm = 'flow'\nstop = { steps = 9 }";
/// let error = Spec::parse(text, "spec.toml", &[]).unwrap_err();
/// let wrong = error.wrong().unwrap();
/// assert_eq!((wrong.key, wrong.file_line_column()), (Some("loss"), Some(("spec.toml", 3, 8))));
/// assert!(wrong.message.contains("did you mean `logistic`?"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wrong<'a> {
    /// Where it was written: `spec.toml:7:10`, or an override.
    pub location: &'a str,
    /// The dotted path of the setting, where it is known.
    pub key: Option<&'a str>,
    /// What was given, what is allowed, the nearest valid choice.
    pub message: &'a str,
}

impl<'a> Wrong<'a> {
    /// The file, line and column, both from 1; none where it was written elsewhere.
    pub fn file_line_column(&self) -> Option<(&'a str, usize, usize)> {
        let (rest, column) = self.location.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        Some((file, line.parse().ok()?, column.parse().ok()?))
    }
}

impl Error {
    /// A spec that is wrong at `location`: `spec.toml:7:10`, an override, or the dotted path of a setting, which
    /// [`Spec::locate`](crate::Spec::locate) turns into one of these.
    pub fn spec(location: impl Display, message: impl Display) -> Self {
        let (location, message) = (location.to_string(), message.to_string());
        let key = (!location.contains([':', ' '])).then(|| location.clone());
        Error(Box::new(Kind::Spec { location, key, message }))
    }

    /// The same, where the setting is known by its dotted path as well as by its place.
    pub(crate) fn spec_key(location: impl Display, key: String, message: impl Display) -> Self {
        let key = (!key.is_empty()).then_some(key);
        Error(Box::new(Kind::Spec { location: location.to_string(), key, message: message.to_string() }))
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

    /// What is wrong with a spec, in parts; none for another error.
    pub fn wrong(&self) -> Option<Wrong<'_>> {
        match &*self.0 {
            Kind::Spec { location, key, message } => Some(Wrong { location, key: key.as_deref(), message }),
            _ => None,
        }
    }

    /// The file that could not be read or written, and what the system says; none for another error.
    pub fn file(&self) -> Option<(&Path, &io::Error)> {
        match &*self.0 {
            Kind::Io { path, source, .. } => Some((path, source)),
            _ => None,
        }
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
            Kind::Spec { location, message, .. } if !location.contains([':', ' ']) => {
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
