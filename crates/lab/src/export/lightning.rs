//! What Lightning's `CSVLogger` leaves: `NAME/version_0/metrics.csv` and `hparams.yaml`.

use std::path::{Path, PathBuf};

use super::csv::broken;
use super::{File, Format, Record};
use crate::error::Error;
use crate::yaml;

/// `metrics.csv` has a line for every look, with `epoch` and `step` first and empty cells for what was not measured.
pub(super) struct Lightning;

impl Format for Lightning {
    fn name(&self) -> &'static str {
        "lightning"
    }

    fn about(&self) -> &'static str {
        "Lightning's metrics.csv and hparams.yaml, a directory for each run"
    }

    fn opened(&self, out: &str) -> String {
        format!("pandas.read_csv(\"{out}/RUN/version_0/metrics.csv\")")
    }

    fn place(&self, _: &[Record]) -> PathBuf {
        "lightning_logs".into()
    }

    fn files(&self, runs: &[Record]) -> Result<Vec<File>, Error> {
        let mut files = Vec::new();
        for run in runs {
            let dir = Path::new(&run.name).join("version_0");
            files.push((dir.join("metrics.csv"), metrics(run)?));
            let settings = toml::Value::Table(run.spec.resolved_table()?);
            files.push((dir.join("hparams.yaml"), yaml::text(&settings).into_bytes()));
        }
        Ok(files)
    }
}

fn metrics(run: &Record) -> Result<Vec<u8>, Error> {
    let first = ["epoch", "step"];
    let rest = run.columns.0.iter().map(|(name, _)| name.as_str()).filter(|name| !first.contains(name));
    let names: Vec<&str> = first.into_iter().chain(rest).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&names).map_err(broken)?;
    for row in 0..run.rows() {
        writer.write_record(names.iter().map(|name| run.cell(name, row))).map_err(broken)?;
    }
    writer.into_inner().map_err(|e| broken(e.into_error().into()))
}
