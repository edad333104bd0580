//! Frozen blocks: a model of which only some blocks are trained.
//!
//! θ is then the trainable blocks alone. What is frozen belongs to the model, like the inputs of a layer, so that every
//! norm, margin, probe and algorithm sees the θ that moves and needs no case of its own. Freezing the outer layer of a
//! two-layer ReLU network makes it f(W) = ⟨u, σ(W x)⟩, of degree 1 (Tsilivis et al. 2024, Fig. 3); freezing the first
//! one makes it linear in θ on random features.
//!
//! # Properties
//! f and ∂f/∂θ are bit for bit those of the whole network, restricted to the trainable blocks. The degree is the degree
//! calculus' with frozen blocks counting 0. A draw of θ₀ is the whole network's, so freezing changes no weight.

use std::borrow::Cow;

use rand_chacha::ChaCha8Rng;

use super::calculus::{Line, Part};
use super::layer::Kink;
use super::{Chunking, Head, Model, Tape};
use crate::{Breakdown, Degree, Invalid, Layout, Rows, numeric};

/// A model with some of its blocks frozen. Their values are 0 until [`Model::fix`] gives them.
#[derive(Debug)]
pub struct Frozen {
    whole: Box<dyn Model>,
    /// Every stored block, the frozen ones with their values.
    values: Vec<f64>,
    /// Which of the stored blocks are trained, and the norms of the others.
    parts: Vec<Part>,
    /// (first index among the stored, first index in θ, length) of each trainable block.
    spans: Vec<(usize, usize, usize)>,
    layout: Layout,
    degree: Degree,
}

/// The model with the blocks of `names` frozen, or itself where there are none. A name is that of a block
/// (`2.weight`), or of a layer (`2`, `3.body`), which means all its blocks.
///
/// # Errors
/// A name that no block or layer has; nothing left to train.
pub fn freeze(model: impl Model + 'static, names: &[String]) -> Result<Box<dyn Model>, Invalid> {
    if names.is_empty() {
        return Ok(Box::new(model));
    }
    let blocks = model.layout().blocks();
    let is_of = |block: &str, name: &str| {
        block.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let listed = || blocks.iter().map(|b| format!("`{}`", b.name)).collect::<Vec<_>>().join(", ");
    for (k, name) in names.iter().enumerate() {
        if !blocks.iter().any(|b| is_of(&b.name, name)) {
            let text = format!("the model has no block or layer `{name}`; its blocks are {}", listed());
            return Err(Invalid::new(format!("freeze[{k}]"), text));
        }
    }
    let trainable: Vec<bool> = blocks.iter().map(|b| !names.iter().any(|n| is_of(&b.name, n))).collect();
    if trainable.iter().all(|t| !t) {
        let text = format!("nothing is left to train: leave out one of {}", listed());
        return Err(Invalid::new("freeze", text));
    }
    Ok(Box::new(Frozen::new(Box::new(model), &trainable)))
}

impl Frozen {
    fn new(whole: Box<dyn Model>, trainable: &[bool]) -> Frozen {
        let unknown = |trained: &bool| if *trained { Part::Trained } else { Part::Frozen(f64::INFINITY) };
        let parts: Vec<Part> = trainable.iter().map(unknown).collect();
        let (mut layout, mut spans) = (Layout::default(), Vec::new());
        let degrees = whole.block_degrees_of(&parts);
        for ((block, degree), _) in
            whole.layout().blocks().iter().zip(degrees).zip(trainable).filter(|(_, t)| **t)
        {
            spans.push((block.offset, layout.dim(), block.len()));
            layout.push(block.name.clone(), &block.shape, degree);
        }
        let degree = whole.degree_of(&parts, 1.0);
        Frozen { values: vec![0.0; whole.layout().dim()], whole, parts, spans, layout, degree }
    }
}

/// What the wrapper keeps on the tape beside the whole model's own.
#[derive(Debug, Default)]
struct Kept {
    stored: Vec<f64>,
    grad: Vec<f64>,
    tape: Tape,
}

impl Kept {
    /// The wrapper's part of a tape; made on first use.
    fn of(tape: &mut Tape) -> &mut Kept {
        if !tape.other.as_ref().is_some_and(|other| other.is::<Kept>()) {
            tape.other = Some(Box::<Kept>::default());
        }
        let kept = tape.other.as_mut().and_then(|other| other.downcast_mut());
        kept.expect("it has just been put there")
    }
}

impl Model for Frozen {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn degree(&self) -> &Degree {
        &self.degree
    }

    fn inputs(&self) -> usize {
        self.whole.inputs()
    }

    fn outputs(&self) -> usize {
        self.whole.outputs()
    }

    fn init(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        self.whole.init(rng)
    }

    fn stored(&self) -> &Layout {
        self.whole.layout()
    }

    fn export<'a>(&self, theta: &'a [f64]) -> Cow<'a, [f64]> {
        let mut stored = self.values.clone();
        scatter(&self.spans, theta, &mut stored);
        Cow::Owned(stored)
    }

    fn select<'a>(&self, stored: &'a [f64]) -> Cow<'a, [f64]> {
        let parts = self.spans.iter().flat_map(|&(from, _, len)| &stored[from..from + len]);
        Cow::Owned(parts.copied().collect())
    }

    fn fix(&mut self, stored: &[f64]) {
        self.values.copy_from_slice(stored);
        for (part, block) in self.parts.iter_mut().zip(self.whole.layout().blocks()) {
            if let Part::Frozen(norm) = part {
                *norm = numeric::norm(block.of(stored));
            }
        }
        self.degree = self.whole.degree_of(&self.parts, 1.0);
    }

    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        let Kept { stored, tape, .. } = Kept::of(tape);
        stored.clear();
        stored.extend_from_slice(&self.values);
        scatter(&self.spans, theta, stored);
        self.whole.forward(stored, x, out, tape)
    }

    fn pullback(
        &self,
        _theta: &[f64],
        x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        let Kept { stored, grad: whole, tape } = Kept::of(tape);
        let Some(grad) = grad else { return self.whole.pullback(stored, x, tape, cot, None, dx) };
        // The whole model adds to what is there, as it would unfrozen: the same sums in the same order.
        whole.clear();
        whole.resize(stored.len(), 0.0);
        scatter(&self.spans, grad, whole);
        self.whole.pullback(stored, x, tape, cot, Some(whole), dx)?;
        for &(from, to, len) in &self.spans {
            grad[to..to + len].copy_from_slice(&whole[from..from + len]);
        }
        Ok(())
    }

    fn jvp(
        &self,
        theta: &[f64],
        along: &[f64],
        x: Rows<'_>,
        out: &mut [f64],
        tape: &mut Tape,
    ) -> Result<(), Breakdown> {
        let mut whole = vec![0.0; self.values.len()];
        scatter(&self.spans, along, &mut whole);
        self.whole.jvp(&self.export(theta), &whole, x, out, &mut Kept::of(tape).tape)
    }

    fn tangent_gram(&self, theta: &[f64], x: Rows<'_>, cots: &[f64]) -> Result<Vec<f64>, Breakdown> {
        self.whole.tangent_gram_of(&self.parts, &self.export(theta), x, cots)
    }

    fn kinks(&self, theta: &[f64], x: Rows<'_>, within: f64) -> Option<Vec<Kink>> {
        self.whole.kinks(&self.export(theta), x, within)
    }

    fn degree_at(&self, radius: f64) -> Degree {
        self.whole.degree_of(&self.parts, radius)
    }

    fn homogenized(&self) -> Option<Box<dyn Model>> {
        let whole = self.whole.homogenized_of(&self.parts)?;
        let degree = Degree::Exact { degree: self.degree.order()? };
        let (parts, spans) = (self.parts.clone(), self.spans.clone());
        let (values, layout) = (self.values.clone(), self.layout.clone());
        Some(Box::new(Frozen { whole, values, parts, spans, layout, degree }))
    }

    fn calculus(&self, radius: f64) -> Vec<Line> {
        self.whole.calculus_of(&self.parts, radius)
    }

    fn is_definable(&self) -> bool {
        self.whole.is_definable()
    }

    fn head(&self, theta: &[f64], x: Rows<'_>) -> Option<Head> {
        self.whole.head(&self.export(theta), x)
    }

    fn is_polynomial(&self) -> bool {
        self.whole.is_polynomial()
    }

    fn lipschitz(&self, theta: &[f64]) -> f64 {
        self.whole.lipschitz(&self.export(theta))
    }

    fn lipschitz_along(&self, theta: &[f64], covectors: &[Vec<f64>]) -> Vec<f64> {
        self.whole.lipschitz_along(&self.export(theta), covectors)
    }

    fn conserved(&self, theta: &[f64]) -> Vec<f64> {
        self.whole.conserved_of(&self.parts, &self.export(theta))
    }

    fn row_size(&self) -> usize {
        self.whole.row_size()
    }

    fn chunking(&self) -> Chunking {
        self.whole.chunking()
    }

    fn parallel(&self) -> bool {
        self.whole.parallel()
    }
}

/// Puts the trainable blocks in their places among all.
fn scatter(spans: &[(usize, usize, usize)], theta: &[f64], stored: &mut [f64]) {
    for &(from, to, len) in spans {
        stored[from..from + len].copy_from_slice(&theta[to..to + len]);
    }
}
