//! Named arrays as safetensors, byte for byte the same for the same arrays.

use std::collections::HashMap;

use latephase_core::{Array, Layout, State};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

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

/// Reads θ for a layout: every block must be there under its name and in its shape, as F64 or F32.
///
/// # Errors
/// A block that is missing, of another shape or type, or holds numbers that are not finite; blocks that the model
/// does not have.
pub fn read_theta(bytes: &[u8], layout: &Layout) -> Result<Vec<f64>, Complaint> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| format!("no safetensors file: {e}"))?;
    let mut theta = vec![0.0; layout.dim()];
    let names = || layout.blocks().iter().map(|b| format!("`{}`", b.name)).collect::<Vec<_>>().join(", ");
    for block in layout.blocks() {
        let view = tensors.tensor(&block.name).map_err(|_| {
            let there: Vec<_> = tensors.names().into_iter().map(|n| format!("`{n}`")).collect();
            format!("block `{}` is missing; the file holds {}", block.name, there.join(", "))
        })?;
        if view.shape() != block.shape {
            return Err(format!(
                "block `{}` has shape {:?}; the model has {:?}",
                block.name,
                view.shape(),
                block.shape
            ));
        }
        let values: Vec<f64> = match view.dtype() {
            Dtype::F64 => {
                let words = view.data().chunks_exact(8);
                words.map(|w| f64::from_le_bytes(w.try_into().unwrap_or_default())).collect()
            }
            Dtype::F32 => {
                let words = view.data().chunks_exact(4);
                words.map(|w| f64::from(f32::from_le_bytes(w.try_into().unwrap_or_default()))).collect()
            }
            other => return Err(format!("block `{}` is of type {other:?}; expected F64 or F32", block.name)),
        };
        if let Some(k) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!("block `{}` holds {} at entry {k}", block.name, values[k]));
        }
        block.of_mut(&mut theta).copy_from_slice(&values);
    }
    if let Some(extra) = tensors.names().into_iter().find(|n| layout.blocks().iter().all(|b| b.name != *n)) {
        return Err(format!("block `{extra}` is not in the model, which has {}", names()));
    }
    Ok(theta)
}
