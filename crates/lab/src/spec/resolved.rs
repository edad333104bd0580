//! The spec with every default written out, and its hash.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::Spec;
use crate::Error;

impl Spec {
    /// The whole spec as TOML, every default written out; reading it gives the same spec.
    ///
    /// # Errors
    /// A part that was made in code (`External`), which no text can hold.
    pub fn resolved_toml(&self) -> Result<String, Error> {
        let fail = |e: toml::ser::Error| Error::spec("spec", e);
        let mut table = toml::Table::try_from(self).map_err(fail)?;
        let algorithm = table.remove("algorithm");
        let mut text = String::new();
        for (key, value) in &table {
            match value {
                toml::Value::Array(list) if list.iter().any(toml::Value::is_table) => {
                    let lines: String = list.iter().map(|item| format!("    {item},\n")).collect();
                    push(&mut text, format_args!("{key} = [\n{lines}]\n"));
                }
                value => push(&mut text, format_args!("{key} = {value}\n")),
            }
        }
        match algorithm {
            Some(toml::Value::Array(phases)) => {
                phases.iter().for_each(|phase| push_section(&mut text, "[[algorithm]]", phase))
            }
            Some(algorithm) => push_section(&mut text, "[algorithm]", &algorithm),
            None => {}
        }
        Ok(text)
    }

    /// The same as a table.
    ///
    /// # Errors
    /// As [`Spec::resolved_toml`].
    pub fn resolved_table(&self) -> Result<toml::Table, Error> {
        self.resolved_toml()?.parse().map_err(|e| Error::spec("spec", e))
    }

    /// The first eight hexadecimal digits of the SHA-256 of the resolved text without `name`.
    ///
    /// # Errors
    /// As [`Spec::resolved_toml`].
    pub fn hash8(&self) -> Result<String, Error> {
        let nameless = Spec { name: None, ..self.clone() };
        let digest = Sha256::digest(nameless.resolved_toml()?);
        Ok(digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect())
    }

    /// A spec to start from, with a comment on every key.
    pub fn init_text() -> &'static str {
        include_str!("init.toml")
    }
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece).expect("writing to a String cannot fail");
}

fn push_section(text: &mut String, header: &str, value: &toml::Value) {
    push(text, format_args!("\n{header}\n"));
    for (key, value) in value.as_table().into_iter().flatten() {
        push(text, format_args!("{key} = {value}\n"));
    }
}
