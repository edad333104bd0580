//! A small twin of a run, in double-double arithmetic.
//!
//! What `refute` finds has to survive without the rounding of f64 before it counts. The twin shares no code with the
//! core: bias-free perceptrons with homogeneous activations, the two binary losses, steepest descent in ℓ2, ℓ∞ and ℓ1 with
//! the paces that a candidate may have, and the flow by the classical Runge–Kutta method. It is a witness for small runs
//! and no second core: it knows nothing else.
//!
//! With q_i = y_i f(x_i; θ): ln 𝓛 = shift + ln Σ e^{a_i − shift}, weights w_i = −ℓ'(q_i)/𝓛, g = ∇ ln 𝓛 = −Σ w_i ∇q_i.

use latephase_core::Data;
use latephase_core::loss::{AnyLoss, Reduction};
use latephase_core::model::AnyModel;
use latephase_core::model::mlp::Bias;
use latephase_core::probe::Row;

use self::parts::{Activation, Ball, FLOW_ERROR, Loss, Parts, Rule, dynamics, larger};
use super::dd::Dd;
use crate::spec::Spec;

mod parts;

/// What it measures at the last look where a claim asks for it.
pub const POINT_COLUMNS: [&str; 2] = ["kkt_relative", "kkt_second_order"];

/// What the twin measures at every look, under the names of a run's columns.
pub const COLUMNS: [&str; 19] = [
    "step",
    "ln_loss",
    "log10_loss",
    "ln_loss_sum",
    "rho",
    "ln_rho",
    "q_min",
    "margin",
    "margin_product",
    "smooth_margin",
    "smooth_margin_product",
    "margin_l1",
    "smooth_margin_l1",
    "margin_linf",
    "smooth_margin_linf",
    "nu_rel",
    "euler_defect",
    "beta",
    "kkt_epsilon",
];

/// Longest Runge–Kutta step of the flow, as the fall of ln 𝓛 that it predicts over max(1, |ln 𝓛|): looks are as dense.
const FLOW_FALL: f64 = 0.02;
/// Shortest, relative to ‖θ‖: below it the field is discontinuous, and the twin ends.
const FLOW_FLOOR: f64 = 1e-14;

/// A run that the twin can repeat.
#[derive(Clone, Debug)]
pub struct Twin {
    /// (outputs, inputs) of every layer.
    layers: Vec<(usize, usize)>,
    activation: Activation,
    inputs: Vec<Vec<Dd>>,
    signs: Vec<f64>,
    loss: Loss,
    /// What the spec's reduction subtracts from ln 𝓛_sum.
    ln_divisor: Dd,
    ball: Ball,
    /// Unit steps: a rate of 1 is a step of length 1 whatever the gradient is.
    is_unit: bool,
    rule: Rule,
    degree: f64,
    /// Whether the last look says what kind of point the direction is near, as `kkt_relative` and `kkt_second_order`.
    pub(super) judges_points: bool,
}

/// Everything known at one θ.
struct Eval {
    q: Vec<Dd>,
    weights: Vec<Dd>,
    ln_loss_sum: Dd,
    grad: Vec<Dd>,
}

impl Twin {
    /// The twin of a spec with these data.
    ///
    /// # Errors
    /// What of the spec the twin does not know.
    pub fn of(spec: &Spec, data: &Data) -> Result<Twin, String> {
        let linear = Activation { right: 1.0, left: 1.0, power: 1.0, kink: 0.0 };
        let (widths, activation, is_plain) = match &spec.model {
            AnyModel::Mlp(mlp) => {
                let plain = mlp.bias == Bias::None && mlp.freeze.is_empty();
                (mlp.widths.clone(), Activation::of(&mlp.activation, mlp.kink)?, plain)
            }
            AnyModel::Linear(model) => (Vec::new(), linear, !model.bias && model.freeze.is_empty()),
            AnyModel::DeepLinear(model) => (model.widths.clone(), linear, model.freeze.is_empty()),
            other => return Err(format!("the model {} is not one that the twin knows", other.name())),
        };
        if !is_plain {
            return Err("the twin knows no biases and no frozen blocks".into());
        }
        let (loss, reduction) = match &spec.loss {
            AnyLoss::Exponential(loss) => (Loss::Exponential, loss.reduction),
            AnyLoss::Logistic(loss) => (Loss::Logistic, loss.reduction),
            other => return Err(format!("the loss {} is not one that the twin knows", other.name())),
        };
        let [phase] = spec.algorithm.as_slice() else {
            return Err("the twin knows no runs of several phases".into());
        };
        let (ball, is_unit, rule) = dynamics(&phase.algorithm)?;
        let ends: Vec<usize> = [data.dim()].into_iter().chain(widths).chain([1]).collect();
        let layers: Vec<(usize, usize)> = ends.windows(2).map(|w| (w[1], w[0])).collect();
        let degree = (1..layers.len()).fold(1.0, |h, _| activation.power * h + 1.0);
        Ok(Twin {
            layers,
            activation,
            inputs: (0..data.n())
                .map(|i| data.rows().row(i).iter().map(|x| Dd::from(*x)).collect())
                .collect(),
            signs: (0..data.n()).map(|i| data.sign(i)).collect(),
            loss,
            ln_divisor: match reduction {
                Reduction::Sum => Dd::ZERO,
                Reduction::Mean => Dd::from(data.n() as f64).ln(),
            },
            ball,
            is_unit,
            rule,
            degree,
            judges_points: false,
        })
    }

    /// The flow that these steps follow, with looks of its own.
    pub fn as_flow(&self) -> Twin {
        Twin { rule: Rule::Flow { error: FLOW_ERROR }, is_unit: false, ..self.clone() }
    }

    /// The same at steps of `part` of the length; of a flow, at `part` of the local error.
    pub fn shortened(&self, part: f64) -> Twin {
        let rule = match self.rule {
            Rule::Constant { eta } => Rule::Constant { eta: part * eta },
            Rule::LossScaled { eta, a } => Rule::LossScaled { eta: part * eta, a },
            Rule::UnitDecrease { eta, factor, floor } => {
                Rule::UnitDecrease { eta: part * eta, factor, floor }
            }
            Rule::Normalized { c, a } => Rule::Normalized { c: part * c, a },
            Rule::PolynomialDecay { eta, a, offset } => Rule::PolynomialDecay { eta: part * eta, a, offset },
            Rule::Flow { error } => Rule::Flow { error: part * error },
        };
        Twin { rule, ..self.clone() }
    }

    /// Runs from θ₀ for at most `steps` steps, or until ln 𝓛 in the spec's reduction is at most `ln_loss`, with a look at
    /// every step in `looks` and at the last (at every step where `looks` is empty). A number that is no longer finite, a
    /// gradient that is 0, or `over`, ends it.
    pub fn run(
        &self,
        theta: &[f64],
        steps: u64,
        ln_loss: f64,
        looks: &[u64],
        over: &dyn Fn() -> bool,
    ) -> Vec<Row> {
        let mut theta: Vec<Dd> = theta.iter().map(|t| Dd::from(*t)).collect();
        let mut rows = Vec::new();
        // Part of η in use, and length of the flow's next step.
        let (mut part, mut next) = (1.0, f64::INFINITY);
        for step in 0..=steps {
            let at = self.eval(&theta);
            let here = at.ln_loss_sum - self.ln_divisor;
            if !here.is_finite() {
                break;
            }
            let (d, slope) = self.ball.steepest(&at.grad);
            let is_last = step == steps || here.hi <= ln_loss || slope == Dd::ZERO || !slope.is_finite();
            if is_last || looks.is_empty() || looks.contains(&step) {
                let mut row = self.row(step, &theta, &at);
                if self.judges_points {
                    let point = if is_last { self.point(&theta) } else { [f64::NAN; 2] };
                    POINT_COLUMNS.iter().zip(point).for_each(|(c, v)| row.put(c, v));
                }
                rows.push(row);
            }
            if is_last || over() {
                break;
            }
            let moved = |h: Dd, along: &[Dd]| -> Vec<Dd> {
                theta.iter().zip(along).map(|(t, d)| *t - h * *d).collect()
            };
            // A rate of 1 moves by `unit`·d, and on ln 𝓛 by `unit`/𝓛.
            let unit = if self.is_unit { Dd::ONE } else { here.exp() * slope };
            let k = Dd::from(step as f64 + 1.0);
            theta = match self.rule {
                Rule::Constant { eta } => moved(Dd::from(eta) * unit, &d),
                Rule::LossScaled { eta, a } => {
                    let over_loss = if self.is_unit { (-here).exp() } else { slope };
                    moved(Dd::from(eta) / k.powf(a) * over_loss, &d)
                }
                Rule::PolynomialDecay { eta, a, offset } => {
                    let part = Dd::from(offset) / (Dd::from(offset) + Dd::from(step as f64));
                    moved(Dd::from(eta) * (Dd::from(a) * part.ln()).exp() * unit, &d)
                }
                Rule::Normalized { c, a } => moved(Dd::from(c) / k.powf(a), &d),
                Rule::UnitDecrease { eta, factor, floor } => loop {
                    let next = moved(Dd::from(eta * part) / slope, &d);
                    let fall = (at.ln_loss_sum - self.ln_loss_sum(&next)).hi;
                    let ratio = fall / (eta * part);
                    if factor.is_infinite() || (ratio >= 1.0 / factor && ratio <= factor) {
                        part = (part * 2f64.powf(0.25)).min(1.0);
                        break next;
                    }
                    if part <= floor && fall.is_finite() {
                        break next;
                    }
                    part = if fall.is_finite() { (part * 0.5).max(floor) } else { part * 0.5 };
                },
                Rule::Flow { error } => {
                    next = next.min(FLOW_FALL * here.hi.abs().max(1.0) / (slope.hi * slope.hi));
                    match self.flow_step(&theta, &at, error, &mut next) {
                        Some(theta) => theta,
                        None => break,
                    }
                }
            };
        }
        rows
    }

    /// −‖g‖⋆ d at θ.
    fn velocity(&self, at: &Eval) -> Vec<Dd> {
        let (d, slope) = self.ball.steepest(&at.grad);
        d.into_iter().map(|d| -(slope * d)).collect()
    }

    /// Two classical Runge–Kutta steps of h/2, h such that one of h differs by at most `error`·‖θ‖; none where h falls
    /// below the floor.
    fn flow_step(&self, theta: &[Dd], at: &Eval, error: f64, h: &mut f64) -> Option<Vec<Dd>> {
        let rho = Ball::L2.size(theta).hi;
        let speed = Ball::L2.size(&self.velocity(at)).hi;
        while *h * speed > FLOW_FLOOR * rho {
            let half = Dd::from(0.5 * *h);
            let whole = self.runge_kutta(theta, at, Dd::from(*h));
            let middle = self.runge_kutta(theta, at, half);
            let twice = self.runge_kutta(&middle, &self.eval(&middle), half);
            let gap: Vec<Dd> = whole.iter().zip(&twice).map(|(a, b)| *a - *b).collect();
            let ratio = Ball::L2.size(&gap).hi / (error * rho);
            let factor = 0.9 * ratio.powf(-0.2);
            // A NaN is no agreement.
            let agrees = ratio <= 1.0;
            *h *= if factor.is_nan() { 0.2 } else { factor.clamp(0.2, 4.0) };
            if agrees {
                return Some(twice);
            }
        }
        None
    }

    fn runge_kutta(&self, theta: &[Dd], at: &Eval, h: Dd) -> Vec<Dd> {
        let half = h * Dd::from(0.5);
        let shifted =
            |c: Dd, k: &[Dd]| -> Vec<Dd> { theta.iter().zip(k).map(|(t, k)| *t + c * *k).collect() };
        let a = self.velocity(at);
        let b = self.velocity(&self.eval(&shifted(half, &a)));
        let c = self.velocity(&self.eval(&shifted(half, &b)));
        let d = self.velocity(&self.eval(&shifted(h, &c)));
        let sixth = h / Dd::from(6.0);
        let two = Dd::from(2.0);
        (0..theta.len()).map(|j| theta[j] + sixth * (a[j] + two * (b[j] + c[j]) + d[j])).collect()
    }

    /// Pre-activations of every layer for one input.
    fn forward(&self, theta: &[Dd], x: &[Dd]) -> Vec<Vec<Dd>> {
        let mut at = 0;
        let mut z: Vec<Vec<Dd>> = Vec::new();
        let mut a = x.to_vec();
        for (outs, ins) in &self.layers {
            let weights = &theta[at..at + outs * ins];
            at += outs * ins;
            let next: Vec<Dd> =
                weights.chunks(*ins).map(|row| row.iter().zip(&a).map(|(w, a)| *w * *a).sum()).collect();
            a = next.iter().map(|z| self.activation.value(*z)).collect();
            z.push(next);
        }
        z
    }

    /// L.
    pub(super) fn degree(&self) -> f64 {
        self.degree
    }

    /// ∇(y_i f(x_i; ·)) at θ.
    pub(super) fn margin_gradient(&self, theta: &[Dd], i: usize) -> Vec<Dd> {
        let sign = Dd::from(self.signs[i]);
        self.gradient(theta, &self.inputs[i]).into_iter().map(|h| sign * h).collect()
    }

    /// For every unit of the first hidden layer, the indices in θ of what goes into it and out of it.
    pub(super) fn units(&self) -> Vec<Vec<usize>> {
        let [(width, ins), (outs, _), ..] = self.layers.as_slice() else { return Vec::new() };
        let into = |k: usize| k * ins..(k + 1) * ins;
        let out = |k: usize| (0..*outs).map(move |o| width * ins + o * width + k);
        (0..*width).map(|k| into(k).chain(out(k)).collect()).collect()
    }

    /// y·f(x; θ) of every example.
    pub(super) fn margins(&self, theta: &[Dd]) -> Vec<Dd> {
        let out = |x: &Vec<Dd>| self.forward(theta, x).last().map_or(Dd::ZERO, |z| z[0]);
        self.inputs.iter().zip(&self.signs).map(|(x, y)| Dd::from(*y) * out(x)).collect()
    }

    fn ln_loss_sum(&self, theta: &[Dd]) -> Dd {
        self.weighed(&self.margins(theta)).0
    }

    /// ln Σ ℓ_i and w_i = −ℓ'(q_i)/𝓛.
    fn weighed(&self, q: &[Dd]) -> (Dd, Vec<Dd>) {
        let parts: Vec<Parts> = q.iter().map(|q| self.loss.parts(*q)).collect();
        let shift = parts.iter().map(|p| p.anchor).fold(Dd::from(f64::NEG_INFINITY), larger);
        let scale: Vec<Dd> = parts.iter().map(|p| (p.anchor - shift).exp()).collect();
        let sum: Dd = parts.iter().zip(&scale).map(|(p, s)| p.value * *s).sum();
        let weights = parts.iter().zip(&scale).map(|(p, s)| p.slope * *s / sum).collect();
        (shift + sum.ln(), weights)
    }

    fn eval(&self, theta: &[Dd]) -> Eval {
        let q = self.margins(theta);
        let (ln_loss_sum, weights) = self.weighed(&q);
        let mut grad = vec![Dd::ZERO; theta.len()];
        for (i, x) in self.inputs.iter().enumerate() {
            let gradient = self.gradient(theta, x);
            let factor = -(weights[i] * Dd::from(self.signs[i]));
            grad.iter_mut().zip(gradient).for_each(|(g, h)| *g = *g + factor * h);
        }
        Eval { q, weights, ln_loss_sum, grad }
    }

    /// ∇f(x; ·) at θ.
    fn gradient(&self, theta: &[Dd], x: &[Dd]) -> Vec<Dd> {
        let z = self.forward(theta, x);
        let mut grad = vec![Dd::ZERO; theta.len()];
        let mut delta = vec![Dd::ONE];
        let mut end = theta.len();
        for (l, (outs, ins)) in self.layers.iter().enumerate().rev() {
            let start = end - outs * ins;
            let below: Vec<Dd> = match l {
                0 => x.to_vec(),
                l => z[l - 1].iter().map(|z| self.activation.value(*z)).collect(),
            };
            let mut next = vec![Dd::ZERO; *ins];
            for o in 0..*outs {
                for i in 0..*ins {
                    grad[start + o * ins + i] = delta[o] * below[i];
                    next[i] = next[i] + delta[o] * theta[start + o * ins + i];
                }
            }
            if l > 0 {
                delta = next.iter().zip(&z[l - 1]).map(|(n, z)| *n * self.activation.slope(*z)).collect();
            }
            end = start;
        }
        grad
    }

    fn row(&self, step: u64, theta: &[Dd], at: &Eval) -> Row {
        let here = at.ln_loss_sum - self.ln_divisor;
        let q_min = at.q.iter().copied().fold(Dd::from(f64::INFINITY), |a, b| if b < a { b } else { a });
        let rho = Ball::L2.size(theta);
        let height = |size: Dd| size.powf(self.degree);
        let smooth = self.loss.inverse(-at.ln_loss_sum);
        // Each block's own degree: the outputs' in that block alone.
        let mut product = Dd::ONE;
        let mut end = theta.len();
        let mut degree = 1.0;
        for (outs, ins) in self.layers.iter().rev() {
            let start = end - outs * ins;
            product = product * Ball::L2.size(&theta[start..end]).powf(degree);
            end = start;
            degree *= self.activation.power;
        }
        let size = Ball::L2.size(&at.grad);
        let radial = -theta.iter().zip(&at.grad).map(|(t, g)| *t * *g).sum::<Dd>();
        let beta = radial / (rho * size);
        let epsilon = {
            let gap = theta.iter().zip(&at.grad).map(|(t, g)| *t / rho + *g / size);
            let gap = gap.map(|x| x * x).sum::<Dd>().sqrt();
            let margin = q_min / height(rho);
            if margin > Dd::ZERO {
                (-(margin.ln() / Dd::from(self.degree))).exp() * gap
            } else {
                Dd::from(f64::NAN)
            }
        };
        let (l1, linf) = (Ball::L1.size(theta), Ball::Linf.size(theta));
        let nu = at.q.iter().zip(&at.weights).map(|(q, w)| *q * *w).sum::<Dd>();
        let values = [
            Dd::from(step as f64),
            here,
            here / Dd::from(10.0).ln(),
            at.ln_loss_sum,
            rho,
            rho.ln(),
            q_min,
            q_min / height(rho),
            q_min / product,
            smooth / height(rho),
            smooth / product,
            q_min / height(l1),
            smooth / height(l1),
            q_min / height(linf),
            smooth / height(linf),
            nu,
            (radial - Dd::from(self.degree) * nu).abs() / (rho * size),
            beta,
            epsilon,
        ];
        let mut row = Row::default();
        COLUMNS.iter().zip(values).for_each(|(name, value)| row.put(name, value.to_f64()));
        row
    }
}
