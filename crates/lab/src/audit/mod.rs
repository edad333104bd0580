//! A network trained elsewhere under the instruments of the late phase.
//!
//! [`audit`] puts weights into a model, looks once, with every probe that applies, and adds what only such a network
//! needs: which examples support its margin, and whether the loss that it was trained with had already gone wrong.

mod stock;
mod tell;

use latephase_core::model::AnyModel;
use latephase_core::numeric::norm;
use latephase_core::probe::{AnyProbe, Context, Probe, Row, Snapshot, Support};
use latephase_core::robust::{Bounds, Margins};
use latephase_core::{Iterate, Rows};
use serde::Serialize;

use crate::build::{Built, build};
use crate::error::Error;
use crate::source::Lookup;
use crate::spec::Spec;

pub use stock::Stock;
pub use tell::{report, text};

/// Relative width of the band of support vectors, and most of them: wide, because a network that was not trained to the end
/// rests on more than its least margins.
const BAND: (f64, usize) = (1.0, 256);

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The file of weights, as given; the name of a foreign model.
    pub weights: String,
    /// SHA-256 of it.
    pub sha256: String,
    /// The degree of the model, in words.
    pub degree: String,
    /// The loss's name.
    pub loss: String,
    /// Examples, test examples, parameters.
    pub examples: usize,
    /// Number of test examples; 0 without a test set.
    pub test_examples: usize,
    /// Length of θ.
    pub parameters: usize,
    /// Whether ln 𝓛_sum is below the loss's threshold: every training example is right and the theory's late phase has begun.
    pub is_separated: bool,
    /// Every column of every probe, in order; NaN where not known.
    #[serde(serialize_with = "cells")]
    pub row: Vec<(String, f64)>,
    /// Blocks with their shapes and Frobenius norms.
    pub blocks: Vec<BlockNorm>,
    /// Largest Lipschitz constant of a margin, from the layers' norms; ∞ where none is known.
    pub lipschitz: f64,
    /// q_min over that of the normalised margin: the looser bound of Lyu & Li on the least radius.
    pub radius_of_margin: f64,
    /// The examples that support the margin, the largest multiplier first.
    pub support: Vec<Supporting>,
    /// ‖θ̃ − Σ λ h̃‖/‖θ̃‖ with the multipliers of the support: 0 at a KKT point, 1 where they explain nothing.
    pub support_residual: f64,
    /// What stock losses make of it.
    pub stock: Vec<Stock>,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
}

/// A block and how large it is.
#[derive(Clone, Debug, Serialize)]
pub struct BlockNorm {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// ‖W‖_F.
    pub norm: f64,
}

/// One margin constraint near the least.
#[derive(Clone, Debug, Serialize)]
pub struct Supporting {
    /// Index in the training set.
    pub example: usize,
    /// Its class.
    pub label: String,
    /// The class that it is held against; absent for two classes.
    pub rival: Option<String>,
    /// The margin.
    pub margin: f64,
    /// The margin over q_min.
    pub relative: f64,
    /// Its share of the multipliers that explain θ best.
    pub share: f64,
}

fn cells<S: serde::Serializer>(row: &[(String, f64)], s: S) -> Result<S::Ok, S::Error> {
    // JSON has no NaN; serde_json writes it as null.
    s.collect_map(row.iter().map(|(name, value)| (name, value)))
}

impl Audit {
    /// A column's value, NaN where it was not measured.
    pub fn get(&self, column: &str) -> f64 {
        self.row.iter().find(|(name, _)| name == column).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// Looks at the start of a spec whose model starts from a file, or is foreign.
///
/// # Errors
/// Weights, model and data that do not fit, and files that cannot be read.
pub fn audit(spec: &Spec, lookup: &Lookup) -> Result<Audit, Error> {
    let Built { run, files, .. } = build(spec, lookup)?;
    let problem = &run.problem;
    let weights = spec.model.build().init().path.clone().unwrap_or_default();
    let sha256 = files.iter().find(|f| f.path == weights).map(|f| f.sha256.clone()).unwrap_or_default();
    let (weights, sha256) = match &spec.model {
        AnyModel::Foreign(own) => (own.name.clone(), own.sha256.clone()),
        _ => (weights, sha256),
    };
    let mut at = Iterate::new(run.at.theta().to_vec());
    let theta = run.at.theta().to_vec();
    let broken = |b: latephase_core::Breakdown| Error::content(format!("{weights}: {b}"));

    let (mut probes, mut notes) = (Vec::new(), Vec::new());
    for entry in &spec.probes {
        let mut probe = entry.build();
        let context = Context { problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 };
        match probe.begin(&context) {
            Ok(_) => probes.push(probe),
            Err(e) => notes.push(e.message),
        }
    }
    let snapshot = Snapshot::new(problem, &mut at, None).map_err(broken)?;
    let mut row = Row::default();
    row.put("ln_loss", snapshot.full.ln_loss);
    row.put("ln_loss_sum", snapshot.full.ln_loss_sum);
    row.put("log10_loss", snapshot.full.ln_loss / std::f64::consts::LN_10);
    row.put("rho", snapshot.rho);
    row.put("ln_rho", snapshot.rho.ln());
    probes.iter_mut().for_each(|probe: &mut Box<dyn Probe>| probe.measure(&snapshot, &mut row));

    let margins = Margins { model: problem.model.as_ref(), loss: problem.loss.as_ref(), theta: &theta };
    let train = &problem.train;
    let loose = Bounds::of_norms(&margins).radii(&margins, train.rows(), train.labels()).map_err(broken)?;
    let layout = problem.model.layout();
    let blocks = layout.blocks().iter().map(|b| BlockNorm {
        name: b.name.clone(),
        shape: b.shape.clone(),
        norm: norm(b.of(&theta)),
    });
    let degree = problem.model.degree();
    let fit = degree.order().and_then(|order| Support::of(&snapshot, order, BAND.0, BAND.1));
    let (mut support, mut support_residual): (Vec<Supporting>, f64) = (Vec::new(), f64::NAN);
    if let Some(fit) = fit {
        let (total, q_min) = (fit.lambda.iter().sum::<f64>(), snapshot.q_min());
        let order = degree.order().unwrap_or(f64::NAN);
        support_residual = fit.epsilon / (snapshot.rho / q_min.powf(1.0 / order));
        support.extend(fit.constraints.iter().zip(&fit.lambda).map(|(c, lambda)| Supporting {
            example: c.example,
            label: train.classes[train.labels()[c.example] as usize].clone(),
            rival: (problem.model.outputs() > 1).then(|| train.classes[c.rival].clone()),
            margin: c.value,
            relative: c.value / q_min,
            share: lambda / total,
        }));
        support.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.margin.total_cmp(&b.margin)));
    }
    let loss = spec.loss.name();
    let stock = stock::stock(loss, problem, &theta, &snapshot.full).map_err(broken)?;
    Ok(Audit {
        weights,
        sha256,
        degree: degree.to_string(),
        loss: loss.to_owned(),
        examples: train.n(),
        test_examples: problem.test.as_ref().map_or(0, |t| t.n()),
        parameters: problem.dim(),
        is_separated: snapshot.full.ln_loss_sum < problem.loss.ln_threshold(),
        row: row.cells,
        blocks: blocks.collect(),
        lipschitz: Bounds::new(&margins).largest(),
        radius_of_margin: loose.into_iter().fold(f64::INFINITY, f64::min),
        support,
        support_residual,
        stock,
        notes,
    })
}

/// The probes of an audit: those that look at one θ, with the robustness of `examples` of each set.
pub fn probes(examples: usize, limits: Option<(f64, f64)>) -> Vec<AnyProbe> {
    let named = ["margin", "alignment", "kkt", "accuracy"];
    let mut probes: Vec<AnyProbe> = named.iter().map(|name| AnyProbe::example(name)).collect();
    if examples > 0 {
        let mut settings = toml::Table::new();
        settings.insert("kind".into(), "robustness".into());
        let count = i64::try_from(examples).unwrap_or(i64::MAX);
        settings.insert("train".into(), count.into());
        settings.insert("test".into(), count.into());
        if let Some((low, high)) = limits {
            settings.insert("box".into(), vec![low, high].into());
        }
        let probe = toml::Value::Table(settings).try_into();
        probes.push(probe.expect("counts and a box are settings of the probe"));
    }
    probes
}

/// Whether all inputs of the rows lie in [0, 1], as pictures do.
pub fn is_picture(x: Rows<'_>) -> bool {
    x.data.iter().all(|v| (0.0..=1.0).contains(v))
}
