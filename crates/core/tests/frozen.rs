//! Models of which only some blocks are trained, and the laws of their first weights.

mod common;

use common::{data, normals, parse, problem};
use latephase_core::model::{AnyModel, Init, Model, Tape};
use latephase_core::rng::stream;
use latephase_core::{Degree, RowSet, Rows};

fn with(settings: &str, freeze: &str) -> Box<dyn Model> {
    common::model(&format!("kind = 'mlp'\n{settings}\nfreeze = {freeze}"), 3, 1)
}

fn complaint(text: &str) -> (String, String) {
    let error = parse::<AnyModel>(text).build().assemble(&[3], 1).unwrap_err();
    (error.field, error.message)
}

#[test]
fn a_frozen_outer_layer_leaves_degree_one_and_the_inner_weights() {
    let model = with("widths = [4]", "['2.weight']");
    assert_eq!(model.degree(), &Degree::Exact { degree: 1.0 });
    let names: Vec<&str> = model.layout().blocks().iter().map(|b| b.name.as_str()).collect();
    assert_eq!((names, model.layout().dim()), (vec!["0.weight"], 12));
    assert_eq!(model.layout().blocks()[0].degree, 1.0);
    let names: Vec<&str> = model.stored().blocks().iter().map(|b| b.name.as_str()).collect();
    assert_eq!((names, model.stored().dim()), (vec!["0.weight", "2.weight"], 16));
    assert!(model.conserved(&normals(1, "theta", 12)).is_empty(), "nothing is balanced against a constant");
}

#[test]
fn frozen_layers_count_nothing_in_the_degree() {
    let degree = |settings: &str, freeze: &str| with(settings, freeze).degree().order();
    // ReLU², h ← 2h + 1 with the 1 left out where a layer is frozen.
    let squares = "widths = [4, 3]\nactivation = 'relu-power'";
    assert_eq!(degree(squares, "[]"), Some(7.0));
    assert_eq!(degree(squares, "['0']"), Some(3.0));
    assert_eq!(degree(squares, "['2']"), Some(5.0));
    assert_eq!(degree(squares, "['4']"), Some(6.0));
    assert_eq!(degree(squares, "['0', '2']"), Some(1.0));
}

#[test]
fn outputs_and_gradient_are_those_of_the_whole_network() {
    for freeze in ["['2.weight']", "['0']", "['2', '4.bias']", "['0.weight', '4']"] {
        let settings = "widths = [5, 4]\nbias = 'all'\nactivation = 'leaky-relu'";
        let (mut some, all) = (with(settings, freeze), with(settings, "[]"));
        let stored = normals(2, "stored", all.layout().dim());
        some.fix(&stored);
        let theta = some.select(&stored).into_owned();
        assert_eq!(some.export(&theta), stored);
        let x = normals(3, "inputs", 30);
        let labels: Vec<u32> = (0..10).map(|i| i % 2).collect();
        let eval = |model, theta: &[f64]| {
            problem(model, "kind = 'logistic'", data(&x, &labels, 3, 2)).eval(theta, &RowSet::Full).unwrap()
        };
        let mut fixed = with(settings, freeze);
        fixed.fix(&stored);
        let (ours, whole) = (eval(fixed, &theta), eval(all, &stored));
        assert_eq!(ours.outputs, whole.outputs, "{freeze}");
        assert_eq!(ours.grad, some.select(&whole.grad).into_owned(), "{freeze}: bit for bit");
    }
}

#[test]
fn freezing_changes_no_draw_and_the_frozen_values_stay() {
    let (mut some, all) = (with("widths = [5]", "['2.weight']"), with("widths = [5]", "[]"));
    let draw = |model: &dyn Model| model.init(&mut stream(9, "model.init", 0));
    let stored = draw(some.as_ref());
    assert_eq!(stored, draw(all.as_ref()));
    some.fix(&stored);
    let moved = normals(4, "theta", some.layout().dim());
    let exported = some.export(&moved);
    assert_eq!(exported[15..], stored[15..]);
    assert_eq!(exported[..15], moved);
    let (mut out, mut expected) = ([0.0; 1], [0.0; 1]);
    let x = [0.3, -1.0, 2.0];
    some.forward(&moved, Rows::new(&x, 3), &mut out, &mut Tape::default()).unwrap();
    all.forward(&exported, Rows::new(&x, 3), &mut expected, &mut Tape::default()).unwrap();
    assert_eq!(out, expected);
}

#[test]
fn a_name_that_is_no_block_lists_the_blocks() {
    let (field, message) = complaint("kind = 'mlp'\nwidths = [4]\nfreeze = ['0', '1.weight']");
    assert_eq!(field, "freeze[1]");
    assert_eq!(message, "the model has no block or layer `1.weight`; its blocks are `0.weight`, `2.weight`");
    let (field, message) = complaint("kind = 'mlp'\nwidths = [4]\nfreeze = ['0', '2']");
    assert_eq!(field, "freeze");
    assert!(message.starts_with("nothing is left to train"), "{message}");
}

#[test]
fn the_last_layer_can_have_a_law_of_its_own_and_each_layer_a_factor() {
    let draw = |init: &str| {
        let model = common::model(&format!("kind = 'mlp'\nwidths = [400]\ninit = {init}"), 50, 20);
        let theta = model.init(&mut stream(3, "model.init", 0));
        let largest =
            |k: usize| model.layout().blocks()[k].of(&theta).iter().fold(0.0f64, |m, w| m.max(w.abs()));
        [largest(0), largest(1)]
    };
    // 20 000 and 8 000 draws: the largest of n uniform numbers is within 10/n of the end but for e⁻¹⁰.
    let near = |found: [f64; 2], ends: [f64; 2]| {
        for (found, end) in found.into_iter().zip(ends) {
            assert!(found <= end * (1.0 + 1e-15) && found > 0.998 * end, "{found} of {end}");
        }
    };
    let fan = "kind = 'uniform-fan', alpha = 0.1";
    near(draw(&format!("{{ {fan} }}")), [0.1 / 50.0, 0.1 / 400.0]);
    // Coordinate descent's start of Tsilivis et al.: both layers on ±α/k', k' the width.
    near(draw(&format!("{{ {fan}, fan = 'out', outer = {{ {fan} }} }}")), [0.1 / 400.0, 0.1 / 400.0]);
    near(draw(&format!("{{ {fan}, layers = [1.0, 0.01] }}")), [0.1 / 50.0, 1e-3 / 400.0]);
    // The factor of a layer multiplies whatever law the layer has.
    let both = format!("{{ {fan}, layers = [2.0, 0.5], outer = {{ kind = 'uniform' }} }}");
    near(draw(&both), [0.2 / 50.0, 0.5 / 20.0]);
}

#[test]
fn a_law_that_makes_no_sense_is_refused_by_name() {
    let check = |init: &str| complaint(&format!("kind = 'mlp'\nwidths = [4]\ninit = {init}"));
    for (init, field) in [
        ("{ kind = 'normal', std = 0.0 }", "init.std"),
        ("{ kind = 'he', layers = [1.0, -1.0] }", "init.layers[1]"),
        ("{ kind = 'he', layers = [1.0] }", "init.layers"),
        ("{ kind = 'he', outer = { kind = 'he', alpha = -1.0 } }", "init.outer.alpha"),
        ("{ kind = 'he', outer = { kind = 'he', seed = 1 } }", "init.outer.seed"),
        ("{ kind = 'he', outer = { kind = 'file', path = 'x' } }", "init.outer.kind"),
    ] {
        assert_eq!(check(init).0, field, "{init}: {}", check(init).1);
    }
    let (_, message) = check("{ kind = 'he', layers = [1.0] }");
    assert_eq!(message, "1 factors for 2 layers with weights; give one for each of 0, 2");
    for wrong in ["{ kind = 'normal' }", "{ kind = 'he', std = 1.0 }", "{ kind = 'uniform-fan', fan = 'up' }"]
    {
        assert!(toml::from_str::<toml::Table>(&format!("x = {wrong}")).is_ok());
        let value: toml::Value = toml::from_str::<toml::Table>(&format!("x = {wrong}")).unwrap()["x"].clone();
        assert!(value.try_into::<Init>().is_err(), "{wrong}");
    }
}

#[test]
fn an_initialisation_reads_back_as_it_was_written() {
    for text in [
        "kind = 'uniform-fan'\nalpha = 0.1\nfan = 'out'\nlayers = [1.0, 0.5]\n[outer]\nkind = 'normal'\nstd = 0.1",
        "kind = 'normal'\nstd = 0.02\nseed = 3",
        "kind = 'file'\npath = 'x'",
    ] {
        let init: Init = parse(text);
        let written = toml::to_string(&init).unwrap();
        assert_eq!(parse::<Init>(&written), init, "{written}");
    }
}
