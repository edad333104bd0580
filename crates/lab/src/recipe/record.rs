//! What a recipe found, for programs: `findings.json`, `tables.json` and the object of `--json`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Recipe, RecipeResult, Size, outcome_of};
use crate::error::Error;
use crate::expect::Compared;
use crate::report::{ReportCell, ReportTable};
use crate::seeds::Spread;

impl RecipeResult {
    /// Runs, expectations and what was found; the same bytes for the same runs.
    ///
    /// # Errors
    /// When the manifest of a run cannot be read.
    pub fn findings(&self, recipe: &Recipe, size: Size) -> Result<Value, Error> {
        let mut runs = Vec::new();
        for group in &self.groups {
            for (seed, dir) in &group.runs {
                let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
                runs.push(
                    json!({ "label": group.label, "seed": seed, "dir": name, "sentence": outcome_of(dir)? }),
                );
            }
        }
        Ok(json!({
            "recipe": recipe.name,
            "about": recipe.about,
            "size": size.name(),
            "runs": runs,
            "expectations": self.rows.iter().map(row).collect::<Vec<_>>(),
        }))
    }

    /// All of it as one object, with the places of runs and page.
    pub fn json(&self, recipe: &Recipe, size: Size) -> Value {
        let runs = self.groups.iter().flat_map(|group| {
            let run = |(seed, dir): &(u64, PathBuf)| {
                json!({ "label": group.label, "seed": seed, "dir": dir.display().to_string() })
            };
            group.runs.iter().map(run)
        });
        json!({
            "recipe": recipe.name,
            "size": size.name(),
            "skipped": self.skipped,
            "interrupted": self.interrupted,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "tables": self.tables_json()["tables"],
            "runs": runs.collect::<Vec<_>>(),
            "report": self.report.as_ref().map(|r| r.display().to_string()),
        })
    }

    /// The tables.
    pub fn tables_json(&self) -> Value {
        json!({ "tables": self.tables.iter().map(|t| t.json()).collect::<Vec<_>>() })
    }

    /// The expectations as a table of the report; none where nothing was expected.
    pub(super) fn expectations(&self) -> Option<ReportTable> {
        if self.rows.is_empty() {
            return None;
        }
        let cells = |row: &Compared| {
            let texts: [&str; 6] =
                [&row.paper, &row.ours, &row.interval, &row.ratio, held(row.held), &row.source];
            texts.map(|text| ReportCell { text: text.to_owned(), is_best: false }).to_vec()
        };
        Some(ReportTable {
            title: "Expected and found".into(),
            note: "Of several seeds the mean ± standard deviation, and the 95 % interval of the mean by the \
                   percentile bootstrap; an order has to hold in every seed, or of the means where its source speaks of \
                   them."
                .into(),
            columns: ["paper", "ours", "95 % interval", "ratio", "held", "source"].map(String::from).to_vec(),
            rows: self.rows.iter().map(|row| (row.id.clone(), cells(row))).collect(),
        })
    }
}

/// A verdict in a word.
pub fn held(held: Option<bool>) -> &'static str {
    held.map_or("undecided", |held| if held { "yes" } else { "NO" })
}

/// One expectation; what is not known is null.
pub fn row(row: &Compared) -> Value {
    let values = row.values.iter().map(|(label, values)| {
        let spread = Spread::of(values);
        json!({ "label": label, "values": values, "mean": spread.mean, "sd": spread.sd, "interval": spread.interval })
    });
    json!({ "id": row.id, "source": row.source, "paper": row.paper, "ours": row.ours, "interval": row.interval,
            "ratio": row.ratio, "held": row.held, "expected": row.expected, "runs": values.collect::<Vec<_>>() })
}
