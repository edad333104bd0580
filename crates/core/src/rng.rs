//! Named random streams.
//!
//! Every use of chance has a name (`data`, `model.init`, `batch`, …) and a seed of its own that defaults to the run's;
//! draws within a stream are addressed by a counter, so that a checkpoint keeps a number and not a generator.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of stream `name` under `seed`, at position `draw`.
///
/// # Examples
/// Streams with different names are unrelated; the same name repeats:
/// ```
/// use latephase_core::rng::stream;
/// use rand::Rng;
/// let a: u64 = stream(1, "batch", 0).random();
/// assert_eq!(a, stream(1, "batch", 0).random::<u64>());
/// assert_ne!(a, stream(1, "model.init", 0).random::<u64>());
/// assert_ne!(a, stream(1, "batch", 1).random::<u64>());
/// ```
pub fn stream(seed: u64, name: &str, draw: u64) -> ChaCha8Rng {
    // FNV-1a over the name: stable across platforms and versions, which a hasher of the standard library is not.
    let hash =
        name.bytes().fold(0xcbf29ce484222325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100000001b3));
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&hash.to_le_bytes());
    key[16..24].copy_from_slice(&draw.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}
