//! Figures of a recipe: one column of every variant, as a curve or, over seeds, as a mean in a band; or how its last values are
//! distributed over seeds.

use serde::Deserialize;

use super::table::shows;
use crate::bands::{Across, SAYS, trace};
use crate::error::Error;
use crate::expect::Group;
use crate::findings::Columns;
use crate::report::{Figure, Trace};

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
    /// Whether it shows how the last value of `column` is distributed over a variant's runs, rather than curves along
    /// them: the share of runs at or below a value. Not by default; then `x` has no meaning.
    #[serde(default)]
    pub distribution: bool,
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
        if figure.distribution {
            return of_last_values(format!("figure-{k}"), figure, &named);
        }
        of_groups(format!("figure-{k}"), figure, &named)
    };
    Ok(list.iter().enumerate().map(draw).collect())
}

/// How the last values of a column are distributed over the runs of each group.
fn of_last_values(id: String, figure: &FigureOf, groups: &[(&str, &[Columns])]) -> Figure {
    let trace = |(label, runs): &(&str, &[Columns])| {
        let mut x: Vec<f64> =
            runs.iter().map(|run| run.last(&figure.column)).filter(|x| x.is_finite()).collect();
        x.sort_by(f64::total_cmp);
        let y = (1..=x.len()).map(|k| k as f64 / x.len() as f64).collect();
        Trace { name: (*label).to_owned(), x, y, ..Trace::default() }
    };
    Figure {
        id,
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        traces: groups.iter().map(trace).collect(),
        x_label: figure.column.clone(),
        y_label: "share of runs".into(),
        x_log: figure.x_log.unwrap_or(false),
        y_log: figure.y_log,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_counts_the_runs_at_or_below_a_value() {
        let run = |last: f64| Columns(vec![("a".to_owned(), vec![9.0, last])]);
        let runs = [run(0.7), run(0.2), run(f64::NAN), run(0.5)];
        let figure: FigureOf =
            toml::from_str("title = 't'\ncaption = 'c'\ncolumn = 'a'\ndistribution = true").unwrap();
        let drawn = of_last_values("f".into(), &figure, &[("all", &runs)]);
        assert_eq!(drawn.traces[0].x, [0.2, 0.5, 0.7]);
        assert_eq!(drawn.traces[0].y, [1.0 / 3.0, 2.0 / 3.0, 1.0]);
        assert_eq!((drawn.x_label.as_str(), drawn.y_label.as_str()), ("a", "share of runs"));
    }
}
