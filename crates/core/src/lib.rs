//! core
#![deny(missing_docs)]
mod data;
mod error;
pub mod quadratic;
pub use data::{Data, Rows};
pub use error::{Breakdown, Invalid};
