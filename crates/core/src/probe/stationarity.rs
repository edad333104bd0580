//! KKT residuals with every subgradient at kinks, and what kind of point the direction tends to.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot, needs_degree};
use crate::catalogue::Entry;
use crate::cite::{BURKE_2005, Cite, LYU_LI_2020, VARDI_2022};
use crate::kkt::{Point, Reach};
use crate::{Breakdown, Invalid};

/// Of θ̃ = θ/q_min^{1/L}, all NaN until q_min > 0:
///
/// | column | what it is |
/// |---|---|
/// | `kkt_epsilon_clarke`, `kkt_delta_clarke` | ε and δ of the best multipliers with the best Clarke subgradients of the near-support set; an exact convex programme for two-layer (leaky) ReLU networks, and without kinks for any; NaN for deeper networks at a kink |
/// | `kkt_kinks` | pre-activations of the near-support set within `kink` of 0, relative to ‖v‖‖x‖, counted for each constraint; NaN where they are not known |
/// | `kkt_epsilon_goldstein`, `kkt_goldstein_radius` | an upper bound of ε over the Goldstein subgradients within this radius, relative to ‖θ̃‖, from sampled gradients |
/// | `kkt_second_order` | of the KKT point nearby, found by Newton's method: 1 strict local maximum of the margin, 2 global maximum (proved), −1 saddle (an ascent has been taken), 0 undecided |
/// | `kkt_ascent`, `kkt_ascent_step` | of a saddle: relative rise of the margin on the sphere by the ascent, and its length there |
/// | `kkt_moved` | distance on the sphere from θ to that KKT point; NaN where none was found |
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stationarity {
    /// Relative width of the near-support band, 0.03 by default.
    #[serde(default = "three_hundredths")]
    pub within: f64,
    /// Most constraints, the nearest ones; 128 by default.
    #[serde(default = "most")]
    pub most: usize,
    /// Relative size of a pre-activation that counts as 0, 1e-6 by default.
    #[serde(default = "millionth")]
    pub kink: f64,
    /// Radius of the sampled gradients relative to ‖θ̃‖, 1e-3 by default.
    #[serde(default = "thousandth")]
    pub radius: f64,
    /// Points that gradients are sampled at, 16 by default; 0 leaves the Goldstein bound out.
    #[serde(default = "sixteen")]
    pub samples: usize,
    /// How far on the sphere the polished KKT point may be for a verdict, 0.1 by default.
    #[serde(default = "tenth")]
    pub reach: f64,
}

fn three_hundredths() -> f64 {
    0.03
}

fn most() -> usize {
    128
}

fn millionth() -> f64 {
    1e-6
}

fn thousandth() -> f64 {
    1e-3
}

fn sixteen() -> usize {
    16
}

fn tenth() -> f64 {
    0.1
}

impl Default for Stationarity {
    fn default() -> Self {
        Stationarity {
            within: three_hundredths(),
            most: most(),
            kink: millionth(),
            radius: thousandth(),
            samples: sixteen(),
            reach: tenth(),
        }
    }
}

const COLUMNS: [&str; 9] = [
    "kkt_epsilon_clarke",
    "kkt_delta_clarke",
    "kkt_kinks",
    "kkt_epsilon_goldstein",
    "kkt_goldstein_radius",
    "kkt_second_order",
    "kkt_ascent",
    "kkt_ascent_step",
    "kkt_moved",
];

impl Probe for Stationarity {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        let sizes = [
            ("within", self.within, f64::INFINITY),
            ("kink", self.kink, 1.0),
            ("radius", self.radius, 1.0),
            ("reach", self.reach, 2.0),
        ];
        for (name, value, end) in sizes {
            if !(0.0..=end).contains(&value) {
                return Err(Invalid::new(name, format!("{value} is not between 0 and {end}")));
            }
        }
        if self.most == 0 {
            return Err(Invalid::new("most", "at least 1 constraint is needed"));
        }
        needs_degree("stationarity", context.problem)?;
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let values = self.values(at).ok().flatten().unwrap_or([f64::NAN; COLUMNS.len()]);
        COLUMNS.iter().zip(values).for_each(|(column, value)| row.put(column, value));
    }
}

impl Stationarity {
    fn values(&self, at: &Snapshot<'_>) -> Result<Option<[f64; COLUMNS.len()]>, Breakdown> {
        let reach = Reach { within: self.within, most: self.most, kink: self.kink };
        let Some(point) = Point::at(at.problem, at.theta, reach)? else { return Ok(None) };
        let clarke = point.clarke();
        let (epsilon, delta) = clarke.as_ref().map_or((f64::NAN, f64::NAN), |fit| (fit.epsilon, fit.delta));
        let kinks = clarke.as_ref().map_or(f64::NAN, |_| point.edges().len() as f64);
        let goldstein = match self.samples {
            0 => f64::NAN,
            samples => point.goldstein(self.radius, samples, 0)?,
        };
        let (mut order, mut gain, mut step, mut moved) = (0.0, f64::NAN, f64::NAN, f64::NAN);
        if let Some(polished) = point.polish()? {
            moved = polished.distance(point.theta());
            if moved <= self.reach {
                let judged = polished.judge()?;
                order = judged.verdict.code();
                if let Some(ascent) = &judged.ascent {
                    (gain, step) = (ascent.gain, ascent.step);
                }
            }
        }
        Ok(Some([epsilon, delta, kinks, goldstein, self.radius, order, gain, step, moved]))
    }
}

impl Entry for Stationarity {
    const ABOUT: &'static str =
        "KKT residuals with the subgradients at kinks; maximum or saddle (on request: costly)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[LYU_LI_2020, VARDI_2022, BURKE_2005];
}
