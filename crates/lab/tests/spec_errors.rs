//! A wrong spec is shown at its line and column, with what is allowed.

use latephase_lab::Spec;

const GOOD: &str = r#"seed = 1
data = { kind = "digits", classes = "even-odd", train = 300 }
model = { kind = "mlp", widths = [256], activation = "relu" }
loss = "logistic"
stop = { steps = 2_000_000, log10_loss = -1000 }
keep = { log10_loss = [-10, -100] }
probes = ["margin", "kkt"]

[algorithm]
kind = "stepped"
pace = { kind = "unit-decrease", eta = 0.02 }

[algorithm.descent]
kind = "steepest"
norm = "l2"
"#;

fn parse(text: &str, overrides: &[&str]) -> Result<Spec, latephase_lab::Error> {
    let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
    Spec::parse(text, "spec.toml", &overrides)
}

/// The message after one replacement in the good spec.
fn message(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} is not there exactly once");
    let error = parse(&GOOD.replace(from, to), &[]).expect_err("this spec is wrong");
    assert!(error.is_spec() && !error.is_io() && !error.is_usage());
    error.to_string()
}

fn over(overrides: &[&str]) -> String {
    parse(GOOD, overrides).expect_err("this override is wrong").to_string()
}

#[track_caller]
fn starts(message: &str, expected: &str) {
    assert!(message.starts_with(expected), "\n  got: {message}\nwanted: {expected}");
}

#[test]
fn the_good_spec_is_good() {
    let spec = parse(GOOD, &[]).unwrap();
    assert_eq!((spec.seed, spec.algorithm.len(), spec.probes.len()), (1, 1, 2));
    assert_eq!(spec.stop.steps, Some(2_000_000));
}

#[test]
fn an_unknown_norm_is_shown_at_its_value_with_the_nearest_name() {
    let norms = latephase_core::norm::AnyNorm::NAMES.join(", ");
    assert_eq!(
        message("norm = \"l2\"", "norm = \"l-inf\""),
        format!(
            "spec.toml:15:8: unknown norm `l-inf` in algorithm.descent.norm\n  did you mean `linf`?  ({norms})"
        )
    );
    assert_eq!(
        message("norm = \"l2\"", "norm = { kind = \"l-inf\" }"),
        format!(
            "spec.toml:15:17: unknown norm `l-inf` in algorithm.descent.norm\n  did you mean `linf`?  ({norms})"
        )
    );
}

#[test]
fn a_name_that_is_near_to_nothing_gets_the_list_alone() {
    let losses = latephase_core::loss::AnyLoss::NAMES.join(", ");
    let expected = format!("spec.toml:4:8: unknown loss `hinge` in loss\n  allowed: {losses}");
    assert_eq!(message("\"logistic\"", "\"hinge\""), expected);
}

#[test]
fn every_catalogue_is_named() {
    starts(
        &message("\"digits\"", "\"digit\""),
        "spec.toml:2:17: unknown data source `digit` in data\n  did you mean `digits`?",
    );
    starts(&message("\"mlp\"", "\"cnnn\""), "spec.toml:3:18: unknown model `cnnn` in model\n  ");
    starts(
        &message("\"relu\"", "\"rleu\""),
        "spec.toml:3:54: unknown activation `rleu` in model.activation\n  did you mean `relu`?",
    );
    starts(
        &message("\"kkt\"", "\"ktk\""),
        "spec.toml:7:21: unknown probe `ktk` in probes[1]\n  did you mean `kkt`?",
    );
    starts(
        &message("\"stepped\"", "\"steped\""),
        "spec.toml:10:8: unknown algorithm `steped` in algorithm\n  did you mean `stepped`?",
    );
    starts(
        &message("\"steepest\"", "\"steep\""),
        "spec.toml:14:8: unknown descent `steep` in algorithm.descent\n  did you mean `steepest`?",
    );
    starts(
        &message("\"unit-decrease\"", "\"unit_decrease\""),
        "spec.toml:11:17: unknown pace `unit_decrease` in algorithm.pace\n  did you mean `unit-decrease`?",
    );
}

#[test]
fn an_unknown_key_is_shown_at_the_key() {
    assert_eq!(
        message("seed = 1", "sede = 1"),
        "spec.toml:1:1: unknown key `sede`\n  did you mean `seed`?  \
         (name, seed, data, model, loss, algorithm, stop, look, keep, probes, exact)"
    );
    starts(
        &message("steps =", "step ="),
        "spec.toml:5:10: unknown key `step` in stop\n  did you mean `steps`?  (steps, epochs,",
    );
    starts(
        &message("log10_loss = -1000", "loss = -1000"),
        "spec.toml:5:29: unknown key `loss` in stop\n  did you mean `log10_loss`?",
    );
    starts(
        &message("widths = [256]", "width = [256]"),
        "spec.toml:3:25: unknown key `width` in model\n  did you mean `widths`?",
    );
    starts(
        &message("train =", "trian ="),
        "spec.toml:2:49: unknown key `trian` in data\n  did you mean `train`?",
    );
    starts(
        &message("eta = 0.02", "etta = 0.02"),
        "spec.toml:11:34: unknown key `etta` in algorithm.pace\n  did you mean `eta`?",
    );
    starts(
        &message("norm = \"l2\"", "nrom = \"l2\""),
        "spec.toml:15:1: unknown key `nrom` in algorithm.descent\n  did you mean `norm`?",
    );
    starts(
        &message("norm = \"l2\"", "norm = { kind = \"l2\", p = 3 }"),
        "spec.toml:15:23: unknown key `p` in algorithm.descent.norm, which has no settings",
    );
    starts(
        &message("[algorithm.descent]", "[algorithm.decsent]"),
        "spec.toml:13:12: unknown key `decsent` in algorithm\n  did you mean `descent`?",
    );
    starts(&message("seed = 1", "\"a.b\" = 1"), "spec.toml:1:1: unknown key `a.b`\n");
}

#[test]
fn a_missing_key_is_shown_at_its_table() {
    assert_eq!(message("loss = \"logistic\"\n", ""), "spec.toml:1:1: missing key `loss`");
    starts(&message("widths = [256], ", ""), "spec.toml:3:9: missing key `widths` in model");
    starts(
        &message("pace = { kind = \"unit-decrease\", eta = 0.02 }\n", ""),
        "spec.toml:9:1: missing key `pace` in algorithm",
    );
    starts(&message("kind = \"stepped\"\n", ""), "spec.toml:9:1: algorithm: an algorithm needs `kind = …`");
}

#[test]
fn a_wrong_type_says_what_was_found_and_what_is_expected() {
    assert_eq!(
        message("seed = 1", "seed = \"a\""),
        "spec.toml:1:8: seed is the string \"a\"; expected a whole number of at least 0"
    );
    assert_eq!(
        message("seed = 1", "seed = -1"),
        "spec.toml:1:8: seed is the whole number -1; expected a whole number of at least 0"
    );
    assert_eq!(
        message("steps = 2_000_000", "steps = 2e6"),
        "spec.toml:5:18: stop.steps is the number 2000000.0; expected a whole number of at least 0\n  write `2000000`"
    );
    assert_eq!(
        message("eta = 0.02", "eta = true"),
        "spec.toml:11:40: algorithm.pace.eta is true; expected a number"
    );
    starts(
        &message("widths = [256]", "widths = [256, \"b\"]"),
        "spec.toml:3:40: model.widths[1] is the string \"b\"; expected a whole number",
    );
    starts(
        &message("[-10, -100]", "-10"),
        "spec.toml:6:23: keep.log10_loss is the whole number -10; expected a list",
    );
    starts(
        &message("stop = { steps = 2_000_000, log10_loss = -1000 }", "stop = 7"),
        "spec.toml:5:8: stop is the whole number 7; expected a table",
    );
    starts(
        &message("norm = \"l2\"", "norm = 3"),
        "spec.toml:15:8: algorithm.descent.norm: a norm is a name or a table with `kind`, not 3",
    );
}

#[test]
fn a_syntax_error_has_a_place_too() {
    starts(&message("seed = 1", "seed = = 1"), "spec.toml:1:8: ");
    starts(&message("[256]", "[256"), "spec.toml:3:");
    starts(&message("loss = \"logistic\"", "loss = \"logistic\"\nseed = 2"), "spec.toml:5:1: duplicate key");
    // The column counts characters.
    starts(&message("seed = 1", "name = \"é é\" x"), "spec.toml:1:14: ");
}

#[test]
fn impossible_settings_are_refused_before_any_data_are_loaded() {
    assert_eq!(
        message("log10_loss = -1000", "log10_loss = 3"),
        "spec.toml:5:42: stop.log10_loss: 3 is not a late loss; log10_loss is negative, such as -3"
    );
    starts(
        &message("log10_loss = -1000", "log10_loss = nan"),
        "spec.toml:5:42: stop.log10_loss: NaN is not a late loss",
    );
    starts(
        &message("steps = 2_000_000, log10_loss = -1000", ""),
        "spec.toml:5:8: stop: no condition is given",
    );
    starts(
        &message("[-10, -100]", "[-10, 100]"),
        "spec.toml:6:29: keep.log10_loss[1]: 100 is not a late loss",
    );
    starts(
        &message("\"kkt\"", "\"margin\""),
        "spec.toml:7:21: probes[1]: the probe `margin` is listed twice",
    );
    starts(&message("seed = 1", "look = { every = 0 }"), "spec.toml:1:18: look.every: 0 steps apart");
    starts(
        &message("seed = 1", "name = \"../up\""),
        "spec.toml:1:8: name: \"../up\" cannot name a directory",
    );
    starts(
        &message("log10_loss = -1000", "kkt_epsilon = 0"),
        "spec.toml:5:43: stop.kkt_epsilon: 0 cannot be reached",
    );
}

#[test]
fn phases_end_one_after_the_other() {
    let head = GOOD.split("[algorithm]").next().unwrap();
    let phases = |first: &str, second: &str| {
        let text = format!(
            "{head}[[algorithm]]\nkind = \"bundle\"\n{first}\n[[algorithm]]\nkind = \"flow\"\n{second}\n"
        );
        parse(&text, &[])
    };
    let spec = phases("until = { steps = 1000 }", "").unwrap();
    assert_eq!(spec.algorithm[0].until.as_ref().unwrap().steps, Some(1000));
    let text = |first, second| phases(first, second).unwrap_err().to_string();
    starts(&text("", ""), "spec.toml:9:1: algorithm[0]: this phase never ends");
    starts(
        &text("until = { steps = 9 }", "until = { steps = 99 }"),
        "spec.toml:14:9: algorithm[1].until: the last phase lasts until",
    );
    starts(&text("until = {}", ""), "spec.toml:11:9: algorithm[0].until: no condition is given");
    starts(
        &text("until = { log10_loss = 1 }", ""),
        "spec.toml:11:24: algorithm[0].until.log10_loss: 1 is not a late loss",
    );
    starts(
        &text("until = { stpes = 1 }", ""),
        "spec.toml:11:11: unknown key `stpes` in algorithm[0].until\n  did you mean `steps`?",
    );
    starts(
        &text("until = { steps = 9 }", "rtoll = 1e-3"),
        "spec.toml:14:1: unknown key `rtoll` in algorithm[1]\n  did you mean `rtol`?",
    );
    starts(
        &text("untill = { steps = 9 }", ""),
        "spec.toml:11:1: unknown key `untill` in algorithm[0]\n  did you mean `until`?",
    );
    starts(
        &parse(&format!("algorithm = []\n{head}"), &[]).unwrap_err().to_string(),
        "spec.toml:1:13: algorithm: the list is empty",
    );
}

#[test]
fn an_error_that_an_override_brought_in_names_the_override() {
    starts(
        &over(&["algorithm.pace.etta=1"]),
        "override `algorithm.pace.etta=1`: unknown key `etta` in algorithm.pace\n  did you mean `eta`?",
    );
    starts(&over(&["stpo.steps=1"]), "override `stpo.steps=1`: unknown key `stpo`\n  did you mean `stop`?");
    starts(
        &over(&["seed=1", "algorithm.descent.norm=l-inf"]),
        "override `algorithm.descent.norm=l-inf`: unknown norm `l-inf` in algorithm.descent.norm\n  did you mean `linf`?",
    );
    starts(
        &over(&["stop.log10_loss=1"]),
        "override `stop.log10_loss=1`: stop.log10_loss: 1 is not a late loss",
    );
    starts(
        &over(&["model=diagonal", "model.depht=3"]),
        "override `model.depht=3`: unknown key `depht` in model\n  did you mean `depth`?",
    );
    starts(&over(&["seed.x=1"]), "override `seed.x=1`: seed is 1 and has no settings");
    starts(&over(&["steps"]), "override `steps`: it has no `=`");
    starts(&over(&["=3"]), "override `=3`: `` is not a key");
    starts(&over(&["seed="]), "override `seed=`: it has no value");
    starts(&over(&["model.widths=[1,2"]), "override `model.widths=[1,2`: the value is not TOML");
    starts(
        &over(&["probes.7=kkt"]),
        "override `probes.7=kkt`: probes is a list of 2; it has no item `7`\n  allowed: probes.0, probes.1",
    );
    starts(
        &over(&["algorithm.pace.eta=1", "algorithm=bundle"]),
        "override `algorithm=bundle`: it undoes `algorithm.pace.eta=1`",
    );
    let deep = "a.".repeat(100_000) + "b=1";
    assert!(over(&[&deep]).contains("is deeper than any setting"));
}

#[test]
fn an_error_of_the_file_is_not_blamed_on_an_override_elsewhere() {
    let text = GOOD.replace("eta = 0.02", "etta = 0.02");
    starts(
        &parse(&text, &["algorithm.descent.norm=linf"]).unwrap_err().to_string(),
        "spec.toml:11:34: unknown key `etta`",
    );
}

#[test]
fn what_is_found_while_building_is_shown_at_its_place() {
    let spec = parse(GOOD, &["algorithm.pace.eta=-1"]).unwrap();
    let place = |path: &str| spec.locate(latephase_lab::Error::spec(path, "no")).to_string();
    assert_eq!(place("model.widths[0]"), "spec.toml:3:35: model.widths[0]: no");
    assert_eq!(place("model.init"), "spec.toml:3:9: model.init: no");
    assert_eq!(place("algorithm.pace.eta"), "override `algorithm.pace.eta=-1`: algorithm.pace.eta: no");
    assert_eq!(place("loss.kind"), "spec.toml:4:8: loss: no");
    assert_eq!(place("look"), "spec.toml:1:1: look: no");
    let elsewhere = latephase_lab::Error::content("data.csv, line 3: no");
    assert_eq!(spec.locate(elsewhere).to_string(), "data.csv, line 3: no");
}

#[test]
fn a_missing_file_is_an_input_error_with_its_cause() {
    let error = Spec::read(std::path::Path::new("no/such/spec.toml"), &[]).unwrap_err();
    assert!(error.is_io() && !error.is_spec());
    assert!(error.report().starts_with("cannot read no/such/spec.toml: "));
}
