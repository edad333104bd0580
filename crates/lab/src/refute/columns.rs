//! The columns that runs can have, and the probes that write them.

use std::sync::OnceLock;

use latephase_core::norm::AnyNorm;
use latephase_core::probe::AnyProbe;

use crate::build::build;
use crate::run::Run;
use crate::source::Lookup;
use crate::spec::Spec;

/// A column with its probe; none for what the run itself writes.
pub(super) fn known() -> &'static [(String, Option<&'static str>)] {
    static KNOWN: OnceLock<Vec<(String, Option<&'static str>)>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known: Vec<(String, Option<&'static str>)> =
            Run::COLUMNS.iter().map(|c| ((*c).to_owned(), None)).collect();
        // A probe says its columns when it is begun; some depend on the norm that is descended in.
        for norm in AnyNorm::NAMES {
            for probe in AnyProbe::NAMES {
                for column in written(probe, norm) {
                    if known.iter().all(|(name, _)| *name != column) {
                        known.push((column, Some(probe)));
                    }
                }
            }
        }
        known
    })
}

/// What a probe writes beside a small network; nothing where it cannot be there.
fn written(probe: &str, norm: &str) -> Vec<String> {
    let norm = match toml::Value::try_from(AnyNorm::example(norm)) {
        Ok(norm) => norm,
        Err(_) => return Vec::new(),
    };
    let text = format!(
        "data = \"four-points\"\nmodel = {{ kind = \"mlp\", widths = [2] }}\nloss = \"exponential\"\n\
         stop = {{ steps = 1 }}\nprobes = [\"{probe}\"]\nalgorithm = {{ kind = \"flow\", norm = {norm} }}\n"
    );
    let built =
        Spec::parse(&text, "columns", &[]).ok().and_then(|spec| build(&spec, &Lookup::from_env()).ok());
    built.map_or(Vec::new(), |b| b.columns.into_iter().skip(Run::COLUMNS.len()).collect())
}

/// The names of all columns.
pub fn columns() -> Vec<String> {
    known().iter().map(|(name, _)| name.clone()).collect()
}

/// The probes that write these columns, each once, with `margin` and `alignment` always among them.
pub(super) fn probes<'a>(columns: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let mut probes = vec!["margin", "alignment"];
    for column in columns {
        let probe = known().iter().find(|(name, _)| name == column).and_then(|(_, probe)| *probe);
        probes.extend(probe.filter(|p| !probes.contains(p)));
    }
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_every_cheap_probe_and_of_norms_are_known() {
        let all = columns();
        for name in ["step", "smooth_margin", "kkt_relative", "margin_spectral", "alignment_linf", "beta"] {
            assert!(all.iter().any(|c| c == name), "{name}");
        }
        assert_eq!(probes(["kkt_relative", "step", "beta"].into_iter()), ["margin", "alignment", "kkt"]);
    }
}
