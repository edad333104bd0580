//! The numeric kernels of layers on images: plain functions of a geometry and slices, one image at a time.
//!
//! An image is channels × height × width, row-major; a batch is images one after another (NCHW). Everything that a
//! kernel needs besides its arguments is a scratch of the thread that lends itself to one image after another, and so
//! stays in the cache.

mod columns;
mod convolution;
mod pooled;
mod pooling;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use convolution::Convolution;
pub(crate) use pooled::{PooledConvolution, PooledGrads};
pub(crate) use pooling::{avg_pool, avg_pool_back, max_pool, max_pool_back};
pub(crate) use window::Window;
pub use window::{Padding, Pair};

use std::cell::RefCell;

/// What one image needs beside its inputs and outputs. Every kernel writes a number here before it reads it, so what an
/// earlier image left cannot be seen.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) columns: Vec<f64>,
    pub(crate) outputs: Vec<f64>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends the thread's scratch to `work`.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    // Taken out meanwhile: a layer inside `work` that asks again finds an empty one rather than a borrowed one.
    let mut scratch = SCRATCH.take();
    let result = work(&mut scratch);
    SCRATCH.set(scratch);
    result
}

/// The first `n` numbers of a buffer that never shrinks.
pub(crate) fn room(buffer: &mut Vec<f64>, n: usize) -> &mut [f64] {
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    &mut buffer[..n]
}
