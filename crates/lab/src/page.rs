//! From a run directory to its report page.

use std::fs;
use std::path::Path;

use latephase_core::{Problem, Rows};

use crate::error::Error;
use crate::findings::{self, Columns, listed};
use crate::optima::record::{self, Line};
use crate::report::{Added, ReferenceLine, RegionLevel, Regions, ReportClaim, ReportRate, ReportRun, render};
use crate::spec::Spec;
use crate::stint::{read_manifest, read_spec, snapshot_name};
use crate::store::tensors::theta_of;
use crate::summary;

/// Points on a side of the grid of the decision regions.
const GRID: usize = 81;

/// The report of one run directory whose problem is at hand.
///
/// # Errors
/// When a file of the directory cannot be read.
pub fn of_run(dir: &Path, problem: &Problem) -> Result<String, Error> {
    let run = read_run(dir, Some(problem))?;
    Ok(render(&run.name.clone(), &[run], &Added::default()))
}

/// The report of several run directories, overlaid, with what a recipe or a sweep adds.
///
/// # Errors
/// When a file of the directories cannot be read.
pub fn of_dirs(
    title: &str,
    dirs: &[&Path],
    lookup: &crate::source::Lookup,
    added: &Added,
) -> Result<String, Error> {
    let mut runs = Vec::new();
    for dir in dirs {
        let spec = read_spec(dir)?;
        let built = crate::build::build(&spec, lookup).ok();
        runs.push(read_run(dir, built.as_ref().map(|b| &b.run.problem))?);
    }
    Ok(render(title, &runs, added))
}

fn read_run(dir: &Path, problem: Option<&Problem>) -> Result<ReportRun, Error> {
    let spec = read_spec(dir)?;
    let path = dir.join("spec.toml");
    let spec_toml = fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
    let manifest = read_manifest(dir)?.unwrap_or_default();
    let columns = Columns::read(dir)?;
    let regions = match problem {
        Some(problem) if problem.train.dim() == 2 => regions(dir, &spec, problem)?,
        _ => None,
    };
    let findings = findings::read(dir);
    Ok(ReportRun {
        name: summary::name(dir, &spec),
        outcome: summary::sentence(&manifest, &columns),
        outcome_kind: manifest["outcome"]["kind"].as_str().unwrap_or("unfinished").to_owned(),
        table: table(dir, &columns, &spec, &manifest),
        claims: listed(&findings, "claims").iter().map(ReportClaim::of).collect(),
        rates: listed(&findings, "rates").iter().map(ReportRate::of).collect(),
        columns: columns.0,
        spec_toml,
        citations: summary::citations(&spec).into_iter().map(|c| c.text.to_owned()).collect(),
        credit: manifest["data"]["credit"].as_str().map(str::to_owned),
        regions,
        references: record::read(dir)?.into_iter().map(drawn).collect(),
        manifest,
    })
}

/// The outcome table, with the limit where it has been looked for.
fn table(dir: &Path, columns: &Columns, spec: &Spec, manifest: &serde_json::Value) -> Vec<(String, String)> {
    let mut table = summary::table(columns, spec, manifest);
    table.extend(crate::limit::table(&crate::limit::read(dir)));
    table
}

fn drawn(line: Line) -> ReferenceLine {
    ReferenceLine {
        column: line.column,
        name: line.reference,
        scope: line.scope.name().to_owned(),
        unit: line.unit,
        value: line.value,
        bound: line.bound,
        below: line.below,
        below_value: line.below_value,
    }
}

/// The score f/max|f| on a grid around the data, at the kept levels and at the end.
fn regions(dir: &Path, spec: &Spec, problem: &Problem) -> Result<Option<Regions>, Error> {
    let data = &problem.train;
    let points: Vec<[f64; 2]> =
        (0..data.n()).map(|i| [data.rows().row(i)[0], data.rows().row(i)[1]]).collect();
    let axis = |k: usize| -> Vec<f64> {
        let values = points.iter().map(|p| p[k]);
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        let pad = 0.15 * (high - low).max(1e-9);
        let step = (high - low + 2.0 * pad) / (GRID - 1) as f64;
        (0..GRID).map(|i| low - pad + step * i as f64).collect()
    };
    let (x, y) = (axis(0), axis(1));
    let grid: Vec<f64> = y.iter().flat_map(|b| x.iter().flat_map(move |a| [*a, *b])).collect();
    let mut files: Vec<(f64, std::path::PathBuf)> =
        spec.keep.log10_loss.iter().map(|&l| (l, dir.join(snapshot_name(l)))).collect();
    files.sort_by(|a, b| b.0.total_cmp(&a.0));
    let last = Columns::read(dir)?.last("log10_loss");
    let last = (10.0 * last).round() / 10.0;
    files.push((last, dir.join("theta.safetensors")));
    let mut levels = Vec::new();
    for (log10_loss, path) in files {
        let Ok(bytes) = fs::read(&path) else { continue };
        let theta = theta_of(&bytes, &path, problem.model.as_ref())?;
        let Ok(outputs) = problem.outputs(&theta, Rows::new(&grid, 2)) else { continue };
        let k = problem.model.outputs();
        // Binary: f itself. Several classes: the first against the best of the others.
        let score = outputs
            .chunks(k)
            .map(|o| if k == 1 { o[0] } else { o[0] - o[1..].iter().fold(f64::MIN, |m, v| m.max(*v)) });
        let score: Vec<f64> = score.collect();
        let top = score.iter().fold(0.0f64, |m, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
        levels.push(RegionLevel { log10_loss, score: score.into_iter().map(|v| v / top).collect() });
    }
    Ok(Some(Regions { points, labels: data.labels().to_vec(), x, y, levels }))
}
