//! Weights go both ways between latephase and PyTorch, and both make the same of them.
//!
//! The other side is examples/python/torch_model.py, run by `LATEPHASE_PYTHON` or `python3`; without torch these tests say that
//! they skip.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Place;
use latephase_core::model::{AnyModel, Model, Tape};
use latephase_core::numeric::norm;
use latephase_core::rng::stream;
use latephase_core::{Array, Rows, State};
use latephase_lab::store::tensors::{read_state, read_theta, state_bytes, theta_bytes};
use rand::Rng;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The interpreter, where it has torch and safetensors; says what is missing otherwise.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("LATEPHASE_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let probe = Command::new(&python).args(["-c", "import torch, safetensors.torch"]).output();
    if probe.is_ok_and(|p| p.status.success()) {
        return Some(python);
    }
    // Past the harness, which shows nothing of a test that passes: the check counts these lines,
    // which begin a line of their own.
    let line = format!(
        "\nskipped: {} has no torch and safetensors; LATEPHASE_PYTHON can name another\n",
        python.display()
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    None
}

/// Runs the jobs in one process and returns what it prints.
fn run(python: &Path, place: &Place, jobs: &[Value]) -> String {
    place.write("jobs.json", &Value::from(jobs.to_vec()).to_string());
    let script = root().join("examples/python/torch_model.py");
    let ran =
        Command::new(python).arg(script).arg(place.path("jobs.json")).output().expect("it has run before");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

struct Case {
    name: String,
    model: Box<dyn Model>,
    theta: Vec<f64>,
    x: Vec<f64>,
    cot: Vec<f64>,
    job: Value,
}

/// A model at random weights, biases included, with rows and cotangents; its files are written.
fn case(place: &Place, k: usize, spec: &str, shape: &[usize], outputs: usize, rows: usize) -> Case {
    let table: toml::Table = toml::from_str(spec).unwrap();
    let architecture: AnyModel = toml::from_str(spec).unwrap();
    let model = architecture.build().assemble(shape, outputs).unwrap_or_else(|e| panic!("{spec}: {e}"));
    let mut rng = stream(k as u64, "torch", 0);
    let mut theta = model.init(&mut rng);
    for block in model.layout().blocks().iter().filter(|b| !b.is_matrix()) {
        block.of_mut(&mut theta).iter_mut().for_each(|b| *b += rng.random_range(-0.3..0.3));
    }
    let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let (x, cot) = (numbers(rows * shape.iter().product::<usize>()), numbers(rows * outputs));
    let files = ["weights", "inputs", "results"].map(|f| place.path(&format!("{f}-{k}.safetensors")));
    fs::write(&files[0], theta_bytes(&theta, model.layout(), "").unwrap()).unwrap();
    let mut state = State::default();
    state.put("x", &x);
    state.put("cot", &cot);
    fs::write(&files[1], state_bytes(&state, "").unwrap()).unwrap();
    let job = json!({
        "model": table, "shape": shape, "outputs": outputs,
        "weights": files[0], "inputs": files[1], "results": files[2],
    });
    Case { name: spec.to_owned(), model, theta, x, cot, job }
}

#[track_caller]
fn agree(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let apart: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a - b).collect();
    assert!(norm(&apart) <= 1e-12 * norm(theirs), "{what}: {:e} apart", norm(&apart) / norm(theirs));
}

#[test]
fn torch_loads_our_weights_and_gives_the_same_outputs_and_gradients() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let layers = r#"kind = "network"
layers = [
  { kind = "conv2d", channels = 6, kernel = [3, 2], stride = 2, padding = 1, groups = 2, bias = true }, "silu",
  { kind = "residual", body = [{ kind = "conv2d", channels = 6, kernel = 3, padding = "same" }, "gelu", { kind = "scale" }] },
  { kind = "bias" }, { kind = "avg-pool", size = 2, stride = 1 }, { kind = "max-pool", size = 3, stride = 2, padding = 1 },
  "flatten", { kind = "dense", width = 7, bias = true }, { kind = "softplus" }, "dense"]"#;
    let vgg = "kind = \"vgg\"\nstages = [[16, 16], [24, 24], [32, 32, 32], [48, 48, 48], [48, 48, 48]]";
    let specs: [(&str, &[usize], usize, usize); 9] = [
        ("kind = \"mlp\"\nwidths = [9, 5]\nbias = \"all\"", &[7], 3, 4),
        (
            "kind = \"mlp\"\nwidths = [6]\nactivation = { kind = \"leaky-relu\", slope = 0.2 }",
            &[1, 4, 4],
            1,
            3,
        ),
        (layers, &[4, 9, 8], 5, 3),
        (
            "kind = \"cnn\"\nchannels = [4, 6]\nwidths = [8]\nbias = \"all\"\nactivation = \"mish\"",
            &[1, 8, 8],
            10,
            3,
        ),
        ("kind = \"lyu-li-cnn\"", &[1, 28, 28], 10, 3),
        ("kind = \"lyu-li-cnn\"\nbias = \"all\"\nchannels = [5, 7]\nwidth = 20", &[1, 28, 28], 10, 3),
        ("kind = \"resnet\"\nchannels = [6, 8, 10]\nblocks = 2", &[3, 12, 12], 10, 3),
        ("kind = \"resnet\"\nbias = \"none\"", &[1, 8, 8], 10, 3),
        (vgg, &[3, 32, 32], 10, 2),
    ];
    let cases: Vec<Case> = specs
        .iter()
        .enumerate()
        .map(|(k, (spec, shape, outputs, rows))| case(&place, k, spec, shape, *outputs, *rows))
        .collect();
    run(&python, &place, &cases.iter().map(|c| c.job.clone()).collect::<Vec<_>>());
    for (k, case) in cases.iter().enumerate() {
        let Case { name, model, theta, x, cot, .. } = case;
        let bytes = fs::read(place.path(&format!("results-{k}.safetensors"))).unwrap();
        let (results, _) = read_state(&bytes).unwrap();
        let theirs = |key: &str| match &results.arrays[key] {
            Array::F64(values) => values.clone(),
            Array::U64(_) => Vec::new(),
        };
        let rows = Rows::new(x, model.inputs());
        let (mut out, mut grad, mut dx) = (vec![0.0; cot.len()], vec![0.0; theta.len()], vec![0.0; x.len()]);
        let mut tape = Tape::default();
        model.forward(theta, rows, &mut out, &mut tape).unwrap();
        model.pullback(theta, rows, &mut tape, cot, Some(&mut grad), Some(&mut dx)).unwrap();
        agree(&out, &theirs("out"), &format!("{name}: outputs"));
        agree(&dx, &theirs("dx"), &format!("{name}: gradient of the inputs"));
        for block in model.layout().blocks() {
            agree(
                block.of(&grad),
                &theirs(&format!("grad.{}", block.name)),
                &format!("{name}: {}", block.name),
            );
        }
    }
}

#[test]
fn the_final_weights_of_a_run_load_into_torch() {
    let Some(python) = python() else { return };
    let place = Place::with(
        "data = { kind = \"digits\", classes = [0, 1, 2], train = 60, test = 0 }\nloss = \"cross-entropy\"\nprobes = []\n\
         model = { kind = \"cnn\", channels = [3], widths = [5], bias = \"first\" }\nstop = { steps = 20 }\n\
         [algorithm]\nkind = \"stepped\"\npace = { kind = \"unit-decrease\", eta = 0.1 }\n",
    );
    place.ends(0, &["run", "spec.toml", "--out", "run", "--quiet"]);
    let text = fs::read_to_string(place.path("run/spec.toml")).unwrap();
    let spec = latephase_lab::Spec::parse(&text, "spec.toml", &[]).unwrap();
    let model = spec.model.build().assemble(&[1, 8, 8], 3).unwrap();
    let theta = read_theta(&fs::read(place.path("run/theta.safetensors")).unwrap(), model.layout()).unwrap();
    let case =
        case(&place, 0, "kind = \"cnn\"\nchannels = [3]\nwidths = [5]\nbias = \"first\"", &[1, 8, 8], 3, 4);
    let mut job = case.job.clone();
    job["weights"] = json!(place.path("run/theta.safetensors"));
    job["model"] = json!(toml::from_str::<toml::Table>(&text).unwrap()["model"]);
    run(&python, &place, &[job]);
    let mut out = vec![0.0; case.cot.len()];
    model.forward(&theta, Rows::new(&case.x, 64), &mut out, &mut Tape::default()).unwrap();
    let (results, _) = read_state(&fs::read(place.path("results-0.safetensors")).unwrap()).unwrap();
    let Array::F64(theirs) = &results.arrays["out"] else { panic!("outputs are numbers") };
    agree(&out, theirs, "outputs of the final weights");
}

#[test]
fn weights_that_torch_saved_are_audited_and_continued() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let layers =
        json!([{ "kind": "dense", "width": 8, "bias": true }, "relu", { "kind": "dense", "bias": true }]);
    let digits = root().join("crates/lab/data/digits.csv.gz");
    let dtypes = ["float32", "float64", "bfloat16", "float16"];
    let jobs: Vec<Value> = dtypes
        .iter()
        .map(|dtype| {
            let file = place.path(&format!("{dtype}.safetensors"));
            json!({ "save": file, "layers": layers, "dtype": dtype, "digits": digits, "train": 100 })
        })
        .collect();
    let printed = run(&python, &place, &jobs);
    let model = "{ kind = \"mlp\", widths = [8], bias = \"all\" }";
    let data = "{ kind = \"digits\", train = 100, test = 50 }";
    for (dtype, line) in dtypes.iter().zip(printed.lines()) {
        let theirs = serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64().unwrap();
        let file = format!("{dtype}.safetensors");
        let audit = ["audit", &file, "--model", model, "--data", data, "--examples", "0", "--json"];
        let found: Value = serde_json::from_str(&place.ends(0, &audit).out).unwrap();
        let ours = found["row"]["ln_loss_sum"].as_f64().unwrap().exp();
        assert!((ours / theirs - 1.0).abs() < 1e-12, "{dtype}: {ours} against {theirs}");
        let init = format!(
            "model = {}",
            model.replace(" }", &format!(", init = {{ kind = \"file\", path = \"{file}\" }} }}"))
        );
        let spec = format!(
            "{init}\ndata = {data}\nloss = \"cross-entropy\"\nprobes = []\nstop = {{ steps = 0 }}\n[algorithm]\n\
             kind = \"stepped\"\npace = {{ kind = \"unit-decrease\", eta = 0.1 }}\n"
        );
        place.write("spec.toml", &spec);
        let dir = format!("from-{dtype}");
        place.run(&["run", "spec.toml", "--out", &dir, "--quiet"]);
        let rows = fs::read_to_string(place.path(&dir).join("rows.csv")).unwrap();
        let mut lines = rows.lines();
        let column = lines.next().unwrap().split(',').position(|c| c == "ln_loss_sum").unwrap();
        let first: f64 = lines.next().unwrap().split(',').nth(column).unwrap().parse().unwrap();
        assert!((first.exp() / theirs - 1.0).abs() < 1e-12, "{dtype}: {} against {theirs}", first.exp());
    }
}
