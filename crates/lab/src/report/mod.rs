//! `report.html`: one file that shows a run, or several runs over each other, and opens without a network.
//!
//! The charts are drawn by plotly.js, embedded once; page, style and behaviour are the three files beside this
//! one. Numbers travel as JSON in the shortest form that reads back as the same f64, so that a hover shows what
//! was measured and nothing else. A loss is only ever drawn through its logarithm.
//!
//! # Properties
//! - The same input gives the same bytes: fixed element ids, no clock, no unordered map.
//! - Text of the user cannot become markup, nor end the block of data.
//! - Every column of every run is in the page: known names in their panel, all others in a chooser.
//! - A content security policy in the page forbids every request.

mod claims;
mod html;
mod json;
mod rates;
mod rows;

pub use claims::ReportClaim;
pub use rates::ReportRate;
pub use rows::{ReportError, read_rows_csv};

use html::{escape, fill, matrix, run_colour};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("report.css");
const RUN: &str = include_str!("run.js");
const PANELS: &str = include_str!("panels.js");
const REGIONS: &str = include_str!("regions.js");
const SCRIPT: &str = include_str!("report.js");

/// Everything a report shows about one run, already read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportRun {
    /// What legends and tables call the run.
    pub name: String,
    /// The record, column by column; NaN = not measured.
    pub columns: Vec<(String, Vec<f64>)>,
    /// The resolved spec.
    pub spec_toml: String,
    /// How the run ended, as a sentence.
    pub outcome: String,
    /// How the run ended, as a word (`reached`, `diverged`, …).
    pub outcome_kind: String,
    /// Label and value, for the outcome table.
    pub table: Vec<(String, String)>,
    /// The claims of theory with what the run says of them.
    pub claims: Vec<ReportClaim>,
    /// The exponents of its end beside those that theory gives.
    pub rates: Vec<ReportRate>,
    /// References of everything the run used.
    pub citations: Vec<String>,
    /// Whom the data set wants named.
    pub credit: Option<String>,
    /// Decision regions, for data in the plane.
    pub regions: Option<Regions>,
    /// The optima that columns are held against, drawn as horizontal lines.
    pub references: Vec<ReferenceLine>,
    /// Version, machine, hashes, counts of evaluations.
    pub manifest: serde_json::Value,
}

/// An optimum that a column is held against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReferenceLine {
    /// The column.
    pub column: String,
    /// Who knows it.
    pub name: String,
    /// Whether it is an optimum of all θ, or of a neighbourhood.
    pub scope: String,
    /// How it follows from an exact problem.
    pub unit: String,
    /// Attained by some θ; NaN where none is known.
    pub value: f64,
    /// Not exceeded by any θ; NaN where nothing is known.
    pub bound: f64,
    /// How far below the bound the run ended, relative to it.
    pub below: f64,
    /// How far below the value the run ended, relative to it; negative where it ended above a local optimum.
    pub below_value: f64,
}

/// The sign of a network over the plane, at several levels of loss, with the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// The training inputs.
    pub points: Vec<[f64; 2]>,
    /// Their class indices; class 0 is the side of positive scores.
    pub labels: Vec<u32>,
    /// Grid coordinates along the first input, ascending.
    pub x: Vec<f64>,
    /// Grid coordinates along the second input, ascending.
    pub y: Vec<f64>,
    /// One small picture each, in this order.
    pub levels: Vec<RegionLevel>,
}

/// The decision function at one level of loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionLevel {
    /// Decimal logarithm of the loss there.
    pub log10_loss: f64,
    /// f/max|f| at (`x[i]`, `y[j]`) in entry `j * x.len() + i`.
    pub score: Vec<f64>,
}

/// A figure that a recipe adds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// Element id, unique in the report.
    pub id: String,
    /// Heading.
    pub title: String,
    /// One or two lines: what to look for.
    pub caption: String,
    /// The curves.
    pub traces: Vec<Trace>,
    /// Title of the horizontal axis.
    pub x_label: String,
    /// Title of the vertical axis.
    pub y_label: String,
    /// Is the horizontal axis logarithmic?
    pub x_log: bool,
    /// Is the vertical axis logarithmic?
    pub y_log: bool,
}

/// One curve of a [`Figure`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Its entry in the legend.
    pub name: String,
    /// Abscissae.
    pub x: Vec<f64>,
    /// Ordinates; NaN leaves a gap.
    pub y: Vec<f64>,
    /// Dashed, for references and bounds?
    pub dash: bool,
    /// Lower edge of a band around the curve; empty for none.
    pub low: Vec<f64>,
    /// Upper edge of the band.
    pub high: Vec<f64>,
}

/// What a recipe or a sweep adds to the page of its runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// A sentence above everything; nothing where empty.
    pub note: String,
    /// For each run the number of its colour, so that the seeds of one variant share theirs; where empty each run has its
    /// own.
    pub colours: Vec<usize>,
    /// Tables, above the figures.
    pub tables: Vec<ReportTable>,
    /// Figures, above the panels.
    pub figures: Vec<Figure>,
}

impl Added {
    /// The number of the colour of run `i`.
    fn colour(&self, i: usize) -> usize {
        self.colours.get(i).copied().unwrap_or(i)
    }
}

/// A table with a heading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportTable {
    /// Heading.
    pub title: String,
    /// What the entries are.
    pub note: String,
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Label of a row, with a cell for each column.
    pub rows: Vec<(String, Vec<ReportCell>)>,
}

/// One entry of a [`ReportTable`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportCell {
    /// What it says.
    pub text: String,
    /// Is it the best of its column?
    pub is_best: bool,
}

/// Returns the whole page.
///
/// # Examples
/// A report needs nothing from outside:
/// ```
/// use latephase_lab::report::{Added, ReportRun, render};
/// let run = ReportRun { name: "base".into(), columns: vec![("step".into(), vec![0.0, 1.0])], ..Default::default() };
/// let page = render("A first run", &[run], &Added::default());
/// assert!(page.starts_with("<!doctype html>") && !page.contains("<script src"));
/// ```
pub fn render(title: &str, runs: &[ReportRun], added: &Added) -> String {
    let names: Vec<&str> = runs.iter().map(|r| r.name.as_str()).collect();
    let tables: Vec<_> = runs.iter().map(|r| r.table.clone()).collect();
    let facts: Vec<_> = runs.iter().map(|r| html::flatten(&r.manifest)).collect();
    let (plotly, plotly_version) = plotly_script();
    fill(
        PAGE,
        &[
            ("title", &escape(title)),
            ("style", STYLE),
            ("outcomes", &outcomes(runs, added)),
            ("claims", &(claims::table(runs) + &rates::table(runs))),
            ("note", &html::note(&added.note)),
            ("tables", &added.tables.iter().chain(&references(runs)).map(html::table).collect::<String>()),
            ("table", &matrix(&names, &tables)),
            ("run_key", &run_key(&names, added)),
            ("specs", &specs(runs)),
            ("facts", &matrix(&names, &facts)),
            ("citations", &citations(runs)),
            ("credits", &credits(runs)),
            ("plotly_version", &escape(&plotly_version)),
            ("data", &json::payload(runs, added)),
            ("plotly", &plotly),
            ("run", RUN),
            ("panels", PANELS),
            ("regions", REGIONS),
            ("script", SCRIPT),
        ],
    )
}

/// The optima of every run with how far below them it ended, as a table; none where no run has any.
fn references(runs: &[ReportRun]) -> Option<ReportTable> {
    let small = |x: f64| if x.is_finite() { format!("{x:.2e}") } else { "–".to_owned() };
    let number = |x: f64| if x.is_finite() { format!("{x:.9}") } else { "–".to_owned() };
    let rows: Vec<(String, Vec<ReportCell>)> = runs
        .iter()
        .flat_map(|run| run.references.iter().map(move |line| (run, line)))
        .map(|(run, line)| {
            let label = match runs.len() {
                1 => line.column.clone(),
                _ => format!("{}: {}", run.name, line.column),
            };
            let cells = [
                number(line.value),
                number(line.bound),
                small((line.bound - line.value) / line.bound),
                small(line.below),
                small(line.below_value),
                format!("{}, {}: {}", line.scope, line.name, line.unit),
            ];
            (label, cells.map(|text| ReportCell { text, is_best: false }).to_vec())
        })
        .collect();
    let heads = ["attained", "bound", "gap", "run below bound", "run below attained", "reference"];
    (!rows.is_empty()).then(|| ReportTable {
        title: "Against the optimum".to_owned(),
        note: "Attained: a margin that some θ has. Bound: one that no θ exceeds, recomputed from the data. Relative distances; a \
               run ends below the bound, and above what is attained only where that is a local optimum."
            .to_owned(),
        columns: heads.map(String::from).to_vec(),
        rows,
    })
}

/// The text of plotly.js and its version, without the MathJax that the crate adds: no formula here needs it.
fn plotly_script() -> (String, String) {
    let tags = plotly::Plot::offline_js_sources();
    // A browser ends a script at the first end tag, so this is all of the first one.
    let script = tags.split("</script").next().unwrap_or_default();
    let script = script.split_once('>').map_or("", |(_, body)| body);
    let version = script.split_once("plotly.js v").and_then(|(_, rest)| rest.lines().next());
    (script.to_string(), version.unwrap_or_default().trim().to_string())
}

fn outcomes(runs: &[ReportRun], added: &Added) -> String {
    let mut out = String::new();
    for (i, run) in runs.iter().enumerate() {
        let name = match runs.len() {
            1 => String::new(),
            _ => format!(
                "<i class=\"swatch c{}\"></i><b>{}</b> ",
                run_colour(added.colour(i)),
                escape(&run.name)
            ),
        };
        let kind = match run.outcome_kind.as_str() {
            "" => String::new(),
            kind => format!("<span class=\"kind\">{}</span> ", escape(kind)),
        };
        out += &format!("<p class=\"outcome\">{name}{kind}{}</p>\n", escape(&run.outcome));
    }
    out
}

/// The colours of the runs, each a switch; nothing for a single run.
fn run_key(names: &[&str], added: &Added) -> String {
    if names.len() < 2 {
        return String::new();
    }
    let mut out = String::from("<div class=\"key\" id=\"run-key\" role=\"group\" aria-label=\"Runs\">");
    for (i, name) in names.iter().enumerate() {
        out += &format!(
            "<button type=\"button\" class=\"chip\" data-run=\"{i}\" aria-pressed=\"true\">\
             <i class=\"swatch c{}\"></i>{}</button>",
            run_colour(added.colour(i)),
            escape(name)
        );
    }
    out + "</div>"
}

fn specs(runs: &[ReportRun]) -> String {
    let mut out = String::new();
    for (i, run) in runs.iter().enumerate().filter(|(_, r)| !r.spec_toml.is_empty()) {
        let open = if runs.len() == 1 { " open" } else { "" };
        out += &format!(
            "<details class=\"spec\"{open}><summary>{}</summary>\
             <button type=\"button\" class=\"copy\" data-copy=\"spec-{i}\">Copy</button>\
             <pre id=\"spec-{i}\">{}</pre></details>\n",
            escape(&run.name),
            escape(&run.spec_toml)
        );
    }
    out
}

/// Each reference once, in the order in which the runs name them.
fn citations(runs: &[ReportRun]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for text in runs.iter().flat_map(|r| &r.citations) {
        if !seen.contains(&text.as_str()) {
            seen.push(text);
        }
    }
    seen.iter().map(|text| format!("<li>{}</li>\n", escape(text))).collect()
}

fn credits(runs: &[ReportRun]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for text in runs.iter().filter_map(|r| r.credit.as_deref()) {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen.iter().map(|text| format!("<p>Data: {}</p>\n", escape(text))).collect()
}
