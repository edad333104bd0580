//! Recipes with seeds, and sweeps over seeds, by the binary.
#![allow(missing_docs)]

mod common;

use std::fs;

use common::{Place, TINY};

const RECIPE: &str = r#"
[recipe]
about = "one geometry and another"
seeds = 3
[[recipe.variants]]
label = "GD"
[[recipe.variants]]
label = "SD"
set = ["algorithm.descent.norm=linf"]
[[recipe.expect]]
id = "fits"
source = "four points can be separated"
measure = { column = "q_min" }
value = 0.0
tolerance = { at_least = 1.0 }
[[recipe.expect]]
id = "order"
source = "GD has the largest l2 margin there is"
measure = { column = "margin" }
order = ["GD", "SD"]
[[recipe.tables]]
title = "Margins"
columns = ["margin", "margin_linf"]
relative = true
"#;

#[test]
fn a_recipe_file_prints_means_orders_and_tables_and_says_the_same_in_json() {
    let place = Place::with(&format!("{TINY}{RECIPE}"));
    let ran = place.run(&["recipe", "spec.toml", "--quiet"]);
    for part in
        ["GD seed 0:", "SD seed 2:", "95 % interval", "GD > SD", "3 of 3 seeds", "Margins, at the end", " ± "]
    {
        assert!(ran.out.contains(part), "{part} is not in\n{}{}", ran.out, ran.err);
    }
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let json = place.ends(0, &["recipe", "spec.toml", "--quiet", "--json"]).out;
    let object: serde_json::Value = serde_json::from_str(&json).expect("one JSON value");
    assert_eq!(object["runs"].as_array().map(Vec::len), Some(6));
    assert_eq!(object["rows"][1]["ratio"], "3 of 3 seeds");
    assert_eq!(object["rows"][1]["runs"][0]["values"].as_array().map(Vec::len), Some(3));
    let read = |name: &str| -> serde_json::Value {
        let bytes = fs::read(place.path("runs/recipe-spec").join(name)).expect("a file of the recipe");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    assert_eq!(read("tables.json")["tables"], object["tables"]);
    assert_eq!(read("findings.json")["expectations"], object["rows"]);
}

#[test]
fn a_recipe_file_that_is_wrong_is_told_with_line_and_column() {
    let place = Place::with(&format!("{TINY}{RECIPE}").replace("relative", "relativ"));
    let ran = place.ends(2, &["recipe", "spec.toml"]);
    assert!(ran.err.contains("spec.toml:34:1: unknown key `relativ`"), "{}", ran.err);
    let err = place.ends(2, &["recipe", "nowhere.toml"]).err;
    assert!(err.contains("cannot read nowhere.toml"), "{err}");
    let err = place.ends(2, &["recipe", "quickstar"]).err;
    assert!(err.contains("did you mean `quickstart`?"), "{err}");
}

#[test]
fn a_sweep_over_seeds_is_told_by_its_groups() {
    let place = Place::with(TINY);
    let call = [
        "run",
        "spec.toml",
        "--quiet",
        "--out",
        "here",
        "--sweep",
        "algorithm.descent.norm=l2,linf",
        "seed=0..3",
    ];
    let ran = place.ends(0, &call);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[0].starts_with("group") && lines[1].starts_with("norm=l2") && lines[2].starts_with("norm=linf")
    );
    assert!(lines[1].contains(" ± ") && ran.out.contains("sweep_seeds.csv"), "{}", ran.out);
    let table = fs::read_to_string(place.path("here/sweep_seeds.csv")).expect("a table");
    let mut rows = table.lines();
    let head: Vec<&str> = rows.next().expect("a header").split(',').collect();
    assert_eq!(head[..2], ["label", "runs"]);
    for part in ["margin_mean", "margin_sd", "margin_low", "margin_high", "margin_n"] {
        assert!(head.contains(&part), "{head:?}");
    }
    assert_eq!(
        rows.map(|r| r.split(',').take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>(),
        ["norm=l2 3", "norm=linf 3"]
    );
    let page = fs::read_to_string(place.path("here/report.html")).expect("a page");
    assert!(page.contains("margin over seeds"));
    let json = place.ends(0, &[&call[..], &["--json"]].concat()).out;
    let object: serde_json::Value = serde_json::from_str(&json).expect("one JSON value");
    assert_eq!(object["groups"][1]["columns"]["margin"]["n"], 3);
    assert_eq!(object["runs"].as_array().map(Vec::len), Some(6));
    // Without the axis there is nothing to take together.
    let plain = place.ends(
        0,
        &["run", "spec.toml", "--quiet", "--out", "plain", "--sweep", "algorithm.descent.norm=l2,linf"],
    );
    assert!(plain.out.starts_with("run ") && !place.path("plain/sweep_seeds.csv").exists());
}
