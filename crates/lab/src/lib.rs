//! The laboratory around the core: specs, runs, their records and their reports.
#![deny(missing_docs)]

pub mod cadence;
pub mod error;
pub mod spec;
pub mod stop;

pub use error::Error;
pub use spec::Spec;
