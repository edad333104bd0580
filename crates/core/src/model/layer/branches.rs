//! Several chains of layers on the same input, joined: the sum, the concatenation or the product of their outputs.
//!
//! In a sum, and in a concatenation, the branch of the largest degree in θ wins: the homogenization drops every branch of a
//! lower one, a skip connection for example, which goes to the defect. Branches of equal degree stay. In a product degrees
//! add (Cai et al. 2025, the calculus in `model::calculus`).

use serde::{Deserialize, Serialize};

use super::{Chain, Dual, Grads, Kept, Kinks, Layer, Param, Pass, Rise, Stage, sizes};
use crate::Invalid;
use crate::model::calculus::{Line, Part, Piece};

/// How branches come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Their sum; all of one shape.
    #[default]
    Sum,
    /// One after the other along the first axis, which is that of the channels.
    Concat,
    /// Their entry-wise product; all of one shape.
    Product,
}

impl Join {
    fn word(self) -> &'static str {
        match self {
            Join::Sum => "sum",
            Join::Concat => "concatenation",
            Join::Product => "product",
        }
    }
}

/// Branches and their join.
#[derive(Debug)]
pub struct Branches {
    /// Each with its name, which its blocks carry: `body.0.weight`.
    branches: Vec<(String, Chain)>,
    /// First and last index of each branch's parameters.
    spans: Vec<(usize, usize)>,
    join: Join,
    shape: Vec<usize>,
    /// Branches that the homogenization leaves out; their outputs are 0.
    without: Vec<bool>,
}

impl Branches {
    /// Joins named branches.
    ///
    /// # Errors
    /// Shapes that do not fit; the field is the name of the branch that does not fit the first.
    pub fn new(branches: Vec<(String, Chain)>, join: Join) -> Result<Branches, Invalid> {
        let first = branches[0].1.shape().to_vec();
        let fits = |shape: &[usize]| match join {
            Join::Sum | Join::Product => shape == first,
            Join::Concat => shape.len() == first.len() && shape[1..] == first[1..],
        };
        if let Some((name, misfit)) = branches.iter().find(|(_, chain)| !fits(chain.shape())) {
            let text = format!(
                "{name} has the shape {} and {} has {}; {}",
                sizes(misfit.shape()),
                branches[0].0,
                sizes(&first),
                match join {
                    Join::Sum | Join::Product => format!("a {} needs equal shapes", join.word()),
                    Join::Concat => "a concatenation needs equal shapes behind the first axis".into(),
                }
            );
            return Err(Invalid::new(name.clone(), text));
        }
        let mut shape = first;
        if join == Join::Concat {
            shape[0] = branches.iter().map(|(_, chain)| chain.shape()[0]).sum();
        }
        Ok(Branches::joined(branches, join, shape, Vec::new()))
    }

    fn joined(branches: Vec<(String, Chain)>, join: Join, shape: Vec<usize>, without: Vec<bool>) -> Branches {
        let mut at = 0;
        let spans = branches.iter().map(|(_, chain)| {
            let from = at;
            at += chain.params().iter().map(Param::len).sum::<usize>();
            (from, at)
        });
        let spans = spans.collect();
        let without = if without.is_empty() { vec![false; branches.len()] } else { without };
        Branches { branches, spans, join, shape, without }
    }

    /// The branches that are not left out: index, chain and span of parameters.
    fn kept(&self) -> impl Iterator<Item = (usize, &Chain, (usize, usize))> {
        let each = self.branches.iter().zip(&self.spans).zip(&self.without).enumerate();
        each.filter(|(_, (_, without))| !**without).map(|(b, (((_, chain), span), _))| (b, chain, *span))
    }

    /// Where branch b stands in an output row.
    fn place(&self, b: usize) -> std::ops::Range<usize> {
        match self.join {
            Join::Sum | Join::Product => 0..self.outputs(),
            Join::Concat => {
                let from: usize = self.branches[..b].iter().map(|(_, c)| c.outputs()).sum();
                from..from + self.branches[b].1.outputs()
            }
        }
    }

    /// y for the outputs of the branches, in the order of [`Branches::kept`].
    fn put_together(&self, outputs: &[&[f64]], y: &mut [f64]) {
        y.fill(if self.join == Join::Product { 1.0 } else { 0.0 });
        for ((b, ..), output) in self.kept().zip(outputs) {
            match self.join {
                Join::Sum => y.iter_mut().zip(*output).for_each(|(y, o)| *y += o),
                Join::Product => y.iter_mut().zip(*output).for_each(|(y, o)| *y *= o),
                Join::Concat => {
                    let place = self.place(b);
                    let rows = y.chunks_exact_mut(self.outputs()).zip(output.chunks_exact(place.len()));
                    rows.for_each(|(y, o)| y[place.clone()].copy_from_slice(o));
                }
            }
        }
    }

    /// The part of an output cotangent (or of anything shaped like the outputs) that belongs to branch b.
    fn share(&self, b: usize, dy: &[f64], into: &mut Vec<f64>) {
        into.clear();
        match self.join {
            Join::Sum | Join::Product => into.extend_from_slice(dy),
            Join::Concat => {
                let place = self.place(b);
                dy.chunks_exact(self.outputs()).for_each(|row| into.extend_from_slice(&row[place.clone()]));
            }
        }
    }
}

impl Stage for Branches {
    fn outputs(&self) -> usize {
        self.shape.iter().product()
    }

    fn forward(&self, params: &[f64], x: &[f64], n: usize, y: &mut [f64], kept: &mut Kept) {
        kept.inner.resize_with(self.branches.len(), Kept::default);
        for (b, chain, (from, to)) in self.kept() {
            let mut output = std::mem::take(&mut kept.inner[b].output);
            output.resize(n * chain.outputs(), 0.0);
            chain.forward(&params[from..to], x, n, &mut output, &mut kept.inner[b]);
            kept.inner[b].output = output;
        }
        let outputs: Vec<&[f64]> = self.kept().map(|(b, ..)| &kept.inner[b].output[..]).collect();
        self.put_together(&outputs, y);
    }

    fn pullback(&self, pass: Pass<'_>, dy: &[f64], mut grads: Grads<'_>, kept: &mut Kept) {
        let Pass { params, x, n, .. } = pass;
        let Kept { inner, back: [cot, dinput], .. } = kept;
        if let Some(dx) = grads.inputs.as_deref_mut() {
            dx.fill(0.0);
        }
        for (b, chain, (from, to)) in self.kept() {
            self.share(b, dy, cot);
            if self.join == Join::Product {
                // ∂(Π o)/∂o_b = Π of the others: no division, which fails at 0.
                for (other, ..) in self.kept().filter(|(other, ..)| *other != b) {
                    cot.iter_mut().zip(&inner[other].output).for_each(|(c, o)| *c *= o);
                }
            }
            let inputs = grads.inputs.is_some().then(|| {
                dinput.resize(x.len(), 0.0);
                &mut dinput[..]
            });
            let into = Grads { params: grads.params.as_deref_mut().map(|g| &mut g[from..to]), inputs };
            let output = std::mem::take(&mut inner[b].output);
            let own = Pass { params: &params[from..to], x, y: &output, n };
            chain.pullback(own, cot, into, &mut inner[b]);
            inner[b].output = output;
            if let Some(dx) = grads.inputs.as_deref_mut() {
                dx.iter_mut().zip(&*dinput).for_each(|(dx, d)| *dx += d);
            }
        }
    }

    fn kept_per_row(&self) -> usize {
        let inside: usize = self.branches.iter().map(|(_, chain)| chain.kept_per_row()).sum();
        inside + self.outputs()
    }
}

impl Layer for Branches {
    fn about(&self) -> String {
        let names: Vec<&str> = self.branches.iter().map(|(name, _)| name.as_str()).collect();
        format!("{} of {}, {}", self.join.word(), names.join(" and "), sizes(&self.shape))
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn params(&self) -> Vec<Param> {
        let each = self.branches.iter();
        let params = each.flat_map(|(name, chain)| {
            chain.params().into_iter().map(move |p| Param { name: format!("{name}.{}", p.name), ..p })
        });
        params.collect()
    }

    fn rise(&self, below: &Piece, parts: &[Part], name: &str) -> Rise {
        let mut rest = parts;
        let (mut names, mut rises) = (Vec::new(), Vec::new());
        for (branch, chain) in &self.branches {
            let (own, after) = rest.split_at(chain.params().len());
            let full = if name.is_empty() { branch.clone() } else { format!("{name}.{branch}") };
            rises.push(chain.rise(below, own, &full));
            names.push(full);
            rest = after;
        }
        let (piece, kept) = match self.join {
            Join::Sum | Join::Concat => {
                let terms: Vec<(&str, &Piece)> =
                    names.iter().map(String::as_str).zip(rises.iter().map(|r| &r.piece)).collect();
                Piece::sum(&terms)
            }
            Join::Product => {
                let factors: Vec<&Piece> = rises.iter().map(|r| &r.piece).collect();
                (Piece::product(&factors), vec![true; rises.len()])
            }
        };
        // Beside another branch that stays, a block of a sum has no degree alone.
        let is_sum = self.join != Join::Product;
        let alone = !is_sum || kept.iter().filter(|k| **k).count() == 1;
        let of_block = |kept: bool, degree: f64| match (kept, alone) {
            (false, _) => 0.0,
            (true, false) if degree != 0.0 => f64::NAN,
            (true, _) => degree,
        };
        let (mut blocks, mut lines, mut dropped, mut limits) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut left_out = Vec::new();
        let (mut own_degree, mut input_degree) = (None, None);
        let merge = |so_far: Option<f64>, next: f64| match so_far {
            None => next,
            Some(known) if !is_sum => known + next,
            Some(known) if known == next => known,
            Some(_) => f64::NAN,
        };
        for ((rise, full), kept) in rises.into_iter().zip(&names).zip(&kept) {
            blocks.extend(rise.blocks.iter().map(|d| of_block(*kept, *d)));
            let mut inside = rise.lines;
            inside.iter_mut().flat_map(|l| &mut l.blocks).for_each(|(_, d)| *d = of_block(*kept, *d));
            lines.append(&mut inside);
            if *kept {
                own_degree = Some(merge(own_degree, rise.own_degree));
                input_degree = Some(merge(input_degree, rise.input_degree));
                dropped.extend(rise.dropped);
            } else {
                left_out.push(format!("{full}, which has degree {}", rise.piece.order));
            }
            let limit: Box<dyn std::any::Any> = rise.limit;
            limits.push(*limit.downcast::<Chain>().expect("the limit of a chain is a chain"));
        }
        let (own_degree, input_degree) = (own_degree.unwrap_or(0.0), input_degree.unwrap_or(0.0));
        lines.push(Line {
            name: name.to_owned(),
            about: self.about(),
            shape: self.shape.clone(),
            own_degree,
            input_degree,
            degree: piece.degree(),
            blocks: Vec::new(),
            dropped: left_out.clone(),
        });
        dropped.extend(left_out);
        let branches = self.branches.iter().map(|(n, _)| n.clone()).zip(limits).collect();
        let without = self.without.iter().zip(&kept).map(|(without, kept)| *without || !kept).collect();
        let limit = Box::new(Branches::joined(branches, self.join, self.shape.clone(), without));
        Rise { piece, own_degree, input_degree, blocks, limit, dropped, lines }
    }

    fn tangent(&self, params: Dual<'_>, x: Dual<'_>, _y: &[f64], n: usize, dy: &mut [f64]) {
        let (mut outputs, mut tangents) = (Vec::new(), Vec::new());
        for (_, chain, (from, to)) in self.kept() {
            let own = Dual { at: &params.at[from..to], along: params.along.map(|v| &v[from..to]) };
            let (mut output, mut tangent) = (vec![0.0; n * chain.outputs()], vec![0.0; n * chain.outputs()]);
            chain.forward(own.at, x.at, n, &mut output, &mut Kept::default());
            chain.tangent(own, x, &output, n, &mut tangent);
            outputs.push(output);
            tangents.push(tangent);
        }
        if self.join == Join::Product {
            for b in 0..outputs.len() {
                for other in (0..outputs.len()).filter(|other| *other != b) {
                    tangents[b].iter_mut().zip(&outputs[other]).for_each(|(t, o)| *t *= o);
                }
            }
            dy.fill(0.0);
            tangents.iter().for_each(|t| dy.iter_mut().zip(t).for_each(|(dy, t)| *dy += t));
            return;
        }
        let tangents: Vec<&[f64]> = tangents.iter().map(Vec::as_slice).collect();
        self.put_together(&tangents, dy);
    }

    fn kinks(&self, found: &mut Kinks<'_>, params: &[f64], x: &[f64], n: usize) {
        let name = found.layer.clone();
        for (b, chain, (from, to)) in self.kept() {
            found.layer = format!("{name}.{}", self.branches[b].0);
            chain.kinks(found, &params[from..to], x, n);
        }
        found.layer = name;
    }

    fn lipschitz(&self, params: &[f64]) -> f64 {
        let each = self.kept().map(|(_, chain, (from, to))| chain.lipschitz(&params[from..to]));
        match self.join {
            Join::Sum => each.sum(),
            Join::Concat => each.map(|l| l * l).sum::<f64>().sqrt(),
            Join::Product => f64::INFINITY,
        }
    }
}
