//! Named arrays as safetensors, byte for byte the same for the same arrays.

use std::collections::HashMap;

use latephase_core::{Array, Layout, State};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

pub use super::weights::{read_theta, theta_of};

/// What is wrong with a file of arrays.
pub type Complaint = String;

/// The metadata key; a single one, because the format's writer orders several at random.
const KEY: &str = "latephase";

/// The field of a file's metadata that lists the blocks which were not trained.
pub const FROZEN: &str = "frozen";

/// Serialises a state with one line of metadata.
///
/// # Errors
/// When the arrays are too large for the format.
pub fn state_bytes(state: &State, meta: &str) -> Result<Vec<u8>, Complaint> {
    let arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = state
        .arrays
        .iter()
        .map(|(name, array)| match array {
            Array::F64(v) => {
                (name.clone(), Dtype::F64, vec![v.len()], v.iter().flat_map(|x| x.to_le_bytes()).collect())
            }
            Array::U64(v) => {
                (name.clone(), Dtype::U64, vec![v.len()], v.iter().flat_map(|x| x.to_le_bytes()).collect())
            }
        })
        .collect();
    write(&arrays, meta)
}

/// Serialises θ block by block, under the blocks' names and in PyTorch's shapes.
///
/// # Errors
/// When the arrays are too large for the format.
pub fn theta_bytes(theta: &[f64], layout: &Layout, meta: &str) -> Result<Vec<u8>, Complaint> {
    let arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = layout
        .blocks()
        .iter()
        .map(|b| {
            let bytes = b.of(theta).iter().flat_map(|x| x.to_le_bytes()).collect();
            (b.name.clone(), Dtype::F64, b.shape.clone(), bytes)
        })
        .collect();
    write(&arrays, meta)
}

fn write(arrays: &[(String, Dtype, Vec<usize>, Vec<u8>)], meta: &str) -> Result<Vec<u8>, Complaint> {
    let views: Result<Vec<_>, _> = arrays
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.clone(), view))
        })
        .collect();
    let views = views.map_err(|e| e.to_string())?;
    let meta = HashMap::from([(KEY.to_owned(), meta.to_owned())]);
    safetensors::serialize(views, Some(meta)).map_err(|e| e.to_string())
}

/// Reads a state and its line of metadata.
///
/// # Errors
/// When the bytes are no safetensors file, or hold another type of numbers.
pub fn read_state(bytes: &[u8]) -> Result<(State, String), Complaint> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let meta = header.metadata().as_ref().and_then(|m| m.get(KEY)).cloned().unwrap_or_default();
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut state = State::default();
    for (name, view) in tensors.iter() {
        let words = view.data().chunks_exact(8).map(|w| <[u8; 8]>::try_from(w).unwrap_or_default());
        let array = match view.dtype() {
            Dtype::F64 => Array::F64(words.map(f64::from_le_bytes).collect()),
            Dtype::U64 => Array::U64(words.map(u64::from_le_bytes).collect()),
            other => return Err(format!("array `{name}` is of type {other:?}; expected F64 or U64")),
        };
        state.arrays.insert(name.to_owned(), array);
    }
    Ok((state, meta))
}

/// A named array of numbers with its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// `0.weight`, as PyTorch calls it.
    pub name: String,
    /// Its dimensions, the last turning fastest.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f64>,
}

/// Reads every F64 tensor of a file with its shape, in the order of their names.
///
/// # Errors
/// When the bytes are no safetensors file, or hold another type of numbers.
pub fn read_blocks(bytes: &[u8]) -> Result<Vec<Block>, Complaint> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let block = |(name, view): (&str, TensorView<'_>)| match view.dtype() {
        Dtype::F64 => {
            let words = view.data().chunks_exact(8).map(|w| <[u8; 8]>::try_from(w).unwrap_or_default());
            let (name, shape) = (name.to_owned(), view.shape().to_vec());
            Ok(Block { name, shape, values: words.map(f64::from_le_bytes).collect() })
        }
        other => Err(format!("array `{name}` is of type {other:?}; expected F64")),
    };
    let mut blocks = tensors.iter().map(block).collect::<Result<Vec<Block>, _>>()?;
    blocks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(blocks)
}

/// Reads every F64 tensor of a file that was trained, one after the other in the order of their names: θ without its
/// layout.
///
/// # Errors
/// When the bytes are no safetensors file.
pub fn read_flat(bytes: &[u8]) -> Result<Vec<f64>, Complaint> {
    let (state, meta) = read_state(bytes)?;
    let frozen = frozen_of(&meta);
    let numbers = state.arrays.into_iter().filter_map(|(name, a)| match a {
        Array::F64(v) if !frozen.contains(&name) => Some(v),
        _ => None,
    });
    Ok(numbers.flatten().collect())
}

/// The blocks that a file's metadata calls frozen.
fn frozen_of(meta: &str) -> Vec<String> {
    let about: serde_json::Value = serde_json::from_str(meta).unwrap_or_default();
    let names = about[FROZEN].as_array().into_iter().flatten();
    names.filter_map(|n| n.as_str()).map(str::to_owned).collect()
}

/// The blocks of a file that were not trained; none where it does not say.
///
/// # Errors
/// When the bytes are no safetensors file.
pub fn frozen(bytes: &[u8]) -> Result<Vec<String>, Complaint> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    Ok(header.metadata().as_ref().and_then(|m| m.get(KEY)).map_or(Vec::new(), |meta| frozen_of(meta)))
}
