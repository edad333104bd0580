//! What names a spec: a file, or a recipe for its base spec.

use std::path::Path;

use crate::error::Error;
use crate::recipe::{Size, find};
use crate::spec::Spec;

/// The text of a spec, and what its runs are called when it has no name of its own.
pub struct Input {
    /// Without overrides.
    pub text: String,
    /// What messages call it.
    pub file: String,
    /// The file's name without `.toml`, or the recipe's.
    pub name: String,
}

/// Reads the text of a spec file or of a recipe's base spec: an argument that names a file or ends in `.toml` is a file.
///
/// # Errors
/// When there is neither; names the nearest recipe.
///
/// # Examples
/// ```
/// let input = latephase_lab::input::text("steepest-linear")?;
/// assert_eq!((input.file.as_str(), input.name.as_str()), ("recipe steepest-linear", "steepest-linear"));
/// # Ok::<(), latephase_lab::Error>(())
/// ```
pub fn text(what: &str) -> Result<Input, Error> {
    let path = Path::new(what);
    if path.is_dir() {
        return Err(Error::usage(format!(
            "{what} is a directory; `latephase resume {what}` goes on with a run, and this command needs a spec file \
             or a recipe's name"
        )));
    }
    if path.is_file() || what.ends_with(".toml") {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
        let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        return Ok(Input { text, file: what.to_owned(), name: plain(&stem) });
    }
    let recipe = find(what)?;
    let text = recipe.spec(Size::Usual, &[])?.resolved_toml()?;
    Ok(Input { text, file: format!("recipe {what}"), name: plain(what) })
}

/// The spec with the overrides, and its name.
///
/// # Errors
/// What is wrong with it.
pub fn read(what: &str, overrides: &[String]) -> Result<(Spec, String), Error> {
    let input = text(what)?;
    Ok((Spec::parse(&input.text, &input.file, overrides)?, input.name))
}

/// A name that is safe in a path.
pub fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "-_.+=,".contains(c) { c } else { '-' };
    let text: String = name.chars().map(keep).take(60).collect();
    let text = text.trim_start_matches('.').to_owned();
    if text.is_empty() { "run".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_directories_hold_no_separators_and_are_not_hidden() {
        assert_eq!(plain("a b/c"), "a-b-c");
        assert_eq!(plain("../x"), "-x");
        assert_eq!(plain("..."), "run");
    }
}
