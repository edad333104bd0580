//! Runs of models with frozen blocks: what their files hold, and that they go on where they were.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use latephase_core::numeric::{dot, norm};
use latephase_core::probe::Row;
use latephase_lab::Spec;
use latephase_lab::build::build;
use latephase_lab::compare::compare;
use latephase_lab::findings::Columns;
use latephase_lab::source::Lookup;
use latephase_lab::stint::{Options, Progress, Unwatched, begin, read_manifest, resume, snapshot_name};
use latephase_lab::stop::Status;
use latephase_lab::store::tensors::{frozen, read_flat, read_theta};

type Done = Result<(), Box<dyn std::error::Error>>;

const SPEC: &str = "data = { kind = \"rings\", n = 20 }\nloss = \"exponential\"\n\
    model = { kind = \"mlp\", widths = [12], bias = \"first\", freeze = [\"2.weight\"] }\n\
    stop = { steps = 1500 }\nkeep = { log10_loss = [-0.5] }\n\
    algorithm = { kind = \"stepped\", pace = { kind = \"unit-decrease\", eta = 0.05 } }\n";

fn spec(overrides: &[&str]) -> Result<Spec, latephase_lab::Error> {
    let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
    Spec::parse(SPEC, "spec.toml", &overrides)
}

fn options<'a>(stop: &'a AtomicBool, progress: &'a mut (dyn Progress + Send), dir: &Path) -> Options<'a> {
    let lookup = Lookup { working_dir: dir.to_owned(), data_dir: None };
    Options { threads: Some(1), max_seconds: None, checkpoint_seconds: 30.0, stop, lookup, progress }
}

/// Asks to stop after a number of steps.
struct After<'a>(u64, &'a AtomicBool);

impl Progress for After<'_> {
    fn look(&mut self, _: &Row) {}
    fn step(&mut self, status: &Status) {
        self.1.store(status.step >= self.0, Ordering::Relaxed);
    }
}

#[test]
fn files_hold_every_block_and_measures_only_the_trained_ones() -> Done {
    let place = tempfile::tempdir()?;
    let dir = place.path().join("run");
    let go = AtomicBool::new(false);
    begin(&spec(&[])?, &dir, options(&go, &mut Unwatched, place.path()))?;
    let built = build(&spec(&[])?, &Lookup::from_env())?;
    let model = &built.run.problem.model;
    for file in ["theta.safetensors".to_owned(), snapshot_name(-0.5)] {
        let bytes = fs::read(dir.join(file))?;
        assert_eq!(frozen(&bytes)?, ["2.weight"]);
        let stored = read_theta(&bytes, model.stored())?;
        // The outer weights are those that were drawn.
        let start = model.export(built.run.at.theta());
        let outer = &model.stored().blocks()[2];
        assert_eq!(outer.of(&stored), outer.of(&start));
        assert_ne!(stored, start.to_vec());
        assert_eq!(read_flat(&bytes)?.len(), 36, "theta is what was trained");
    }
    let last = fs::read(dir.join("theta.safetensors"))?;
    let rho = Columns::read(&dir)?.last("rho");
    assert!((norm(&read_flat(&last)?) / rho - 1.0).abs() < 1e-14);
    let manifest = read_manifest(&dir)?.ok_or("no manifest")?;
    assert_eq!(manifest["model"]["frozen"], serde_json::json!(["2.weight"]));
    assert_eq!(manifest["model"]["parameters"], 36);
    assert_eq!(manifest["model"]["degree"], "homogeneous of degree 1");
    Ok(())
}

#[test]
fn a_resumed_run_has_the_bytes_of_an_uninterrupted_one() -> Done {
    let place = tempfile::tempdir()?;
    let (whole, cut) = (place.path().join("whole"), place.path().join("cut"));
    let go = AtomicBool::new(false);
    begin(&spec(&[])?, &whole, options(&go, &mut Unwatched, place.path()))?;
    begin(&spec(&[])?, &cut, options(&go, &mut After(700, &go), place.path()))?;
    assert!(go.swap(false, Ordering::Relaxed));
    resume(&cut, options(&go, &mut Unwatched, place.path()))?;
    for file in ["rows.csv".to_owned(), "theta.safetensors".into(), snapshot_name(-0.5)] {
        assert!(fs::read(whole.join(&file))? == fs::read(cut.join(&file))?, "{file}");
    }
    Ok(())
}

#[test]
fn a_file_gives_the_frozen_blocks_their_values_too() -> Done {
    let place = tempfile::tempdir()?;
    let dir = place.path().join("run");
    let go = AtomicBool::new(false);
    begin(&spec(&["seed=5"])?, &dir, options(&go, &mut Unwatched, place.path()))?;
    let lookup = Lookup { working_dir: dir.clone(), data_dir: None };
    let from = spec(&["model.init={ kind = \"file\", path = \"theta.safetensors\" }"])?;
    let built = build(&from, &lookup)?;
    let model = &built.run.problem.model;
    let bytes = fs::read(dir.join("theta.safetensors"))?;
    assert_eq!(model.export(built.run.at.theta()).to_vec(), read_theta(&bytes, model.stored())?);
    Ok(())
}

#[test]
fn a_block_that_the_model_has_not_is_told_with_its_place() -> Done {
    let wrong = SPEC.replace("2.weight", "1.weight");
    let spec = Spec::parse(&wrong, "spec.toml", &[])?;
    let error = build(&spec, &Lookup::from_env()).map(|_| ()).map_err(|e| spec.locate(e));
    let text = error.err().ok_or("it was built")?.to_string();
    assert!(text.starts_with("spec.toml:3:"), "{text}");
    assert!(
        text.contains("no block or layer `1.weight`; its blocks are `0.weight`, `0.bias`, `2.weight`"),
        "{text}"
    );
    Ok(())
}

#[test]
fn the_angle_between_two_runs_is_that_of_what_was_trained() -> Done {
    let place = tempfile::tempdir()?;
    let go = AtomicBool::new(false);
    let mut thetas = Vec::new();
    for seed in ["seed=1", "seed=2"] {
        let dir = place.path().join(seed);
        begin(&spec(&[seed])?, &dir, options(&go, &mut Unwatched, place.path()))?;
        thetas.push(read_flat(&fs::read(dir.join("theta.safetensors"))?)?);
    }
    let expected = dot(&thetas[0], &thetas[1]) / (norm(&thetas[0]) * norm(&thetas[1]));
    let found = compare(&place.path().join("seed=1"), &place.path().join("seed=2"))?;
    let last = found.cosines.last().ok_or("no cosine")?;
    assert_eq!(last.file, "theta.safetensors");
    assert!((last.value - expected).abs() < 1e-14, "{} for {expected}", last.value);
    Ok(())
}
