//! Diagonal linear networks: f(x) = ⟨u^k − v^k, x⟩, element by element, degree k.
//!
//! The simplest model whose implicit bias depends on depth and on the scale of the initialisation. Gradient flow
//! conserves every product u_i·v_i for k = 2.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::calculus::Part;
use super::layer::{Kink, Start};
use super::{Architecture, Init, Model, Tape};
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};
use crate::{Breakdown, Defect, Degree, Invalid, Layout, Posynomial, Rows, numeric};

/// f(x) = ⟨u^k − v^k, x⟩ with parameters u and v.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagonal {
    /// The power k, a whole number of at least 1; 2 by default.
    #[serde(default = "two")]
    pub depth: u32,
    /// Where θ₀ comes from: u and v start at |w| for w drawn with fan_in = dim. `he` by default.
    #[serde(default)]
    pub init: Init,
    /// Blocks that are not trained, `u` or `v`; none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

fn two() -> u32 {
    2
}

impl Architecture for Diagonal {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        self.init.check()?;
        if self.depth == 0 {
            return Err(Invalid::new("depth", "0 is no power; use a whole number of at least 1"));
        }
        if outputs != 1 {
            let text =
                format!("a diagonal network has one output, and this loss asks for {outputs}; use logistic");
            return Err(Invalid::new("kind", text));
        }
        let dim = input_shape.iter().product();
        let mut layout = Layout::default();
        let degree = f64::from(self.depth);
        layout.push("u", &[dim], f64::NAN);
        layout.push("v", &[dim], f64::NAN);
        self.init.check_layers(&layout)?;
        let net = DiagonalNet {
            depth: self.depth as i32,
            dim,
            layout,
            degree: Degree::Exact { degree },
            init: self.init.clone(),
        };
        super::frozen::freeze(net, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for Diagonal {
    const ABOUT: &'static str = "diagonal linear network u^k - v^k, degree k";
    const EXAMPLE: &'static str = "depth = 2";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}

#[derive(Debug)]
struct DiagonalNet {
    depth: i32,
    dim: usize,
    layout: Layout,
    degree: Degree,
    init: Init,
}

impl Model for DiagonalNet {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn degree(&self) -> &Degree {
        &self.degree
    }

    fn inputs(&self) -> usize {
        self.dim
    }

    fn outputs(&self) -> usize {
        1
    }

    fn init(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut theta = self.init.draw(&self.layout, &[Start::Drawn(self.dim); 2], rng);
        if self.init.is_drawn() {
            theta.iter_mut().for_each(|w| *w = w.abs());
        }
        theta
    }

    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        let (u, v) = theta.split_at(self.dim);
        tape.buffers.resize_with(1, Vec::new);
        let w = &mut tape.buffers[0];
        w.clear();
        w.extend(u.iter().zip(v).map(|(u, v)| u.powi(self.depth) - v.powi(self.depth)));
        for (i, out) in out.iter_mut().enumerate() {
            *out = numeric::dot(w, x.row(i));
        }
        Ok(())
    }

    fn pullback(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        if let Some(grad) = grad {
            let dw = &mut tape.back[0];
            dw.clear();
            dw.resize(self.dim, 0.0);
            for (i, c) in cot.iter().enumerate() {
                numeric::axpy(*c, x.row(i), dw);
            }
            let (u, v) = theta.split_at(self.dim);
            let (du, dv) = grad.split_at_mut(self.dim);
            let k = f64::from(self.depth);
            for j in 0..self.dim {
                du[j] += k * u[j].powi(self.depth - 1) * dw[j];
                dv[j] -= k * v[j].powi(self.depth - 1) * dw[j];
            }
        }
        if let Some(dx) = dx {
            for (row, c) in dx.chunks_exact_mut(self.dim).zip(cot) {
                row.iter_mut().zip(&tape.buffers[0]).for_each(|(dx, w)| *dx = c * w);
            }
        }
        Ok(())
    }

    /// With one of u and v frozen, its term Σ v_j^k x_j stands beside one of degree k, and is the defect times 1/k.
    fn degree_of(&self, parts: &[Part], radius: f64) -> Degree {
        let (name, norm) = match parts {
            [Part::Trained, Part::Frozen(norm)] => ("v", norm),
            [Part::Frozen(norm), Part::Trained] => ("u", norm),
            [Part::Trained, Part::Trained] => return self.degree.clone(),
            _ => return Degree::Exact { degree: 0.0 },
        };
        let why = format!("the frozen block {name} adds a term that does not grow");
        let order = f64::from(self.depth);
        // ‖v^k‖₂ ≤ ‖v‖₂^k.
        let bound = Posynomial::term(order * norm.powi(self.depth) * radius, 0.0);
        Degree::Near { order, defect: Defect { power: 0.0, bound, why } }
    }

    /// f is a sum of a term in u and one in v: each alone has degree k only where the other is frozen.
    fn block_degrees_of(&self, parts: &[Part]) -> Vec<f64> {
        let alone = parts.iter().filter(|p| **p == Part::Trained).count() == 1;
        let own = if alone { f64::from(self.depth) } else { f64::NAN };
        parts.iter().map(|part| if *part == Part::Trained { own } else { 0.0 }).collect()
    }

    fn kinks(&self, _theta: &[f64], _x: Rows<'_>, _within: f64) -> Option<Vec<Kink>> {
        Some(Vec::new())
    }

    fn is_polynomial(&self) -> bool {
        true
    }

    fn lipschitz(&self, theta: &[f64]) -> f64 {
        let (u, v) = theta.split_at(self.dim);
        let w = u.iter().zip(v).map(|(u, v)| u.powi(self.depth) - v.powi(self.depth));
        numeric::norm(&w.collect::<Vec<f64>>())
    }

    fn row_size(&self) -> usize {
        self.dim + 1
    }

    /// For k = 2, u̇ = 2u∘(Xᵀc) and v̇ = −2v∘(Xᵀc), so every product u_i v_i stays where it is.
    fn conserved_of(&self, parts: &[Part], theta: &[f64]) -> Vec<f64> {
        if self.depth != 2 || parts.iter().any(|part| *part != Part::Trained) {
            return Vec::new();
        }
        let (u, v) = theta.split_at(self.dim);
        u.iter().zip(v).map(|(u, v)| u * v).collect()
    }
}
