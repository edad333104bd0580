//! The resolved text is the spec; no text makes reading panic.

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::catalogue::Listed;
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::norm::AnyNorm;
use latephase_core::pace::AnyPace;
use latephase_core::probe::{AnyProbe, ON_REQUEST};
use latephase_lab::Spec;
use latephase_lab::recipe::{self, Size};
use latephase_lab::source::Source;
use latephase_lab::sweep_axes;
use proptest::prelude::*;

fn spec(data: &str, model: &str, loss: &str, algorithm: &str, probes: &str) -> Spec {
    let text = format!(
        "data = {data}\nmodel = {model}\nloss = {loss}\nalgorithm = {algorithm}\nprobes = {probes}\n\
         stop = {{ log10_loss = -1e-3, clock = 1e300 }}\nlook = {{ every = 7 }}\nkeep = {{ log10_loss = [-0.1, -1e5] }}"
    );
    Spec::parse(&text, "example", &[]).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

/// A catalogue's example as an inline table.
fn inline(name: &str, example: &str) -> String {
    let table: toml::Table = toml::from_str(&format!("kind = \"{name}\"\n{example}")).unwrap();
    toml::Value::Table(table).to_string()
}

fn examples(list: &[Listed]) -> Vec<String> {
    list.iter().map(|entry| inline(entry.name, entry.example)).collect()
}

#[track_caller]
fn round_trips(spec: &Spec) {
    let text = spec.resolved_toml().unwrap();
    let again = Spec::parse(&text, "resolved", &[]).unwrap_or_else(|e| panic!("{text}\n{e}"));
    assert_eq!(again.resolved_toml().unwrap(), text);
    // The trees too, so that nothing is lost that the text leaves out.
    assert_eq!(toml::Value::try_from(&again).unwrap(), toml::Value::try_from(spec).unwrap());
    assert_eq!(again.hash8().unwrap(), spec.hash8().unwrap());
}

#[test]
fn every_example_of_every_catalogue_survives_its_resolved_text() {
    let (data, model, loss) = ("\"two-points\"", "\"linear\"", "\"logistic\"");
    let (algorithm, probes) = ("{ kind = \"flow\", rtol = 1e-7 }", "[\"margin\"]");
    for entry in Source::LIST {
        round_trips(&spec(&inline(entry.name, entry.example), model, loss, algorithm, probes));
    }
    for example in examples(AnyModel::LIST) {
        round_trips(&spec(data, &example, loss, algorithm, probes));
    }
    for example in examples(AnyLoss::LIST) {
        round_trips(&spec(data, model, &example, algorithm, probes));
    }
    for example in examples(AnyAlgorithm::LIST) {
        round_trips(&spec(data, model, loss, &example, probes));
    }
    for example in examples(AnyPace::LIST) {
        round_trips(&spec(data, model, loss, &format!("{{ kind = \"stepped\", pace = {example} }}"), probes));
    }
    for example in examples(AnyNorm::LIST) {
        round_trips(&spec(data, model, loss, &format!("{{ kind = \"flow\", norm = {example} }}"), probes));
    }
    for example in examples(AnyProbe::LIST) {
        round_trips(&spec(data, model, loss, algorithm, &format!("[{example}]")));
    }
    let phases = "[{ kind = \"bundle\", repel = inf, until = { ln_rho = 3 } }, \"flow\"]";
    round_trips(&spec(data, model, loss, phases, probes));
}

#[test]
fn every_run_of_every_recipe_survives_its_resolved_text() {
    for text in recipe::LIST {
        let recipe = recipe::find(text.name).unwrap_or_else(|e| panic!("{e}"));
        for size in [Size::Quick, Size::Usual, Size::Full] {
            recipe
                .runs(size)
                .unwrap_or_else(|e| panic!("{e}"))
                .iter()
                .flat_map(|planned| &planned.specs)
                .for_each(|(_, spec)| round_trips(spec));
        }
    }
}

#[test]
fn the_starter_spec_is_a_spec() {
    let spec = Spec::parse(Spec::init_text(), "init", &[]).unwrap_or_else(|e| panic!("{e}"));
    round_trips(&spec);
    assert_eq!(spec.probes.len(), AnyProbe::NAMES.len() - ON_REQUEST.len());
}

#[test]
fn the_hash_is_of_everything_but_the_name_and_the_way_of_writing() {
    let parse = |text: &str, overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
        Spec::parse(text, "init", &overrides).unwrap().hash8().unwrap()
    };
    let text = Spec::init_text();
    let hash = parse(text, &[]);
    assert_eq!(hash.len(), 8);
    assert!(hash.chars().all(|c| c.is_ascii_hexdigit()));
    assert_eq!(parse(text, &["name=other"]), hash);
    assert_eq!(parse(text, &["loss=logistic"]), hash);
    assert_eq!(parse(&text.replace("2_000_000", "2000000").replace('#', "##"), &[]), hash);
    assert_ne!(parse(text, &["seed=2"]), hash);
    assert_ne!(parse(text, &["algorithm.pace.eta=0.01"]), hash);
}

#[test]
fn a_part_made_in_code_cannot_be_written() {
    let mut spec = Spec::parse(Spec::init_text(), "init", &[]).unwrap();
    let model = spec.model.clone();
    spec.model = AnyModel::External(std::sync::Arc::new(move || model.build()));
    let error = spec.resolved_toml().unwrap_err().to_string();
    assert!(error.contains("an external model cannot be written"), "{error}");
}

/// Pieces that make texts which are nearly specs.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "seed",
        "data",
        "model",
        "algorithm",
        "stop",
        "until",
        "kind",
        "widths",
        "probes",
        "keep",
        "=",
        ".",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        "\n",
        "\"",
        "'''",
        "\"mlp\"",
        "\"flow\"",
        "\"é@x@\"",
        "-1",
        "1e999",
        "nan",
        "0",
        "1979-05-27",
        "#",
        "true",
        " ",
        "`",
        "@",
    ];
    prop_oneof![prop::sample::select(words.to_vec()).prop_map(str::to_owned), "[ -~é\n]{0,3}"]
}

fn nearly() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_reading_panic(text in nearly(), over in nearly()) {
        let _ = Spec::parse(&text, "spec.toml", &[]);
        let _ = Spec::parse(&text, "spec.toml", std::slice::from_ref(&over));
        let _ = Spec::parse(Spec::init_text(), "spec.toml", &[over.clone(), over.clone()]);
        let _ = sweep_axes::points(&[over, text]);
    }

    #[test]
    fn a_slip_anywhere_in_a_spec_is_an_error_with_a_place(at in 0_usize..2000, put in piece(), cut in 0_usize..6) {
        let text = Spec::init_text();
        let floor = |k: usize| (0..=k.min(text.len())).rev().find(|&k| text.is_char_boundary(k)).unwrap_or(0);
        let (from, to) = (floor(at), floor(at + cut));
        let slipped = format!("{}{put}{}", &text[..from], &text[to.max(from)..]);
        if let Err(error) = Spec::parse(&slipped, "spec.toml", &[]) {
            prop_assert!(error.is_spec());
            let text = error.to_string();
            let mut place = text.strip_prefix("spec.toml:").unwrap_or("").splitn(3, ':');
            let numbers: Vec<usize> = place.by_ref().take(2).filter_map(|n| n.parse().ok()).collect();
            prop_assert!(numbers.len() == 2 && numbers.iter().all(|&n| n > 0), "{text}");
        }
    }

    #[test]
    fn an_override_of_any_key_says_so_when_it_is_wrong(key in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}", value in "[ -~]{0,8}") {
        let over = format!("{key}={value}");
        if let Err(error) = Spec::parse(Spec::init_text(), "spec.toml", std::slice::from_ref(&over)) {
            let text = error.to_string();
            prop_assert!(text.contains(&over), "{text}");
        }
    }
}
