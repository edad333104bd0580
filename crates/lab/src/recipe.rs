//! Recipes: a base spec, variants of it, and what is expected of them. Data, compiled into the binary.
//!
//! A recipe file is a spec with a `[recipe]` table:
//!
//! ```toml
//! [recipe]
//! about = "…"
//! seeds = 3                                   # every variant runs with as many seeds, or with a list of them
//! quick = ["stop.log10_loss=-20"]             # overrides under --quick
//! quick_seeds = 1                             # of the seeds, under --quick; 2 by default
//! full = ["stop.steps=1000000"]               # overrides under --full: the size of the paper
//! [[recipe.variants]]                         # runs; one run of the base when there are none
//! label = "small steps"
//! twin  = true                                # claims about the flow are decided with a run at half the step
//! set   = ["algorithm={ kind = \"stepped\", pace = { kind = \"unit-decrease\", eta = 0.1 } }"]
//! [[recipe.expect]]
//! id = "…"  source = "…"  measure = { column = "margin" }  at = -100  value = 0.05  tolerance = { relative = 0.02 }
//! [[recipe.expect]]
//! id = "…"  source = "…"  measure = { column = "margin_linf" }  order = ["SD", "GD"]  at_step = 5000
//! [[recipe.tables]]
//! title = "…"  columns = ["margin", "margin_linf"]  relative = true
//! [[recipe.figures]]
//! title = "…"  caption = "…"  column = "margin"  x = "step"
//! ```

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;

use crate::claim::twin;
use crate::error::Error;
use crate::expect::{Compared, Expect, Group, compare};
use crate::findings::refresh;
use crate::report::{Added, Figure};
use crate::seeds::Seeds;
use crate::source::Lookup;
use crate::spec::{Origin, Spec};
use crate::stint::{Options, Progress, Standing, begin, pretty, read_manifest, resume, standing};
use crate::store::write_whole;

mod check;
pub mod figure;
mod parse;
pub mod record;
pub mod table;

use figure::{FigureOf, figures};
use parse::parse;
pub use parse::read;
use table::{Table, TableOf};

/// Seeds of a variant under `--quick`, where the recipe has several and does not say.
const QUICK_SEEDS: u64 = 2;
/// Runs that the panels of a page can tell apart; of more, the first seed of each variant is drawn.
const SHOWN: usize = 21;

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
    "theorems",
    "continue-torch",
    "mnist-3-6",
    "honesty/relu",
    "honesty/relu-squared",
    "honesty/tolerance",
    "tsilivis-2024/teacher-student",
    "tsilivis-2024/mnist-adam",
    "tsilivis-2024/mnist-adam-late",
    "tsilivis-2024/shampoo",
    "muon-late",
    "muon-late-mnist",
    "schechtman-schreuder-2025/constant-step-sgd",
    "lyu-li-2020/mnist-cnn",
    "lyu-li-2020/mnist-cnn-bias",
    "lyu-li-2020/robustness",
    "lyu-li-2020/mexican-hat",
    "cai-2025/two-layer",
    "cai-2025/resnet",
    "two-layer-global",
    "telgarsky-2022/parity",
    "telgarsky-2022/neural-collapse-data",
    "ji-telgarsky-2020/alignment",
    "ji-telgarsky-2020/surface",
    "ji-telgarsky-2020/deep-linear",
    "vardi-2022/gallery",
    "ji-telgarsky-2020/two-homogeneous",
}

/// A recipe, parsed.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// What messages call it.
    file: String,
    /// The text of the base spec, without the recipe's own table.
    base: String,
    /// An override that gives the spec a name, where it has none.
    name_default: Option<String>,
    settings: Settings,
    /// Where its settings stand, for messages.
    origin: Origin,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    about: String,
    /// Overrides under `--quick`.
    #[serde(default)]
    quick: Vec<String>,
    /// Overrides under `--full`.
    #[serde(default)]
    full: Vec<String>,
    /// Whether a file from outside is needed, and the recipe is skipped without it.
    #[serde(default)]
    needs: Option<String>,
    /// Seeds of every variant; one run with the spec's own when absent.
    #[serde(default)]
    seeds: Option<Seeds>,
    /// How many of them are run under `--quick`.
    #[serde(default)]
    quick_seeds: Option<NonZeroU32>,
    #[serde(default)]
    variants: Vec<Variant>,
    #[serde(default)]
    expect: Vec<Expect>,
    #[serde(default)]
    tables: Vec<TableOf>,
    #[serde(default)]
    figures: Vec<FigureOf>,
}

/// One run of a recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    label: String,
    /// Whether claims about the flow are decided with the run's twin at half the step.
    #[serde(default)]
    twin: bool,
    #[serde(default)]
    set: Vec<String>,
    /// Overrides of this variant under `--quick`.
    #[serde(default)]
    quick: Vec<String>,
    /// Overrides of this variant under `--full`.
    #[serde(default)]
    full: Vec<String>,
}

/// How much of a recipe is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// Seconds: whether it works.
    Quick,
    /// What a small machine can do.
    #[default]
    Usual,
    /// The size of the paper, where the recipe has one.
    Full,
}

impl Size {
    /// The overrides of this size.
    fn of<'a>(&self, quick: &'a [String], full: &'a [String]) -> &'a [String] {
        match self {
            Size::Quick => quick,
            Size::Usual => &[],
            Size::Full => full,
        }
    }

    /// Its name in records.
    pub fn name(&self) -> &'static str {
        match self {
            Size::Quick => "quick",
            Size::Usual => "usual",
            Size::Full => "full",
        }
    }
}

/// A variant, ready to run.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its label.
    pub label: String,
    /// Whether its runs get a twin at half the step.
    pub twin: bool,
    /// Seed and spec of every run.
    pub specs: Vec<(u64, Spec)>,
}

/// What a recipe gave.
#[derive(Clone, Debug, Default)]
pub struct RecipeResult {
    /// Expected against found.
    pub rows: Vec<Compared>,
    /// The tables.
    pub tables: Vec<Table>,
    /// The run directories, by variant.
    pub groups: Vec<Group>,
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
    parse(found.name, &format!("recipe {name}"), found.text)
}

impl Recipe {
    /// The base spec, with the overrides of the size and then the caller's.
    ///
    /// # Errors
    /// When an override does not fit.
    pub fn spec(&self, size: Size, overrides: &[String]) -> Result<Spec, Error> {
        let mut all: Vec<String> = self.name_default.iter().cloned().collect();
        all.extend_from_slice(size.of(&self.settings.quick, &self.settings.full));
        all.extend_from_slice(overrides);
        Spec::parse(&self.base, &self.file, &all)
    }

    /// Every variant with the specs of its seeds.
    ///
    /// # Errors
    /// When an override does not fit.
    pub fn runs(&self, size: Size) -> Result<Vec<Planned>, Error> {
        let base = Variant {
            label: "base".into(),
            twin: false,
            set: Vec::new(),
            quick: Vec::new(),
            full: Vec::new(),
        };
        let (alone, variants) = match self.settings.variants.is_empty() {
            true => (true, vec![&base]),
            false => (false, self.settings.variants.iter().collect()),
        };
        let seeds = self.settings.seeds.as_ref().map(|seeds| match size {
            Size::Quick => seeds.first(self.settings.quick_seeds.map_or(QUICK_SEEDS, |n| u64::from(n.get()))),
            Size::Usual | Size::Full => seeds.clone(),
        });
        let plan = |variant: &Variant| {
            let mut set = variant.set.clone();
            if !alone {
                set.push(format!("name={:?}", variant.label));
            }
            set.extend_from_slice(size.of(&variant.quick, &variant.full));
            let spec = self.spec(size, &set)?;
            let Some(seeds) = &seeds else {
                return Ok(Planned {
                    label: variant.label.clone(),
                    twin: variant.twin,
                    specs: vec![(spec.seed, spec)],
                });
            };
            let seeded = |seed: u64| {
                let mut spec = spec.clone();
                spec.seed = seed;
                spec.name = Some(format!("{} seed {seed}", variant.label));
                (seed, spec)
            };
            let specs = seeds.from(spec.seed).into_iter().map(seeded).collect();
            Ok(Planned { label: variant.label.clone(), twin: variant.twin, specs })
        };
        variants.into_iter().map(plan).collect()
    }

    /// Whether its variants are run with several seeds.
    fn has_seeds(&self) -> bool {
        self.settings.seeds.is_some()
    }

    /// The directory of a run.
    fn directory(&self, label: &str, seed: u64, spec: &Spec) -> Result<PathBuf, Error> {
        let seed = if self.has_seeds() { format!("-seed{seed}") } else { String::new() };
        Ok(PathBuf::from(format!("{}{seed}-{}", label.replace([' ', '/'], "-"), spec.hash8()?)))
    }
}

/// Runs a recipe under `out` and compares. Finished runs of the same spec are not run again.
///
/// # Errors
/// What is wrong with a spec or a file, or what could not be written.
pub fn run(
    recipe: &Recipe,
    size: Size,
    out: &Path,
    options: RecipeOptions<'_>,
) -> Result<RecipeResult, Error> {
    let mut result = RecipeResult::default();
    let settings = &recipe.settings;
    if let Some(needed) = &settings.needs {
        let lookup = &options.lookup;
        let places = [Some(&lookup.working_dir), lookup.data_dir.as_ref()];
        if !places.into_iter().flatten().any(|dir| dir.join(needed).exists()) {
            result.skipped =
                Some(format!("{needed} is neither in the working directory nor under LATEPHASE_DATA"));
            return Ok(result);
        }
    }
    recipe.check_columns(size, &options.lookup)?;
    let RecipeOptions { threads, stop, lookup, announce, progress } = options;
    for Planned { label, twin, specs } in recipe.runs(size)? {
        result.groups.push(Group { label: label.clone(), runs: Vec::new() });
        for (seed, spec) in specs {
            announce(spec.name.as_deref().unwrap_or(&label), &spec);
            let dir = out.join(recipe.directory(&label, seed, &spec)?);
            let options = stint(threads, stop, &lookup, &mut *progress);
            match standing(&dir, &spec)? {
                Standing::Free => {
                    begin(&spec, &dir, options)?;
                }
                Standing::Unfinished => {
                    resume(&dir, options)?;
                }
                Standing::Finished => {}
                Standing::Foreign(why) => {
                    return Err(Error::usage(format!("{} is in the way: {why}", dir.display())));
                }
            }
            if twin && !stop.load(Ordering::Relaxed) {
                announce(&format!("{label}, half the step"), &spec);
                let options = stint(threads, stop, &lookup, &mut *progress);
                twin::make(&twin::of(&spec)?, &dir, options)?;
                refresh(&dir, &spec, &lookup)?;
            }
            if let Some(group) = result.groups.last_mut() {
                group.runs.push((seed, dir));
            }
            if stop.load(Ordering::Relaxed) {
                result.interrupted = true;
                return Ok(result);
            }
        }
    }
    for expect in settings.expect.iter().filter(|e| !(size == Size::Quick && e.full_only)) {
        result.rows.push(compare(expect, &result.groups)?);
    }
    for table in &settings.tables {
        result.tables.push(table.fill(&result.groups)?);
    }
    result.figures = figures(&settings.figures, &result.groups)?;
    write(recipe, size, out, &lookup, &mut result)?;
    Ok(result)
}

/// How a recipe runs each of its runs.
fn stint<'a>(
    threads: Option<usize>,
    stop: &'a AtomicBool,
    lookup: &Lookup,
    progress: &'a mut (dyn Progress + Send),
) -> Options<'a> {
    Options { threads, max_seconds: None, checkpoint_seconds: 10.0, stop, lookup: lookup.clone(), progress }
}

/// Writes the page and what programs read.
fn write(
    recipe: &Recipe,
    size: Size,
    out: &Path,
    lookup: &Lookup,
    result: &mut RecipeResult,
) -> Result<(), Error> {
    let count: usize = result.groups.iter().map(|g| g.runs.len()).sum();
    let is_many = count > SHOWN && recipe.has_seeds();
    let note = match is_many {
        true => format!(
            "{count} runs: expectations, tables and figures are of all of them, outcomes and panels of the first seed of \
             each variant."
        ),
        false => String::new(),
    };
    let shown = result.groups.iter().enumerate().flat_map(|(k, group)| {
        let runs = group.runs.iter().take(if is_many { 1 } else { usize::MAX });
        runs.map(move |(_, dir)| (k, dir.as_path()))
    });
    let (colours, dirs): (Vec<usize>, Vec<&Path>) = shown.unzip();
    let tables = result.expectations().into_iter().chain(result.tables.iter().map(Table::for_report));
    let added = Added { note, colours, tables: tables.collect(), figures: result.figures.clone() };
    let page = crate::page::of_dirs(&recipe.name, &dirs, lookup, &added)?;
    let report = out.join("report.html");
    write_whole(&report, page.as_bytes())?;
    write_whole(&out.join("findings.json"), &pretty(&result.findings(recipe, size)?))?;
    write_whole(&out.join("tables.json"), &pretty(&result.tables_json()))?;
    result.report = Some(report);
    Ok(())
}

/// How a recipe's run directory ended, for its table.
///
/// # Errors
/// When its manifest cannot be read.
pub fn outcome_of(dir: &Path) -> Result<String, Error> {
    let manifest = read_manifest(dir)?.unwrap_or_default();
    Ok(manifest["sentence"].as_str().unwrap_or("unfinished").to_owned())
}
