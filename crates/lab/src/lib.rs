//! The laboratory around the core: specs, runs, their records and their reports.
//!
//! A [`Spec`] is read by [`spec`], turned into a [`run::Run`] by [`build`], driven through [`stint`] into a run directory that
//! [`store`] keeps, and told about by [`summary`], [`findings`], [`page`] and [`report`]. A [`recipe`] is a spec with variants, seeds and
//! what is expected of them, which [`measure`] reads off the runs. Adding a data source is one file and one line in [`source`]; adding a recipe is one file under
//! `recipes/` and one line in [`recipe`].
#![deny(missing_docs)]

pub mod audit;
pub mod bands;
pub mod build;
pub mod cadence;
pub mod claim;
pub mod company;
pub mod compare;
pub mod degree;
pub mod embedded;
pub mod error;
pub mod expect;
pub mod export;
pub mod findings;
pub mod hydra;
pub mod input;
pub mod limit;
mod line;
pub mod listing;
pub mod measure;
pub mod memory;
pub mod optima;
pub mod outcome;
pub mod overrides;
pub mod page;
pub mod place;
pub mod progress;
pub mod rates;
pub mod recipe;
pub mod refute;
pub mod report;
pub mod run;
pub mod seeds;
pub mod source;
pub mod spec;
pub mod stint;
pub mod stop;
pub mod store;
pub mod summary;
pub mod sweep;
pub mod sweep_axes;
pub mod sweep_seeds;
pub mod timeleft;
pub mod yaml;

pub use error::Error;
pub use spec::Spec;

/// The programs of the book run as examples.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/book/src/extend.md")]
mod book {}
