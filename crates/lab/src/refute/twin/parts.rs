//! What a twin is made of: activations, losses, norms and paces, once more and in double-double.

use latephase_core::Batches;
use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::descent::AnyDescent;
use latephase_core::model::layer::Nonlinearity;
use latephase_core::norm::AnyNorm;
use latephase_core::pace::AnyPace;

use crate::refute::dd::Dd;

/// Local error allowed in a Runge–Kutta step of the flow, relative to ‖θ‖.
pub(super) const FLOW_ERROR: f64 = 1e-10;

/// σ(z) = right·max(z, 0)^p + left·min(z, 0); `left` only at p = 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activation {
    pub(super) right: f64,
    pub(super) left: f64,
    pub(super) power: f64,
    /// Weight of the right-hand slope at the kink.
    pub(super) kink: f64,
}

impl Activation {
    pub(super) fn of(kind: &Nonlinearity, kink: f64) -> Result<Activation, String> {
        let at = |right, left, power| Ok(Activation { right, left, power, kink });
        match kind {
            Nonlinearity::Relu(_) => at(1.0, 0.0, 1.0),
            Nonlinearity::LeakyRelu(leaky) => at(1.0, leaky.slope, 1.0),
            Nonlinearity::Ramp(ramp) => at(ramp.right, ramp.left, 1.0),
            Nonlinearity::Abs(_) => at(1.0, -1.0, 1.0),
            Nonlinearity::Identity(_) => at(1.0, 1.0, 1.0),
            Nonlinearity::ReluPower(power) => at(1.0, 0.0, power.p),
            other => Err(format!("the activation {} is not one that the twin knows", other.name())),
        }
    }

    pub(super) fn value(&self, z: Dd) -> Dd {
        if z > Dd::ZERO {
            Dd::from(self.right) * z.powf(self.power)
        } else if self.power == 1.0 {
            Dd::from(self.left) * z
        } else {
            Dd::ZERO
        }
    }

    pub(super) fn slope(&self, z: Dd) -> Dd {
        if z > Dd::ZERO {
            Dd::from(self.right * self.power) * z.powf(self.power - 1.0)
        } else if self.power != 1.0 {
            Dd::ZERO
        } else if z < Dd::ZERO {
            Dd::from(self.left)
        } else {
            Dd::from(self.kink * self.right + (1.0 - self.kink) * self.left)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loss {
    Exponential,
    Logistic,
}

/// ℓ = e^{anchor}·value and −ℓ' = e^{anchor}·slope.
pub(super) struct Parts {
    pub(super) anchor: Dd,
    pub(super) value: Dd,
    pub(super) slope: Dd,
}

/// Beyond this margin e^{−q} is below the last digit of a double-double beside 1.
pub(super) const FAR: f64 = 75.0;

impl Loss {
    pub(super) fn parts(self, q: Dd) -> Parts {
        let far = Parts { anchor: -q, value: Dd::ONE, slope: Dd::ONE };
        match self {
            Loss::Exponential => far,
            Loss::Logistic if q.hi > FAR => far,
            Loss::Logistic if q.hi > 0.0 => {
                let e = (-q).exp();
                Parts { anchor: Dd::ZERO, value: e.ln_1p(), slope: e / (Dd::ONE + e) }
            }
            Loss::Logistic => {
                let e = q.exp();
                Parts { anchor: Dd::ZERO, value: e.ln_1p() - q, slope: Dd::ONE / (Dd::ONE + e) }
            }
        }
    }

    /// ℓ⁻¹(e^{−u}).
    pub(super) fn inverse(self, u: Dd) -> Dd {
        match self {
            Loss::Exponential => u,
            Loss::Logistic if u.hi > FAR => u,
            Loss::Logistic => -(-u).exp().exp_m1().ln(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ball {
    L2,
    L1,
    Linf,
}

impl Ball {
    pub(super) fn of(norm: &AnyNorm) -> Result<Ball, String> {
        match norm {
            AnyNorm::L2(_) => Ok(Ball::L2),
            AnyNorm::L1(_) => Ok(Ball::L1),
            AnyNorm::Linf(_) => Ok(Ball::Linf),
            other => Err(format!("the norm {} is not one that the twin knows", other.name())),
        }
    }

    pub(super) fn size(self, v: &[Dd]) -> Dd {
        match self {
            Ball::L2 => v.iter().map(|x| *x * *x).sum::<Dd>().sqrt(),
            Ball::L1 => v.iter().map(|x| x.abs()).sum(),
            Ball::Linf => v.iter().map(|x| x.abs()).fold(Dd::ZERO, larger),
        }
    }

    /// argmax ⟨g, d⟩ over the unit ball, and the maximum.
    pub(super) fn steepest(self, g: &[Dd]) -> (Vec<Dd>, Dd) {
        let sign = |x: &Dd| match x {
            x if *x > Dd::ZERO => Dd::ONE,
            x if *x < Dd::ZERO => -Dd::ONE,
            _ => Dd::ZERO,
        };
        match self {
            Ball::L2 => {
                let size = Ball::L2.size(g);
                (g.iter().map(|x| *x / size).collect(), size)
            }
            Ball::Linf => (g.iter().map(sign).collect(), Ball::L1.size(g)),
            Ball::L1 => {
                let size = Ball::Linf.size(g);
                let mut d = vec![Dd::ZERO; g.len()];
                if let Some(j) = g.iter().position(|x| x.abs() == size) {
                    d[j] = sign(&g[j]);
                }
                (d, size)
            }
        }
    }
}

pub(super) fn larger(a: Dd, b: Dd) -> Dd {
    if a < b { b } else { a }
}

/// How far to go, as the pace of the same name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    Constant { eta: f64 },
    LossScaled { eta: f64, a: f64 },
    UnitDecrease { eta: f64, factor: f64, floor: f64 },
    Normalized { c: f64, a: f64 },
    PolynomialDecay { eta: f64, a: f64, offset: f64 },
    Flow { error: f64 },
}

/// Norm, whether steps are unit steps, and the rule.
pub(super) fn dynamics(algorithm: &AnyAlgorithm) -> Result<(Ball, bool, Rule), String> {
    let stepped = match algorithm {
        AnyAlgorithm::Flow(flow) => {
            return Ok((Ball::of(&flow.norm)?, false, Rule::Flow { error: FLOW_ERROR }));
        }
        AnyAlgorithm::Stepped(stepped) => stepped,
        other => return Err(format!("the algorithm {} is not one that the twin knows", other.name())),
    };
    if stepped.batch != Batches::Full {
        return Err("the twin knows full batches only".into());
    }
    let (ball, is_unit) = match &stepped.descent {
        AnyDescent::Steepest(descent) => (Ball::of(&descent.norm)?, false),
        AnyDescent::Normalized(descent) if descent.momentum == 0.0 => (Ball::of(&descent.norm)?, true),
        AnyDescent::Sign(_) => (Ball::Linf, true),
        AnyDescent::Coordinate(_) => (Ball::L1, true),
        other => return Err(format!("the descent {} is not one that the twin knows", other.name())),
    };
    let rule = match &stepped.pace {
        AnyPace::Constant(pace) => Rule::Constant { eta: pace.eta },
        AnyPace::Edge(pace) => Rule::Constant { eta: pace.eta },
        AnyPace::LossScaled(pace) => Rule::LossScaled { eta: pace.eta, a: pace.a },
        AnyPace::UnitDecrease(pace) => {
            Rule::UnitDecrease { eta: pace.eta, factor: pace.factor, floor: pace.floor }
        }
        AnyPace::Normalized(pace) => Rule::Normalized { c: pace.c, a: pace.a },
        AnyPace::PolynomialDecay(pace) => {
            Rule::PolynomialDecay { eta: pace.eta, a: pace.a, offset: pace.offset }
        }
        other => return Err(format!("the pace {} is not one that the twin knows", other.name())),
    };
    Ok((ball, is_unit, rule))
}
