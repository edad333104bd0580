//! Quantities that the gradient flow conserves.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::{Invalid, State};

/// `balance_drift`: the largest change of a conserved quantity since the start, relative to ρ²; `balance_spread`: the
/// largest conserved quantity now, relative to ρ² (it falls as ρ grows: balance is approached). NaN where the model
/// knows of none. Gradient descent drifts by O(Σ step²); the flow does not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    #[serde(skip)]
    start: Vec<f64>,
}

impl Probe for Balance {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        self.start = context.problem.model.conserved(context.theta);
        Ok(vec!["balance_drift".into(), "balance_spread".into()])
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let now = at.problem.model.conserved(at.theta);
        let largest = |values: &mut dyn Iterator<Item = f64>| {
            if now.is_empty() { f64::NAN } else { values.fold(0.0, f64::max) / (at.rho * at.rho) }
        };
        row.put("balance_drift", largest(&mut now.iter().zip(&self.start).map(|(a, b)| (a - b).abs())));
        row.put("balance_spread", largest(&mut now.iter().map(|a| a.abs())));
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("start", &self.start);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.start = state.get("start")?.to_vec();
        Ok(())
    }
}

impl Entry for Balance {
    const ABOUT: &'static str = "drift of what the gradient flow conserves";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}
