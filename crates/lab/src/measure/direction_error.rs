//! How far the direction of a linear model's θ is from the exact maximum-margin direction.

use std::fs;

use latephase_core::numeric::{distance, norm};
use serde::Deserialize;

use super::{Measuring, Seen};
use crate::error::Error;
use crate::place::Place;
use crate::stint::read_manifest;
use crate::store::tensors::read_flat;

/// ‖θ̂ − ŵ‖ at the end of a linear model's run, w the exact maximum-margin direction.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum DirectionError {
    /// The one that the data source knows.
    Known(Truth),
    /// A vector along it.
    Along(Vec<f64>),
}

/// The marker of what the data source knows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// The exact answer.
    Truth,
}

impl Measuring for DirectionError {
    fn of(&self, run: &Seen<'_>, _: &Place) -> Result<f64, Error> {
        let mut exact = match self {
            DirectionError::Along(w) => w.clone(),
            DirectionError::Known(Truth::Truth) => {
                let manifest = read_manifest(run.dir)?.unwrap_or_default();
                let list = manifest["data"]["truth"]["direction"].as_array().cloned().unwrap_or_default();
                list.iter().filter_map(|v| v.as_f64()).collect::<Vec<_>>()
            }
        };
        let size = norm(&exact);
        exact.iter_mut().for_each(|w| *w /= size);
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
