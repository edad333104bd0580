//! The lab (the crate page follows)

pub mod report;
pub mod source;
