//! From a spec to a run that is ready to go.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use latephase_core::algorithm::Algorithm;
use latephase_core::model::init::Scheme;
use latephase_core::norm::AnyNorm;
use latephase_core::probe::Context;
use latephase_core::{Invalid, Iterate, Problem, numeric, rng};
use sha2::{Digest, Sha256};

use crate::embedded;
use crate::error::Error;
use crate::run::{Phase, Run};
use crate::source::{FileHash, Loaded, Lookup, Truth};
use crate::spec::Spec;
use crate::stop::Status;
use crate::store::tensors;

/// A run with what its record says beside the spec.
pub struct Built {
    /// The run, before its first step.
    pub run: Run,
    /// The columns of its rows.
    pub columns: Vec<String>,
    /// Files read, with their SHA-256.
    pub files: Vec<FileHash>,
    /// What is known in closed form about the data.
    pub truth: Option<Truth>,
    /// Whom the data's licence asks to name.
    pub credit: Option<&'static str>,
}

/// Loads the data, makes the model, draws θ₀ and prepares algorithm and probes.
///
/// # Errors
/// Settings that do not fit each other or the data, and files that cannot be read, naming the key of the spec.
pub fn build(spec: &Spec, lookup: &Lookup) -> Result<Built, Error> {
    build_on(spec.data.load(spec.seed, lookup).map_err(Error::from)?, spec, lookup)
}

/// The same on data that have been loaded.
///
/// # Errors
/// As [`build`].
pub fn build_on(loaded: Loaded, spec: &Spec, lookup: &Lookup) -> Result<Built, Error> {
    let at = |prefix: &str, e: Invalid| {
        let path = if e.field.is_empty() { prefix.to_owned() } else { format!("{prefix}.{}", e.field) };
        Error::spec(path, e.message)
    };
    let Loaded { train, test, mut files, truth, credit } = loaded;
    let loss = spec.loss.build();
    let outputs = loss.outputs(train.classes.len()).map_err(|e| at("loss", e))?;
    let architecture = spec.model.build();
    let mut model = architecture.assemble(&train.shape, outputs).map_err(|e| at("model", e))?;
    let init = architecture.init();
    let seed = init.seed.unwrap_or(spec.seed);
    let mut stored = model.init(&mut rng::stream(seed, "model.init", 0));
    if init.kind == Scheme::File {
        let name = init.path.as_deref().unwrap_or_default();
        let (bytes, hash) = read_file(name, lookup)?;
        stored = tensors::read_theta(&bytes, model.stored()).map_err(|text| {
            let shape = train.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
            let (dim, classes) = (train.dim(), train.classes.len());
            Error::content(format!(
                "{name}: {text}; the data have inputs of {shape} = {dim} numbers, and {classes} classes"
            ))
        })?;
        numeric::scale(init.alpha.unwrap_or(1.0), &mut stored);
        files.push(hash);
    }
    model.fix(&stored);
    let theta = model.select(&stored).into_owned();
    if numeric::norm(&theta) == 0.0 {
        return Err(Error::spec("model.init", "theta is exactly 0 at the start, which has no direction"));
    }
    let problem = Problem::new(model, loss, Arc::clone(&train), test);

    let mut phases = Vec::new();
    for (k, phase) in spec.algorithm.iter().enumerate() {
        let mut algorithm: Box<dyn Algorithm> = phase.algorithm.build();
        let prefix = if spec.algorithm.len() == 1 { "algorithm".into() } else { format!("algorithm[{k}]") };
        algorithm.begin(&problem, spec.seed).map_err(|e| at(&prefix, e))?;
        phases.push(Phase { algorithm, until: phase.until.clone() });
    }
    let mut norms: Vec<AnyNorm> = Vec::new();
    for norm in phases.iter().map(|p| p.algorithm.norm()) {
        if norms.iter().all(|known| known.build().column() != norm.build().column()) {
            norms.push(norm);
        }
    }
    let mut columns: Vec<String> = Run::COLUMNS.map(String::from).to_vec();
    let mut probes = Vec::new();
    for (k, entry) in spec.probes.iter().enumerate() {
        let mut probe = entry.build();
        let context = Context {
            problem: &problem,
            theta: &theta,
            norms: norms.clone(),
            weight_decay: phases.iter().map(|p| p.algorithm.weight_decay()).fold(0.0, f64::max),
        };
        let theirs = probe.begin(&context).map_err(|e| {
            let own = e.field == "probes";
            if own { Error::spec(format!("probes[{k}]"), e.message) } else { at(&format!("probes[{k}]"), e) }
        })?;
        if let Some(twice) = theirs.iter().find(|c| columns.contains(c)) {
            let text = format!("two probes measure the column {twice}");
            return Err(Error::spec(format!("probes[{k}]"), text));
        }
        columns.extend(theirs);
        probes.push(probe);
    }
    let mut keep = spec.keep.log10_loss.clone();
    keep.sort_by(|a, b| b.total_cmp(a));
    keep.dedup();
    let run = Run {
        problem,
        at: Iterate::new(theta),
        phases,
        phase: 0,
        probes,
        cadence: spec.look.start(),
        stop: spec.stop.clone(),
        keep,
        kept: 0,
        status: Status::unknown(),
        looked: false,
        exhausted: false,
    };
    Ok(Built { run, columns, files, truth, credit })
}

/// Reads a file of weights: one that is part of the program, or looked up in the working directory, then under the data
/// directory.
fn read_file(name: &str, lookup: &Lookup) -> Result<(Vec<u8>, FileHash), Error> {
    if let Some(found) = embedded::find(name) {
        let bytes = found.map_err(|text| Error::spec("model.init.path", text))?;
        return Ok((bytes.to_vec(), FileHash { path: name.to_owned(), sha256: sha256_hex(bytes) }));
    }
    let places = std::iter::once(lookup.working_dir.join(name))
        .chain(lookup.data_dir.iter().map(|dir| dir.join(name)))
        .collect::<Vec<_>>();
    let found = places.iter().find(|p| p.is_file());
    let Some(path) = found else {
        let tried: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        return Err(Error::spec(
            "model.init.path",
            format!("cannot find `{name}`; looked for {}", tried.join(", ")),
        ));
    };
    let bytes = fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    let sha256 = sha256_hex(&bytes);
    Ok((bytes, FileHash { path: name.to_owned(), sha256 }))
}

/// SHA-256 as lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The directory that relative run directories are made in, and the default name of a run.
pub fn default_directory(spec: &Spec, name: &str) -> Result<std::path::PathBuf, Error> {
    Ok(Path::new("runs").join(format!("{}-{}", spec.name.as_deref().unwrap_or(name), spec.hash8()?)))
}
