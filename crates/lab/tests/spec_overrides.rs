//! What an override sets, and what it leaves alone.

use latephase_lab::Spec;

const BASE: &str = r#"
data = { kind = "digits", classes = "even-odd", train = 300 }
model = { kind = "mlp", widths = [8] }
loss = "logistic"
algorithm = { kind = "stepped", pace = { kind = "unit-decrease", eta = 0.02 } }
stop = { steps = 100 }
"#;

const PHASES: &str = r#"
data = { kind = "digits", classes = "even-odd", train = 300 }
model = { kind = "mlp", widths = [8] }
loss = "logistic"
stop = { steps = 100 }
[[algorithm]]
kind = "bundle"
until = { log10_loss = -3 }
[[algorithm]]
kind = "stepped"
pace = { kind = "unit-decrease", eta = 0.02 }
"#;

/// The resolved spec as a tree.
fn with(text: &str, overrides: &[&str]) -> toml::Table {
    let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
    let spec = Spec::parse(text, "spec.toml", &overrides).unwrap_or_else(|e| panic!("{overrides:?}: {e}"));
    toml::from_str(&spec.resolved_toml().unwrap()).unwrap()
}

fn at(table: &toml::Table, path: &str) -> Option<toml::Value> {
    let mut value = &toml::Value::Table(table.clone());
    for segment in path.split('.') {
        value = match segment.parse::<usize>() {
            Ok(k) => value.get(k)?,
            Err(_) => value.get(segment)?,
        };
    }
    Some(value.clone())
}

#[track_caller]
fn sets(text: &str, overrides: &[&str], path: &str, expected: impl Into<toml::Value>) {
    let table = with(text, overrides);
    assert_eq!(at(&table, path), Some(expected.into()), "{path} in {table}");
}

#[test]
fn values_are_toml_where_they_can_be_and_bare_strings_elsewhere() {
    sets(BASE, &["seed=1_000"], "seed", 1000);
    sets(BASE, &["algorithm.pace.eta = 0.5"], "algorithm.pace.eta", 0.5);
    sets(BASE, &["model.widths=[3, 4]"], "model.widths.1", 4);
    sets(BASE, &["name=first"], "name", "first");
    sets(BASE, &["name=\"12\""], "name", "12");
    sets(BASE, &["name=2024-01-01"], "name", "2024-01-01");
    sets(BASE, &["model={ kind = \"linear\", bias = true }"], "model.bias", true);
    sets(BASE, &["algorithm.descent.norm=linf"], "algorithm.descent.norm.kind", "linf");
    sets(
        BASE,
        &["model.init={kind=\"file\",path=\"a\"}", "model.init.path=/x y.st"],
        "model.init.path",
        "/x y.st",
    );
    sets(BASE, &["model.init.kind=file", "model.init.path=/a=b y.st"], "model.init.path", "/a=b y.st");
}

#[test]
fn a_path_goes_through_the_shorthand_of_a_catalogue() {
    let overrides = ["loss.reduction=mean"];
    sets(BASE, &overrides, "loss.kind", "logistic");
    sets(BASE, &overrides, "loss.reduction", "mean");
}

#[test]
fn what_is_not_written_has_the_kind_that_it_has_by_default() {
    sets(BASE, &["model.init.alpha=0.1"], "model.init.kind", "he");
    sets(BASE, &["algorithm.descent.norm=l1"], "algorithm.descent.kind", "steepest");
    sets(BASE, &["algorithm.batch.kind=shuffle", "algorithm.batch.size=10"], "algorithm.batch.size", 10);
    sets(BASE, &["model.init.alpha=2", "model.activation.kind=leaky-relu"], "model.init.alpha", 2.0);
    // The algorithm is not valid yet when its descent is set.
    let overrides =
        ["algorithm=stepped", "algorithm.descent.norm=l1", "algorithm.pace=constant", "algorithm.pace.eta=1"];
    sets(
        &BASE.replace("stepped", "flow").replace(", pace = { kind = \"unit-decrease\", eta = 0.02 }", ""),
        &overrides,
        "algorithm.descent.norm.kind",
        "l1",
    );
    sets(PHASES, &["algorithm.1.descent.norm=l1"], "algorithm.1.descent.kind", "steepest");
}

#[test]
fn another_kind_takes_the_place_of_the_old_settings() {
    for over in ["algorithm=bundle", "algorithm.kind=bundle"] {
        let table = with(BASE, &[over]);
        assert_eq!(at(&table, "algorithm.kind"), Some("bundle".into()));
        assert_eq!(at(&table, "algorithm.pace"), None);
    }
    let table = with(BASE, &["algorithm.pace=constant", "algorithm.pace.eta=3"]);
    assert_eq!(at(&table, "algorithm.pace.kind"), Some("constant".into()));
    assert_eq!(at(&table, "algorithm.pace.eta"), Some(3.0.into()));
    sets(BASE, &["data=two-points"], "data.kind", "two-points");
}

#[test]
fn the_same_kind_keeps_the_settings() {
    for over in ["algorithm=stepped", "algorithm.kind=stepped"] {
        sets(BASE, &[over], "algorithm.pace.eta", 0.02);
    }
}

#[test]
fn a_number_is_the_index_of_a_list_item() {
    sets(PHASES, &["algorithm.0.kappa=0.25"], "algorithm.0.kappa", 0.25);
    sets(PHASES, &["algorithm[0].kappa=0.25"], "algorithm.0.kappa", 0.25);
    sets(PHASES, &["model.widths.0=5"], "model.widths.0", 5);
    sets(PHASES, &["model.widths.1=5"], "model.widths", vec![8, 5]);
}

#[test]
fn the_end_of_a_phase_outlives_its_algorithm() {
    for over in ["algorithm.0=flow", "algorithm.0.kind=flow"] {
        sets(PHASES, &[over], "algorithm.0.kind", "flow");
        sets(PHASES, &[over], "algorithm.0.until.log10_loss", -3.0);
    }
    sets(PHASES, &["algorithm=bundle"], "algorithm.kind", "bundle");
}

#[test]
fn the_last_of_two_overrides_of_a_key_holds() {
    sets(BASE, &["seed=1", "seed=2"], "seed", 2);
}

#[test]
fn a_bare_name_is_the_kind_of_a_table_that_has_no_shorthand() {
    sets(BASE, &["algorithm.batch=full"], "algorithm.batch.kind", "full");
    let shuffled =
        BASE.replace("kind = \"stepped\"", "kind = \"stepped\", batch = { kind = \"shuffle\", size = 4 }");
    sets(&shuffled, &["algorithm.batch=full"], "algorithm.batch.kind", "full");
}
