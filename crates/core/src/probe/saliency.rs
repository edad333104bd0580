//! Whether saliency maps settle: ∇_x f(θ; x)/‖θ‖^L converges along the flow where the input gradient exists (Ji & Telgarsky
//! 2020); like f it is homogeneous of degree L in θ.

use serde::{Deserialize, Serialize};

use super::{Context, Probe, Row, Snapshot, needs_degree};
use crate::catalogue::Entry;
use crate::cite::{Cite, JI_TELGARSKY_2020};
use crate::model::Tape;
use crate::numeric::{distance, norm};
use crate::{Invalid, State};

/// With S the input gradients of every output at the first `examples` training inputs, over ρ^L: `saliency_change` =
/// ‖S − S'‖/‖S‖ with S' at the last look, and `saliency_speed` = `saliency_change`/|Δ ln ρ|. NaN at the first look.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saliency {
    /// Examples that are looked at, the first ones of the training set; 64 by default.
    #[serde(default = "sixty_four")]
    pub examples: usize,
    #[serde(skip)]
    degree: f64,
    /// S and ln ρ at the last look.
    #[serde(skip)]
    last: Option<(Vec<f64>, f64)>,
}

fn sixty_four() -> usize {
    64
}

impl Default for Saliency {
    fn default() -> Self {
        Saliency { examples: sixty_four(), degree: f64::NAN, last: None }
    }
}

impl Probe for Saliency {
    fn begin(&mut self, context: &Context<'_>) -> Result<Vec<String>, Invalid> {
        if self.examples == 0 {
            return Err(Invalid::new("examples", "at least 1 example is needed"));
        }
        self.degree = needs_degree("saliency", context.problem)?;
        Ok(["saliency_change", "saliency_speed"].map(String::from).to_vec())
    }

    fn measure(&mut self, at: &Snapshot<'_>, row: &mut Row) {
        let map = self.map(at);
        let ln_rho = at.rho.ln();
        let (change, speed) = match (&map, &self.last) {
            (Some(map), Some((last, ln_last))) if map.len() == last.len() => {
                let change = distance(map, last) / norm(map);
                (change, change / (ln_rho - ln_last).abs())
            }
            _ => (f64::NAN, f64::NAN),
        };
        row.put("saliency_change", change);
        row.put("saliency_speed", speed);
        self.last = map.map(|map| (map, ln_rho));
    }

    fn save(&self) -> State {
        let mut state = State::default();
        if let Some((map, ln_rho)) = &self.last {
            state.put("map", map);
            state.put("ln_rho", &[*ln_rho]);
        }
        state
    }

    fn load(&mut self, state: &State) -> Result<(), Invalid> {
        self.last = match state.get("map") {
            Ok(map) => Some((map.to_vec(), state.number("ln_rho")?)),
            Err(_) => None,
        };
        Ok(())
    }
}

impl Saliency {
    /// S; none where a foreign model fails.
    fn map(&self, at: &Snapshot<'_>) -> Option<Vec<f64>> {
        let (model, rows) = (&at.problem.model, at.problem.train.rows());
        let x = rows.slice(0, self.examples.min(rows.n()));
        let (n, k) = (x.n(), model.outputs());
        let (mut tape, mut out, mut cot) = (Tape::default(), vec![0.0; n * k], vec![0.0; n * k]);
        let mut maps = Vec::with_capacity(k * x.data.len());
        for output in 0..k {
            cot.fill(0.0);
            cot.iter_mut().skip(output).step_by(k).for_each(|c| *c = 1.0);
            let mut dx = vec![0.0; x.data.len()];
            model.forward(at.theta, x, &mut out, &mut tape).ok()?;
            model.pullback(at.theta, x, &mut tape, &cot, None, Some(&mut dx)).ok()?;
            maps.append(&mut dx);
        }
        let height = at.height(self.degree);
        maps.iter_mut().for_each(|s| *s /= height);
        Some(maps)
    }
}

impl Entry for Saliency {
    const ABOUT: &'static str = "change of the normalised input gradients per unit of ln rho (on request)";
    const EXAMPLE: &'static str = "";
    const CITE: &'static [Cite] = &[JI_TELGARSKY_2020];
}
