//! How far the neurons of the first layer have turned from where they started.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{Cite, TELGARSKY_2022};
use crate::numeric::{angle, distance, dot};
use crate::{Invalid, Problem, State};

/// With v_j the rows of the first stored matrix and φ_j the angle, in radians, of v_j to where it started: `rotation_max` =
/// max_j φ_j; `rotation_mean`, the mean with the weights ‖v_j‖² + ‖a_j‖², a_j what leaves the neuron if the last block is the
/// layer above; `rotation_still`, the share of that weight in neurons with φ_j ≤ `within`; `displacement` = ‖θ − θ₀‖/√m for m
/// neurons. The regimes of Telgarsky 2022 differ in these: O(1) rotation is feature learning, none is the flow of norms alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Angle up to which a neuron counts as still, 0.1 by default.
    #[serde(default = "tenth")]
    pub within: f64,
    /// Every stored block at θ₀.
    #[serde(skip)]
    stored: Vec<f64>,
    #[serde(skip)]
    theta: Vec<f64>,
}

fn tenth() -> f64 {
    0.1
}

impl Default for Rotation {
    fn default() -> Self {
        Rotation { within: tenth(), stored: Vec::new(), theta: Vec::new() }
    }
}

const COLUMNS: [&str; 4] = ["rotation_max", "rotation_mean", "rotation_still", "displacement"];

impl Probe for Rotation {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if !(self.within >= 0.0) {
            return Err(Invalid::new("within", format!("{} is no angle; it is 0 or more", self.within)));
        }
        self.stored = context.problem.model.export(context.theta).into_owned();
        self.theta = context.theta.to_vec();
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let values = self.values(at.problem, at.theta).unwrap_or([f64::NAN; COLUMNS.len()]);
        COLUMNS.iter().zip(values).for_each(|(column, value)| row.put(column, value));
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("stored", &self.stored);
        state.put("theta", &self.theta);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.stored = state.get("stored")?.to_vec();
        self.theta = state.get("theta")?.to_vec();
        Ok(())
    }
}

impl Rotation {
    fn values(&self, problem: &Problem, theta: &[f64]) -> Option<[f64; COLUMNS.len()]> {
        let blocks = problem.model.stored().blocks();
        let first = blocks.iter().find(|b| b.is_matrix())?;
        let last = blocks.last().filter(|b| b.len() % first.rows == 0 && b.offset > first.offset);
        let stored = problem.model.export(theta);
        let (now, then) = (first.of(&stored), first.of(&self.stored));
        let (mut largest, mut total, mut mean, mut still) = (0.0f64, 0.0, 0.0, 0.0);
        for j in 0..first.rows {
            let span = j * first.cols..(j + 1) * first.cols;
            let (v, start) = (&now[span.clone()], &then[span]);
            let leaving =
                last.map_or(0.0, |b| b.of(&stored).iter().skip(j).step_by(first.rows).map(|a| a * a).sum());
            let weight = dot(v, v) + leaving;
            // A neuron that is dead has no direction to lose.
            let angle = Some(angle(v, start)).filter(|a| !a.is_nan()).unwrap_or(0.0);
            largest = largest.max(angle);
            total += weight;
            mean += weight * angle;
            still += if angle <= self.within { weight } else { 0.0 };
        }
        let moved = distance(theta, &self.theta) / (first.rows as f64).sqrt();
        Some([largest, mean / total, still / total, moved])
    }
}

impl Entry for Rotation {
    const ABOUT: &'static str = "angles of the first layer's neurons to where they started; displacement";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TELGARSKY_2022];
}
