//! core
#![deny(missing_docs)]
mod data;
mod error;
pub use data::{Data, Rows};
pub use error::{Breakdown, Invalid};
