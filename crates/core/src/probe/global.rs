//! The margin of a two-layer ReLU network beside the largest that any such network has.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{BACH_2017, Cite, PILANCI_ERGEN_2020, TELGARSKY_2022};
use crate::exact::two_layer::{self, Effort};
use crate::numeric::dot;
use crate::{Degree, Invalid, Problem, State};

/// `margin_global` ≤ γ_gl ≤ `margin_global_bound`, the same at every look, and `margin_global_share`, the normalised margin over
/// half of that bound: at most 1 for every θ, and 1 for a globally optimal one as far as the two bounds agree. γ_gl is
/// the maximum of [`two_layer`], computed once, at the first look. For two-layer ReLU networks without biases and with
/// one output, rotation-free ones included; NaN for other networks, and where the data are not separable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Global {
    /// Most sign choices of one pricing, 20000 by default: with fewer the bound is looser, never wrong.
    #[serde(default = "nodes")]
    pub nodes: usize,
    /// (from below, from above), once they have been asked for: a spec that is only looked at pays nothing.
    #[serde(skip)]
    bounds: Option<(f64, f64)>,
}

fn nodes() -> usize {
    Effort::default().nodes
}

impl Default for Global {
    fn default() -> Self {
        Global { nodes: nodes(), bounds: None }
    }
}

const COLUMNS: [&str; 3] = ["margin_global", "margin_global_bound", "margin_global_share"];

impl Probe for Global {
    fn begin(&mut self, _: &Context<'_>) -> Result<Vec<String>, Invalid> {
        self.bounds = None;
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let nodes = self.nodes;
        let (below, above) = *self.bounds.get_or_insert_with(|| bounds(at.problem, at.theta, nodes));
        let share = 2.0 * at.q_min() / at.height(2.0) / above;
        COLUMNS.iter().zip([below, above, share]).for_each(|(c, v)| row.put(c, v));
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("bounds", &self.bounds.map_or(Vec::new(), |(below, above)| vec![below, above]));
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.bounds = match state.get("bounds")? {
            [below, above] => Some((*below, *above)),
            _ => None,
        };
        Ok(())
    }
}

/// γ_gl from below and from above; NaN where it is not known.
fn bounds(problem: &Problem, theta: &[f64], nodes: usize) -> (f64, f64) {
    if !is_two_layer(problem, theta) {
        return (f64::NAN, f64::NAN);
    }
    // Sorted, so that the search and its rounding do not depend on the order of the examples.
    let data = &problem.train;
    let mut order: Vec<usize> = (0..data.n()).collect();
    let key = |i: &usize| (data.rows().row(*i), data.labels()[*i]);
    let by_numbers = |a: &[f64], b: &[f64]| {
        let differ = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne());
        differ.unwrap_or(std::cmp::Ordering::Equal)
    };
    order.sort_by(|a, b| by_numbers(key(a).0, key(b).0).then(key(a).1.cmp(&key(b).1)));
    let effort = Effort { nodes, ..Effort::default() };
    let found = two_layer::of(&data.select(&order), &effort);
    found.map_or((f64::NAN, f64::NAN), |found| (found.optimum.value, found.optimum.bound))
}

/// Whether f(x) = Σ a_jσ(⟨v_j, x⟩) on the training set, or Σ a_jσ(b_j⟨v_j, x⟩), with the stored weights in that order.
fn is_two_layer(problem: &Problem, theta: &[f64]) -> bool {
    let model = &problem.model;
    let exact = matches!(model.degree(), Degree::Exact { degree } if *degree == 2.0);
    let blocks = model.stored().blocks();
    if !exact || model.outputs() != 1 || blocks[0].cols != problem.train.dim() {
        return false;
    }
    let (stored, m) = (model.export(theta), blocks[0].rows);
    let (v, a) = (blocks[0].of(&stored), blocks[blocks.len() - 1].of(&stored));
    let b = match blocks.len() {
        2 => vec![1.0; m],
        3 if blocks[1].len() == m => blocks[1].of(&stored).to_vec(),
        _ => return false,
    };
    let Ok(outputs) = problem.outputs(theta, problem.train.rows()) else { return false };
    let rows = problem.train.rows();
    a.len() == m
        && outputs.iter().enumerate().all(|(i, f)| {
            let neuron =
                |j: usize| a[j] * (b[j] * dot(&v[j * rows.dim..(j + 1) * rows.dim], rows.row(i))).max(0.0);
            let (sum, size) = (0..m).map(neuron).fold((0.0, 0.0), |(s, t), y| (s + y, t + y.abs()));
            (f - sum).abs() <= 1e-10 * size
        })
}

impl Entry for Global {
    const ABOUT: &'static str =
        "the largest margin of any two-layer ReLU network, certified, and the run's share of it";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TELGARSKY_2022, PILANCI_ERGEN_2020, BACH_2017];
}
