//! Models: θ and a batch of inputs to a batch of outputs.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;

use crate::{Breakdown, Degree, Invalid, Layout, Neurons, Rows};

pub mod calculus;
pub mod cnn;
pub mod deep_linear;
pub mod diagonal;
pub mod foreign;
pub mod frozen;
pub mod init;
pub mod layer;
pub mod linear;
pub mod lyu_li_cnn;
pub mod mexican_hat;
pub mod mlp;
pub mod network;
pub mod resnet;
pub mod rotation_free;
pub mod vgg;

use calculus::{Line, Part};

pub use cnn::Cnn;
pub use deep_linear::DeepLinear;
pub use diagonal::Diagonal;
pub use foreign::Foreign;
pub use frozen::Frozen;
pub use init::Init;
pub use linear::Linear;
pub use lyu_li_cnn::LyuLiCnn;
pub use mexican_hat::MexicanHat;
pub use mlp::Mlp;
pub use network::{Layers, Network};
pub use resnet::Resnet;
pub use rotation_free::RotationFree;
pub use vgg::Vgg;

/// What a forward pass leaves for the pullback: activations and scratch, reused from call to call.
#[derive(Debug, Default)]
pub struct Tape {
    /// Buffers in the model's own order.
    pub buffers: Vec<Vec<f64>>,
    /// Two cotangent buffers for the way back.
    pub back: [Vec<f64>; 2],
    /// What layers keep.
    pub kept: layer::Kept,
    /// Anything else that a foreign model wants to keep.
    pub other: Option<Box<dyn Any + Send>>,
}

/// A dense last layer and what it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Its inputs, n × width.
    pub features: Vec<f64>,
    /// Numbers in one of them.
    pub width: usize,
    /// Its weight, outputs × width.
    pub weight: Vec<f64>,
}

/// How a model wants its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunking {
    /// In chunks whose activations stay in the cache.
    Cache,
    /// In tall chunks one after the other: the model itself uses the threads.
    Tall,
    /// In chunks of this many rows.
    Rows(usize),
    /// All at once.
    Whole,
}

/// θ (flat) and a batch of inputs to a batch of outputs, with the pullback written by hand.
///
/// # Properties
/// `pullback` agrees with central differences of `forward`; rows do not influence each other; for a model of degree
/// `Exact(L)`, f(cθ) = c^L f(θ) and ⟨θ, ∇f⟩ = L·f. The law tests hold every catalogued model to these.
pub trait Model: Send + Sync + Debug {
    /// How θ is cut into blocks.
    fn layout(&self) -> &Layout;
    /// Degree of homogeneity in θ.
    fn degree(&self) -> &Degree;
    /// Numbers in one input.
    fn inputs(&self) -> usize;
    /// Numbers in one output.
    fn outputs(&self) -> usize;
    /// Draws the blocks of [`stored`](Model::stored): θ₀ itself where no block is frozen, else what
    /// [`fix`](Model::fix) and [`select`](Model::select) take.
    fn init(&self, rng: &mut ChaCha8Rng) -> Vec<f64>;
    /// Writes the outputs, `x.n() × outputs`, and what the pullback needs to the tape.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown>;
    /// Adds Jᵀ·cot to `grad` and writes the cotangent of the inputs to `dx`, for the batch last seen by `forward`.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    fn pullback(
        &self,
        theta: &[f64],
        x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown>;
    /// Numbers kept on the tape for one row: sizes the chunks.
    fn row_size(&self) -> usize;
    /// How rows are cut.
    fn chunking(&self) -> Chunking {
        Chunking::Cache
    }
    /// Whether chunks may be evaluated on several threads at once.
    fn parallel(&self) -> bool {
        true
    }
    /// The blocks as files hold them: those of θ, and the frozen ones.
    fn stored(&self) -> &Layout {
        self.layout()
    }
    /// Every stored block, given θ.
    fn export<'a>(&self, theta: &'a [f64]) -> Cow<'a, [f64]> {
        Cow::Borrowed(theta)
    }
    /// θ, given every stored block.
    fn select<'a>(&self, stored: &'a [f64]) -> Cow<'a, [f64]> {
        Cow::Borrowed(stored)
    }
    /// Takes the values of the frozen blocks from all stored ones; a model without frozen blocks has nothing to take.
    fn fix(&mut self, _stored: &[f64]) {}
    /// J·v: writes the derivative of the outputs, `x.n() × outputs`, for θ moving along `along`.
    ///
    /// By default one pullback for each output, which is exact and slow.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    fn jvp(
        &self,
        theta: &[f64],
        along: &[f64],
        x: Rows<'_>,
        out: &mut [f64],
        tape: &mut Tape,
    ) -> Result<(), Breakdown> {
        let k = self.outputs();
        let (mut y, mut cot, mut grad) = (vec![0.0; k], vec![0.0; k], vec![0.0; theta.len()]);
        for (place, out) in out.iter_mut().enumerate() {
            let row = x.slice(place / k, place / k + 1);
            cot.fill(0.0);
            cot[place % k] = 1.0;
            grad.fill(0.0);
            self.forward(theta, row, &mut y, tape)?;
            self.pullback(theta, row, tape, &cot, Some(&mut grad), None)?;
            *out = crate::numeric::dot(&grad, along);
        }
        Ok(())
    }
    /// Inner products of gradients in θ: row-major, members × members, for the members a = p·n + i of passes p and rows i with
    /// the gradients ∂⟨c_a, f(θ; x_i)⟩/∂θ. `cots` holds the c_a, members × outputs.
    ///
    /// Networks of dense layers make it of products of Gram matrices layer by layer, others of the gradients themselves.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    fn tangent_gram(&self, theta: &[f64], x: Rows<'_>, cots: &[f64]) -> Result<Vec<f64>, Breakdown> {
        self.tangent_gram_of(&trained(self), theta, x, cots)
    }
    /// The same when only some blocks of the layout are trained.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    fn tangent_gram_of(
        &self,
        parts: &[Part],
        theta: &[f64],
        x: Rows<'_>,
        cots: &[f64],
    ) -> Result<Vec<f64>, Breakdown> {
        let (k, n) = (self.outputs(), x.n());
        let members = cots.len() / k;
        let spans = layer::tangent::spans(self.layout().blocks().iter().map(crate::Block::len), parts);
        let length = spans.iter().map(|(from, to)| to - from).sum();
        let (mut tape, mut out, mut grad) = (Tape::default(), vec![0.0; k], vec![0.0; theta.len()]);
        let (mut gram, mut failed) = (vec![0.0; members * members], None);
        let mut gradient = |a: usize, to: &mut Vec<f64>| {
            let row = x.slice(a % n, a % n + 1);
            grad.fill(0.0);
            let done = self.forward(theta, row, &mut out, &mut tape).and_then(|()| {
                self.pullback(theta, row, &mut tape, &cots[a * k..(a + 1) * k], Some(&mut grad), None)
            });
            failed = done.err().or(failed.take());
            spans.iter().for_each(|&(from, end)| to.extend_from_slice(&grad[from..end]));
        };
        layer::tangent::gram_of(members, length, &mut gradient, &mut gram);
        layer::tangent::mirror(&mut gram, members);
        failed.map_or(Ok(gram), Err)
    }
    /// The places where the derivative with respect to θ or x is about to jump: pre-activations (or near ties of a maximum)
    /// whose distance to the jump, relative to the root mean square over their layer and row, is at most `within`. None
    /// where the model cannot tell.
    fn kinks(&self, _theta: &[f64], _x: Rows<'_>, _within: f64) -> Option<Vec<layer::Kink>> {
        None
    }
    /// The degree, with the bounds of its defect for all inputs of norm at most `radius`; those of
    /// [`degree`](Model::degree) are for the unit ball.
    fn degree_at(&self, radius: f64) -> Degree {
        self.degree_of(&trained(self), radius)
    }
    /// The degree when only some blocks of the layout are trained, by the degree calculus.
    fn degree_of(&self, parts: &[Part], _radius: f64) -> Degree {
        if parts.iter().all(|part| *part == Part::Trained) {
            return self.degree().clone();
        }
        Degree::None { why: "no degree is known for this model with frozen blocks".into() }
    }
    /// Degree of the outputs' homogenization in each block alone, as [`Block::degree`](crate::Block) has it, when only some
    /// blocks are trained.
    fn block_degrees_of(&self, parts: &[Part]) -> Vec<f64> {
        let whole = parts.iter().all(|part| *part == Part::Trained);
        self.layout().blocks().iter().map(|b| if whole { b.degree } else { f64::NAN }).collect()
    }
    /// The homogenization f_H = lim f(rθ)/r^M as a model on the same layout; blocks that it drops have gradient 0. None where
    /// there is none, or none is known.
    fn homogenized(&self) -> Option<Box<dyn Model>> {
        self.homogenized_of(&trained(self))
    }
    /// The homogenization when only some blocks are trained.
    fn homogenized_of(&self, _parts: &[Part]) -> Option<Box<dyn Model>> {
        None
    }
    /// The degree calculus layer by layer, for inputs of norm at most `radius`; empty for models that are not made of layers.
    fn calculus(&self, radius: f64) -> Vec<Line> {
        self.calculus_of(&trained(self), radius)
    }
    /// The degree calculus layer by layer when only some blocks are trained.
    fn calculus_of(&self, _parts: &[Part], _radius: f64) -> Vec<Line> {
        Vec::new()
    }
    /// Whether the outputs, for fixed inputs, are definable in θ in an o-minimal structure: every network of piecewise
    /// polynomials, exponentials and logarithms is. Convergence of the direction (Ji & Telgarsky 2020, Theorem 3.1) is claimed
    /// for these alone.
    fn is_definable(&self) -> bool {
        true
    }
    /// The model as the neurons of a two-layer network with σ piecewise linear and kinked at 0 alone, if it is one and all of
    /// it is trained.
    fn neurons(&self) -> Option<Neurons> {
        None
    }
    /// The features that the last layer reads, for these inputs, where the last layer is dense.
    fn head(&self, _theta: &[f64], _x: Rows<'_>) -> Option<Head> {
        None
    }
    /// Whether the outputs are known to be polynomials in θ: a degree of 2 then makes them quadratic forms.
    fn is_polynomial(&self) -> bool {
        false
    }
    /// A bound of ‖f(θ; x) − f(θ; x′)‖₂/‖x − x′‖₂; ∞ where none is known.
    fn lipschitz(&self, _theta: &[f64]) -> f64 {
        f64::INFINITY
    }
    /// For covectors c of the outputs, bounds of |⟨c, f(θ; x) − f(θ; x′)⟩|/‖x − x′‖₂, never above ‖c‖₂ times
    /// [`lipschitz`](Model::lipschitz); ∞ where none is known.
    fn lipschitz_along(&self, theta: &[f64], covectors: &[Vec<f64>]) -> Vec<f64> {
        let whole = self.lipschitz(theta);
        covectors.iter().map(|c| crate::numeric::norm(c) * whole).collect()
    }
    /// Quantities that the gradient flow conserves, relative to ‖θ‖²; empty where none are known.
    fn conserved(&self, theta: &[f64]) -> Vec<f64> {
        self.conserved_of(&trained(self), theta)
    }
    /// The same when only some blocks are trained, given every stored block.
    fn conserved_of(&self, _parts: &[Part], _stored: &[f64]) -> Vec<f64> {
        Vec::new()
    }
}

/// Every block of a model trained.
fn trained<M: Model + ?Sized>(model: &M) -> Vec<Part> {
    vec![Part::Trained; model.layout().blocks().len()]
}

/// A model's settings, turned into a model once the data are known.
pub trait Architecture: Send + Sync {
    /// The model for inputs of this shape and this many outputs.
    ///
    /// # Errors
    /// Settings that make no network (a width of 0, a slope that is not finite, …).
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid>;

    /// Where θ₀ comes from.
    fn init(&self) -> &Init;
}

crate::catalogue! {
    /// The model of a spec: `model = "linear"`, `model = { kind = "mlp", widths = [256] }`.
    pub AnyModel: Architecture, "model" {
        "linear" => Linear,
        "diagonal" => Diagonal,
        "deep-linear" => DeepLinear,
        "mlp" => Mlp,
        "cnn" => Cnn,
        "lyu-li-cnn" => LyuLiCnn,
        "vgg" => Vgg,
        "resnet" => Resnet,
        "rotation-free" => RotationFree,
        "network" => Layers,
        "mexican-hat" => MexicanHat,
        "foreign" => Foreign,
    }
}
