//! The short table, the sentence and the citations of a run.

use std::path::Path;

use latephase_core::cite::Cite;

use crate::findings::{Columns, largest_relative_decrease, separation};
use crate::source::{Lookup, Source};
use crate::spec::Spec;

/// What to call a run: the name in its spec, else its directory's.
pub fn name(dir: &Path, spec: &Spec) -> String {
    let of_dir = || dir.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned());
    spec.name.clone().unwrap_or_else(of_dir)
}

/// A number for people: four or so digits, `-` where it is not known.
pub fn plain(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "-".into()
    } else if (1e-3..1e6).contains(&size) && value.fract() != 0.0 {
        format!("{value:.5}")
    } else if value.fract() == 0.0 && size < 1e15 {
        // −0 and 0 are one number to a reader.
        format!("{}", value + 0.0)
    } else {
        format!("{value:.3e}")
    }
}

/// A loss for people: `1.6e-1000` from its decimal logarithm, whatever its size.
pub fn loss(log10_loss: f64) -> String {
    if !log10_loss.is_finite() {
        return "-".into();
    }
    if log10_loss.abs() >= 1e12 {
        return format!("10^{log10_loss:.2e}");
    }
    let exponent = log10_loss.floor();
    let mantissa = 10f64.powf(log10_loss - exponent);
    // 9.99 rounds up to 10.0, which belongs to the next decade.
    if mantissa >= 9.95 {
        return format!("1.0e{}", exponent + 1.0);
    }
    format!("{mantissa:.1}e{exponent}")
}

/// The outcome table: label and value.
pub fn table(columns: &Columns, spec: &Spec, manifest: &serde_json::Value) -> Vec<(String, String)> {
    let last = |name: &str| columns.last(name);
    let mut table: Vec<(String, String)> = Vec::new();
    let mut put = |label: &str, value: String| {
        if value != "-" {
            table.push((label.to_owned(), value));
        }
    };
    put("outcome", manifest["outcome"]["kind"].as_str().unwrap_or("unfinished").to_owned());
    put("loss", loss(last("log10_loss")));
    put("steps", plain(last("step")));
    put("evaluations of the full gradient", plain(last("evaluations").round()));
    put("ln of the norm of theta", plain(last("ln_rho")));
    let percent = |v: f64| if v.is_nan() { "-".into() } else { format!("{:.2} %", 100.0 * v) };
    put("training accuracy", percent(last("train_accuracy")));
    put("test accuracy", percent(last("test_accuracy")));
    put("normalised margin", plain(last("margin")));
    put("smoothed margin", plain(last("smooth_margin")));
    let fall = separation(columns, spec)
        .map_or(f64::NAN, |s| largest_relative_decrease(columns.get("smooth_margin"), s));
    put("largest relative decrease of it after separation", plain_small(fall));
    put("alignment beta (one gradient)", plain(last("beta")));
    put("alignment beta (bundle)", plain(last("beta_bundle")));
    put("KKT epsilon, gradient multipliers", plain(last("kkt_epsilon")));
    put("KKT epsilon, fitted multipliers", plain(last("kkt_epsilon_fit")));
    put("KKT epsilon, bundle", plain(last("kkt_epsilon_bundle")));
    put("radius of the bundle", plain(last("kkt_radius")));
    put("speed of the direction per unit of ln rho", plain(last("direction_speed")));
    put("account of the direction's error", plain(last("direction_error")));
    let flagged = columns.get("precision").iter().filter(|p| **p > 0.0).count();
    if flagged > 0 {
        put("looks at which f64 is near its end", flagged.to_string());
    }
    for (name, count) in manifest["counts"].as_object().into_iter().flatten() {
        // The columns say these.
        if !["steps", "epochs", "evaluations"].contains(&name.as_str()) {
            put(&name.replace(['_', '-'], " "), plain(count.as_f64().unwrap_or(f64::NAN)));
        }
    }
    if let Some(seconds) = manifest["seconds"].as_f64() {
        put("seconds in the loop", format!("{seconds:.2}"));
    }
    table
}

fn plain_small(value: f64) -> String {
    if value.is_nan() {
        "-".into()
    } else if value == 0.0 {
        "none".into()
    } else {
        format!("{value:.1e}")
    }
}

/// One sentence that says what happened.
pub fn sentence(manifest: &serde_json::Value, columns: &Columns) -> String {
    let outcome = manifest["sentence"].as_str().unwrap_or("The run has not ended.");
    let last = |name: &str| columns.last(name);
    if !(last("log10_loss").is_finite() && last("margin").is_finite()) {
        return outcome.to_owned();
    }
    let fit = columns.get("kkt_epsilon_fit");
    let first = fit.iter().copied().find(|v| v.is_finite()).unwrap_or(f64::NAN);
    let kkt = if first.is_finite() {
        format!("; the fitted KKT residual went from {} to {}", plain(first), plain(last("kkt_epsilon_fit")))
    } else {
        String::new()
    };
    let missed = match manifest["counts"]["tolerance_exceeded"].as_u64() {
        Some(1) => "; by its own account the direction is further off than the tolerance allows",
        _ => "",
    };
    let trimmed = outcome.trim_end_matches('.');
    format!(
        "{trimmed}: loss {} after {} evaluations, normalised margin {}{kkt}{missed}.",
        loss(last("log10_loss")),
        plain(last("evaluations").round()),
        plain(last("margin")),
    )
}

/// The works behind a spec, and whom its data want named: `credit` where a run has kept it, else what the data say. The list
/// of works does not need the data files to be there.
pub fn works(spec: &Spec, credit: Option<String>, lookup: &Lookup) -> Vec<String> {
    let mut lines: Vec<String> = citations(spec).iter().map(|c| c.text.to_owned()).collect();
    for cite in Source::about(spec.data.kind()).into_iter().flat_map(|about| about.cite) {
        if !lines.iter().any(|line| line == cite) {
            lines.push((*cite).to_owned());
        }
    }
    let credit = credit.or_else(|| spec.data.load(spec.seed, lookup).ok()?.credit.map(str::to_owned));
    lines.extend(credit.map(|credit| format!("Data: {credit}")));
    lines
}

/// The works behind a spec, in order of first use, without repeats.
pub fn citations(spec: &Spec) -> Vec<Cite> {
    let mut all: Vec<Cite> = Vec::new();
    let mut lists = vec![spec.model.cite().to_vec(), spec.loss.cite().to_vec()];
    for phase in &spec.algorithm {
        lists.push(phase.algorithm.cite().to_vec());
        lists.push(phase.algorithm.build().cites_of_parts());
    }
    lists.extend(spec.probes.iter().map(|p| p.cite().to_vec()));
    for cite in lists.into_iter().flatten() {
        if !all.contains(&cite) {
            all.push(cite);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_that_it_has_missed_its_tolerance() {
        let one = |name: &str, value: f64| (name.to_owned(), vec![value]);
        let columns = Columns(vec![one("log10_loss", -5.0), one("margin", 0.1), one("evaluations", 9.0)]);
        let said = |exceeded: u64| {
            sentence(
                &serde_json::json!({ "sentence": "Reached.", "counts": { "tolerance_exceeded": exceeded } }),
                &columns,
            )
        };
        assert!(said(1).contains("than the tolerance allows"));
        assert!(!said(0).contains("tolerance"));
    }

    #[test]
    fn a_run_cites_the_works_behind_its_optimiser_and_its_pace() -> Result<(), crate::Error> {
        let text = "data = \"four-points\"\nmodel = \"linear\"\nloss = \"logistic\"\nstop = { steps = 1 }\nprobes = []\n\
                    [algorithm]\nkind = \"stepped\"\ndescent = \"muon\"\npace = { kind = \"armijo\", eta = 0.1 }\n";
        let cited = citations(&Spec::parse(text, "spec.toml", &[])?);
        let keys: Vec<&str> = cited.iter().map(|c| c.key).collect();
        for key in ["jordan-2024", "armijo-1966", "tsilivis-2024"] {
            assert!(keys.contains(&key), "{key} is not among {keys:?}");
        }
        Ok(())
    }

    #[test]
    fn the_counts_of_the_algorithm_are_in_the_table_and_those_of_columns_are_not_there_twice() {
        let text = "data = \"four-points\"\nmodel = \"linear\"\nloss = \"logistic\"\nstop = { steps = 3 }\n\
                    algorithm = { kind = \"flow\", norm = \"l2\" }\n";
        let spec = Spec::parse(text, "spec.toml", &[]).expect("a spec");
        let manifest =
            serde_json::json!({ "counts": { "steps": 3, "evaluations": 9.5, "refused_steps": 4 } });
        let columns = Columns(vec![("step".into(), vec![3.0])]);
        let table = table(&columns, &spec, &manifest);
        let of = |label: &str| {
            table.iter().filter(|(l, _)| l == label).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("refused steps"), ["4"]);
        assert_eq!(of("steps"), ["3"]);
    }
}
