//! Rates: exponents that the end of a run has, beside those that theory gives.
//!
//! An exponent at finite time is a number with an interval ([`Fit`]); the verdict says whether the predicted one lies in it.
//! No rate is ever violated: a Θ allows any constant, and an exponent may still be on its way. Of a run that is too short it is
//! said that it is.
//!
//! Adding a rate is one entry in [`LIST`].

use serde_json::{Value, json};

use crate::claim::{Facts, View};
use crate::findings::Columns;

mod fit;

pub use fit::{BINS, DECADES, Fit, LEAST, RESOLUTION, tail_exponent, tail_slope};

/// What theory says of an exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Predicted {
    /// This number.
    Is(f64),
    /// This number or less.
    AtMost(f64),
}

/// A predicted power law at the end of a run.
pub struct Rate {
    /// Its id.
    pub id: &'static str,
    /// The law, in a line.
    pub says: &'static str,
    /// Who says it.
    pub source: &'static str,
    /// y and x of the fit, in words.
    pub axes: [&'static str; 2],
    /// The predicted exponent of a run.
    ///
    /// # Errors
    /// Says why the law is not about this run.
    pub predicted: fn(&Facts) -> Result<Predicted, String>,
    /// ln x and ln y at every look; empty where a column was not measured.
    pub series: fn(&Columns, &Facts) -> [Vec<f64>; 2],
}

/// The rates that a run is held against.
pub const LIST: &[Rate] = &[
    Rate {
        id: "loss",
        says: "𝓛 = Θ(1/(t (ln t)^{2−2/L}))",
        source: "Lyu & Li 2020, Theorems 4.3, A.10, E.5",
        axes: ["𝓛·t", "ln t"],
        predicted: |facts| Ok(Predicted::Is(2.0 / gradient_flow(facts)? - 2.0)),
        series: |rows, _| {
            let time = rows.get("ln_time");
            let product = rows.get("ln_loss_sum").iter().zip(time).map(|(loss, time)| loss + time);
            [logarithms(time), product.collect()]
        },
    },
    Rate {
        id: "norm",
        says: "ρ = Θ((ln t)^{1/L})",
        source: "Lyu & Li 2020, Theorems 4.3, A.10, E.5",
        axes: ["ρ", "ln t"],
        predicted: |facts| Ok(Predicted::Is(1.0 / gradient_flow(facts)?)),
        series: |rows, _| [logarithms(rows.get("ln_time")), rows.get("ln_rho").to_vec()],
    },
    // Neurons that die out do so by a power of ρ of their own: there is no one exponent for all networks.
    Rate {
        id: "misalignment",
        says: "1 − β has a finite integral over ln ρ ~ ln ln(1/𝓛): as a power of ln(1/𝓛) it falls",
        source: "derived from Lyu & Li 2020, Lemma C.9",
        axes: ["1 − β", "ln 1/𝓛"],
        predicted: |facts| smooth_flow(facts).map(|_| Predicted::AtMost(0.0)),
        series: |rows, _| [logarithms(&decay(rows)), logarithms(rows.get("misalignment_l2"))],
    },
    Rate {
        id: "kkt-epsilon",
        says: "ε of the gradient's multipliers is γ̄^{−1/L}√(2(1 − β)): as a power of ln(1/𝓛) it falls",
        source: "derived from Lyu & Li 2020, Lemmas C.8 and C.9",
        axes: ["kkt_epsilon", "ln 1/𝓛"],
        predicted: |facts| smooth_flow(facts).map(|_| Predicted::AtMost(0.0)),
        series: |rows, _| [logarithms(&decay(rows)), logarithms(rows.get("kkt_epsilon"))],
    },
    Rate {
        id: "direction-speed",
        says: "‖dθ̂/d ln ρ‖ has a finite integral over ln ρ: it falls like 1/ln ρ or faster",
        source: "Ji & Telgarsky 2020, Theorem 3.1, as the exponent of a power law",
        axes: ["direction_speed", "ln ρ"],
        predicted: |facts| match facts.definable {
            true => gradient_flow(facts).map(|_| Predicted::AtMost(-1.0)),
            false => Err("needs a definable network".into()),
        },
        series: |rows, _| [logarithms(rows.get("ln_rho")), logarithms(rows.get("direction_speed"))],
    },
];

/// ln(1/𝓛) of the sum.
fn decay(rows: &Columns) -> Vec<f64> {
    rows.get("ln_loss_sum").iter().map(|l| -l).collect()
}

fn logarithms(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| if *v > 0.0 { v.ln() } else { f64::NAN }).collect()
}

/// L of a run that follows the gradient flow of a homogeneous network in a loss with an exponential tail.
fn gradient_flow(facts: &Facts) -> Result<f64, String> {
    facts.exponential_tail()?;
    facts.follows_flow("l2")?;
    facts.homogeneous()
}

/// The same without kinks, at which one gradient is not the velocity.
fn smooth_flow(facts: &Facts) -> Result<f64, String> {
    facts.needs_smooth()?;
    gradient_flow(facts)
}

/// What a fit says of a predicted exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The predicted exponent lies in the interval.
    Consistent,
    /// It does not.
    Inconsistent,
    /// Less than a decade, or too few looks.
    TooShort,
}

impl Verdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Consistent => "consistent",
            Verdict::Inconsistent => "inconsistent",
            Verdict::TooShort => "too short",
        }
    }

    /// The verdict on a prediction.
    ///
    /// # Examples
    /// ```
    /// use latephase_lab::rates::{Predicted, Verdict, tail_exponent};
    /// let x: Vec<f64> = (1..100).map(f64::from).collect();
    /// let fit = tail_exponent(&x, &x.iter().map(|x| 3.0 / x).collect::<Vec<f64>>());
    /// assert_eq!(Verdict::of(&fit, Predicted::Is(-1.0)), Verdict::Consistent);
    /// assert_eq!(Verdict::of(&fit, Predicted::Is(-2.0)), Verdict::Inconsistent);
    /// ```
    pub fn of(fit: &Fit, predicted: Predicted) -> Verdict {
        let inside = match predicted {
            Predicted::Is(p) => fit.low <= p && p <= fit.high,
            Predicted::AtMost(p) => fit.low <= p,
        };
        match (fit.is_long(), inside) {
            (false, _) => Verdict::TooShort,
            (true, true) => Verdict::Consistent,
            (true, false) => Verdict::Inconsistent,
        }
    }
}

/// A rate with what a run says of it.
pub struct Fitted {
    /// The rate.
    pub rate: &'static Rate,
    /// The predicted exponent.
    pub predicted: Predicted,
    /// The fitted one.
    pub fit: Fit,
    /// The verdict.
    pub verdict: Verdict,
}

impl Fitted {
    /// As JSON, for `findings.json`.
    pub fn json(&self) -> Value {
        let known = |x: f64| x.is_finite().then_some(x);
        let (is, at_most) = match self.predicted {
            Predicted::Is(p) => (Some(p), None),
            Predicted::AtMost(p) => (None, Some(p)),
        };
        json!({
            "id": self.rate.id,
            "says": self.rate.says,
            "source": self.rate.source,
            "y": self.rate.axes[0],
            "x": self.rate.axes[1],
            "predicted": is,
            "predicted_at_most": at_most,
            "slope": known(self.fit.slope),
            "low": known(self.fit.low),
            "high": known(self.fit.high),
            "decades": known(self.fit.decades),
            "points": self.fit.points,
            "verdict": self.verdict.text(),
        })
    }
}

/// The rates that are about a run and whose columns it has, fitted over its looks after separation.
pub fn fit_all(view: &View<'_>) -> Vec<Fitted> {
    let late = view.late();
    let mut fitted = Vec::new();
    for rate in LIST {
        let Ok(predicted) = (rate.predicted)(view.facts) else { continue };
        let series = (rate.series)(view.rows, view.facts);
        if series.iter().any(|s| late.last().is_some_and(|k| s.len() <= *k)) {
            continue;
        }
        // What is below 1 is not yet large: looks at ln t = 0.01 are two decades from ln t = 1 and say nothing of its tail.
        let large = late.iter().filter(|k| series[0][**k] >= 0.0);
        let large: Vec<usize> = large.copied().collect();
        let [x, y] = series.map(|s| large.iter().map(|k| s[*k]).collect::<Vec<f64>>());
        let fit = tail_slope(&x, &y);
        fitted.push(Fitted { rate, predicted, fit, verdict: Verdict::of(&fit, predicted) });
    }
    fitted
}

#[cfg(test)]
mod tests;
