//! Many runs together are the runs one by one.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use latephase_lab::source::Lookup;
use latephase_lab::stint::{Options, Progress, Unwatched, begin};
use latephase_lab::sweep::{End, Member, Plan, SweepOptions, Watch, run, write_summary};
use latephase_lab::{Error, Spec, memory};

const SPEC: &str = "data = { kind = 'xor-parity', n = 12, dim = 3 }\nmodel = { kind = 'mlp', widths = [6] }\n\
                    loss = 'exponential'\nprobes = ['margin']\nstop = { steps = 30 }\n\
                    algorithm = { kind = 'stepped', pace = { kind = 'unit-decrease', eta = 0.1 } }\n";

struct Nobody;

impl Watch for Nobody {
    fn begins(&self, _: &Member) -> Box<dyn Progress + Send> {
        Box::new(Unwatched)
    }
    fn ended(&self, _: &Member, _: &End) {}
}

fn options(stop: &AtomicBool) -> SweepOptions<'_> {
    SweepOptions {
        threads: Some(2),
        max_seconds: None,
        checkpoint_seconds: 10.0,
        stop,
        lookup: Lookup::from_env(),
        watch: &Nobody,
    }
}

fn alone(spec: &Spec, dir: &Path) -> Result<(), Error> {
    let (stop, mut progress) = (AtomicBool::new(false), Unwatched);
    let lookup = Lookup::from_env();
    let options = Options {
        threads: Some(2),
        max_seconds: None,
        checkpoint_seconds: 10.0,
        stop: &stop,
        lookup,
        progress: &mut progress,
    };
    begin(spec, dir, options).map(|_| ())
}

#[test]
fn runs_in_memory_are_the_same_together_and_alone() -> Result<(), Error> {
    let spec = Spec::parse(SPEC, "spec", &[])?;
    let specs: Vec<Spec> = (0..9).map(|k| Spec { seed: k / 2, ..spec.clone() }).collect();
    let (lookup, stop) = (Lookup::from_env(), AtomicBool::new(false));
    let together = memory::run_many(&specs, &lookup, Some(2), &stop)?;
    for (spec, run) in specs.iter().zip(together) {
        // As text, in which a number that is none is equal to itself.
        let alone = memory::run(spec, &lookup, &stop)?;
        assert_eq!(format!("{:?}", run?.rows.0), format!("{:?}", alone.rows.0));
    }
    Ok(())
}

#[test]
fn a_spec_that_is_wrong_does_not_end_the_others() -> Result<(), Error> {
    let spec = Spec::parse(SPEC, "spec", &[])?;
    let wrong = Spec::parse(&SPEC.replace("'exponential'", "'exponential'\nname = 'x'"), "spec", &[])?;
    let wrong = Spec { data: toml::from_str("kind = 'csv'\npath = 'absent.csv'").unwrap(), ..wrong };
    let runs = memory::run_many(&[wrong, spec], &Lookup::from_env(), None, &AtomicBool::new(false))?;
    assert!(runs[0].is_err() && runs[1].is_ok());
    Ok(())
}

#[test]
fn a_large_sweep_writes_less_and_the_same() -> Result<(), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let plan = Plan::new(
        (SPEC, "spec.toml", "spec"),
        &[],
        &["seed=0..101".into()],
        Some(&place.path().join("sweep")),
    )?;
    let stop = AtomicBool::new(false);
    assert!(run(&plan, &options(&stop))?.iter().all(|end| matches!(end, End::Ran(o) if o.is_reached())));
    let (member, dir) = (&plan.members[3], place.path().join("alone"));
    assert!(!member.dir.join("report.html").exists());
    alone(&member.spec, &dir)?;
    for name in ["rows.csv", "theta.safetensors", "findings.json"] {
        assert!(fs::read(member.dir.join(name))? == fs::read(dir.join(name))?, "{name}");
    }
    // What has finished is kept, and what was lost is done again.
    fs::remove_dir_all(&member.dir)?;
    let ends = run(&plan, &options(&stop))?;
    assert_eq!(ends.iter().filter(|end| matches!(end, End::Kept)).count(), 100);
    assert!(fs::read(member.dir.join("rows.csv"))? == fs::read(dir.join("rows.csv"))?);
    write_summary(&plan, "many", &Lookup::from_env())?;
    let page = fs::read_to_string(plan.dir.join("report.html"))?;
    assert!(page.contains("the first 24 of 101 runs"));
    assert_eq!(fs::read_to_string(plan.dir.join("sweep.csv"))?.lines().count(), 102);
    Ok(())
}

#[test]
fn a_large_sweep_that_was_stopped_goes_on() -> Result<(), Box<dyn std::error::Error>> {
    struct StopsAt<'a>(&'a AtomicBool);
    impl Watch for StopsAt<'_> {
        fn begins(&self, member: &Member) -> Box<dyn Progress + Send> {
            if member.label.ends_with("=40") {
                self.0.store(true, Ordering::Relaxed);
            }
            Box::new(Unwatched)
        }
        fn ended(&self, _: &Member, _: &End) {}
    }
    let place = tempfile::tempdir()?;
    let plan = Plan::new(
        (SPEC, "spec.toml", "spec"),
        &[],
        &["seed=0..101".into()],
        Some(&place.path().join("sweep")),
    )?;
    let stop = AtomicBool::new(false);
    let ends = run(&plan, &SweepOptions { watch: &StopsAt(&stop), ..options(&stop) })?;
    assert!(ends.iter().any(|end| matches!(end, End::NotBegun)));
    stop.store(false, Ordering::Relaxed);
    run(&plan, &options(&stop))?;
    let dir = place.path().join("alone");
    alone(&plan.members[40].spec, &dir)?;
    assert!(fs::read(plan.members[40].dir.join("rows.csv"))? == fs::read(dir.join("rows.csv"))?);
    Ok(())
}
