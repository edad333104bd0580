//! How far the direction of a linear model's θ is from the exact maximum-margin direction.

use std::fs;

use latephase_core::numeric::{distance, norm};
use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::place::Place;
use crate::stint::read_manifest;
use crate::store::tensors::read_flat;

/// ‖θ̂ − w‖ at the end of a linear model's run, w the exact maximum-margin direction that the data source knows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectionError {
    /// What the data source knows.
    Truth,
}

impl Measuring for DirectionError {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let manifest = read_manifest(run.dir)?.unwrap_or_default();
        let list = manifest["data"]["truth"]["direction"].as_array().cloned().unwrap_or_default();
        let exact: Vec<f64> = list.iter().filter_map(|v| v.as_f64()).collect();
        let path = run.dir.join("theta.safetensors");
        let bytes = fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
        let mut theta =
            read_flat(&bytes).map_err(|text| Error::usage(format!("{}: {text}", path.display())))?;
        if exact.len() != theta.len() {
            return Ok(f64::NAN);
        }
        let rho = norm(&theta);
        theta.iter_mut().for_each(|t| *t /= rho);
        Ok(distance(&theta, &exact))
    }
}
