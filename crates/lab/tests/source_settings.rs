//! How `data = …` is read, written back and refused.

use latephase_lab::source::{Lookup, Source};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Spec {
    data: Source,
}

fn spec(text: &str) -> Result<Source, String> {
    toml::from_str::<Spec>(text).map(|s| s.data).map_err(|e| e.message().trim().to_string())
}

#[track_caller]
fn refused(text: &str, with: &str) {
    match spec(text) {
        Ok(source) => panic!("`{text}` was read as {source:?}"),
        Err(message) => assert_eq!(message, with, "for `{text}`"),
    }
}

#[test]
fn every_example_parses_and_what_is_written_reads_back_the_same() {
    assert_eq!(Source::NAMES.len(), Source::LIST.len());
    for entry in Source::LIST {
        let text = format!("[data]\nkind = \"{}\"\n{}", entry.name, entry.example);
        let source = spec(&text).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        assert_eq!(source.kind(), entry.name);
        let resolved = source.resolved(7);
        for source in [source, resolved] {
            let written = toml::to_string(&source).unwrap();
            assert_eq!(toml::from_str::<Source>(&written).unwrap(), source, "{written}");
        }
        assert_eq!(Source::about(entry.name), Some(entry));
    }
}

#[test]
fn every_setting_of_more_than_one_form_reads_back_the_same() {
    for text in [
        "data = { kind = 'digits', classes = 'even-odd' }",
        "data = { kind = 'digits', classes = [3, 6], test = 0, order = 'random', seed = 3 }",
        "data = { kind = 'idx', path = 'mnist', classes = [3, 6], train = 100, test = 1000 }",
        "data = { kind = 'csv', path = 'a', label = 'species', header = false, delimiter = 'tab' }",
        "data = { kind = 'csv', path = 'a', label = 3, header = 'auto', classes = [1, -1], test = 0.25 }",
        "data = { kind = 'csv', path = 'a', test = 'b.csv', classes = ['x', 'y'], train = 5 }",
        "data = { kind = 'csv', path = 'a', test = 10, normalize = 'unit-rows' }",
        "data = { kind = 'rings', radii = [1, 2, 3], constant = 1 }",
        "data = { kind = 'points', inputs = [[1, 2.5], [0, 1], [3, 4]], labels = [0, 2, 1] }",
    ] {
        let source = spec(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let written = toml::to_string(&source).unwrap();
        assert_eq!(toml::from_str::<Source>(&written).unwrap(), source, "{written}");
    }
}

#[test]
fn a_bare_string_is_the_kind_with_its_defaults() {
    for name in ["digits", "two-points", "four-points", "rings"] {
        let short = spec(&format!("data = '{name}'")).unwrap();
        assert_eq!(short, spec(&format!("data = {{ kind = '{name}' }}")).unwrap());
    }
}

#[test]
fn an_unknown_kind_is_answered_with_the_list() {
    let list = "expected one of `digits`, `idx`, `csv`, `gaussian-margin`, `teacher-student`, `xor-parity`, \
                `two-points`, `four-points`, `rings`, `orthogonal`, `groups`, `points`, `arrays`";
    refused("data = 'mnist'", &format!("unknown data source `mnist`, {list}"));
    refused("data = { kind = 'mnist' }", &format!("unknown data source `mnist`, {list}"));
    refused("data = { classes = [1, 2] }", &format!("missing field `kind`, {list}"));
    refused("data = { kind = 3 }", "@kind@expected a string, found integer");
    refused("data = 3", "expected a data source, found integer");
}

#[test]
fn a_bad_setting_is_named_with_its_path() {
    refused("data = { kind = 'four-points', n = 3 }", "@n@unknown field `n`, there are no fields");
    refused("data = { kind = 'xor-parity' }", "missing field `dim`");
    refused("data = { kind = 'xor-parity', dim = -1 }", "@dim@invalid value: integer `-1`, expected usize");
    refused(
        "data = { kind = 'digits', classes = [3, 'x'] }",
        "@classes[1]@invalid type: string \"x\", expected u8",
    );
    refused(
        "data = { kind = 'digits', classes = 'odd' }",
        "@classes@invalid value: string \"odd\", expected \"even-odd\" or a list of class numbers such as [3, 6]",
    );
    refused(
        "data = { kind = 'digits', order = 'last' }",
        "@order@unknown variant `last`, expected one of `first`, `random`, `balanced`",
    );
    refused(
        "data = { kind = 'csv', path = 'a', test = -3 }",
        "@test@invalid value: integer `-3`, expected a path, a number of rows or a fraction between 0 and 1",
    );
}

#[test]
fn settings_that_do_not_fit_each_other_are_refused_before_anything_is_read() {
    for (body, with) in [
        ("kind = 'digits', classes = [3]", "@classes@at least two classes are needed, as in `[3, 6]`"),
        ("kind = 'digits', classes = [3, 6, 3]", "@classes@class 3 is listed twice"),
        ("kind = 'digits', train = 0", "@train@0 given, at least 1 needed"),
        ("kind = 'csv', path = 'a', test = 1.5", "@test@the fraction 1.5 is not between 0 and 1"),
        ("kind = 'csv', path = 'a', test = nan", "@test@the fraction NaN is not between 0 and 1"),
        ("kind = 'csv', path = 'a', classes = [1, '1.0']", "@classes@class `1` is listed twice"),
        (
            "kind = 'csv', path = 'a', delimiter = ';;'",
            "@delimiter@`;;` is not one ASCII character or \"tab\"",
        ),
        ("kind = 'gaussian-margin', n = 5, dim = 2, margin = 0", "@margin@0 is not between 1e-100 and 1e100"),
        (
            "kind = 'gaussian-margin', n = 5, dim = 2, margin = 1, support = 6",
            "@support@6 support vectors among 5 examples",
        ),
        (
            "kind = 'gaussian-margin', n = 5, dim = 2, margin = 1e-9",
            "@margin@0.000000001 is less than a millionth of `spread`: rounding would blur it",
        ),
        ("kind = 'xor-parity', dim = 1", "@dim@1 given, at least 2 needed"),
        (
            "kind = 'xor-parity', dim = 40",
            "@dim@the cube of dimension 40 is too large (20 at most); give `n`",
        ),
        ("kind = 'teacher-student', n = 5, dim = 2, width = 1", "@width@1 given, at least 2 needed"),
        (
            "kind = 'teacher-student', n = 5, dim = 2, active = 3",
            "@active@3 is not between 1 and the dimension, 2",
        ),
        ("kind = 'orthogonal', n = 5, dim = 2", "@dim@2 dimensions have no 5 orthogonal inputs"),
        ("kind = 'two-points', positive = [1]", "@negative@2 coordinates, but `positive` has 1"),
        (
            "kind = 'groups', noise = 0.34",
            "@noise@0.34 is not between 0 and 1/(groups - 1) = 0.3333333333333333, below 1: groups would reach into each other",
        ),
        (
            "kind = 'groups', groups = 2, noise = 1",
            "@noise@1 is not between 0 and 1/(groups - 1) = 1, below 1: groups would reach into each other",
        ),
        ("kind = 'groups', dim = 3", "@dim@3 given, at least 4 needed"),
        ("kind = 'points', inputs = [], labels = []", "@inputs@at least one point is needed"),
        ("kind = 'points', inputs = [[]], labels = [1]", "@inputs[0]@a point needs at least one coordinate"),
        (
            "kind = 'points', inputs = [[1], [1, 2]], labels = [1, -1]",
            "@inputs[1]@2 coordinates, but the first point has 1",
        ),
        ("kind = 'points', inputs = [[1], [nan]], labels = [1, -1]", "@inputs[1]@NaN is not finite"),
        ("kind = 'points', inputs = [[1], [2]], labels = [1]", "@labels@1 labels for 2 points"),
        (
            "kind = 'points', inputs = [[1], [2]], labels = [1, 5]",
            "@labels[1]@5 is no label; use 1 and -1, or class numbers 0, 1, 2, … without gaps",
        ),
        (
            "kind = 'points', inputs = [[1], [2], [3]], labels = [0, 2, 0]",
            "@labels@no point is of class 1, but some of 2",
        ),
        ("kind = 'rings', noise = inf", "@noise@inf is not between 0 and 1e100"),
    ] {
        refused(&format!("data = {{ {body} }}"), with);
    }
}

#[test]
fn sizes_that_no_machine_holds_are_refused_without_allocating() {
    for body in [
        "kind = 'gaussian-margin', margin = 1, dim = 1_000_000, n = 9_000_000_000_000_000_000",
        "kind = 'gaussian-margin', margin = 1, dim = 1_000_000, n = 2, test = 1_000_000_000",
        "kind = 'teacher-student', dim = 1_000_000, n = 2, width = 1_000_000_000",
        "kind = 'xor-parity', dim = 1_000_000, n = 1_000_000_000",
        "kind = 'orthogonal', n = 1_000_000_000",
        "kind = 'rings', n = 9_000_000_000_000_000_000",
        "kind = 'groups', each = 9_000_000_000_000_000_000",
        "kind = 'groups', groups = 1_000_000_000, dim = 1_000_000_000, noise = 0",
    ] {
        let message = spec(&format!("data = {{ {body} }}")).unwrap_err();
        assert!(message.contains("are more than"), "{body}: {message}");
    }
}

#[test]
fn the_seed_of_the_source_wins_over_the_one_given_and_resolved_writes_it_out() {
    let here = Lookup { working_dir: ".".into(), data_dir: None };
    for text in [
        "kind = 'digits'\norder = 'random'",
        "kind = 'gaussian-margin'\nn = 9\ndim = 3\nmargin = 1.0",
        "kind = 'teacher-student'\nn = 9\ndim = 3",
        "kind = 'xor-parity'\ndim = 9\nn = 20",
        "kind = 'orthogonal'\nn = 4",
        "kind = 'rings'",
        "kind = 'groups'",
    ] {
        let source: Source = toml::from_str(text).unwrap();
        let of = |source: &Source, seed| source.load(seed, &here).unwrap().train;
        assert_eq!(of(&source, 1), of(&source, 1), "{text}: repeats");
        assert_ne!(of(&source, 1), of(&source, 2), "{text}: depends on the seed");
        assert_eq!(of(&source.resolved(1), 2), of(&source, 1), "{text}: resolved");
    }
}
