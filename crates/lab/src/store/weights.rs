//! Weights made elsewhere: reading safetensors files and fitting them to a model's blocks.
//!
//! Blocks have the names and shapes that PyTorch gives the same network, so that `save_file(model.state_dict(), path)` of a
//! `torch.nn.Sequential` is read as it is. Names under one common prefix (`module.`, `net.`) are read without it.

use std::path::Path;

use latephase_core::Layout;
use latephase_core::model::Model;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::tensors::Complaint;
use crate::error::Error;

/// Differences that a message lists.
const LISTED: usize = 4;

/// θ of a model, without what is frozen, from the bytes of a file that messages name.
///
/// # Errors
/// As [`read_theta`].
pub fn theta_of(bytes: &[u8], file: &Path, model: &dyn Model) -> Result<Vec<f64>, Error> {
    let stored = read_theta(bytes, model.stored());
    let stored = stored.map_err(|text| Error::content(format!("{}: {text}", file.display())))?;
    Ok(model.select(&stored).into_owned())
}

/// Reads θ for a layout: every block must be there under its name and in its shape, as F64, F32, F16 or BF16.
///
/// # Errors
/// A file of another format; blocks that are missing, of another shape or type, or hold numbers that are not finite; blocks
/// that the model does not have. All differences are told, the first few in full.
pub fn read_theta(bytes: &[u8], layout: &Layout) -> Result<Vec<f64>, Complaint> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| foreign(bytes, &e.to_string()))?;
    let names = tensors.names();
    let prefix = prefix(&names, layout);
    let (mut theta, mut wrong) = (vec![0.0; layout.dim()], Vec::new());
    for block in layout.blocks() {
        let Ok(view) = tensors.tensor(&format!("{prefix}{}", block.name)) else {
            let like: Vec<String> = tensors
                .iter()
                .filter(|(name, view)| {
                    view.shape() == block.shape
                        && layout.blocks().iter().all(|b| format!("{prefix}{}", b.name) != *name)
                })
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let hint = match like.is_empty() {
                true => String::new(),
                false => format!("; of its shape {:?} is {}", block.shape, like.join(", ")),
            };
            wrong.push(format!("block `{}` is missing{hint}", block.name));
            continue;
        };
        if view.shape() != block.shape {
            let (theirs, ours) = (view.shape(), &block.shape);
            wrong.push(format!("block `{}` has shape {theirs:?}; the model has {ours:?}", block.name));
            continue;
        }
        match numbers(&view) {
            Err(text) => wrong.push(format!("block `{}` {text}", block.name)),
            Ok(values) => match values.iter().position(|v| !v.is_finite()) {
                Some(k) => wrong.push(format!("block `{}` holds {} at entry {k}", block.name, values[k])),
                None => block.of_mut(&mut theta).copy_from_slice(&values),
            },
        }
    }
    let is_ours = |name: &str| layout.blocks().iter().any(|b| format!("{prefix}{}", b.name) == name);
    let mut extra: Vec<&str> = names.iter().copied().filter(|n| !is_ours(n)).collect();
    extra.sort_unstable();
    wrong.extend(extra.iter().map(|n| format!("block `{n}` is not in the model")));
    if wrong.is_empty() {
        return Ok(theta);
    }
    let more = wrong.len().saturating_sub(LISTED);
    wrong.truncate(LISTED);
    let more = if more > 0 { format!("; and {more} more differences") } else { String::new() };
    let list = |names: Vec<&str>| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let mut theirs = names.clone();
    theirs.sort_unstable();
    let ours = list(layout.blocks().iter().map(|b| b.name.as_str()).collect());
    Err(format!("{}{more}  (the file holds {}; the model has {ours})", wrong.join("; "), list(theirs)))
}

/// What is common to the names of a file beyond those of the layout, such as `module.`; nothing where that is not all.
fn prefix(names: &[&str], layout: &Layout) -> String {
    let Some(first) = layout.blocks().first() else { return String::new() };
    let found = names.iter().filter_map(|n| n.strip_suffix(first.name.as_str()));
    let fits = |prefix: &&str| {
        (prefix.is_empty() || prefix.ends_with('.'))
            && layout.blocks().iter().all(|b| names.contains(&format!("{prefix}{}", b.name).as_str()))
    };
    found.filter(fits).min_by_key(|p| p.len()).unwrap_or_default().to_owned()
}

/// What a file that is none of ours is instead, where that is easy to tell.
fn foreign(bytes: &[u8], why: &str) -> Complaint {
    let hint = if bytes.starts_with(b"PK") || bytes.starts_with(&[0x80, 0x02]) {
        "; it looks like one of torch.save: write it with safetensors.torch.save_file(model.state_dict(), path)"
    } else {
        ""
    };
    format!("no safetensors file: {why}{hint}")
}

/// The numbers of a tensor, widened to f64 without loss.
///
/// # Errors
/// Integers and other types.
fn numbers(view: &TensorView<'_>) -> Result<Vec<f64>, Complaint> {
    let bytes = view.data();
    let half = |of: fn(u16) -> f64| {
        bytes.chunks_exact(2).map(|w| of(u16::from_le_bytes(w.try_into().unwrap_or_default()))).collect()
    };
    match view.dtype() {
        Dtype::F64 => {
            let words = bytes.chunks_exact(8);
            Ok(words.map(|w| f64::from_le_bytes(w.try_into().unwrap_or_default())).collect())
        }
        Dtype::F32 => {
            let words = bytes.chunks_exact(4);
            Ok(words.map(|w| f64::from(f32::from_le_bytes(w.try_into().unwrap_or_default()))).collect())
        }
        Dtype::BF16 => Ok(half(|w| f64::from(f32::from_bits(u32::from(w) << 16)))),
        Dtype::F16 => Ok(half(half_precision)),
        other => Err(format!("is of type {other:?}; expected F64, F32, F16 or BF16")),
    }
}

/// IEEE binary16: one sign bit, 5 of exponent with bias 15, 10 of fraction.
fn half_precision(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    sign * match exponent {
        0 => fraction * f64::powi(2.0, -14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * f64::powi(2.0, exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(blocks: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views = blocks.iter().map(|(name, dtype, shape, bytes)| {
            (name.to_string(), TensorView::new(*dtype, shape.to_vec(), bytes).expect("a whole tensor"))
        });
        safetensors::serialize(views.collect::<Vec<_>>(), None).expect("a small file")
    }

    fn f32s(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.push("0.weight", &[2, 1], 1.0);
        layout.push("2.weight", &[1, 2], 1.0);
        layout
    }

    #[test]
    fn every_floating_type_is_widened_without_loss() {
        // 1.5, −2^{−24} (subnormal), 65504 (the largest) and their halves in binary16; −3.140625 in bfloat16.
        let halves: Vec<u8> = [0x3e00u16, 0x8001].iter().flat_map(|w| w.to_le_bytes()).collect();
        let brains: Vec<u8> = [0xc049u16, 0x7f7f].iter().flat_map(|w| w.to_le_bytes()).collect();
        let bytes =
            file(&[("0.weight", Dtype::F16, &[2, 1], halves), ("2.weight", Dtype::BF16, &[1, 2], brains)]);
        let theta = read_theta(&bytes, &layout());
        assert_eq!(theta, Ok(vec![1.5, -f64::powi(2.0, -24), -3.140625, 3.3895313892515355e38]));
        assert_eq!(half_precision(0x7bff), 65504.0);
        assert!(half_precision(0x7c01).is_nan() && half_precision(0xfc00) == f64::NEG_INFINITY);
    }

    #[test]
    fn a_common_prefix_is_taken_off() {
        let (a, b) = (f32s(&[1.0, 2.0]), f32s(&[3.0, 4.0]));
        let bytes = file(&[
            ("module.net.0.weight", Dtype::F32, &[2, 1], a),
            ("module.net.2.weight", Dtype::F32, &[1, 2], b),
        ]);
        assert_eq!(read_theta(&bytes, &layout()), Ok(vec![1.0, 2.0, 3.0, 4.0]));
    }

    #[test]
    fn a_checkpoint_of_another_model_is_told_by_all_its_differences() {
        let bytes = file(&[
            ("fc1.weight", Dtype::F32, &[2, 1], f32s(&[1.0, 2.0])),
            ("2.weight", Dtype::F32, &[1, 3], f32s(&[3.0, 4.0, 5.0])),
        ]);
        let text = read_theta(&bytes, &layout()).unwrap_err();
        for part in [
            "block `0.weight` is missing; of its shape [2, 1] is `fc1.weight`",
            "block `2.weight` has shape [1, 3]; the model has [1, 2]",
            "block `fc1.weight` is not in the model",
            "the file holds `2.weight`, `fc1.weight`; the model has `0.weight`, `2.weight`",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let nan = file(&[
            ("0.weight", Dtype::F32, &[2, 1], f32s(&[1.0, f32::NAN])),
            ("2.weight", Dtype::I32, &[1, 2], vec![0; 8]),
        ]);
        let text = read_theta(&nan, &layout()).unwrap_err();
        assert!(text.contains("holds NaN at entry 1") && text.contains("is of type I32"), "{text}");
        let text = read_theta(b"PK\x03\x04 a zip file of torch.save", &layout()).unwrap_err();
        assert!(text.starts_with("no safetensors file") && text.contains("save_file"), "{text}");
    }
}
