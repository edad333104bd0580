//! Weights that are part of the program, for recipes that go on from a network trained elsewhere.
//!
//! Wherever a file of weights is named, `embedded:NAME` is one of these. `scripts/` holds what made them.

/// Begins the name of such a file.
pub const PREFIX: &str = "embedded:";

/// Names, without the prefix, and bytes.
const FILES: &[(&str, &[u8])] =
    &[("torch-digits.safetensors", include_bytes!("../../../recipes/weights/torch-digits.safetensors"))];

/// The bytes of `embedded:NAME`; none for any other name.
///
/// # Errors
/// A name with the prefix that is not there; tells those that are.
pub fn find(name: &str) -> Option<Result<&'static [u8], String>> {
    let plain = name.strip_prefix(PREFIX)?;
    let found = FILES.iter().find(|(known, _)| *known == plain).map(|(_, bytes)| *bytes);
    let there = || FILES.iter().map(|(known, _)| format!("`{PREFIX}{known}`")).collect::<Vec<_>>().join(", ");
    Some(found.ok_or_else(|| format!("the program has no file `{plain}` in it; it has {}", there())))
}
