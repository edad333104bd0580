//! The laboratory around the core: specs, runs, their records and their reports.
#![deny(missing_docs)]

pub mod build;
pub mod cadence;
pub mod compare;
pub mod error;
pub mod expect;
pub mod findings;
pub mod outcome;
pub mod overrides;
pub mod page;
pub mod recipe;
pub mod report;
pub mod run;
pub mod session;
pub mod source;
pub mod spec;
pub mod stop;
pub mod store;
pub mod summary;
pub mod sweep;
pub mod sweep_axes;

pub use error::Error;
pub use spec::Spec;
