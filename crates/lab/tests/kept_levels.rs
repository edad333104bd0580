//! Levels of loss at which θ is kept.

use std::fs;
use std::sync::atomic::AtomicBool;

use latephase_core::numeric::norm;
use latephase_lab::Spec;
use latephase_lab::findings::Columns;
use latephase_lab::source::Lookup;
use latephase_lab::stint::{Options, Unwatched, begin, snapshot_name};
use latephase_lab::store::tensors::read_flat;

type Done = Result<(), Box<dyn std::error::Error>>;

#[test]
fn a_kept_theta_has_its_row_however_rare_the_looks() -> Done {
    let text = "data = { kind = 'rings', n = 20 }\nloss = 'exponential'\n\
        model = { kind = 'mlp', widths = [12], bias = 'first' }\n\
        stop = { steps = 3000, log10_loss = -6 }\nlook = { per_decade_of_step = 0, per_decade_of_ln_loss = 0 }\n\
        keep = { log10_loss = [-1, -2.5, -4] }\n\
        algorithm = { kind = 'bundle', kappa = 0.01, epsilon = 0.04, members = 30 }\n";
    let place = tempfile::tempdir()?;
    let dir = place.path().join("run");
    let stint = Options {
        threads: Some(1),
        max_seconds: None,
        checkpoint_seconds: 30.0,
        stop: &AtomicBool::new(false),
        lookup: Lookup { working_dir: place.path().to_owned(), data_dir: None },
        progress: &mut Unwatched,
    };
    begin(&Spec::parse(text, "spec.toml", &[])?, &dir, stint)?;
    let rows = Columns::read(&dir)?;
    for level in [-1.0, -2.5, -4.0] {
        let kept = norm(&read_flat(&fs::read(dir.join(snapshot_name(level)))?)?);
        let row = rows.get("log10_loss").iter().position(|l| *l <= level).expect("the level is passed");
        // The same ‖θ‖ from the same numbers in another order of summation.
        assert!((rows.get("rho")[row] / kept - 1.0).abs() < 1e-14, "{level}");
    }
    Ok(())
}
