//! Sweep axes: what is one value, and in which order the runs come.

use latephase_lab::sweep_axes::{Axis, points};

fn values(axis: &str) -> Vec<String> {
    Axis::parse(axis).unwrap_or_else(|e| panic!("{e}")).values().to_vec()
}

fn fails(axes: &[&str], expected: &str) {
    let axes: Vec<String> = axes.iter().map(|s| s.to_string()).collect();
    let error = points(&axes).expect_err("these axes are wrong").to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn commas_separate_only_outside_brackets_and_quotes() {
    assert_eq!(values("a=1,2 , 3"), ["1", "2", "3"]);
    assert_eq!(values("model.widths=[8],[8,8]"), ["[8]", "[8,8]"]);
    assert_eq!(values("a={ kind = \"lp\", p = 3 },l2"), ["{ kind = \"lp\", p = 3 }", "l2"]);
    assert_eq!(values("a=\"x,\\\"y\",'z,['"), ["\"x,\\\"y\"", "'z,['"]);
}

#[test]
fn ranges_are_half_open() {
    assert_eq!(values("seed=0..4"), ["0", "1", "2", "3"]);
    assert_eq!(values("seed=range(0, 8, 3)"), ["0", "3", "6"]);
    assert_eq!(values("seed=range(2,4),10"), ["2", "3", "10"]);
    assert_eq!(values("seed=-2..1"), ["-2", "-1", "0"]);
    assert_eq!(values("path=../a,../b"), ["../a", "../b"]);
}

#[test]
fn the_product_is_in_order_and_labelled_by_what_differs() {
    let axes = ["algorithm.descent.norm=l1,l2".to_owned(), "seed=0..2".to_owned()];
    let labels: Vec<String> = points(&axes).unwrap().into_iter().map(|p| p.label).collect();
    assert_eq!(labels, ["norm=l1 seed=0", "norm=l1 seed=1", "norm=l2 seed=0", "norm=l2 seed=1"]);
    let axes = [
        "model.init.seed=1,2".to_owned(),
        "data.seed=1".to_owned(),
        "algorithm.pace.kind=constant".to_owned(),
    ];
    assert_eq!(points(&axes).unwrap()[0].label, "init.seed=1 data.seed=1 pace.kind=constant");
    assert_eq!(points(&[]).unwrap().len(), 1);
}

#[test]
fn wrong_axes_are_refused() {
    fails(&["seed"], "it has no `=`");
    fails(&["seed=1,,2"], "a value is missing");
    fails(&["seed="], "a value is missing");
    fails(&["seed=4..4"], "is empty");
    fails(&["seed=0.5..4"], "`0.5` in the range `0.5..4` is not a whole number");
    fails(&["seed=range(0,4,0)"], "the step of");
    fails(&["seed=range(0)"], "is empty");
    fails(&["seed=range(1,2,3,4)"], "needs one to three");
    fails(&["seed=interval(0,1)"], "choice(a,b,c)");
    fails(&["seed=0..9000000000000000000"], "more than 100000");
    fails(&["a=0..1000", "b=0..1000"], "more than 100000 runs");
    fails(&["a=[1,2"], "`[` is not closed");
    fails(&["a=1]"], "`]` closes nothing");
    fails(&["a=\"x"], "`\"` is not closed");
    fails(&["a=1,2", "a=3"], "two axes have this key");
    fails(&["a=1,2,1"], "value 3 is `1` again");
    fails(&["a..b=1"], "is not a key");
}
