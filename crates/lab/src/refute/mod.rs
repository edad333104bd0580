//! Searching for a run that violates a claim.

pub mod dd;
pub mod twin;
