//! Whether a recipe's expectations, tables and figures fit its runs, before any of them begins.

use latephase_core::Invalid;

use super::table::known;
use super::{Recipe, Settings, Size};
use crate::build::build;
use crate::error::Error;
use crate::findings::Columns;
use crate::source::Lookup;

impl Settings {
    /// What is wrong with it, with the path of the entry that is.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let labels: Vec<&str> = match self.variants.is_empty() {
            true => vec!["base"],
            false => self.variants.iter().map(|v| v.label.as_str()).collect(),
        };
        for (k, label) in labels.iter().enumerate() {
            if label.is_empty() || labels[..k].contains(label) {
                let text = format!("`{label}` is no label: every variant has one of its own");
                return Err((format!("variants[{k}].label"), text));
            }
        }
        if self.quick_seeds.is_some() && self.seeds.is_none() {
            return Err((
                "quick_seeds".into(),
                "it needs `seeds`, which say what the full recipe runs".into(),
            ));
        }
        for (k, expect) in self.expect.iter().enumerate() {
            let told = |text| (format!("expect[{k}]"), format!("{}: {text}", expect.id));
            expect.check(&labels).map_err(told)?;
        }
        for (k, table) in self.tables.iter().enumerate() {
            table.check(&labels).map_err(|text| (format!("tables[{k}]"), text))?;
        }
        for (k, figure) in self.figures.iter().enumerate() {
            known(&figure.runs, &labels).map_err(|text| (format!("figures[{k}]"), text))?;
        }
        Ok(())
    }

    /// Every column that is named, with the path of what names it.
    fn columns(&self) -> Vec<(String, &str)> {
        let mut named = Vec::new();
        for (k, expect) in self.expect.iter().enumerate() {
            let columns = expect.measure.part().columns();
            named.extend(columns.into_iter().map(|c| (format!("recipe.expect[{k}].measure"), c)));
        }
        for (k, table) in self.tables.iter().enumerate() {
            let path = |i: usize| format!("recipe.tables[{k}].columns[{i}]");
            named.extend(table.columns.iter().enumerate().map(|(i, c)| (path(i), c.as_str())));
        }
        for (k, figure) in self.figures.iter().enumerate() {
            named.push((format!("recipe.figures[{k}].column"), &figure.column));
            named.push((format!("recipe.figures[{k}].x"), &figure.x));
        }
        named
    }
}

impl Recipe {
    /// Holds the columns that the recipe names to those that its runs will have, so that a slip is found before hours of
    /// work. Every variant is built once on the way, which finds settings that do not fit the data.
    ///
    /// # Errors
    /// A column that no variant measures; what is wrong with a variant.
    pub fn check_columns(&self, size: Size, lookup: &Lookup) -> Result<(), Error> {
        let mut columns: Vec<String> = vec![Columns::DECAY.into()];
        for variant in self.runs(size)? {
            let Some((_, spec)) = variant.specs.first() else { continue };
            let built = build(spec, lookup).map_err(|e| if e.is_io() { e } else { spec.locate(e) })?;
            columns.extend(built.columns);
        }
        columns.sort();
        columns.dedup();
        match self.settings.columns().into_iter().find(|(_, name)| columns.iter().all(|c| c != name)) {
            None => Ok(()),
            Some((path, name)) => {
                let choices = crate::spec::choices(name, &columns);
                let text = format!("no run of this recipe measures `{name}`{choices}");
                Err(self.origin.error(&Invalid::new(path, text)))
            }
        }
    }
}
