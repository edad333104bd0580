//! Recipes: a base spec, variants of it, and what is expected of them. Data, compiled into the binary.
//!
//! A recipe file is a spec with a `[recipe]` table:
//!
//! ```toml
//! [recipe]
//! about = "…"
//! quick = ["stop.log10_loss=-20"]            # overrides under --quick
//! [[recipe.variants]]                         # runs; one run of the base when there are none
//! label = "small steps"
//! set   = ["algorithm={ kind = \"stepped\", pace = { kind = \"unit-decrease\", eta = 0.1 } }"]
//! [[recipe.expect]]
//! id = "…"  source = "…"  measure = { column = "margin" }  at = -100  value = 0.05  tolerance = { relative = 0.02 }
//! ```

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;

use crate::error::Error;
use crate::expect::{Compared, Expect, compare};
use crate::findings::Columns;
use crate::report::{Figure, Trace};
use crate::source::Lookup;
use crate::spec::Spec;
use crate::stint::{Options, Progress, Standing, begin, read_manifest, resume, standing};

/// A recipe's name and text.
#[derive(Clone, Copy, Debug)]
pub struct RecipeText {
    /// The name on the command line.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

macro_rules! recipes {
    ($($name:literal),+ $(,)?) => {
        /// Every recipe, in the order of the list.
        pub const LIST: &[RecipeText] = &[$(RecipeText {
            name: $name,
            text: include_str!(concat!("../../../recipes/", $name, ".toml")),
        }),+];
    };
}

recipes! {
    "quickstart",
    "linear-margin",
    "steepest-linear",
    "rings",
    "mnist-3-6",
    "honesty/relu",
    "honesty/relu-squared",
    "schechtman-schreuder-2025/constant-step-sgd",
}

/// A recipe, parsed.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// The text of the base spec, without the recipe's own table.
    base: String,
    table: Table,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    about: String,
    /// Overrides under `--quick`.
    #[serde(default)]
    quick: Vec<String>,
    /// Whether a file from outside is needed, and the recipe is skipped without it.
    #[serde(default)]
    needs: Option<String>,
    #[serde(default)]
    variants: Vec<Variant>,
    #[serde(default)]
    expect: Vec<Expect>,
    #[serde(default)]
    figures: Vec<FigureOf>,
}

/// One run of a recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    label: String,
    #[serde(default)]
    set: Vec<String>,
    /// Overrides of this variant under `--quick`.
    #[serde(default)]
    quick: Vec<String>,
}

/// Curves of one column of all variants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FigureOf {
    title: String,
    caption: String,
    column: String,
    /// `log10_loss` is drawn as decades of loss on a logarithmic axis.
    #[serde(default)]
    y_log: bool,
}

/// What a recipe gave.
#[derive(Clone, Debug, Default)]
pub struct RecipeResult {
    /// Expected against found.
    pub rows: Vec<Compared>,
    /// The run directories, by label.
    pub dirs: Vec<(String, PathBuf)>,
    /// Figures for the report.
    pub figures: Vec<Figure>,
    /// The overlaid report.
    pub report: Option<PathBuf>,
    /// Why nothing was run, where a file from outside is missing.
    pub skipped: Option<String>,
    /// Whether the caller ended it early.
    pub interrupted: bool,
}

/// What a recipe's runs share; none of it changes a byte of the results.
pub struct RecipeOptions<'a> {
    /// Threads to evaluate on; all cores when absent.
    pub threads: Option<usize>,
    /// Set from outside to end after the current step.
    pub stop: &'a AtomicBool,
    /// Where data files are looked for.
    pub lookup: Lookup,
    /// Told the label of every run that begins.
    pub announce: &'a mut dyn FnMut(&str, &Spec),
    /// Watches the runs.
    pub progress: &'a mut (dyn Progress + Send),
}

/// Finds a recipe by name.
///
/// # Errors
/// When there is none; names the nearest.
pub fn find(name: &str) -> Result<Recipe, Error> {
    let Some(found) = LIST.iter().find(|r| r.name == name) else {
        let nearest = LIST.iter().max_by(|a, b| {
            let like = |r: &RecipeText| strsim::jaro_winkler(r.name, name);
            like(a).total_cmp(&like(b))
        });
        let hint = nearest
            .filter(|r| strsim::jaro_winkler(r.name, name) > 0.75)
            .map_or(String::new(), |r| format!("\n  did you mean `{}`?", r.name));
        let names: Vec<&str> = LIST.iter().map(|r| r.name).collect();
        return Err(Error::usage(format!("no recipe or spec file `{name}`{hint}  ({})", names.join(", "))));
    };
    parse(found.name, found.text)
}

fn parse(name: &str, text: &str) -> Result<Recipe, Error> {
    let wrong = |e: &dyn std::fmt::Display| Error::spec(format!("recipe {name}"), e);
    let mut spec: toml::Table = toml::from_str(text).map_err(|e| wrong(&e))?;
    let table = spec.remove("recipe").unwrap_or_else(|| toml::Value::Table(toml::Table::new()));
    let table: Table = table.try_into().map_err(|e| wrong(&e))?;
    spec.entry("name").or_insert_with(|| toml::Value::String(name.replace('/', "-")));
    let base = toml::to_string(&spec).map_err(|e| wrong(&e))?;
    Ok(Recipe { name: name.to_owned(), about: table.about.clone(), base, table })
}

impl Recipe {
    /// The base spec, with the quick overrides if wanted and then the caller's.
    ///
    /// # Errors
    /// When an override does not fit.
    pub fn spec(&self, quick: bool, overrides: &[String]) -> Result<Spec, Error> {
        let mut all = if quick { self.table.quick.clone() } else { Vec::new() };
        all.extend_from_slice(overrides);
        Spec::parse(&self.base, &format!("recipe {}", self.name), &all)
    }

    /// Label and spec of every run.
    ///
    /// # Errors
    /// When an override does not fit.
    pub fn runs(&self, quick: bool) -> Result<Vec<(String, Spec)>, Error> {
        if self.table.variants.is_empty() {
            return Ok(vec![("base".into(), self.spec(quick, &[])?)]);
        }
        let run = |variant: &Variant| {
            let mut set = variant.set.clone();
            set.push(format!("name={:?}", variant.label));
            if quick {
                set.extend_from_slice(&variant.quick);
            }
            Ok((variant.label.clone(), self.spec(quick, &set)?))
        };
        self.table.variants.iter().map(run).collect()
    }
}

/// Runs a recipe under `out` and compares. Finished runs of the same spec are not run again.
///
/// # Errors
/// What is wrong with a spec or a file, or what could not be written.
pub fn run(
    recipe: &Recipe,
    quick: bool,
    out: &Path,
    options: RecipeOptions<'_>,
) -> Result<RecipeResult, Error> {
    let mut result = RecipeResult::default();
    if let Some(needed) = &recipe.table.needs {
        let lookup = &options.lookup;
        let places = [Some(&lookup.working_dir), lookup.data_dir.as_ref()];
        if !places.into_iter().flatten().any(|dir| dir.join(needed).exists()) {
            result.skipped =
                Some(format!("{needed} is neither in the working directory nor under LATEPHASE_DATA"));
            return Ok(result);
        }
    }
    let RecipeOptions { threads, stop, lookup, announce, progress } = options;
    for (label, spec) in recipe.runs(quick)? {
        announce(&label, &spec);
        let dir = out.join(format!("{}-{}", label.replace([' ', '/'], "-"), spec.hash8()?));
        let stint = Options {
            threads,
            max_seconds: None,
            checkpoint_seconds: 10.0,
            stop,
            lookup: lookup.clone(),
            progress: &mut *progress,
        };
        match standing(&dir, &spec)? {
            Standing::Free => {
                begin(&spec, &dir, stint)?;
            }
            Standing::Unfinished => {
                resume(&dir, stint)?;
            }
            Standing::Finished => {}
            Standing::Foreign(why) => {
                return Err(Error::usage(format!("{} is in the way: {why}", dir.display())));
            }
        }
        result.dirs.push((label, dir));
        if stop.load(Ordering::Relaxed) {
            result.interrupted = true;
            return Ok(result);
        }
    }
    for expect in &recipe.table.expect {
        if !(quick && expect.full_only) {
            result.rows.push(compare(expect, &result.dirs)?);
        }
    }
    result.figures = figures(&recipe.table.figures, &result.dirs)?;
    let dirs: Vec<&Path> = result.dirs.iter().map(|(_, d)| d.as_path()).collect();
    let page = crate::page::of_dirs(&recipe.name, &dirs, &lookup, &result.figures)?;
    let report = out.join("report.html");
    crate::store::write_whole(&report, page.as_bytes())?;
    result.report = Some(report);
    Ok(result)
}

fn figures(list: &[FigureOf], dirs: &[(String, PathBuf)]) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for (k, figure) in list.iter().enumerate() {
        let mut traces = Vec::new();
        for (label, dir) in dirs {
            let columns = Columns::read(dir)?;
            let x: Vec<f64> = columns.get("ln_loss").iter().map(|l| -l).collect();
            let y = columns.get(&figure.column).to_vec();
            // Before separation ln(1/L) is negative and has no place on a logarithmic axis.
            let late = |v: &[f64]| v.iter().zip(&x).filter(|(_, x)| **x > 0.5).map(|(v, _)| *v).collect();
            traces.push(Trace { name: label.clone(), y: late(&y), x: late(&x), dash: false });
        }
        figures.push(Figure {
            id: format!("figure-{k}"),
            title: figure.title.clone(),
            caption: figure.caption.clone(),
            traces,
            x_label: "ln(1/L)".into(),
            y_label: figure.column.clone(),
            x_log: true,
            y_log: figure.y_log,
        });
    }
    Ok(figures)
}

/// How a recipe's run directory ended, for its table.
///
/// # Errors
/// When its manifest cannot be read.
pub fn outcome_of(dir: &Path) -> Result<String, Error> {
    let manifest = read_manifest(dir)?.unwrap_or_default();
    Ok(manifest["sentence"].as_str().unwrap_or("unfinished").to_owned())
}
