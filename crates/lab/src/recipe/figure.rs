//! Figures of a recipe: one column of every variant, as a curve or, over seeds, as a mean in a band.

use serde::Deserialize;

use super::table::shows;
use crate::bands::{Across, SAYS, trace};
use crate::error::Error;
use crate::expect::Group;
use crate::findings::Columns;
use crate::report::Figure;

/// Curves of one column of all variants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureOf {
    /// Its heading.
    pub title: String,
    /// What to look for.
    pub caption: String,
    /// Labels of the variants that it shows; all of them when absent.
    #[serde(default)]
    pub runs: Option<Vec<String>>,
    /// The column on the vertical axis.
    pub column: String,
    /// The column on the horizontal axis; `ln(1/L)` when absent.
    #[serde(default = "decay")]
    pub x: String,
    /// Whether the horizontal axis is logarithmic; by default where it counts steps, epochs or evaluations, or is
    /// `ln(1/L)`.
    #[serde(default)]
    pub x_log: Option<bool>,
    /// Whether the vertical axis is logarithmic; not by default.
    #[serde(default)]
    pub y_log: bool,
}

fn decay() -> String {
    Columns::DECAY.into()
}

/// Draws the figures from the runs.
///
/// # Errors
/// When the rows of a run cannot be read.
pub(super) fn figures(list: &[FigureOf], groups: &[Group]) -> Result<Vec<Figure>, Error> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    for group in groups {
        let columns: Result<Vec<Columns>, Error> = group.runs.iter().map(|(_, d)| Columns::read(d)).collect();
        runs.push((group.label.as_str(), columns?));
    }
    let draw = |(k, figure): (usize, &FigureOf)| {
        let shown = runs.iter().filter(|(label, _)| shows(&figure.runs, label));
        let named: Vec<(&str, &[Columns])> = shown.map(|(l, c)| (*l, c.as_slice())).collect();
        of_groups(format!("figure-{k}"), figure, &named)
    };
    Ok(list.iter().enumerate().map(draw).collect())
}

/// A figure of one column of several groups of runs.
pub fn of_groups(id: String, figure: &FigureOf, groups: &[(&str, &[Columns])]) -> Figure {
    let across = Across::of(&figure.x, figure.x_log);
    let has_bands = groups.iter().any(|(_, runs)| runs.len() > 1);
    let caption = if has_bands { format!("{} {SAYS}", figure.caption) } else { figure.caption.clone() };
    Figure {
        id,
        title: figure.title.clone(),
        caption: caption.trim_start().to_owned(),
        traces: groups.iter().map(|(label, runs)| trace(label, runs, &across, &figure.column)).collect(),
        x_label: figure.x.clone(),
        y_label: figure.column.clone(),
        x_log: across.log,
        y_log: figure.y_log,
    }
}
