//! A chain of layers as one model.

use std::any::Any;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::calculus::{Line, Part, Piece};
use super::layer::{
    Activation, AnyLayer, Building, Chain, DenseLayer, Dual, Grads, Kept, Kink, Kinks, Layer, LayerSpec,
    Nonlinearity, Param, Pass, Rise, ScaleLayer, Stage,
};
use super::{Architecture, Chunking, Head, Init, Model, Tape, frozen};
use crate::catalogue::Entry;
use crate::cite::{CAI_2025, Cite, LYU_LI_2020};
use crate::{Breakdown, Degree, Invalid, Layout, Neurons, Rows, numeric};

/// Any layers, one after the other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// The layers, from the input side: `["flatten", { kind = "dense", width = 8 }, "relu", "dense"]`.
    pub layers: Vec<AnyLayer>,
    /// Weight of the right-hand slope at a kink, in [0, 1]: ReLU'(0), 0 by default.
    #[serde(default)]
    pub kink: f64,
    /// Where θ₀ comes from, `he` by default.
    #[serde(default)]
    pub init: Init,
    /// Blocks that are not trained, by name (`0.weight`) or layer (`0`); none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

impl Architecture for Layers {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        Layers::network(&self.layers, input_shape, outputs, self.kink, &self.init, &self.freeze)
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Layers {
    /// The model of a list of layers; shorthands of whole architectures end here too.
    ///
    /// # Errors
    /// Layers that do not fit each other, the data or the loss; settings that make no network.
    pub fn network(
        layers: &[AnyLayer],
        input_shape: &[usize],
        outputs: usize,
        kink: f64,
        init: &Init,
        freeze: &[String],
    ) -> Result<Box<dyn Model>, Invalid> {
        if !(0.0..=1.0).contains(&kink) {
            let text = format!("{kink} is not in [0, 1]: ReLU'(0) lies between the one-sided slopes");
            return Err(Invalid::new("kink", text));
        }
        let building = Building { outputs, kink };
        let built = assembled(layers, input_shape, &building, "layers")?;
        let shape = built.last().map_or(input_shape, |l| l.shape());
        if shape != [outputs] {
            let text = format!(
                "the last layer gives the shape {}, and the loss needs {outputs} outputs",
                super::layer::sizes(shape)
            );
            return Err(Invalid::new("layers", text));
        }
        frozen::freeze(Network::new(input_shape, built, init.clone())?, freeze)
    }
}

/// Builds layers one after the other; an error names the place in `field` and the layer.
///
/// # Errors
/// What a layer says of its settings or its input.
pub fn assembled(
    layers: &[AnyLayer],
    input: &[usize],
    building: &Building,
    field: &str,
) -> Result<Vec<Box<dyn Layer>>, Invalid> {
    let mut built: Vec<Box<dyn Layer>> = Vec::new();
    for (k, spec) in layers.iter().enumerate() {
        let shape = built.last().map_or(input, |l| l.shape());
        let layer = spec.build(shape, building).map_err(|e| {
            let inner = if e.field.is_empty() { String::new() } else { format!(".{}", e.field) };
            Invalid::new(format!("{field}[{k}]{inner}"), e.message)
        })?;
        built.push(layer);
    }
    Ok(built)
}

impl Entry for Layers {
    const ABOUT: &'static str = "a list of layers";
    const EXAMPLE: &'static str =
        "layers = [\"flatten\", { kind = \"dense\", width = 4 }, \"relu\", \"dense\"]";
    const CITE: &'static [Cite] = &[LYU_LI_2020, CAI_2025];
}

/// Layers in sequence. Its degree and layout are derived from them.
#[derive(Debug)]
pub struct Network {
    chain: Chain,
    params: Vec<Param>,
    layout: Layout,
    degree: Degree,
    input_shape: Vec<usize>,
    init: Init,
    /// What is done to a draw of the weights.
    settle: fn(&Layout, &mut [f64]),
}

impl Network {
    /// Puts layers together; `input_shape` is that of one input row.
    ///
    /// # Errors
    /// An initialisation that makes no sense.
    pub fn new(input_shape: &[usize], layers: Vec<Box<dyn Layer>>, init: Init) -> Result<Self, Invalid> {
        init.check()?;
        let chain = Chain::new(input_shape, layers);
        let params = chain.params();
        let trained = vec![Part::Trained; params.len()];
        let rise = chain.rise(&Piece::input(1.0), &trained, "");
        let mut layout = Layout::default();
        for (param, degree) in params.iter().zip(&rise.blocks) {
            layout.push(param.name.clone(), &param.shape, *degree);
        }
        init.check_layers(&layout)?;
        let degree = rise.piece.degree();
        let input_shape = input_shape.to_vec();
        Ok(Network { chain, params, layout, degree, input_shape, init, settle: |_, _| () })
    }

    /// The network with every draw of its weights handed to `settle`; weights that are given or read are left alone.
    #[must_use]
    pub fn settled(self, settle: fn(&Layout, &mut [f64])) -> Self {
        Network { settle, ..self }
    }

    fn rise(&self, parts: &[Part], radius: f64) -> Rise {
        self.chain.rise(&Piece::input(radius), parts, "")
    }
}

impl Model for Network {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn degree(&self) -> &Degree {
        &self.degree
    }

    fn inputs(&self) -> usize {
        self.input_shape.iter().product()
    }

    fn outputs(&self) -> usize {
        self.chain.outputs()
    }

    fn init(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let starts: Vec<_> = self.params.iter().map(|p| p.start).collect();
        let mut theta = self.init.draw(&self.layout, &starts, rng);
        if self.init.is_drawn() {
            (self.settle)(&self.layout, &mut theta);
        }
        theta
    }

    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        self.chain.forward(theta, x.data, x.n(), out, &mut tape.kept);
        tape.kept.output.clear();
        tape.kept.output.extend_from_slice(out);
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
        let out = std::mem::take(&mut tape.kept.output);
        let into = Grads { params: grad, inputs: dx };
        let pass = Pass { params: theta, x: x.data, y: &out, n: x.n() };
        self.chain.pullback(pass, cot, into, &mut tape.kept);
        tape.kept.output = out;
        Ok(())
    }

    fn jvp(
        &self,
        theta: &[f64],
        along: &[f64],
        x: Rows<'_>,
        out: &mut [f64],
        _tape: &mut Tape,
    ) -> Result<(), Breakdown> {
        let params = Dual { at: theta, along: Some(along) };
        self.chain.tangent(params, Dual { at: x.data, along: None }, &[], x.n(), out);
        Ok(())
    }

    fn tangent_gram_of(
        &self,
        parts: &[Part],
        theta: &[f64],
        x: Rows<'_>,
        cots: &[f64],
    ) -> Result<Vec<f64>, Breakdown> {
        let members = cots.len() / self.outputs();
        let mut gram = vec![0.0; members * members];
        self.chain.tangent_gram(theta, parts, (x.data, x.n()), cots, &mut gram);
        super::layer::tangent::mirror(&mut gram, members);
        Ok(gram)
    }

    fn kinks(&self, theta: &[f64], x: Rows<'_>, within: f64) -> Option<Vec<Kink>> {
        let mut list = Vec::new();
        let mut found = Kinks { list: &mut list, within, layer: String::new() };
        self.chain.kinks(&mut found, theta, x.data, x.n());
        Some(list)
    }

    fn degree_of(&self, parts: &[Part], radius: f64) -> Degree {
        self.rise(parts, radius).piece.degree()
    }

    fn block_degrees_of(&self, parts: &[Part]) -> Vec<f64> {
        self.rise(parts, 1.0).blocks
    }

    fn homogenized_of(&self, parts: &[Part]) -> Option<Box<dyn Model>> {
        let rise = self.rise(parts, 1.0);
        let degree = Degree::Exact { degree: rise.piece.degree().order()? };
        let limit: Box<dyn Any> = rise.limit;
        let chain = *limit.downcast::<Chain>().ok()?;
        let (params, layout) = (self.params.clone(), self.layout.clone());
        let (input_shape, init, settle) = (self.input_shape.clone(), self.init.clone(), self.settle);
        Some(Box::new(Network { chain, params, layout, degree, input_shape, init, settle }))
    }

    fn calculus_of(&self, parts: &[Part], radius: f64) -> Vec<Line> {
        self.rise(parts, radius).lines
    }

    fn neurons(&self) -> Option<Neurons> {
        let [below, between, above] = self.chain.layers() else { return None };
        let inner = (below.as_ref() as &dyn Any).downcast_ref::<DenseLayer>()?;
        let outer = (above.as_ref() as &dyn Any).downcast_ref::<DenseLayer>()?;
        let function = (between.as_ref() as &dyn Any).downcast_ref::<Activation>()?.function();
        let slopes = match function {
            Nonlinearity::Relu(_) => [0.0, 1.0],
            Nonlinearity::LeakyRelu(leaky) => [leaky.slope, 1.0],
            _ => return None,
        };
        // A bias above adds a term of lower degree.
        let bias = inner.params().len() > 1;
        let fits = outer.params().len() == 1 && self.degree.is_exact();
        fits.then(|| Neurons {
            inputs: self.inputs(),
            width: inner.outputs(),
            outputs: self.outputs(),
            slopes,
            bias,
        })
    }

    fn head(&self, theta: &[f64], x: Rows<'_>) -> Option<Head> {
        let last = self.chain.layers().len().checked_sub(1)?;
        let dense = (self.chain.layers()[last].as_ref() as &dyn Any).downcast_ref::<DenseLayer>()?;
        let weight = self.chain.params_of(theta, last)[..dense.inputs() * dense.outputs()].to_vec();
        let features = self.chain.into_last(theta, x.data, x.n());
        Some(Head { features, width: dense.inputs(), weight })
    }

    fn is_polynomial(&self) -> bool {
        let smooth = |layer: &dyn Layer| {
            let function = (layer as &dyn Any).downcast_ref::<Activation>().map(Activation::function);
            function.is_some_and(|f| matches!(f, Nonlinearity::Identity(_) | Nonlinearity::Quadratic(_)))
        };
        self.chain.layers().iter().all(|layer| layer.is_affine() || smooth(layer.as_ref()))
    }

    fn lipschitz(&self, theta: &[f64]) -> f64 {
        self.chain.lipschitz(theta)
    }

    /// The affine layers at the end, as one, make a covector of the layers below of each: the last layer of differences
    /// of logits counts as the length of a difference of two rows of W.
    fn lipschitz_along(&self, theta: &[f64], covectors: &[Vec<f64>]) -> Vec<f64> {
        let (n, layers) = (covectors.len(), self.chain.layers());
        let mut top = layers.len();
        let mut back: Vec<f64> = covectors.iter().flatten().copied().collect();
        while top > 0 && layers[top - 1].is_affine() {
            top -= 1;
            let (layer, params) = (&layers[top], self.chain.params_of(theta, top));
            let below = top.checked_sub(1).map_or(self.inputs(), |k| layers[k].outputs());
            let x = vec![0.0; n * below];
            let (mut y, mut dx, mut kept) =
                (vec![0.0; n * layer.outputs()], vec![0.0; n * below], Kept::default());
            layer.forward(params, &x, n, &mut y, &mut kept);
            let grads = Grads { params: None, inputs: Some(&mut dx) };
            layer.pullback(Pass { params, x: &x, y: &y, n }, &back, grads, &mut kept);
            back = dx;
        }
        let below = |k: usize| layers[k].lipschitz(self.chain.params_of(theta, k));
        let below: f64 = (0..top).map(below).product();
        let width = (back.len() / n.max(1)).max(1);
        // Nothing is known of 0·∞.
        back.chunks(width)
            .map(|c| numeric::norm(c) * below)
            .map(|l| if l.is_nan() { f64::INFINITY } else { l })
            .collect()
    }

    fn chunking(&self) -> Chunking {
        if self.chain.shares_threads() { Chunking::Tall } else { Chunking::Cache }
    }

    fn row_size(&self) -> usize {
        self.inputs() + 2 * self.chain.kept_per_row()
    }

    /// For every hidden neuron between two layers that are dense or scale each entry, ‖incoming‖² − p·‖outgoing‖², p the
    /// degree of its activation: constant along the gradient flow, because scaling the incoming weights by c and the outgoing
    /// ones by c^{−p} changes nothing (Lyu & Li 2020, item 13; for ReLU ‖v_r‖² − a_r²). Summed over a layer it is the balance
    /// of the layers' norms. A bias of the incoming layer counts as one of its weights; other biases do not take part, and
    /// neither does anything in a network whose degree they spoil. Nothing is balanced against a frozen layer.
    ///
    /// Where other layers carry weights, the balance of whole layers: ‖W_i‖²/k_i − ‖W_j‖²/k_j for neighbours, k their
    /// degrees.
    fn conserved_of(&self, parts: &[Part], theta: &[f64]) -> Vec<f64> {
        let mut conserved = Vec::new();
        if !self.degree.is_exact() {
            return conserved;
        }
        let balance = || match parts.iter().all(|part| *part == Part::Trained) {
            true => self.balance(theta),
            false => Vec::new(),
        };
        let layers = self.chain.layers();
        let (mut weighted, mut first) = (Vec::new(), 0);
        for (k, layer) in layers.iter().enumerate() {
            let own = &parts[first..first + layer.params().len()];
            first += own.len();
            if let [weight, ..] = own {
                let Some(units) = Units::of(layer.as_ref()) else { return balance() };
                let whole = own.iter().all(|part| *part == Part::Trained);
                weighted.push((k, units, whole, *weight == Part::Trained));
            }
        }
        for pair in weighted.windows(2) {
            let [(below, incoming, is_trained, _), (above, outgoing, _, takes_part)] = pair else { continue };
            let between = layers[below + 1..*above].iter().map(|l| (l.as_ref() as &dyn Any).downcast_ref());
            let power: Option<f64> =
                between.map(|a: Option<&Activation>| Some(a?.function().power())).product();
            let Some(power) = power else { return balance() };
            if !(*is_trained && *takes_part) {
                continue;
            }
            let (into, from) = (self.chain.params_of(theta, *below), self.chain.params_of(theta, *above));
            let of_unit = |j| incoming.incoming(into, j) - power * outgoing.outgoing(from, j);
            conserved.extend((0..layers[*below].outputs()).map(of_unit));
        }
        conserved
    }
}

/// A layer whose weights belong to the units below and above it.
#[derive(Clone, Copy, Debug)]
enum Units {
    /// A dense layer: its inputs and outputs.
    Dense(usize, usize),
    /// A gain for each entry.
    Scale,
}

impl Units {
    fn of(layer: &dyn Layer) -> Option<Units> {
        let layer = layer as &dyn Any;
        let dense = layer.downcast_ref::<DenseLayer>().map(|l| Units::Dense(l.inputs(), l.outputs()));
        dense.or_else(|| layer.downcast_ref::<ScaleLayer>().filter(|s| s.is_by_entry()).map(|_| Units::Scale))
    }

    /// Sum of squares of the weights that lead to unit j, its bias included.
    fn incoming(self, params: &[f64], j: usize) -> f64 {
        match self {
            Units::Dense(inputs, outputs) => {
                let row = &params[j * inputs..(j + 1) * inputs];
                let bias = params.get(outputs * inputs + j).copied().unwrap_or(0.0);
                numeric::dot(row, row) + bias * bias
            }
            Units::Scale => params[j] * params[j],
        }
    }

    /// Sum of squares of the weights that lead away from unit j.
    fn outgoing(self, params: &[f64], j: usize) -> f64 {
        match self {
            Units::Dense(inputs, outputs) => {
                params[..outputs * inputs].iter().skip(j).step_by(inputs).map(|w| w * w).sum()
            }
            Units::Scale => params[j] * params[j],
        }
    }
}

impl Network {
    fn balance(&self, theta: &[f64]) -> Vec<f64> {
        let mut layers: Vec<(&str, f64)> = Vec::new();
        for block in self.layout.blocks() {
            let part = block.of(theta);
            let share = numeric::dot(part, part) / block.degree;
            match layers.last_mut() {
                Some((name, sum)) if *name == block.layer() => *sum += share,
                _ => layers.push((block.layer(), share)),
            }
        }
        if layers.iter().any(|(_, share)| !share.is_finite()) {
            return Vec::new();
        }
        layers.windows(2).map(|pair| pair[0].1 - pair[1].1).collect()
    }
}
