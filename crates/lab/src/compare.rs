//! Two runs held against each other at equal loss.
//!
//! Late in training every quantity moves with ln(1/𝓛), and most of them with its logarithm: ln ρ is close to
//! (1/L)·ln ln(1/𝓛), and margins settle in it. So a column is interpolated linearly in ln(−ln 𝓛) between the looks on
//! either side of the place where the loss first passes a level.

use std::fs;
use std::path::Path;

use latephase_core::numeric::{dot, norm};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::findings::Columns;

/// The columns that are compared, where both runs have them.
pub const COLUMNS: &[&str] = &[
    "margin",
    "smooth_margin",
    "beta",
    "kkt_epsilon",
    "kkt_delta",
    "kkt_epsilon_fit",
    "kkt_delta_fit",
    "kkt_epsilon_bundle",
    "kkt_delta_bundle",
    "evaluations",
    "ln_rho",
];

/// Ratio of two levels that are told apart.
const CLOSE: f64 = 1.05;

/// Two runs at the same levels of loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Levels of log₁₀ 𝓛 that both runs pass, descending; each in its own spec's reduction.
    pub levels: Vec<f64>,
    /// One entry a column that both have.
    pub columns: Vec<Compared>,
    /// cos(θ_a, θ_b): of snapshots at the same level, then at the end.
    pub cosines: Vec<Cosine>,
}

impl Comparison {
    /// As one JSON object; null where nothing was measured. `a` and `b` are what the runs are called.
    pub fn json(&self, a: &Path, b: &Path) -> Value {
        let columns = self.columns.iter().map(|c| (c.name.clone(), json!({ "a": c.a, "b": c.b })));
        let cosines = self.cosines.iter().map(|c| (c.file.clone(), json!(c.value)));
        json!({
            "a": a.display().to_string(),
            "b": b.display().to_string(),
            "log10_loss": self.levels,
            "columns": columns.collect::<Map<_, _>>(),
            "cosines": cosines.collect::<Map<_, _>>(),
        })
    }
}

/// A column of both runs at the levels; NaN where it was not measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// The first run's values.
    pub a: Vec<f64>,
    /// The second's.
    pub b: Vec<f64>,
}

/// The angle between the weights of two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cosine {
    /// Of which weights: `snapshots/…` or `theta.safetensors`.
    pub file: String,
    /// cos(θ_a, θ_b); NaN where the blocks have other names or shapes.
    pub value: f64,
}

/// Compares two run directories.
///
/// # Errors
/// When their files cannot be read, or there is no level that both runs pass.
pub fn compare(a: &Path, b: &Path) -> Result<Comparison, Error> {
    let (first, second) = (Columns::read(a)?, Columns::read(b)?);
    let levels = common_levels(&first, &second);
    if levels.is_empty() {
        return Err(Error::usage(format!(
            "{} and {} pass no level of log10_loss in common, down from -1",
            a.display(),
            b.display()
        )));
    }
    let both = COLUMNS.iter().filter(|name| !first.get(name).is_empty() && !second.get(name).is_empty());
    let at = |of: &Columns, name: &str| levels.iter().map(|&l| at_level(of, name, l)).collect();
    let columns = both
        .map(|name| Compared { name: (*name).to_owned(), a: at(&first, name), b: at(&second, name) })
        .collect();
    Ok(Comparison { columns, cosines: cosines(a, b)?, levels })
}

/// The levels −1, −2, −5, −10, −20, … that both runs pass after their first look, and the deepest that both reach.
pub fn common_levels(a: &Columns, b: &Columns) -> Vec<f64> {
    let range = |of: &Columns| -> Option<(f64, f64)> {
        let loss = of.get("log10_loss");
        let deepest = loss.iter().copied().filter(|l| l.is_finite()).reduce(f64::min)?;
        Some((*loss.first()?, deepest))
    };
    let (Some((top_a, deep_a)), Some((top_b, deep_b))) = (range(a), range(b)) else { return Vec::new() };
    let (top, deepest) = (top_a.min(top_b), deep_a.max(deep_b));
    let mut levels = Vec::new();
    let mut decade = 1.0;
    while decade <= -deepest {
        levels.extend([1.0, 2.0, 5.0].map(|m| -m * decade).into_iter().filter(|&l| l <= top && l > deepest));
        decade *= 10.0;
    }
    // A deepest level beside the last round one would say the same twice.
    if deepest <= top.min(-1.0) && levels.last().is_none_or(|last| deepest < CLOSE * last) {
        levels.push(deepest);
    }
    levels
}

/// A column where the loss first passes 10^`level` (below 0), linear in ln(−ln 𝓛) between looks; NaN where the run
/// never gets there, or only between a loss of 1 or more and this level.
pub fn at_level(columns: &Columns, name: &str, level: f64) -> f64 {
    let (loss, values) = (columns.get("log10_loss"), columns.get(name));
    let value = |k: usize| values.get(k).copied().unwrap_or(f64::NAN);
    let Some(k) = loss.iter().position(|&l| l <= level) else { return f64::NAN };
    if loss[k] == level {
        return value(k);
    }
    let Some(before) = k.checked_sub(1) else { return f64::NAN };
    // The base of the logarithms is a shift of ln(−ln 𝓛), which a ratio of differences does not see.
    let place = |l: f64| (-l).ln();
    let part = (place(level) - place(loss[before])) / (place(loss[k]) - place(loss[before]));
    value(before) + part * (value(k) - value(before))
}

fn cosines(a: &Path, b: &Path) -> Result<Vec<Cosine>, Error> {
    let mut files = snapshots(a)?;
    let theirs = snapshots(b)?;
    files.retain(|f| theirs.contains(f));
    files.sort_by(|x, y| y.0.total_cmp(&x.0));
    let mut names: Vec<String> = files.into_iter().map(|(_, name)| format!("snapshots/{name}")).collect();
    if a.join("theta.safetensors").exists() && b.join("theta.safetensors").exists() {
        names.push("theta.safetensors".into());
    }
    let of = |file: String| Ok(Cosine { value: cosine(&a.join(&file), &b.join(&file))?, file });
    names.into_iter().map(of).collect()
}

/// The snapshots of a run with their levels.
fn snapshots(dir: &Path) -> Result<Vec<(f64, String)>, Error> {
    let folder = dir.join("snapshots");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let name =
            entry.map_err(|e| Error::io(&folder, "list", e))?.file_name().to_string_lossy().into_owned();
        let level = name.strip_prefix("log10_loss_").and_then(|n| n.strip_suffix(".safetensors"));
        if let Some(level) = level.and_then(|l| l.parse().ok()) {
            found.push((level, name));
        }
    }
    Ok(found)
}

/// The cosine between the trained weights of two files; NaN where their blocks differ in name or shape.
pub(crate) fn cosine(a: &Path, b: &Path) -> Result<f64, Error> {
    let (a, b) = (read_blocks(a)?, read_blocks(b)?);
    let same = a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| x.0 == y.0 && x.1 == y.1);
    if !same {
        return Ok(f64::NAN);
    }
    let flat = |blocks: Vec<Block>| blocks.into_iter().flat_map(|(_, _, v)| v).collect::<Vec<f64>>();
    let (a, b) = (unit(flat(a)), unit(flat(b)));
    Ok(dot(&a, &b))
}

/// v/‖v‖₂, before any product: late weights are large, and their products could overflow.
fn unit(mut v: Vec<f64>) -> Vec<f64> {
    let length = norm(&v);
    v.iter_mut().for_each(|x| *x /= length);
    v
}

/// Name, shape and numbers.
type Block = (String, Vec<usize>, Vec<f64>);

fn read_blocks(path: &Path) -> Result<Vec<Block>, Error> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|e| Error::usage(format!("{}: {e}", path.display())))?;
    let frozen = crate::store::tensors::frozen(&bytes)
        .map_err(|text| Error::usage(format!("{}: {text}", path.display())))?;
    let mut blocks = Vec::new();
    for (name, view) in tensors.iter().filter(|(name, _)| frozen.iter().all(|f| f != name)) {
        if view.dtype() != Dtype::F64 {
            return Err(Error::usage(format!("{}: block `{name}` is not of 64-bit numbers", path.display())));
        }
        let words = view.data().chunks_exact(8);
        let values = words.map(|w| f64::from_le_bytes(w.try_into().unwrap_or_default())).collect();
        blocks.push((name.to_owned(), view.shape().to_vec(), values));
    }
    blocks.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that looks at log10 losses −u, with a column that is f(ln(−ln 𝓛)).
    fn run(us: &[f64], f: impl Fn(f64) -> f64) -> Columns {
        let column = us.iter().map(|u| f((u * std::f64::consts::LN_10).ln())).collect();
        Columns(vec![("log10_loss".into(), us.iter().map(|u| -u).collect()), ("margin".into(), column)])
    }

    // Interpolation is exact for functions that are linear in ln(−ln 𝓛), up to rounding.
    #[test]
    fn a_column_linear_in_the_logarithm_of_the_logarithm_is_interpolated_exactly() {
        let f = |x: f64| 3.0 - 0.5 * x;
        let run = run(&[0.2, 0.9, 3.0, 17.0, 400.0], f);
        for u in [0.2, 1.0, 2.0, 17.0, 100.0, 400.0] {
            let expected = f((u * std::f64::consts::LN_10).ln());
            let found = at_level(&run, "margin", -u);
            assert!((found - expected).abs() < 1e-13, "at {u}: {found} for {expected}");
        }
    }

    #[test]
    fn what_was_never_reached_or_measured_is_nan() {
        let mut run = run(&[1.0, 10.0, 100.0], |x| x);
        assert!(at_level(&run, "margin", -101.0).is_nan());
        assert!(at_level(&run, "margin", -0.5).is_nan());
        assert!(at_level(&run, "beta", -10.0).is_nan());
        run.0[1].1[2] = f64::NAN;
        assert!(at_level(&run, "margin", -50.0).is_nan());
        assert!(at_level(&run, "margin", -5.0).is_finite());
    }

    #[test]
    fn a_loss_of_one_or_more_has_no_place_on_the_axis() {
        let run = Columns(vec![("log10_loss".into(), vec![0.5, -2.0]), ("margin".into(), vec![0.0, 1.0])]);
        assert!(at_level(&run, "margin", -1.0).is_nan());
        assert_eq!(at_level(&run, "margin", -2.0), 1.0);
    }

    #[test]
    fn levels_are_those_that_both_pass() {
        let a = run(&[0.1, 3.0, 30.0], |x| x);
        let b = run(&[0.5, 1.5, 300.0], |x| x);
        assert_eq!(common_levels(&a, &b), [-1.0, -2.0, -5.0, -10.0, -20.0, -30.0]);
        let round = run(&[0.1, 5.0, 10.2], |x| x);
        assert_eq!(common_levels(&round, &b), [-1.0, -2.0, -5.0, -10.0]);
        let late = run(&[4.0, 12.0], |x| x);
        assert_eq!(common_levels(&late, &b), [-5.0, -10.0, -12.0]);
        let never = run(&[0.1, 0.5], |x| x);
        assert!(common_levels(&never, &b).is_empty());
        assert!(common_levels(&Columns(vec![]), &b).is_empty());
    }

    #[test]
    fn parallel_weights_have_cosine_one_and_other_shapes_none() -> Result<(), Box<dyn std::error::Error>> {
        use crate::store::tensors::theta_bytes;
        use latephase_core::model::Architecture;
        let place = tempfile::tempdir()?;
        let model = |width: usize| -> Result<_, Box<dyn std::error::Error>> {
            let text = format!("kind = \"mlp\"\nwidths = [{width}]");
            let any: latephase_core::model::AnyModel = toml::from_str(&text)?;
            let architecture: Box<dyn Architecture> = any.build();
            architecture.assemble(&[2], 1).map_err(|e| e.message.into())
        };
        let write = |name: &str, width: usize, sign: f64| -> Result<_, Box<dyn std::error::Error>> {
            let model = model(width)?;
            let theta: Vec<f64> =
                (0..model.layout().dim()).map(|k| sign * 1e200 * (k as f64 + 1.0)).collect();
            let path = place.path().join(name);
            fs::write(&path, theta_bytes(&theta, model.layout(), "test")?)?;
            Ok(path)
        };
        let (a, minus, wide) = (write("a", 3, 1.0)?, write("b", 3, -1e-100)?, write("c", 4, 1.0)?);
        assert!((cosine(&a, &a)? - 1.0).abs() < 1e-14);
        assert!((cosine(&a, &minus)? + 1.0).abs() < 1e-14);
        assert!(cosine(&a, &wide)?.is_nan());
        Ok(())
    }
}
