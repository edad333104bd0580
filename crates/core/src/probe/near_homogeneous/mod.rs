//! Near-homogeneous networks: f is homogeneous of order M up to a defect, and what is learned late is learned of f_H.
//!
//! With |⟨∇f, θ⟩ − M f| ≤ p′(ρ) the homogenization f_H = lim f(rθ)/r^M exists, and |f − f_H| ≤ p_a(ρ) (Cai et al. 2025,
//! Definition 1; p_a is worked out from it). Once φ = ln(1/𝓛_sum) > p_a(ρ) the data are *strongly separated*, and
//! gradient flow raises the modified margin (φ − p_a(ρ))/ρ^M. Limit directions are KKT points of min ½‖θ‖² subject to
//! q_H,i(θ) ≥ 1: of f_H, not of f.
//!
//! Three statements need no flow:
//!
//! - along a gradient step θ′ = θ + hg, g = −∇ ln 𝓛, with S = ⟨θ, g⟩ > 0 and r = (1 − 𝓛′/𝓛)/(h‖g‖²) > 0,
//!   ln(𝓛/𝓛′) ≥ r S/(1 + hS/(2ρ²)) · ln(ρ′/ρ): arithmetic, so a violation is a bug;
//! - S ≥ Mφ − p′(ρ), and with it the key inequality dφ/d ln ρ ≥ Mφ − p′(ρ), step by step in the same form;
//! - ‖∇ ln 𝓛‖ ≥ (Mφ − p′(ρ))/ρ, the certificate behind the rate of the loss.
//!
//! p_a is a worst case. Its place can be taken by c(ρ) = ρ^M∫_ρ^∞ Δ(r) r^{−M−1} dr for any Δ ≥ |Σ w_i(⟨∇q_i, θ⟩ − M q_i)| along the
//! path. Of that integral a run knows the part behind it; since Δ ≤ p′ ahead, what is ahead is at most p_a(ρ)/ρ^M. Hence two
//! columns: m = φ/ρ^M + ∫Δ so far, never lowered by the flow, and B = ∫Δ so far + p_a(ρ)/ρ^M, which falls. A look with
//! m > B of *any later* look was strongly separated in the sharper sense. Δ is taken where the full-set loss is known (at
//! every step of the full set, else at looks) and as the larger of the ends between.
//!
//! Models that are homogeneous exactly have p′ = p_a = 0, and f_H = f.

mod limit;
mod path;

use serde::{Deserialize, Serialize};

use self::limit::{Limit, Settings, euler};
use self::path::{Bounds, Path, Point};
use super::{Context, Probe, Row, Snapshot, StepRecord, needs_degree};
use crate::catalogue::Entry;
use crate::cite::{BURKE_2005, CAI_2025, Cite};
use crate::model::Model;
use crate::numeric::norm;
use crate::{Invalid, RowSet, State};

/// | column | what it is |
/// |---|---|
/// | `defect`, `defect_ratio` | max_i ‖⟨∇f_i, θ⟩ − M f_i‖₂ over the training set; over p′(ρ) plus rounding: at most 1 |
/// | `homogenized_gap`, `homogenized_gap_ratio` | max_i ‖f_i − f_{H,i}‖₂; over p_a(ρ) plus rounding: at most 1 |
/// | `strongly_separated` | 1 where φ > p_a(ρ), else 0 |
/// | `separated_at` | φ where that was first so; NaN before |
/// | `modified_margin` | (φ − p_a(ρ))/ρ^M |
/// | `modified_falls`, `modified_fall` | how often it has fallen since strong separability, beyond rounding, from one θ with a known full-set loss to the next; the largest relative fall |
/// | `tight_margin`, `tight_bound` | m and B of the sharper c(ρ) |
/// | `tight_at` | φ at the first look that is strongly separated in its sense, as far as is known by now; NaN before |
/// | `margin_homogenized` | γ̄_H = min q_H/ρ^M |
/// | `margin_gap`, `margin_gap_ratio` | γ̄ − γ̄_H; its size over p_a(ρ)/ρ^M plus rounding: at most 1 |
/// | `kkt_homogenized`, `kkt_homogenized_fit` | ‖θ̃ − Σλ_i∇q_{H,i}(θ̃)‖₂ at θ̃ = θ/(min q_H)^{1/M}: with λ from the loss; fitted over the constraints near the least. NaN until γ̄_H > 0 |
/// | `kkt_homogenized_sampled`, `kkt_homogenized_relative`, `kkt_homogenized_radius` | the residual fitted over gradients at θ/ρ and at `samples` points around it, for f_H has kinks where f is smooth and one gradient is not the Clarke element; over ‖θ̃‖; how far those points are from θ/ρ, which falls like 1/ρ |
/// | `gradient_gap` | max ‖∇q_i(θ)/ρ^{M−1} − ∇q_{H,i}(θ/ρ)‖₂ over the fitted constraints |
/// | `rate_certificate` | ρ‖∇ ln 𝓛‖/(Mφ − p′(ρ)): at least 1; NaN unless Mφ > p′(ρ) |
/// | `step_certificate`, `step_violations` | least relative slack of the step certificate since the last look, NaN where no full-batch gradient step was certified; violations beyond rounding since the start |
/// | `key_inequality`, `key_violations` | the same with Mφ − p′(ρ) for S, over steps that raise ρ with Mφ > p′(ρ) |
///
/// The bounds are for inputs up to the largest norm in the training set. With several outputs a margin is the difference of
/// two, and has √2 times the bounds. φ is ℓ⁻¹(𝓛_sum) for other losses than the exponential.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearHomogeneous {
    /// Relative width of the band of constraints that are fitted, 0.1 by default.
    #[serde(default = "tenth")]
    pub within: f64,
    /// Most constraints in the fit, the nearest ones; 128 by default.
    #[serde(default = "most")]
    pub most: usize,
    /// Points around θ/ρ at which gradients of f_H are sampled for the fit through kinks, 64 by default; 0 for none.
    #[serde(default = "sixty_four")]
    pub samples: usize,
    /// How far those points are, in units of what moves a first pre-activation at θ by about 1: at distance
    /// `spread`·√dim/(R ρ) from θ/ρ, R the largest norm of an input; 4 by default, which spans the width of a kink; never farther
    /// than 0.1.
    #[serde(default = "four")]
    pub spread: f64,
    #[serde(skip)]
    known: Option<Box<Known>>,
}

/// What `begin` finds out.
#[derive(Clone, Debug)]
struct Known {
    /// Bounds of the outputs, and √2 times them where margins are differences of outputs.
    outputs: Bounds,
    margins: Bounds,
    /// Largest norm of an input.
    radius: f64,
    /// f_H; none where f is homogeneous itself.
    limit: Option<std::sync::Arc<dyn Model>>,
    path: Path,
}

fn tenth() -> f64 {
    0.1
}

fn most() -> usize {
    128
}

fn sixty_four() -> usize {
    64
}

fn four() -> f64 {
    4.0
}

impl Default for NearHomogeneous {
    fn default() -> Self {
        NearHomogeneous { within: tenth(), most: most(), samples: sixty_four(), spread: four(), known: None }
    }
}

const COLUMNS: [&str; 26] = [
    "defect",
    "defect_ratio",
    "homogenized_gap",
    "homogenized_gap_ratio",
    "strongly_separated",
    "separated_at",
    "modified_margin",
    "modified_falls",
    "modified_fall",
    "tight_margin",
    "tight_bound",
    "tight_at",
    "margin_homogenized",
    "margin_gap",
    "margin_gap_ratio",
    "kkt_homogenized",
    "kkt_homogenized_fit",
    "kkt_homogenized_sampled",
    "kkt_homogenized_relative",
    "kkt_homogenized_radius",
    "gradient_gap",
    "rate_certificate",
    "step_certificate",
    "step_violations",
    "key_inequality",
    "key_violations",
];

/// What rounding may add to outputs and their derivatives, relative to M + 1 times their size.
const ROUNDING: f64 = 1e-12;

impl Probe for NearHomogeneous {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if !(self.within >= 0.0 && self.within.is_finite()) {
            return Err(Invalid::new("within", format!("{} is not allowed; use 0 or more", self.within)));
        }
        if self.most == 0 {
            return Err(Invalid::new("most", "0 is not allowed; use at least 1 constraint"));
        }
        if !(self.spread > 0.0 && self.spread.is_finite()) {
            return Err(Invalid::new(
                "spread",
                format!("{} is not a distance; use a positive number", self.spread),
            ));
        }
        let problem = context.problem;
        let order = needs_degree("near", problem)?;
        let sizes = (0..problem.train.n()).map(|i| norm(problem.train.rows().slice(i, i + 1).data));
        let radius = sizes.fold(0.0, f64::max);
        let degree = problem.model.degree_at(radius);
        let limit = problem.model.homogenized();
        if limit.is_none() && !degree.is_exact() {
            let text = "the probe near needs the homogenization of the model, and this one does not give it";
            return Err(Invalid::new("probes", text));
        }
        let bounds = |factor: f64| Bounds {
            order,
            defect: degree.defect().unwrap_or_default().scaled(factor),
            gap: degree.gap().unwrap_or_default().scaled(factor),
        };
        let pairs = if problem.model.outputs() > 1 { std::f64::consts::SQRT_2 } else { 1.0 };
        self.known = Some(Box::new(Known {
            outputs: bounds(1.0),
            margins: bounds(pairs),
            radius,
            limit: limit.map(Into::into),
            path: Path::default(),
        }));
        Ok(COLUMNS.map(String::from).to_vec())
    }

    fn follows_steps(&self) -> bool {
        true
    }

    fn step(&mut self, step: &StepRecord<'_>) {
        let Some(known) = &mut self.known else { return };
        if let Some(taken) = step.taken.filter(|t| t.rows == RowSet::Full) {
            known.path.step(step, taken, &known.margins);
        }
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let NearHomogeneous { within, most, samples, spread, ref mut known } = *self;
        let known = known.as_deref_mut().expect("begin comes before measure");
        let Known { outputs, margins, radius, limit, path } = known;
        let settings = Settings { within, most, samples, spread, inputs: *radius };
        let order = margins.order;
        let point = Point::new(at.problem, at.theta, &at.full, at.constraints());
        path.meet(point, margins);

        let unknown = (f64::NAN, f64::NAN);
        let (defect, size) = euler(at, order).unwrap_or(unknown);
        let rounding = ROUNDING * (order + 1.0) * size;
        row.put("defect", defect);
        row.put("defect_ratio", defect / (outputs.defect.at(at.rho) + rounding));
        let model = limit.as_deref().unwrap_or(at.problem.model.as_ref());
        let limit = Limit::measure(model, order, at, &settings).ok();
        let of = |what: fn(&Limit) -> f64| limit.as_ref().map_or(f64::NAN, what);
        row.put("homogenized_gap", of(|l| l.gap));
        row.put("homogenized_gap_ratio", of(|l| l.gap) / (outputs.gap.at(at.rho) + rounding));

        let finite = |x: f64| if x.is_finite() { x } else { f64::NAN };
        let modified = point.modified(margins);
        row.put("strongly_separated", f64::from(u8::from(modified > 0.0)));
        row.put("separated_at", path.separated_at);
        row.put("modified_margin", finite(modified));
        row.put("modified_falls", path.falls as f64);
        row.put("modified_fall", path.largest_fall);
        let (mark, bound, first) = path.look(margins);
        row.put("tight_margin", finite(mark));
        row.put("tight_bound", finite(bound));
        row.put("tight_at", first);

        let height = at.height(order);
        let margin_gap = at.q_min() / height - of(|l| l.margin);
        row.put("margin_homogenized", of(|l| l.margin));
        row.put("margin_gap", margin_gap);
        row.put("margin_gap_ratio", margin_gap.abs() * height / (margins.gap.at(at.rho) + 2.0 * rounding));
        row.put("kkt_homogenized", of(|l| l.epsilon));
        row.put("kkt_homogenized_fit", of(|l| l.epsilon_fit));
        row.put("kkt_homogenized_sampled", of(|l| l.epsilon_sampled));
        row.put("kkt_homogenized_relative", of(|l| l.relative));
        row.put("kkt_homogenized_radius", of(|l| l.radius));
        row.put("gradient_gap", of(|l| l.gradient_gap));
        let lower = point.lower(margins);
        let rate = at.rho * norm(&at.full.grad) / lower;
        row.put("rate_certificate", if lower > 0.0 { rate } else { f64::NAN });
        row.put("step_certificate", path.certificate.take());
        row.put("step_violations", path.certificate.violations as f64);
        row.put("key_inequality", path.key.take());
        row.put("key_violations", path.key.violations as f64);
    }

    fn save(&self) -> State {
        self.known.as_ref().map_or_else(State::default, |known| known.path.save())
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let known = self.known.as_mut().expect("begin comes before load");
        known.path.load(state)
    }
}

impl Entry for NearHomogeneous {
    const ABOUT: &'static str =
        "near-homogeneous networks: defect, modified margin, the homogenized problem, certificates";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[CAI_2025, BURKE_2005];
}
