//! The laboratory around the core: specs, runs, their records and their reports.
#![deny(missing_docs)]

pub mod cadence;
pub mod error;
pub mod overrides;
pub mod report;
pub mod source;
pub mod spec;
pub mod stop;
pub mod sweep_axes;

pub use error::Error;
pub use spec::Spec;
