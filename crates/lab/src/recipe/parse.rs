//! From the text of a recipe to its spec and what is its own.

use std::path::Path;

use latephase_core::Invalid;
use serde::Deserialize;

use super::{Recipe, Settings};
use crate::error::Error;
use crate::spec::{Complaint, Origin, line_column};

/// Reads a recipe from a file.
///
/// # Errors
/// When it cannot be read, or is no recipe.
pub fn read(path: &Path) -> Result<Recipe, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    parse(&stem, &path.display().to_string(), &text)
}

/// A recipe from its text; `file` is what messages call it.
pub(super) fn parse(name: &str, file: &str, text: &str) -> Result<Recipe, Error> {
    let mut spec: toml::Table = toml::from_str(text).map_err(|e| {
        let place = line_column(text, e.span().map_or(0, |span| span.start));
        Error::spec(format!("{file}:{place}"), e.message().lines().collect::<Vec<_>>().join("; "))
    })?;
    let origin = Origin::new(file, text, Vec::new());
    let own = spec.remove("recipe").unwrap_or_else(|| toml::Value::Table(toml::Table::new()));
    let mut track = serde_path_to_error::Track::new();
    let settings = Settings::deserialize(serde_path_to_error::Deserializer::new(own, &mut track));
    let settings = settings.map_err(|e| {
        let path = track.path().to_string();
        let path = if path == "." { "recipe".to_owned() } else { format!("recipe.{path}") };
        origin.complain(Complaint::of(&path, e.message()))
    })?;
    settings.check().map_err(|(path, text)| origin.error(&Invalid::new(format!("recipe.{path}"), text)))?;
    let blanked = without_recipe(text);
    let base = match toml::from_str::<toml::Table>(&blanked) {
        // Lines stay where they are, so that a complaint about the spec shows the recipe's own line.
        Ok(same) if same == spec => blanked,
        _ => toml::to_string(&spec).map_err(|e| Error::spec(file, e))?,
    };
    let name_default = (!spec.contains_key("name")).then(|| format!("name={:?}", name.replace('/', "-")));
    let about = settings.about.clone();
    Ok(Recipe { name: name.to_owned(), file: file.to_owned(), about, base, name_default, settings, origin })
}

/// The text with the lines of the tables under `recipe` left empty.
fn without_recipe(text: &str) -> String {
    let mut inside = false;
    let keep = |line: &str| {
        let header = line.trim_start();
        if header.starts_with('[') {
            let name = header.trim_start_matches('[').trim_start();
            inside =
                name.strip_prefix("recipe").is_some_and(|rest| rest.trim_start().starts_with(['.', ']']));
        }
        if inside { "\n".to_owned() } else { format!("{line}\n") }
    };
    text.lines().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_of_a_recipe_stays_on_its_lines() {
        let text = "seed = 1\n[recipe]\nabout = 'x'\n[[ recipe.expect ]]\nid = 'y'\n[recipes]\na = 1\n[loss]\nkind = 'z'\n";
        assert_eq!(without_recipe(text), "seed = 1\n\n\n\n\n[recipes]\na = 1\n[loss]\nkind = 'z'\n");
    }
}
