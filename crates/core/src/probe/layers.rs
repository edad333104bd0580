//! How the layers of a network align.
//!
//! Gradient flow on a deep linear network and separable data aligns its layers: every W_k tends to rank one, its left
//! singular vector to the right one of the layer above, the norms to each other, and the product to the ℓ2 maximum-margin
//! direction (Ji & Telgarsky 2019; treated again in Ji & Telgarsky 2020). For other networks the columns are diagnostics.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{Cite, JI_TELGARSKY_2019, JI_TELGARSKY_2020};
use crate::matrix::Svd;
use crate::quadratic::{Gram, MinNorm};
use crate::{Invalid, Problem, Rows, State, numeric};

/// Most examples of which the maximum-margin direction is computed: its Gram matrix has as many rows.
const EXAMPLES: usize = 2000;

/// `rank_one` = min_k σ_1(W_k)/‖W_k‖_F over the matrix blocks; `layer_alignment` = min_k |⟨v_{k+1}, u_k⟩| over neighbours
/// whose shapes chain; `stable_rank_min`, `stable_rank_max` = least and largest ‖W_k‖_F²/σ_1²; `norm_ratio` = min_k ‖W_k‖_F/max_k ‖W_k‖_F; `product_cosine`, for models that are linear in x with one
/// output, the cosine of the map x ↦ ⟨w, x⟩ that the network is with the ℓ2 maximum-margin direction of the training set.
/// NaN where there is nothing to measure, and where the data are not separable.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// The maximum-margin direction, where there is one to compare with.
    #[serde(skip)]
    direction: Vec<f64>,
}

impl Probe for Layers {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        let problem = context.problem;
        let linear = problem.model.outputs() == 1 && is_linear(problem, context.theta);
        self.direction = if linear { maximum_margin(problem) } else { Vec::new() };
        Ok([
            "rank_one",
            "layer_alignment",
            "norm_ratio",
            "product_cosine",
            "stable_rank_min",
            "stable_rank_max",
        ]
        .map(String::from)
        .to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let blocks = at.problem.model.layout().blocks().iter().filter(|b| b.is_matrix());
        let mut rank_one = f64::INFINITY;
        let mut stable = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut alignment, mut norms) = (f64::INFINITY, Vec::new());
        let mut below: Option<Vec<f64>> = None;
        for block in blocks {
            let w = block.of(at.theta);
            norms.push(numeric::norm(w));
            let svd = Svd::of(w, block.rows, block.cols);
            let Some((svd, (u, v))) = svd.and_then(|svd| svd.leading().map(|pair| (svd, pair))) else {
                rank_one = f64::NAN;
                stable = (f64::NAN, f64::NAN);
                below = None;
                continue;
            };
            let ratio = svd.sigma[0] / numeric::norm(&svd.sigma);
            rank_one = rank_one.min(ratio);
            let rank = (ratio * ratio).recip();
            // A NaN of an earlier layer stays: min and max would drop it.
            stable = (
                if rank < stable.0 { rank } else { stable.0 },
                if rank > stable.1 { rank } else { stable.1 },
            );
            if let Some(below) = below.filter(|b| b.len() == v.len()) {
                alignment = alignment.min(numeric::dot(&below, &v).abs());
            }
            below = Some(u);
        }
        let known = |x: f64| if x.is_finite() { x } else { f64::NAN };
        row.put("rank_one", known(rank_one));
        row.put("layer_alignment", known(alignment));
        let (least, most) = norms.iter().fold((f64::INFINITY, 0.0f64), |(a, b), n| (n.min(a), n.max(b)));
        row.put("norm_ratio", known(least / most));
        row.put("product_cosine", self.product_cosine(at));
        row.put("stable_rank_min", known(stable.0));
        row.put("stable_rank_max", known(stable.1));
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("direction", &self.direction);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.direction = state.get("direction")?.to_vec();
        Ok(())
    }
}

impl Layers {
    fn product_cosine(&self, at: &Snapshot<'_>) -> f64 {
        if self.direction.is_empty() {
            return f64::NAN;
        }
        match product(at.problem, at.theta) {
            Some(w) => numeric::dot(&w, &self.direction) / numeric::norm(&w),
            None => f64::NAN,
        }
    }
}

/// The outputs at the unit vectors: w of a model x ↦ ⟨w, x⟩.
fn product(problem: &Problem, theta: &[f64]) -> Option<Vec<f64>> {
    let dim = problem.train.dim();
    let mut units = vec![0.0; dim * dim];
    units.iter_mut().step_by(dim + 1).for_each(|x| *x = 1.0);
    problem.outputs(theta, Rows::new(&units, dim)).ok()
}

/// Whether f(x) = ⟨w, x⟩ on the first training examples, to rounding.
fn is_linear(problem: &Problem, theta: &[f64]) -> bool {
    let Some(w) = product(problem, theta) else { return false };
    let rows = problem.train.rows();
    let few = rows.slice(0, rows.n().min(16));
    let Ok(outputs) = problem.outputs(theta, few) else { return false };
    outputs.iter().enumerate().all(|(i, f)| {
        let size = numeric::norm(&w) * numeric::norm(rows.row(i));
        (f - numeric::dot(&w, rows.row(i))).abs() <= 1e-11 * size
    })
}

/// The ℓ2 maximum-margin direction: the shortest vector of the convex hull of y_i x_i, by duality. Empty where that is 0 to
/// rounding, so that the data are not separable, and for more examples than a Gram matrix should have rows.
fn maximum_margin(problem: &Problem) -> Vec<f64> {
    let (data, n) = (&problem.train, problem.train.n());
    if n > EXAMPLES {
        return Vec::new();
    }
    let (rows, sign) = (data.rows(), |i: usize| data.sign(i));
    let mut gram = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            gram[i * n + j] = sign(i) * sign(j) * numeric::dot(rows.row(i), rows.row(j));
        }
    }
    let mut solver = MinNorm::new();
    let solution = solver.solve(Gram::new(&gram, n, n), &[], &[]);
    let mut w = vec![0.0; data.dim()];
    for (i, lambda) in solution.lambda.iter().enumerate() {
        numeric::axpy(lambda * sign(i), rows.row(i), &mut w);
    }
    let (size, longest) = (numeric::norm(&w), (0..n).map(|i| gram[i * n + i]).fold(0.0, f64::max).sqrt());
    if size <= 1e-7 * longest {
        return Vec::new();
    }
    numeric::scale(1.0 / size, &mut w);
    w
}

impl Entry for Layers {
    const ABOUT: &'static str =
        "rank one, alignment and balance of the layers; product against the maximum margin";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[JI_TELGARSKY_2019, JI_TELGARSKY_2020];
}
