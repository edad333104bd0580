//! Layers in sequence, as one layer.

use super::{Dual, Grads, Kept, Kinks, Layer, Param, Pass, Rise, Stage};
use crate::model::calculus::{Line, Part, Piece};

/// What is executed in place of one or several layers.
#[derive(Debug)]
enum Executed {
    /// The layer of this index.
    Layer(usize),
    /// Several neighbours as one.
    Fused(Box<dyn Stage>),
}

/// A sequence of layers. Block k of layer i is called `i.<block>`, as in `torch.nn.Sequential`.
#[derive(Debug)]
pub struct Chain {
    layers: Vec<Box<dyn Layer>>,
    /// First and last index of each layer's parameters.
    spans: Vec<(usize, usize)>,
    /// What is executed, with its span of parameters.
    stages: Vec<(Executed, (usize, usize))>,
    shape: Vec<usize>,
}

impl Chain {
    /// Layers that fit each other; `input` is the shape of what comes in.
    pub fn new(input: &[usize], layers: Vec<Box<dyn Layer>>) -> Chain {
        let mut spans = Vec::new();
        let mut at = 0;
        for layer in &layers {
            let len: usize = layer.params().iter().map(Param::len).sum();
            spans.push((at, at + len));
            at += len;
        }
        let mut stages = Vec::new();
        let mut k = 0;
        while k < layers.len() {
            let (executed, taken) = match layers[k].fuse(&layers[k + 1..]) {
                Some((fused, taken)) => (Executed::Fused(fused), taken),
                None => (Executed::Layer(k), 0),
            };
            stages.push((executed, (spans[k].0, spans[k + taken].1)));
            k += taken + 1;
        }
        let shape = layers.last().map_or(input, |l| l.shape()).to_vec();
        Chain { layers, spans, stages, shape }
    }

    /// The layers.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// The parameters of layer k.
    pub fn params_of<'a>(&self, params: &'a [f64], k: usize) -> &'a [f64] {
        &params[self.spans[k].0..self.spans[k].1]
    }

    /// What the last layer reads for `n` rows.
    pub fn into_last(&self, params: &[f64], x: &[f64], n: usize) -> Vec<f64> {
        let mut input = x.to_vec();
        for (k, layer) in self.layers.iter().enumerate().take(self.layers.len().saturating_sub(1)) {
            let mut output = vec![0.0; n * layer.outputs()];
            layer.forward(self.params_of(params, k), &input, n, &mut output, &mut Kept::default());
            input = output;
        }
        input
    }

    fn stage(&self, s: usize) -> &dyn Stage {
        match &self.stages[s].0 {
            Executed::Layer(k) => self.layers[*k].as_ref(),
            Executed::Fused(stage) => stage.as_ref(),
        }
    }

    /// Adds to the lower triangle of `into` the inner products of the gradients of members (p, i), row i with the cotangent
    /// p·n + i of `cots`: forward once, back once a pass, and each layer adds what its trained parameters give.
    pub fn tangent_gram(
        &self,
        params: &[f64],
        parts: &[Part],
        (x, n): (&[f64], usize),
        cots: &[f64],
        into: &mut [f64],
    ) {
        let mut kept: Vec<Kept> = Vec::new();
        for (k, layer) in self.layers.iter().enumerate() {
            let mut own = Kept::default();
            let mut output = vec![0.0; n * layer.outputs()];
            let input = kept.last().map_or(x, |below| &below.output[..]);
            layer.forward(self.params_of(params, k), input, n, &mut output, &mut own);
            own.output = output;
            kept.push(own);
        }
        let mut parts_of = Vec::new();
        let mut rest = parts;
        for layer in &self.layers {
            let (own, after) = rest.split_at(layer.params().len());
            parts_of.push(own);
            rest = after;
        }
        // Below the first trained layer nothing is asked for.
        let Some(first) = parts_of.iter().position(|own| own.contains(&Part::Trained)) else { return };
        let mut dy = cots.to_vec();
        for k in (first..self.layers.len()).rev() {
            let layer = self.layers[k].as_ref();
            let (below, here) = kept.split_at_mut(k);
            let input = below.last().map_or(x, |b| &b.output[..]);
            // A layer may use all that it kept; its output is lent beside it.
            let output = std::mem::take(&mut here[0].output);
            let pass = Pass { params: self.params_of(params, k), x: input, y: &output, n };
            if parts_of[k].contains(&Part::Trained) {
                layer.tangent_gram(pass, parts_of[k], &dy, into);
            }
            if k == first {
                break;
            }
            let (out, width) = (n * layer.outputs(), input.len());
            let mut dx = vec![0.0; dy.len() / out * width];
            for (dy, dx) in dy.chunks_exact(out).zip(dx.chunks_exact_mut(width)) {
                layer.pullback(pass, dy, Grads { params: None, inputs: Some(dx) }, &mut here[0]);
            }
            dy = dx;
        }
    }

    /// Calls `visit` with each layer's index, parameters, inputs and outputs, layer by layer.
    fn walk(
        &self,
        params: &[f64],
        x: &[f64],
        n: usize,
        mut visit: impl FnMut(usize, &[f64], &[f64], &[f64]),
    ) {
        let mut input = x.to_vec();
        for (k, layer) in self.layers.iter().enumerate() {
            let own = self.params_of(params, k);
            let mut output = vec![0.0; n * layer.outputs()];
            layer.forward(own, &input, n, &mut output, &mut Kept::default());
            visit(k, own, &input, &output);
            input = output;
        }
    }
}

/// `3.body` and 0 to `3.body.0`; the outermost chain has no name.
fn joined(name: &str, k: usize) -> String {
    if name.is_empty() { k.to_string() } else { format!("{name}.{k}") }
}

impl Stage for Chain {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        kept.inner.resize_with(self.stages.len(), Kept::default);
        if self.stages.is_empty() {
            y.copy_from_slice(x);
        }
        for (s, (_, (from, to))) in self.stages.iter().enumerate() {
            let stage = self.stage(s);
            let (below, here) = kept.inner.split_at_mut(s);
            let input = below.last().map_or(x, |b| &b.output[..]);
            if s + 1 == self.stages.len() {
                stage.forward(&params[*from..*to], input, n, y, &mut here[0]);
            } else {
                let mut output = std::mem::take(&mut here[0].output);
                output.resize(n * stage.outputs(), 0.0);
                stage.forward(&params[*from..*to], input, n, &mut output, &mut here[0]);
                here[0].output = output;
            }
        }
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], mut grads: Grads<'_>, kept: &mut Kept) {
        let Pass { params, x, y, n } = pass;
        let Kept { inner, back: [back, next], .. } = kept;
        if self.stages.is_empty() {
            if let Some(dx) = grads.inputs {
                dx.copy_from_slice(dy);
            }
            return;
        }
        let top = self.stages.len() - 1;
        for (s, (_, (from, to))) in self.stages.iter().enumerate().rev() {
            let (below, here) = inner.split_at_mut(s);
            let input = below.last().map_or(x, |b| &b.output[..]);
            // A stage may use all that it kept; its output is lent beside it.
            let own_output = std::mem::take(&mut here[0].output);
            let output = if s == top { y } else { &own_output[..] };
            let cot = if s == top { dy } else { &back[..] };
            let inputs = if s == 0 {
                grads.inputs.take()
            } else {
                next.resize(input.len(), 0.0);
                Some(&mut next[..])
            };
            let own = grads.params.as_deref_mut().map(|g| &mut g[*from..*to]);
            let into = Grads { params: own, inputs };
            let pass = Pass { params: &params[*from..*to], x: input, y: output, n };
            self.stage(s).pullback(pass, cot, into, &mut here[0]);
            here[0].output = own_output;
            std::mem::swap(back, next);
        }
    }

    fn shares_threads(&self) -> bool {
        !self.stages.is_empty() && (0..self.stages.len()).all(|s| self.stage(s).shares_threads())
    }

    fn kept_per_row(&self) -> usize {
        (0..self.stages.len()).map(|s| self.stage(s).kept_per_row()).sum()
    }
}

impl Layer for Chain {
    fn about(&self) -> String {
        self.layers.iter().map(|l| l.about()).collect::<Vec<_>>().join(", ")
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn params(&self) -> Vec<Param> {
        let own = |k: usize| {
            let params = self.layers[k].params().into_iter();
            params.map(move |p| Param { name: format!("{k}.{}", p.name), ..p })
        };
        (0..self.layers.len()).flat_map(own).collect()
    }

    fn rise(&self, below: &Piece, parts: &[Part], name: &str) -> Rise {
        let (mut piece, mut rest) = (below.clone(), parts);
        let mut rises = Vec::new();
        for (k, layer) in self.layers.iter().enumerate() {
            let (own, after) = rest.split_at(layer.params().len());
            let rise = layer.rise(&piece, own, &joined(name, k));
            piece = rise.piece.clone();
            rises.push(rise);
            rest = after;
        }
        // A block's degree in the chain's output is its degree in its layer times the input degrees of the layers above.
        let (mut above, mut own_degree) = (1.0, 0.0);
        let (mut blocks, mut lines) = (Vec::new(), Vec::new());
        for (k, rise) in rises.iter().enumerate().rev() {
            let here: Vec<f64> = rise.blocks.iter().map(|b| b * above).collect();
            let mut inside = rise.lines.clone();
            inside.iter_mut().flat_map(|line| &mut line.blocks).for_each(|(_, degree)| *degree *= above);
            if inside.is_empty() {
                let layer = &self.layers[k];
                let names = layer.params().into_iter().map(|p| p.name);
                inside.push(Line {
                    name: joined(name, k),
                    about: layer.about(),
                    shape: layer.shape().to_vec(),
                    own_degree: rise.own_degree,
                    input_degree: rise.input_degree,
                    degree: rise.piece.degree(),
                    blocks: names.zip(here.iter().copied()).collect(),
                    dropped: rise.dropped.clone(),
                });
            }
            inside.append(&mut lines);
            lines = inside;
            blocks.splice(0..0, here);
            own_degree += rise.own_degree * above;
            above *= rise.input_degree;
        }
        let dropped = rises.iter().flat_map(|r| r.dropped.iter().cloned()).collect();
        let layers = rises.into_iter().map(|r| r.limit).collect();
        let input = self.layers.first().map_or(&self.shape[..], |_| &[]);
        let limit = Box::new(Chain::new(input, layers));
        Rise { piece, own_degree, input_degree: above, blocks, limit, dropped, lines }
    }

    fn tangent(&self, params: Dual<'_>, x: Dual<'_>, _y: &[f64], n: usize, dy: &mut [f64]) {
        let mut along = x.along.map(<[f64]>::to_vec);
        self.walk(params.at, x.at, n, |k, own, input, output| {
            let mut next = vec![0.0; output.len()];
            let own = Dual { at: own, along: params.along.map(|v| self.params_of(v, k)) };
            let x = Dual { at: input, along: along.as_deref() };
            self.layers[k].tangent(own, x, output, n, &mut next);
            along = Some(next);
        });
        match along {
            Some(along) => dy.copy_from_slice(&along),
            None => dy.fill(0.0),
        }
    }

    fn kinks(&self, found: &mut Kinks<'_>, params: &[f64], x: &[f64], n: usize) {
        let name = found.layer.clone();
        self.walk(params, x, n, |k, own, input, _| {
            found.layer = joined(&name, k);
            self.layers[k].kinks(found, own, input, n);
        });
        found.layer = name;
    }

    fn is_affine(&self) -> bool {
        self.layers.iter().all(|l| l.is_affine())
    }

    fn lipschitz(&self, params: &[f64]) -> f64 {
        let own = |k: usize| self.layers[k].lipschitz(self.params_of(params, k));
        (0..self.layers.len()).map(own).product()
    }
}
