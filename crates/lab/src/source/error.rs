//! What can be wrong with a data source: its settings, where its files are, what is in them.

use std::path::PathBuf;

use latephase_core::Invalid;

/// Why a source gave no data. The text names the file, the place in it and the field.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A setting does not fit the data, or another setting.
    #[error("{field}: {message}")]
    Setting {
        /// The setting, relative to the `data` table.
        field: String,
        /// What was given, what is allowed.
        message: String,
    },
    /// A file or directory is in none of the places where it may be.
    #[error("cannot find `{name}`; looked for {}{hint}", listed(tried))]
    NotFound {
        /// As the spec names it.
        name: String,
        /// Every path tried, in order.
        tried: Vec<PathBuf>,
        /// What else could be done; empty or starting with a separator.
        hint: &'static str,
    },
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{file}{}{at}: {message}", if at.is_empty() { "" } else { ", " })]
    Format {
        /// The file, as the spec names it.
        file: String,
        /// Record, line and column, or example; empty when the whole file is meant.
        at: String,
        /// What was found, what was expected.
        message: String,
    },
}

impl SourceError {
    /// Whether the spec is to blame rather than a file.
    pub fn is_setting(&self) -> bool {
        matches!(self, SourceError::Setting { .. })
    }

    pub(super) fn setting(field: &str, message: impl Into<String>) -> Self {
        SourceError::Setting { field: field.into(), message: message.into() }
    }

    pub(super) fn format(file: &str, at: impl Into<String>, message: impl Into<String>) -> Self {
        SourceError::Format { file: file.into(), at: at.into(), message: message.into() }
    }
}

impl From<Invalid> for SourceError {
    fn from(invalid: Invalid) -> Self {
        SourceError::Setting { field: invalid.field, message: invalid.message }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}
