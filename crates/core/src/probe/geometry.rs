//! Alignment, Bregman gap and KKT residuals in the algorithm's own norm.
//!
//! Steepest descent in any norm tends to KKT points of min ½‖θ‖² subject to q_i(θ) ≥ 1 (Tsilivis et al. 2024). With
//! θ̃ = θ/q_min^{1/L}, h̃_i = ∇q_i/q_min^{1−1/L} and g = ∇ ln 𝓛, the *closed-form* multipliers
//! λ_i = (‖θ‖/‖g‖⋆) q_min^{1−2/L} w_i give v = Σλ_i h̃_i = −‖θ̃‖ g/‖g‖⋆ exactly. Stationarity is v ∈ ∂½‖θ̃‖², or, which is
//! the same, ‖v‖⋆ = ‖θ̃‖ and ⟨v, θ̃⟩ = ‖θ̃‖².
//!
//! The first of the two holds of closed-form multipliers by construction, and the second is off by 1 − a exactly, a the
//! alignment. But one gradient is one point of a face: where q_i or entries of θ are tied (l1 and linf: always), a need
//! not go to 1 although the multipliers exist. The *fitted* ones answer that: the λ ≥ 0 over the near-support set for which
//! Σλ_i h̃_i comes nearest to ∂½‖θ̃‖² in ℓ2, by alternating projections between the cone of the h̃_i and the face. Both
//! are convex: every round is a certificate and the rounds converge to the least distance (Cheney & Goldstein 1959).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot};
use crate::catalogue::Entry;
use crate::cite::{Cite, TSILIVIS_2024, WANG_2021, XIE_LI_2024};
use crate::norm::{AnyNorm, Norm};
use crate::numeric::{self, axpy, compensated_sum, distance, dot, norm};
use crate::quadratic::{Gram, Nnls};
use crate::{Invalid, Layout, State};

/// For every norm N of the algorithm's phases and of `norms`, with a = ⟨θ/‖θ‖, −g/‖g‖⋆⟩:
///
/// | column | what it is |
/// |---|---|
/// | `alignment_N` | a, in [−1, 1] |
/// | `misalignment_N` | 1 − a, formed without cancellation where the norm knows how |
/// | `kkt_bregman_N` | γ^{−2/L}(1 − a), γ = q_min/‖θ‖^L: the Bregman divergence of ½‖·‖⋆² between Σλ_i h̃_i and ∂½‖θ̃‖² (Proposition 28, with equality) |
/// | `kkt_bregman_bound_N` | γ̃(t₀)^{−2/L}(1 − a), γ̃(t₀) the smoothed margin at the first look after separation: what the flow keeps the gap below (Proposition 28); NaN until then |
/// | `kkt_delta_sum_N` | Σλ_i(q_i/q_min − 1), closed-form λ (Definition 16: a sum) |
/// | `kkt_epsilon_N` | ‖Σλ_i h̃_i − k‖₂, closed-form λ, k the nearest element of ∂½‖θ̃‖² widened by `within` |
/// | `kkt_epsilon_fit_N`, `kkt_delta_sum_fit_N` | the same of fitted λ |
/// | `stationarity_dual_N` | \|‖v‖⋆/‖θ̃‖ − 1\| of the fitted v |
/// | `stationarity_pairing_N` | \|⟨v, θ̃⟩/‖θ̃‖² − 1\| of the fitted v |
/// | `stationarity_support_N` | share of the fitted v off the face that supports θ ([`Norm::off_face`]; linf: share of ‖v‖₁ on entries below the largest or of the other sign; l1: deviation from ±‖v‖∞ on the support) |
/// | `frank_wolfe_gap_N` | (⟨g, θ⟩ + ‖g‖⋆/λ)/(‖g‖⋆/λ), λ the weight decay; only where the algorithm has one (Xie & Li 2024) |
///
/// and `margin_preconditioned` = q_min/‖h^{−1/2}θ‖₂^L with h the last step's multiplier of the gradient, its largest entry 1
/// (Wang et al. 2021; NaN without one).
///
/// The `kkt` and `stationarity` columns are NaN until q_min > 0 and without a degree; a network of order M uses M. In ℓ2
/// only `misalignment`, `kkt_bregman`, its bound and `kkt_delta_sum` are written: the others are `beta`, `kkt_epsilon` and
/// `kkt_epsilon_fit` of other probes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geometry {
    /// Norms besides the algorithm's; none by default.
    #[serde(default)]
    pub norms: Vec<AnyNorm>,
    /// How far, relative to ‖θ‖, a part of θ may be from supporting the norm and still count; 0.01 by default. Entries that
    /// are tied in the limit are not yet tied at any finite time.
    #[serde(default = "hundredth")]
    pub within: f64,
    /// Relative width of the near-support band of the fit, 0.03 by default, as in the probe `kkt`.
    #[serde(default = "three_hundredths")]
    pub band: f64,
    /// Most constraints in the fit, the nearest ones; 128 by default.
    #[serde(default = "most")]
    pub most: usize,
    #[serde(skip)]
    running: Vec<(Arc<dyn Norm>, String)>,
    /// γ̃(t₀) in each norm; NaN before separation.
    #[serde(skip)]
    first: Vec<f64>,
    #[serde(skip)]
    weight_decay: f64,
}

fn hundredth() -> f64 {
    0.01
}

fn three_hundredths() -> f64 {
    0.03
}

fn most() -> usize {
    128
}

/// Most rounds of alternating projections, and the relative progress at which they end.
const ROUNDS: usize = 60;
const PROGRESS: f64 = 1e-6;

/// What is written besides of a norm whose subgradient is single.
const EVERY: [&str; 4] = ["misalignment", "kkt_bregman", "kkt_bregman_bound", "kkt_delta_sum"];
const OTHERS: [&str; 7] = [
    "alignment",
    "kkt_epsilon",
    "kkt_epsilon_fit",
    "kkt_delta_sum_fit",
    "stationarity_dual",
    "stationarity_pairing",
    "stationarity_support",
];

impl Default for Geometry {
    fn default() -> Self {
        Geometry {
            norms: Vec::new(),
            within: hundredth(),
            band: three_hundredths(),
            most: most(),
            running: Vec::new(),
            first: Vec::new(),
            weight_decay: 0.0,
        }
    }
}

/// Whether the probes `alignment` and `kkt` have the columns of this norm.
fn is_euclidean(column: &str) -> bool {
    column == "l2"
}

impl Probe for Geometry {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if !(self.within >= 0.0 && self.within < 1.0) {
            let text =
                format!("{} is not allowed; use a part of the norm, 0 or more and below 1", self.within);
            return Err(Invalid::new("within", text));
        }
        if !(self.band >= 0.0 && self.band.is_finite()) {
            return Err(Invalid::new("band", format!("{} is not allowed; use 0 or more", self.band)));
        }
        if self.most == 0 {
            return Err(Invalid::new("most", "0 is not allowed; use at least 1 constraint"));
        }
        let layout = context.problem.model.layout();
        self.running.clear();
        let own = context.norms.len();
        for (k, norm) in context.norms.iter().chain(&self.norms).enumerate() {
            let norm: Arc<dyn Norm> = norm.build().into();
            norm.check(layout)
                .map_err(|e| Invalid::new(format!("norms[{}]", k.saturating_sub(own)), e.message))?;
            let column = norm.column();
            if self.running.iter().all(|(_, known)| *known != column) {
                self.running.push((norm, column));
            }
        }
        self.first = vec![f64::NAN; self.running.len()];
        self.weight_decay = context.weight_decay;
        let mut columns = vec!["margin_preconditioned".to_owned()];
        for (_, column) in &self.running {
            let others = OTHERS.iter().filter(|_| !is_euclidean(column));
            columns.extend(EVERY.iter().chain(others).map(|name| format!("{name}_{column}")));
            if self.weight_decay > 0.0 {
                columns.push(format!("frank_wolfe_gap_{column}"));
            }
        }
        Ok(columns)
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let degree = at.problem.model.degree().order().unwrap_or(f64::NAN);
        row.put("margin_preconditioned", preconditioned(at, degree));
        let is_late = at.full.ln_loss_sum < at.problem.loss.ln_threshold();
        for (k, (norm, column)) in self.running.iter().enumerate() {
            let place = Place::new(at, norm.as_ref(), degree);
            row.put(&format!("misalignment_{column}"), place.misalignment);
            row.put(&format!("kkt_bregman_{column}"), place.size * place.size * place.misalignment);
            if is_late && self.first[k].is_nan() {
                let smooth = at.problem.loss.inverse(-at.full.ln_loss_sum);
                self.first[k] = smooth / norm.of(at.theta, place.layout).powf(degree);
            }
            let bound = self.first[k].powf(-2.0 / degree) * place.misalignment;
            row.put(&format!("kkt_bregman_bound_{column}"), bound);
            row.put(&format!("kkt_delta_sum_{column}"), place.delta_sum());
            if !is_euclidean(column) {
                let cells = self.others(&place);
                OTHERS
                    .iter()
                    .zip(cells)
                    .for_each(|(name, value)| row.put(&format!("{name}_{column}"), value));
            }
            if self.weight_decay > 0.0 {
                // ⟨g, θ⟩ = −a‖θ‖‖g‖⋆: near the constraint what is left is a sum of two small parts.
                let radius = self.weight_decay * norm.of(at.theta, place.layout);
                row.put(&format!("frank_wolfe_gap_{column}"), (1.0 - radius) + radius * place.misalignment);
            }
        }
    }

    fn save(&self) -> State {
        let mut state = State::default();
        state.put("first", &self.first);
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        let first = state.get("first")?;
        if first.len() != self.first.len() {
            let text =
                format!("{} numbers, expected one for each of {} norms", first.len(), self.first.len());
            return Err(Invalid::new("first", text));
        }
        self.first.copy_from_slice(first);
        Ok(())
    }
}

/// q_min/‖h^{−1/2}θ‖₂^L.
fn preconditioned(at: &Snapshot<'_>, degree: f64) -> f64 {
    let Some(h) = &at.multiplier else { return f64::NAN };
    // An entry that is not moved and is 0 adds nothing.
    let scaled = at.theta.iter().zip(h).map(|(t, h)| if *t == 0.0 { 0.0 } else { t / h.sqrt() });
    at.q_min() / norm(&scaled.collect::<Vec<_>>()).powf(degree)
}

/// θ brought to q_min = 1, and the closed-form multipliers there.
struct Place<'a> {
    at: &'a Snapshot<'a>,
    norm: &'a dyn Norm,
    layout: &'a Layout,
    degree: f64,
    q_min: f64,
    /// ‖θ̃‖ = γ^{−1/L}; NaN before separation.
    size: f64,
    /// ‖g‖⋆.
    dual: f64,
    misalignment: f64,
}

impl<'a> Place<'a> {
    fn new(at: &'a Snapshot<'a>, norm: &'a dyn Norm, degree: f64) -> Self {
        let layout = at.problem.model.layout();
        let q_min = if at.q_min() > 0.0 { at.q_min() } else { f64::NAN };
        let dual = norm.dual(&at.full.grad, layout);
        let force: Vec<f64> = at.full.grad.iter().map(|g| -g).collect();
        let misalignment = norm.misalignment(at.theta, &force, layout);
        let size = norm.of(at.theta, layout) / q_min.powf(1.0 / degree);
        Place { at, norm, layout, degree, q_min, size, dual, misalignment }
    }

    /// Σλ_i(q̃_i − 1) of the closed-form multipliers.
    fn delta_sum(&self) -> f64 {
        let factor = self.size * self.q_min.powf(1.0 - 1.0 / self.degree) / self.dual;
        compensated_sum(
            self.at.constraints().iter().map(|c| factor * c.weight * ((c.value - self.q_min) / self.q_min)),
        )
    }

    /// θ̃.
    fn theta(&self) -> Vec<f64> {
        let shrink = self.q_min.powf(-1.0 / self.degree);
        self.at.theta.iter().map(|t| shrink * t).collect()
    }

    /// Σλ_i h̃_i = −‖θ̃‖ g/‖g‖⋆ of the closed-form multipliers.
    fn closed_form(&self) -> Vec<f64> {
        self.at.full.grad.iter().map(|g| -g * (self.size / self.dual)).collect()
    }
}

impl Geometry {
    /// The values of [`OTHERS`].
    fn others(&self, place: &Place<'_>) -> [f64; 7] {
        let alignment = 1.0 - place.misalignment;
        let mut cells = [f64::NAN; 7];
        cells[0] = alignment;
        if !(place.size.is_finite() && place.dual > 0.0) {
            return cells;
        }
        let theta = place.theta();
        let v = place.closed_form();
        let mut k = vec![0.0; theta.len()];
        place.norm.subgradient(&theta, place.layout, &v, self.within, &mut k);
        cells[1] = distance(&v, &k);
        let Some((epsilon, delta, v)) = self.fit(place, &theta, k) else { return cells };
        let pairing = dot(&v, &theta) / (place.size * place.size);
        cells[2..].copy_from_slice(&[
            epsilon,
            delta,
            (place.norm.dual(&v, place.layout) / place.size - 1.0).abs(),
            (pairing - 1.0).abs(),
            place.norm.off_face(&theta, &v, place.layout, self.within),
        ]);
        cells
    }

    /// ε, Σλ(q̃ − 1) and v of the best multipliers found, from the element `k` of the face on.
    fn fit(&self, place: &Place<'_>, theta: &[f64], mut k: Vec<f64>) -> Option<(f64, f64, Vec<f64>)> {
        let near = place.at.near(self.band, self.most)?;
        let shrink = place.q_min.powf(1.0 / place.degree - 1.0);
        let n = near.gradients.len();
        let gram: Vec<f64> = near.gram.iter().map(|g| shrink * shrink * g).collect();
        let mut solver = Nnls::new();
        let (mut lambda, mut v) = (Vec::new(), vec![0.0; theta.len()]);
        let mut last = f64::INFINITY;
        for _ in 0..ROUNDS {
            let b: Vec<f64> = near.gradients.iter().map(|h| shrink * dot(h, &k)).collect();
            lambda = solver.solve(Gram::new(&gram, n, n), &b, &lambda).lambda.to_vec();
            v.fill(0.0);
            near.gradients.iter().zip(&lambda).for_each(|(h, l)| axpy(l * shrink, h, &mut v));
            place.norm.subgradient(theta, place.layout, &v, self.within, &mut k);
            let epsilon = distance(&v, &k);
            let ended = !(epsilon < (1.0 - PROGRESS) * last) || epsilon <= f64::EPSILON * numeric::norm(&k);
            last = last.min(epsilon);
            if ended {
                break;
            }
        }
        let slack = near.constraints.iter().zip(&lambda);
        let delta = slack.map(|(c, l)| l * ((c.value - place.q_min) / place.q_min)).sum();
        Some((last, delta, v))
    }
}

impl Entry for Geometry {
    const ABOUT: &'static str = "alignment, Bregman gap and KKT residuals in the algorithm's own norm";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[TSILIVIS_2024, WANG_2021, XIE_LI_2024];
}
