//! How far inputs must move before the network calls them something else.
//!
//! For the chosen examples the radius is measured from above by a minimum-norm attack on the margins and from below by the
//! Lipschitz bound ([`crate::robust`]); both are scale-invariant and work at any loss. Robust accuracy at ε is the share of
//! examples whose radius exceeds ε (Lyu & Li 2020, Fig. 8: robust accuracy of the same network at several losses).

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{CARLINI_WAGNER_2017, CROCE_HEIN_2020, Cite, LYU_LI_2020, MOOSAVI_2016};
use crate::numeric::distance;
use crate::robust::{Attack, Bounds, Margins};
use crate::{Breakdown, Data, Invalid, Rows};

/// For the training set and, where there is one, the test set (`test` for `train`; NaN without one):
///
/// | column | what |
/// |---|---|
/// | `robust_radius_train`, `…_mean_train` | median and mean over the examples of the radius that the attack found: upper bounds; ∞ where nothing was found |
/// | `robust_lower_train`, `…_least_train` | median and least certified radius: lower bounds; 0 where no Lipschitz constant is known |
/// | `robust_train_0.3` | share of examples whose radius found exceeds 0.3, for every ε of `epsilons`: an upper bound on the robust accuracy |
///
/// Misclassified examples have radius 0. It is costly, so a spec has to ask for it: at every look about 300 passes through
/// the network for each example, half of them with gradients. On two cores two hundred digits and a network of width 256 took
/// half a second, and the MNIST CNN of Lyu & Li about half a second for each image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Robustness {
    /// Examples of the training set, an arbitrary choice that does not depend on their order; 50 by default.
    #[serde(default = "fifty")]
    pub train: usize,
    /// Examples of the test set, chosen likewise; 50 by default.
    #[serde(default = "fifty")]
    pub test: usize,
    /// Radii at which robust accuracy is measured; 0.1, 0.3 and 1 by default.
    #[serde(default = "epsilons")]
    pub epsilons: Vec<f64>,
    /// Where inputs may lie, as `[low, high]` of every coordinate, such as `[0, 1]` for pictures; anywhere by default.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub limits: Option<(f64, f64)>,
    /// Most passes of one search; 80 by default. More only where radii still fall with it.
    #[serde(default = "eighty")]
    pub iterations: usize,
    /// Searches from random points for each example, beside those towards the three nearest rivals; 2 by default. More
    /// for inputs of few numbers.
    #[serde(default = "two")]
    pub restarts: usize,
    #[serde(skip)]
    sets: [Option<Chosen>; 2],
}

fn fifty() -> usize {
    50
}

fn epsilons() -> Vec<f64> {
    vec![0.1, 0.3, 1.0]
}

fn eighty() -> usize {
    80
}

fn two() -> usize {
    2
}

const SETS: [&str; 2] = ["train", "test"];
/// Examples of the training set among which the nearest of another class is looked for.
const POOL: usize = 2000;

/// The examples that are measured.
#[derive(Clone, Debug)]
struct Chosen {
    inputs: Vec<f64>,
    labels: Vec<u32>,
    /// For each the nearest training example of another class, where there is one for all: where a search starts.
    others: Vec<Vec<f64>>,
}

impl Robustness {
    fn columns(&self) -> Vec<String> {
        let of = |set: &str| {
            let fixed = ["robust_radius_", "robust_radius_mean_", "robust_lower_", "robust_lower_least_"];
            let fixed = fixed.iter().map(|c| format!("{c}{set}"));
            fixed.chain(self.epsilons.iter().map(|e| format!("robust_{set}_{e}"))).collect::<Vec<_>>()
        };
        SETS.iter().flat_map(|set| of(set)).collect()
    }

    fn attack(&self) -> Attack {
        let Robustness { iterations, restarts, limits, .. } = *self;
        Attack { iterations, restarts, limits, ..Attack::default() }
    }

    /// The values of the columns of one set, in their order.
    fn values(&self, margins: &Margins<'_>, bounds: &Bounds, set: &Chosen) -> Result<Vec<f64>, Breakdown> {
        let dim = margins.model.inputs();
        let x = Rows::new(&set.inputs, dim);
        let others: Vec<&[f64]> = set.others.iter().map(|o| &o[..]).collect();
        let found = self.attack().run(margins, x, &set.labels, &others)?;
        let radii: Vec<f64> = found.iter().map(|a| a.radius).collect();
        let lower = bounds.radii(margins, x, &set.labels)?;
        let n = radii.len() as f64;
        let least = lower.iter().copied().fold(f64::INFINITY, f64::min);
        let mut values = vec![median(&radii), radii.iter().sum::<f64>() / n, median(&lower), least];
        values.extend(self.epsilons.iter().map(|e| radii.iter().filter(|r| *r > e).count() as f64 / n));
        Ok(values)
    }
}

/// The middle value, or the mean of the two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let k = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[k] } else { 0.5 * (sorted[k - 1] + sorted[k]) }
}

/// At most `count` examples, in an order that their own numbers give: which they are does not depend on the order of the
/// set, nor on a period in it.
fn some(data: &Data, count: usize) -> Vec<usize> {
    let name = |i: &usize| {
        let bits = data.rows().row(*i).iter().map(|x| x.to_bits()).chain([u64::from(data.labels()[*i])]);
        // FNV-1a, with its high bits, which the low ones feed, brought down at the end.
        let hash =
            bits.fold(0xcbf29ce484222325u64, |h, b| (h ^ b).wrapping_mul(0x100000001b3).rotate_left(23));
        hash ^ (hash >> 32)
    };
    let mut indices: Vec<usize> = (0..data.n()).collect();
    indices.sort_by_cached_key(name);
    indices.truncate(count);
    indices
}

impl Chosen {
    fn of(data: &Data, count: usize, train: &Data) -> Option<Chosen> {
        let count = count.min(data.n());
        if count == 0 {
            return None;
        }
        let chosen = data.select(&some(data, count));
        let pool = some(train, POOL);
        let nearest = |i: usize| {
            let (x, label) = (chosen.rows().row(i), chosen.labels()[i]);
            let far = |k: &usize| distance(train.rows().row(*k), x);
            let rivals = pool.iter().copied().filter(|&k| train.labels()[k] != label);
            rivals.min_by(|a, b| far(a).total_cmp(&far(b))).map(|k| train.rows().row(k).to_vec())
        };
        let others: Option<Vec<Vec<f64>>> = (0..count).map(nearest).collect();
        Some(Chosen {
            inputs: chosen.rows().data.to_vec(),
            labels: chosen.labels().to_vec(),
            others: others.unwrap_or_default(),
        })
    }
}

impl Probe for Robustness {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        self.attack().check()?;
        if let Some(k) = self.epsilons.iter().position(|e| !(*e >= 0.0 && e.is_finite())) {
            let text = format!("{} is not a radius; use a number of 0 or more", self.epsilons[k]);
            return Err(Invalid::new(format!("epsilons[{k}]"), text));
        }
        let mut sorted = self.epsilons.clone();
        sorted.sort_by(f64::total_cmp);
        if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
            return Err(Invalid::new("epsilons", format!("{} is there twice", twice[0])));
        }
        let problem = context.problem;
        let sets = [(Some(&problem.train), self.train), (problem.test.as_ref(), self.test)];
        self.sets = sets.map(|(data, count)| Chosen::of(data?, count, &problem.train));
        if let Some((lo, hi)) = self.limits {
            let inputs = self
                .sets
                .iter()
                .flatten()
                .flat_map(|set| set.inputs.iter().chain(set.others.iter().flatten()));
            if let Some(x) = inputs.into_iter().find(|x| !(lo..=hi).contains(*x)) {
                let text = format!("an input has the coordinate {x}, outside of [{lo}, {hi}]");
                return Err(Invalid::new("box", text));
            }
        }
        Ok(self.columns())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let problem = at.problem;
        let margins = Margins { model: problem.model.as_ref(), loss: problem.loss.as_ref(), theta: at.theta };
        let bounds = Bounds::new(&margins);
        let width = 4 + self.epsilons.len();
        let values = self.sets.iter().flat_map(|set| {
            let known = set.as_ref().and_then(|set| self.values(&margins, &bounds, set).ok());
            known.unwrap_or_else(|| vec![f64::NAN; width])
        });
        for (column, value) in self.columns().iter().zip(values) {
            row.put(column, value);
        }
    }
}

impl Entry for Robustness {
    const ABOUT: &'static str =
        "l2 robustness: radii by attack and by bound, robust accuracies (on request: costly)";
    const EXAMPLE: &'static str = "train = 5\ntest = 5";
    const CITE: &'static [Cite] = &[LYU_LI_2020, MOOSAVI_2016, CROCE_HEIN_2020, CARLINI_WAGNER_2017];
}
