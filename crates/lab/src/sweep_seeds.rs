//! A sweep over seeds: the runs that differ in nothing else, taken together.

use crate::error::Error;
use crate::expect::spread_text;
use crate::findings::Columns;
use crate::recipe::figure::{FigureOf, of_groups};
use crate::report::{Figure, ReportCell, ReportTable};
use crate::seeds::Spread;
use crate::stint::read_manifest;
use crate::store::number;
use crate::summary::plain;
use crate::sweep::{Member, Plan};

/// What the report draws with bands, where it was measured: column, whether logarithmic, what to look for.
const DRAWN: &[(&str, bool, &str)] = &[
    ("margin", false, "q_min/ρᴸ should settle."),
    ("smooth_margin", false, "Should not fall along ℓ2 gradient flow."),
    ("kkt_epsilon_fit", true, "Should tend to 0."),
    ("beta", false, "Alignment of θ with one gradient."),
    ("test_accuracy", false, "The theory promises nothing about it."),
];
/// More groups than this make no figure: nobody tells as many bands apart.
const MOST: usize = 12;

/// The finished runs of a sweep that differ in their seed alone.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they share: `norm=linf`; `all` where the seed is the only axis.
    pub label: String,
    /// How many there are to be.
    pub planned: usize,
    /// The rows of those that have finished.
    pub runs: Vec<Columns>,
}

impl Group {
    /// The spread of the last value of a column.
    pub fn last(&self, column: &str) -> Spread {
        Spread::of(&self.runs.iter().map(|run| run.last(column)).collect::<Vec<f64>>())
    }
}

/// The groups, in the order of the sweep; none where no axis is `seed`.
///
/// # Errors
/// When the files of a run cannot be read.
pub fn groups(plan: &Plan) -> Result<Option<Vec<Group>>, Error> {
    let mut groups: Vec<Group> = Vec::new();
    for member in &plan.members {
        let Some(label) = &member.group else { return Ok(None) };
        let label = if label.is_empty() { "all" } else { label };
        let k = groups.iter().position(|g| g.label == label).unwrap_or_else(|| {
            groups.push(Group { label: label.to_owned(), planned: 0, runs: Vec::new() });
            groups.len() - 1
        });
        groups[k].planned += 1;
        let manifest = read_manifest(&member.dir)?;
        if manifest.is_some_and(|m| m["outcome"]["kind"] != "interrupted") {
            groups[k].runs.push(Columns::read(&member.dir)?);
        }
    }
    Ok(Some(groups))
}

/// A number for every run, the same for those of one group.
pub fn colours(members: &[&Member]) -> Vec<usize> {
    let mut seen: Vec<&Option<String>> = Vec::new();
    let mut number = |group| {
        seen.iter().position(|known| *known == group).unwrap_or_else(|| {
            seen.push(group);
            seen.len() - 1
        })
    };
    members.iter().map(|m| number(&m.group)).collect()
}

/// Every column that a run of the groups has.
pub fn columns(groups: &[Group]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in groups.iter().flat_map(|g| &g.runs).flat_map(|run| &run.0) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// `sweep_seeds.csv`: `label`, `runs`, then of the last value of every column its `_mean`, `_sd`, `_low` and `_high` (the 95 %
/// interval of the mean) and `_n`, the number of runs that know it. Cells of what is not known are empty.
///
/// # Errors
/// When the table cannot be put together.
pub fn csv(groups: &[Group]) -> Result<Vec<u8>, csv::Error> {
    let names = columns(groups);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let parts = ["mean", "sd", "low", "high", "n"];
    let head = names.iter().flat_map(|name| parts.map(|part| format!("{name}_{part}")));
    writer.write_record(["label", "runs"].map(String::from).into_iter().chain(head))?;
    let cell = |x: f64| if x.is_finite() { number(x) } else { String::new() };
    for group in groups {
        let of = |name: &String| {
            let spread = group.last(name);
            let [low, high] = spread.interval.unwrap_or([f64::NAN; 2]);
            [cell(spread.mean), cell(spread.sd), cell(low), cell(high), spread.known.to_string()]
        };
        let head = [group.label.clone(), group.runs.len().to_string()];
        writer.write_record(head.into_iter().chain(names.iter().flat_map(of)))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// What the report's table shows, where it was measured; `sweep_seeds.csv` has every column.
const SHOWN: &[&str] = &[
    "log10_loss",
    "margin",
    "smooth_margin",
    "margin_linf",
    "margin_l1",
    "kkt_epsilon_fit",
    "train_accuracy",
    "test_accuracy",
];

/// The last values of the main columns: mean ± deviation and the 95 % interval of the mean, a row for each group.
pub fn report_table(groups: &[Group]) -> Option<ReportTable> {
    let is_known = |column: &&&str| groups.iter().any(|g| g.last(column).known > 0);
    let shown: Vec<&str> = SHOWN.iter().filter(is_known).copied().collect();
    if shown.is_empty() {
        return None;
    }
    let cell = |group: &Group, column: &str| {
        let spread = group.last(column);
        let interval =
            spread.interval.map_or(String::new(), |[a, b]| format!(" [{}, {}]", plain(a), plain(b)));
        let text = format!("{}{interval}", spread_text(&spread, group.runs.len()));
        ReportCell { text, is_best: false }
    };
    let row = |group: &Group| {
        let runs = match group.runs.len() {
            n if n == group.planned => n.to_string(),
            n => format!("{n} of {}", group.planned),
        };
        let head = ReportCell { text: runs, is_best: false };
        let cells = shown.iter().map(|column| cell(group, column));
        (group.label.clone(), std::iter::once(head).chain(cells).collect())
    };
    Some(ReportTable {
        title: "Over seeds".into(),
        note: "Last values of the runs that have finished: mean ± standard deviation, and in brackets the 95 % interval \
               of the mean by the percentile bootstrap."
            .into(),
        columns: std::iter::once("runs").chain(shown.iter().copied()).map(String::from).collect(),
        rows: groups.iter().map(row).collect(),
    })
}

/// The main columns over ln(1/L), a curve with its band for each group.
pub fn figures(groups: &[Group]) -> Vec<Figure> {
    let named: Vec<(&str, &[Columns])> =
        groups.iter().filter(|g| !g.runs.is_empty()).map(|g| (g.label.as_str(), g.runs.as_slice())).collect();
    if named.is_empty() || named.len() > MOST {
        return Vec::new();
    }
    let is_known = |column: &str| {
        named.iter().flat_map(|(_, runs)| *runs).any(|run| run.get(column).iter().any(|v| v.is_finite()))
    };
    let drawn = DRAWN.iter().filter(|(column, ..)| is_known(column)).enumerate();
    let figure = |(k, (column, y_log, caption)): (usize, &(&str, bool, &str))| {
        let what = FigureOf {
            distribution: false,
            runs: None,
            title: format!("{column} over seeds"),
            caption: (*caption).to_owned(),
            column: (*column).to_owned(),
            x: Columns::DECAY.into(),
            x_log: None,
            y_log: *y_log,
        };
        of_groups(format!("seeds-{k}"), &what, &named)
    };
    drawn.map(figure).filter(|f| f.traces.iter().any(|t| !t.x.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(label: &str, ends: &[f64]) -> Group {
        let run = |end: &f64| {
            let column = |name: &str, values: [f64; 3]| (name.to_owned(), values.to_vec());
            Columns(vec![
                column("ln_loss", [-1.0, -10.0, -100.0]),
                column("margin", [0.1, 0.5 * end, *end]),
                column("test_accuracy", [f64::NAN; 3]),
            ])
        };
        Group { label: label.into(), planned: ends.len(), runs: ends.iter().map(run).collect() }
    }

    #[test]
    fn the_table_over_seeds_has_mean_deviation_interval_and_count() -> Result<(), Box<dyn std::error::Error>>
    {
        let bytes = csv(&[group("a", &[1.0, 2.0, 3.0]), group("b", &[4.0])])?;
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let place = |name: &str, header: &csv::StringRecord| header.iter().position(|h| h == name);
        let header = reader.headers()?.clone();
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
        let at = |row: usize, name: &str| rows[row][place(name, &header).expect("a column")].to_owned();
        assert_eq!((at(0, "label").as_str(), at(0, "runs").as_str()), ("a", "3"));
        assert_eq!((at(0, "margin_mean").as_str(), at(0, "margin_sd").as_str()), ("2", "1"));
        let (low, high): (f64, f64) = (at(0, "margin_low").parse()?, at(0, "margin_high").parse()?);
        assert!((1.0..2.0).contains(&low) && high > 2.0 && high <= 3.0);
        assert_eq!((at(1, "margin_mean").as_str(), at(1, "margin_sd").as_str()), ("4", ""));
        assert_eq!((at(1, "margin_low").as_str(), at(1, "margin_n").as_str()), ("", "1"));
        assert_eq!((at(0, "test_accuracy_mean").as_str(), at(0, "test_accuracy_n").as_str()), ("", "0"));
        Ok(())
    }

    #[test]
    fn the_table_of_the_report_has_a_row_for_each_group_with_its_interval() {
        let mut half = group("b", &[4.0]);
        half.planned = 2;
        let table = report_table(&[group("a", &[1.0, 2.0, 3.0]), half]).expect("a margin was measured");
        assert_eq!(table.columns, ["runs", "margin"]);
        let texts: Vec<Vec<&str>> =
            table.rows.iter().map(|(_, cells)| cells.iter().map(|c| c.text.as_str()).collect()).collect();
        assert_eq!(texts[0][0], "3");
        assert!(texts[0][1].starts_with("2 ± 1.0 ["), "{}", texts[0][1]);
        assert_eq!(texts[1], ["1 of 2", "4"]);
        assert_eq!(report_table(&[Group { label: "c".into(), planned: 1, runs: Vec::new() }]), None);
    }

    #[test]
    fn figures_have_a_band_for_each_group_and_leave_out_what_was_not_measured() {
        let figures = figures(&[group("a", &[1.0, 3.0]), group("b", &[4.0, 5.0])]);
        let titles: Vec<&str> = figures.iter().map(|f| f.title.as_str()).collect();
        assert_eq!(titles, ["margin over seeds"]);
        let last = figures[0].traces[0].y.len() - 1;
        let a = &figures[0].traces[0];
        assert!((a.low[last], a.y[last], a.high[last]) == (1.0, 2.0, 3.0), "{:?}", a.y[last]);
        assert!(figures[0].caption.contains("from the least to the largest seed"));
    }
}
