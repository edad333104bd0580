//! Recipes with several optimisers and seeds, run in a temporary directory.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use latephase_lab::recipe::{Recipe, RecipeOptions, RecipeResult, Size, read, run};
use latephase_lab::source::Lookup;
use latephase_lab::stint::Unwatched;
use latephase_lab::{Error, Spec};
use serde_json::Value;

type Done = Result<(), Box<dyn std::error::Error>>;

const RECIPE: &str = r#"
seed = 7
data = { kind = "digits", classes = "even-odd", train = 30, order = "random" }
model = "linear"
loss = "exponential"
probes = ["margin", "accuracy"]
stop = { log10_loss = -100 }
look = { per_decade_of_ln_loss = 10 }
[algorithm]
kind = "stepped"
descent = { kind = "steepest", norm = "l2" }
pace = { kind = "unit-decrease", eta = 0.1 }

[recipe]
about = "two geometries"
seeds = 3
quick = ["stop.log10_loss=-3"]
quick_seeds = 1

[[recipe.variants]]
label = "SD"
set = ["algorithm.descent.norm=linf"]

[[recipe.variants]]
label = "GD"

[[recipe.expect]]
id = "order.linf"
source = "each geometry has its own margin"
measure = { column = "margin_linf" }
order = ["SD", "GD"]

[[recipe.expect]]
id = "order.backwards"
source = "the same at a step, the other way round"
measure = { column = "margin_linf" }
order = ["GD", "SD"]
at = -90.0

[[recipe.expect]]
id = "separated"
source = "the data are separable"
measure = { column = "train_accuracy" }
value = 1.0
tolerance = { factor = 1.0 }

[[recipe.expect]]
id = "fit"
source = "reported without judging"
run = "GD"
against = "SD"
measure = { first-step = { column = "train_accuracy", at_least = 1.0 } }

[[recipe.tables]]
title = "Margins by geometry"
columns = ["margin", "margin_linf"]
relative = true

[[recipe.figures]]
title = "Margin"
caption = "Rises."
column = "margin"
x = "step"
"#;

fn recipe(place: &Path, text: &str) -> Result<Recipe, Error> {
    let path = place.join("two.toml");
    fs::write(&path, text).map_err(|e| Error::io(&path, "write", e))?;
    read(&path)
}

fn done(recipe: &Recipe, size: Size, out: &Path) -> Result<RecipeResult, Error> {
    let mut labels = |_: &str, _: &Spec| {};
    let options = RecipeOptions {
        threads: Some(1),
        stop: &AtomicBool::new(false),
        lookup: Lookup::from_env(),
        announce: &mut labels,
        progress: &mut Unwatched,
    };
    run(recipe, size, out, options)
}

#[test]
fn every_variant_runs_once_a_seed_and_is_judged_over_all() -> Done {
    let place = tempfile::tempdir()?;
    let recipe = recipe(place.path(), RECIPE)?;
    let result = done(&recipe, Size::Usual, &place.path().join("out"))?;

    let labels: Vec<&str> = result.groups.iter().map(|g| g.label.as_str()).collect();
    assert_eq!(labels, ["SD", "GD"]);
    for group in &result.groups {
        let seeds: Vec<u64> = group.runs.iter().map(|(s, _)| *s).collect();
        assert_eq!(seeds, [7, 8, 9]);
        for (seed, dir) in &group.runs {
            let name = dir.file_name().ok_or("no name")?.to_string_lossy();
            assert!(name.starts_with(&format!("{}-seed{seed}-", group.label)), "{name}");
            assert_eq!(latephase_lab::stint::read_spec(dir)?.seed, *seed);
        }
    }
    let row = |id: &str| result.rows.iter().find(|r| r.id == id).expect("a row of the recipe");
    // Steepest descent in a norm ends with the larger margin of that norm: the theorem, and what the runs are for.
    assert_eq!(row("order.linf").held, Some(true));
    assert_eq!(row("order.linf").ratio, "3 of 3 seeds");
    assert_eq!(row("order.backwards").held, Some(false));
    assert_eq!(row("order.backwards").ratio, "0 of 3 seeds");
    assert_eq!((row("separated").held, row("separated").ours.as_str()), (Some(true), "1 ± 0"));
    assert_eq!((row("fit").held, row("fit").values[0].1.len()), (None, 3));

    // The table's means are those of the rows, and each geometry is the best in its own column.
    let table = &result.tables[0];
    let best: Vec<Vec<bool>> =
        table.rows.iter().map(|(_, cells)| cells.iter().map(|c| c.is_best).collect()).collect();
    assert_eq!(best, [[false, true], [true, false]]);
    let order = row("order.linf");
    assert_eq!(table.rows[0].1[1].values, order.values[0].1);

    // One curve a variant, in a band that holds it.
    assert_eq!(result.figures[0].traces.len(), 2);
    assert_eq!(result.figures[0].x_label, "step");
    for trace in &result.figures[0].traces {
        assert!(!trace.x.is_empty());
        for k in 0..trace.x.len() {
            assert!(trace.low[k].is_nan() || (trace.low[k] <= trace.y[k] && trace.y[k] <= trace.high[k]));
        }
    }
    Ok(())
}

#[test]
fn what_is_printed_is_in_the_files_and_a_second_call_writes_the_same_bytes() -> Done {
    let place = tempfile::tempdir()?;
    let recipe = recipe(place.path(), RECIPE)?;
    let out = place.path().join("out");
    let result = done(&recipe, Size::Usual, &out)?;
    let bytes = |name: &str| fs::read(out.join(name));
    let before = [bytes("findings.json")?, bytes("tables.json")?];
    let findings: Value = serde_json::from_slice(&before[0])?;
    assert_eq!(findings["runs"].as_array().map(Vec::len), Some(6));
    for (row, found) in result.rows.iter().zip(findings["expectations"].as_array().ok_or("no list")?) {
        assert_eq!(found["ours"], row.ours.as_str());
        assert_eq!(found["interval"], row.interval.as_str());
        assert_eq!(found["held"], serde_json::json!(row.held));
    }
    let tables: Value = serde_json::from_slice(&before[1])?;
    let cell = &tables["tables"][0]["rows"][1]["cells"][0];
    assert_eq!((&cell["column"], &cell["best"]), (&Value::from("margin"), &Value::from(true)));
    assert_eq!(cell["mean"].as_f64(), Some(result.tables[0].rows[1].1[0].spread.mean));

    let page = String::from_utf8(bytes("report.html")?)?;
    assert!(page.contains("<h2>Margins by geometry</h2>") && page.contains("<h2>Expected and found</h2>"));
    done(&recipe, Size::Usual, &out)?;
    assert_eq!([bytes("findings.json")?, bytes("tables.json")?], before);
    Ok(())
}

#[test]
fn the_quick_version_takes_fewer_seeds() -> Done {
    let place = tempfile::tempdir()?;
    let count = |text: &str| -> Result<Vec<usize>, Error> {
        Ok(recipe(place.path(), text)?.runs(Size::Quick)?.iter().map(|p| p.specs.len()).collect())
    };
    assert_eq!(count(RECIPE)?, [1, 1]);
    assert_eq!(count(&RECIPE.replace("quick_seeds = 1\n", ""))?, [2, 2]);
    assert_eq!(
        count(
            &RECIPE.replace("seeds = 3", "seeds = [5, 6, 9]").replace("quick_seeds = 1", "quick_seeds = 9")
        )?,
        [3, 3]
    );
    let without = RECIPE.replace("seeds = 3\n", "").replace("quick_seeds = 1\n", "");
    let runs = recipe(place.path(), &without)?.runs(Size::Usual)?;
    assert_eq!(runs[0].specs[0].1.name.as_deref(), Some("SD"), "one run keeps the label");
    Ok(())
}

#[test]
fn a_slip_in_a_recipe_is_told_before_anything_runs() -> Done {
    let place = tempfile::tempdir()?;
    let told = |from: &str, to: &str| -> Result<String, Box<dyn std::error::Error>> {
        assert!(RECIPE.contains(from), "{from}");
        let out = place.path().join("never");
        let text = RECIPE.replace(from, to);
        let error = recipe(place.path(), &text).and_then(|r| done(&r, Size::Usual, &out).map(|_| ()));
        let error = error.err().ok_or_else(|| format!("{to} was taken"))?;
        assert!(!out.exists(), "{to}: something was run");
        Ok(error.to_string())
    };
    for (from, to, parts) in [
        ("seeds = 3", "seeds = 0", &["two.toml:16:9", "0 are no seeds; write a number of runs"][..]),
        ("relative = true", "relativ = true", &["two.toml:57:1", "did you mean `relative`?"]),
        (
            "measure = { column = \"train_accuracy\" }",
            "measure = { colum = \"x\" }",
            &["two.toml:43:", "did you mean `column`?"],
        ),
        (
            "order = [\"SD\", \"GD\"]",
            "order = [\"SD\", \"gd\"]",
            &["two.toml:27:1", "order.linf: the recipe has no run `gd`", "did you mean `GD`?"],
        ),
        ("columns = [\"margin\", ", "columns = [\"margn\", ", &["two.toml:56:12", "did you mean `margin`?"]),
        (
            "column = \"margin\"\nx = \"step\"",
            "column = \"margin\"\nx = \"stepp\"",
            &["two.toml:63:5", "did you mean `step`?"],
        ),
        (
            "tolerance = { factor = 1.0 }",
            "tolerance = { factor = 0.9 }",
            &["two.toml:40:1", "it is 1 or more"],
        ),
        ("at = -90.0", "at = -90.0\nat_step = 3", &["two.toml:33:1", "order.backwards: give one of"]),
        ("label = \"GD\"", "label = \"SD\"", &["two.toml:25:9", "`SD` is no label"]),
        ("seeds = 3\n", "", &["two.toml:17:15", "it needs `seeds`"]),
        ("quick_seeds = 1", "quick_seeds = 0", &["two.toml:18:15"]),
        ("model = \"linear\"", "model = \"lineer\"", &["two.toml:4:9", "did you mean `linear`?"]),
        ("eta = 0.1 }", "eta = -0.1 }", &["two.toml:12:"]),
    ] {
        let text = told(from, to)?;
        for part in parts {
            assert!(text.contains(part), "{to}: {part} is not in\n{text}");
        }
    }
    Ok(())
}
