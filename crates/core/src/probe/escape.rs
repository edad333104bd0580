//! A margin that the length of the path certifies.
//!
//! For a unit direction w and γ' = inf_{s≤t} min_i ⟨w, ∇q_i(θ_s)⟩ > 0, gradient flow on the exponential or summed logistic loss has
//! ℓ⁻¹(𝓛_t) − ℓ⁻¹(𝓛_0) ≥ γ'·path: ‖∇𝓛‖ ≥ γ'Σ|ℓ'_i| and dℓ⁻¹(𝓛)/dt = ‖∇𝓛‖²/|ℓ'(ℓ⁻¹(𝓛))|, where Σ|ℓ'_i| is at least |ℓ'(ℓ⁻¹(𝓛))|. Hence
//! γ̃ ≥ (γ'·path + ℓ⁻¹(𝓛_0))/ρ^L, which the monotone smoothed margin keeps as a floor: the run has left every KKT point of a
//! smaller margin behind (a form without constants of the potential argument of Telgarsky 2022).

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot, StepRecord};
use crate::catalogue::Entry;
use crate::cite::{Cite, TELGARSKY_2022};
use crate::exact::kernel;
use crate::model::Tape;
use crate::numeric::{distance, norm, scale};
use crate::{Invalid, Problem, RowSet, State, ntk};

/// w is the support vector machine's direction on the tangent features at θ₀. `escape_gamma` = γ' over the steps so far,
/// `escape_path` the length of the path, `escape_bound` = (γ'·path + ℓ⁻¹(𝓛_0))/ρ^L, at most the smoothed margin along the flow.
/// NaN where the tangent features at θ₀ are not separable or γ' is no longer positive, for networks without a degree,
/// and for several outputs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escape {
    /// Most examples, 1500 by default: the direction needs their tangent kernel.
    #[serde(default = "most")]
    pub most: usize,
    #[serde(skip)]
    direction: Vec<f64>,
    /// (γ', path, ℓ⁻¹(𝓛_0)).
    #[serde(skip)]
    so_far: [f64; 3],
}

fn most() -> usize {
    1500
}

impl Default for Escape {
    fn default() -> Self {
        Escape { most: most(), direction: Vec::new(), so_far: [f64::NAN; 3] }
    }
}

impl Probe for Escape {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        let Context { problem, theta, .. } = context;
        if problem.model.outputs() == 1 && problem.train.n() <= self.most {
            self.direction = direction(problem, theta).unwrap_or_default();
        }
        let start =
            problem.eval(theta, &RowSet::Full).map_or(f64::NAN, |e| problem.loss.inverse(-e.ln_loss_sum));
        self.so_far = [self.slope(problem, theta), 0.0, start];
        Ok(["escape_gamma", "escape_path", "escape_bound"].map(String::from).to_vec())
    }

    fn follows_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: &StepRecord<'_>) {
        if self.direction.is_empty() {
            return;
        }
        let slope = self.slope(step.problem, step.after);
        let [gamma, path, _] = &mut self.so_far;
        // A NaN stays one.
        *gamma = if slope < *gamma || slope.is_nan() { slope } else { *gamma };
        *path += distance(step.before, step.after);
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let [gamma, path, start] = self.so_far;
        let order = at.problem.model.degree().order().unwrap_or(f64::NAN);
        let bound = if gamma > 0.0 { (gamma * path + start) / at.height(order) } else { f64::NAN };
        row.put("escape_gamma", gamma);
        row.put("escape_path", path);
        row.put("escape_bound", bound);
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("direction", &self.direction);
        state.put("so_far", &self.so_far);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.direction = state.get("direction")?.to_vec();
        let so_far = state.get("so_far")?;
        self.so_far = [0, 1, 2].map(|k| so_far.get(k).copied().unwrap_or(f64::NAN));
        Ok(())
    }
}

impl Escape {
    /// min_i ⟨w, ∇q_i(θ)⟩.
    fn slope(&self, problem: &Problem, theta: &[f64]) -> f64 {
        if self.direction.is_empty() {
            return f64::NAN;
        }
        let data = &problem.train;
        let mut out = vec![0.0; data.n()];
        let done = problem.model.jvp(theta, &self.direction, data.rows(), &mut out, &mut Tape::default());
        let all = out.iter().enumerate().map(|(i, d)| data.sign(i) * d);
        if done.is_err() { f64::NAN } else { all.fold(f64::INFINITY, f64::min) }
    }
}

/// The unit w of the largest min_i ⟨w, ∇q_i(θ)⟩.
fn direction(problem: &Problem, theta: &[f64]) -> Option<Vec<f64>> {
    let eval = problem.eval(theta, &RowSet::Full).ok()?;
    let constraints = problem.constraints(&eval);
    let gram = ntk::margins(problem, theta, &constraints).ok()?;
    let found = kernel::max_margin(&gram, constraints.len()).ok()?;
    let mut w = ntk::combination(problem, theta, &constraints, &found.dual).ok()?;
    let size = norm(&w);
    scale(1.0 / size, &mut w);
    (size > 0.0).then_some(w)
}

impl Entry for Escape {
    const ABOUT: &'static str =
        "a floor of the smoothed margin, from the path and the tangent direction at the start";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TELGARSKY_2022];
}
