//! How a problem is evaluated: in chunks, on lanes or with threads inside the layers, with the gradient or without it.

mod common;

use std::sync::Arc;

use common::{algorithm, data, model, normals, problem};
use latephase_core::model::{AnyModel, Tape};
use latephase_core::numeric::norm;
use latephase_core::{Data, Eval, Iterate, Problem, RowSet, Rows};

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(work)
}

fn examples(n: usize, dim: usize) -> Arc<Data> {
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
    data(&normals(1, "inputs", n * dim), &labels, dim, 3)
}

/// Problems of every kind of plan, with θ: one small chunk, many chunks on lanes, one tall chunk, several tall chunks.
fn problems() -> Vec<(&'static str, Problem, Vec<f64>)> {
    let of = |name, text: &str, n, dim: usize| {
        let net = model(text, dim, 3);
        let theta = normals(2, "theta", net.layout().dim()).iter().map(|t| t / (dim as f64).sqrt()).collect();
        (name, problem(net, "kind = 'cross-entropy'", examples(n, dim)), theta)
    };
    vec![
        of("one chunk", "kind = 'mlp'\nwidths = [10]", 20, 5),
        of("lanes", "kind = 'mlp'\nwidths = [200, 100]\nbias = 'all'", 900, 30),
        of("tall", "kind = 'mlp'\nwidths = [500]", 200, 400),
        of("tall chunks", "kind = 'mlp'\nwidths = [500, 40]\nbias = 'all'", 700, 200),
    ]
}

#[test]
fn the_loss_alone_is_that_of_the_whole_evaluation_to_the_last_bit() {
    for (name, problem, theta) in problems() {
        for rows in [RowSet::Full, RowSet::Batch(0, Arc::new(vec![3, 1, 4, 1, 5, 9, 2, 6]))] {
            let whole = problem.eval(&theta, &rows).unwrap().ln_loss;
            for threads in [1, 2] {
                let alone = with_threads(threads, || problem.ln_loss(&theta, &rows)).unwrap();
                assert_eq!(alone.to_bits(), whole.to_bits(), "{name}, {threads} threads");
            }
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_is_a_breakdown_without_a_gradient_too() {
    for (name, problem, mut theta) in problems() {
        theta.iter_mut().for_each(|t| *t = f64::MAX);
        assert!(problem.ln_loss(&theta, &RowSet::Full).is_err(), "{name}");
    }
}

#[test]
fn however_rows_are_cut_the_gradient_is_the_sum_over_rows() {
    for (name, problem, theta) in problems() {
        let Eval { grad, outputs, cotangent, .. } = problem.eval(&theta, &RowSet::Full).unwrap();
        let (rows, k) = (problem.train.rows(), problem.model.outputs());
        let mut sum = vec![0.0; theta.len()];
        let mut tape = Tape::default();
        for i in 0..rows.n() {
            let (x, mut out) = (rows.slice(i, i + 1), vec![0.0; k]);
            problem.model.forward(&theta, x, &mut out, &mut tape).unwrap();
            let cot = &cotangent[i * k..][..k];
            problem.model.pullback(&theta, x, &mut tape, cot, Some(&mut sum), None).unwrap();
            for (a, b) in out.iter().zip(&outputs[i * k..]) {
                assert!((a - b).abs() <= 1e-12 * norm(&out), "{name}: row {i}");
            }
        }
        // Sums of hundreds of rows in another order.
        let size = norm(&sum);
        assert!(sum.iter().zip(&grad).all(|(a, b)| (a - b).abs() <= 1e-12 * size), "{name}");
    }
}

#[test]
fn threads_inside_layers_do_not_change_a_byte() {
    for (name, problem, theta) in problems() {
        let evals = [1, 2, 3].map(|t| with_threads(t, || problem.eval(&theta, &RowSet::Full)).unwrap());
        assert_eq!(evals[0], evals[1], "{name}");
        assert_eq!(evals[0], evals[2], "{name}");
        // Memory that is handed back is used again, and what was in it is not seen.
        let first = evals[0].clone();
        evals.into_iter().for_each(|eval| problem.recycle(Arc::new(eval)));
        assert_eq!(problem.eval(&theta, &RowSet::Full).unwrap(), first, "{name}");
    }
}

/// Images enough for several groups, of which each has a gradient of its own.
#[test]
fn groups_of_images_add_up_to_the_sum_over_images_on_any_number_of_threads() {
    let stacks = [
        "{ kind = 'conv2d', channels = 16, kernel = 3, padding = 1, bias = true }",
        "{ kind = 'conv2d', channels = 16, kernel = 3, padding = 1, bias = true }, 'relu'",
        "{ kind = 'conv2d', channels = 16, kernel = 3, padding = 1, bias = true }, 'relu', { kind = 'max-pool', size = 2 }",
    ];
    for stack in stacks {
        let text = format!("kind = 'network'\nlayers = [{stack}, {stack}, 'flatten', 'dense']");
        let any: AnyModel = common::parse(&text);
        let net = any.build().assemble(&[4, 20, 20], 2).unwrap();
        let theta: Vec<f64> = normals(3, "theta", net.layout().dim()).iter().map(|t| t / 10.0).collect();
        let (n, inputs) = (30, net.inputs());
        let (x, cot) = (normals(4, "x", n * inputs), normals(5, "cot", n * 2));
        let pulled = |from: usize, to: usize| {
            let rows = Rows::new(&x[from * inputs..to * inputs], inputs);
            let (mut out, mut grad) = (vec![0.0; 2 * rows.n()], vec![0.0; theta.len()]);
            let (mut dx, mut tape) = (vec![f64::NAN; rows.data.len()], Tape::default());
            net.forward(&theta, rows, &mut out, &mut tape).unwrap();
            let cot = &cot[2 * from..2 * to];
            net.pullback(&theta, rows, &mut tape, cot, Some(&mut grad), Some(&mut dx)).unwrap();
            (out, grad, dx)
        };
        let whole = with_threads(1, || pulled(0, n));
        for threads in [2, 3] {
            assert_eq!(with_threads(threads, || pulled(0, n)), whole, "{stack}: {threads} threads");
        }
        let mut sum = vec![0.0; theta.len()];
        for i in 0..n {
            let (_, grad, dx) = pulled(i, i + 1);
            grad.iter().zip(&mut sum).for_each(|(g, s)| *s += g);
            let apart = dx.iter().zip(&whole.2[i * inputs..]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart <= 1e-12 * norm(&dx), "{stack}: cotangent of image {i} off by {apart}");
        }
        let size = norm(&sum);
        let apart = sum.iter().zip(&whole.1).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart <= 1e-12 * size, "{stack}: gradient off by {apart}");
    }
}

/// An epoch of mini-batches adds up to one evaluation, and its verdict is another: of the loss alone.
#[test]
fn an_epoch_that_is_judged_counts_its_batches_and_its_verdict() {
    let text = "kind = 'stepped'\npace = { kind = 'lyu-li' }\nbatch = { kind = 'shuffle', size = 5 }";
    let begin = |problem: &Problem| {
        let mut steps = algorithm(text).build();
        steps.begin(problem, 7).unwrap();
        steps
    };
    let (_, problem, theta) = problems().remove(0);
    let mut steps = begin(&problem);
    let mut at = Iterate::new(theta);
    for epoch in 1..=4u32 {
        steps.step(&problem, &mut at).unwrap();
        assert_eq!(at.clocks.evaluations, f64::from(1 + 2 * epoch));
        // The loss is known; asking for it costs nothing, asking for the gradient does.
        let known = at.ln_loss(&problem).unwrap();
        assert_eq!(at.clocks.evaluations, f64::from(1 + 2 * epoch));
        let mut looked = at.clone();
        assert_eq!(looked.eval(&problem, &RowSet::Full).unwrap().ln_loss, known);
        assert_eq!(looked.clocks.evaluations, f64::from(2 + 2 * epoch));
    }

    // A checkpoint here remembers that the loss is known.
    let (mut resumed, mut again) = (begin(&problem), Iterate::load(&problem, &at.save()).unwrap());
    resumed.load(&steps.save()).unwrap();
    for _ in 0..3 {
        steps.step(&problem, &mut at).unwrap();
        resumed.step(&problem, &mut again).unwrap();
    }
    assert_eq!(at.save(), again.save());
    assert_eq!(steps.save(), resumed.save());
}
