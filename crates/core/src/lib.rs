//! core (the crate page follows)
#![deny(missing_docs)]

mod batches;
mod data;
mod degree;
mod error;
mod iterate;
mod layout;
mod problem;
mod state;

pub mod algorithm;
pub mod catalogue;
pub mod cite;
pub mod descent;
pub mod loss;
pub mod model;
pub mod norm;
pub mod numeric;
pub mod pace;
pub mod probe;
pub mod quadratic;
pub mod rng;

pub use batches::{BatchStream, Batches};
pub use data::{Data, Rows};
pub use degree::{Defect, Degree};
pub use error::{Breakdown, Invalid};
pub use iterate::{Clocks, Iterate};
pub use layout::{Block, Layout};
pub use problem::{Eval, Problem, RowSet};
pub use state::{Array, State};
