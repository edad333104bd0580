//! Networks and arrays of the user's own: code in Python behind the trait of a model, and numbers behind a data source.
//!
//! A spec holds fingerprints. What they stand for is held here, by fingerprint, for as long as a Python object owns it;
//! [`attach`] gives a spec that was read the code and the numbers that it names.
//!
//! Python code is called from one thread at a time, with the interpreter's lock taken inside the call. What it raises is kept
//! with its traceback and raised again when the run has ended ([`take_fault`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use latephase_core::model::{AnyModel, Chunking, Model, Tape};
use latephase_core::{Breakdown, Data, Defect, Degree, Invalid, Layout, Posynomial, Rows};
use latephase_lab::source::{Lookup, Source};
use latephase_lab::{Error, Spec, audit as audits};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rand_chacha::ChaCha8Rng;

use crate::errors::{guard, raised};

/// What is held by fingerprint, for owners that each have a number: the last one's counts, so that a run has the code that it was
/// given, whatever else claims to be the same.
type Registry<T> = LazyLock<Mutex<HashMap<String, Vec<(usize, Arc<T>)>>>>;

static MODELS: Registry<Code> = LazyLock::new(Mutex::default);
static DATA: Registry<Numbers> = LazyLock::new(Mutex::default);

fn open<T>(registry: &'static Registry<T>) -> MutexGuard<'static, HashMap<String, Vec<(usize, Arc<T>)>>> {
    registry.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn hold<T>(registry: &'static Registry<T>, sha256: String, owner: usize, value: T) {
    open(registry).entry(sha256).or_default().push((owner, Arc::new(value)));
}

fn release<T>(registry: &'static Registry<T>, sha256: &str, owner: usize) {
    let mut open = open(registry);
    let mut gone = None;
    if let Some(all) = open.get_mut(sha256) {
        gone = all.iter().rposition(|(own, _)| *own == owner).map(|at| all.remove(at));
        if all.is_empty() {
            open.remove(sha256);
        }
    }
    // After the lock: the end of what is gone may run Python code, which may come here again.
    drop(open);
    drop(gone);
}

fn held<T>(registry: &'static Registry<T>, sha256: &str) -> Option<Arc<T>> {
    open(registry).get(sha256)?.last().map(|(_, value)| Arc::clone(value))
}

/// The Python side of a model: `prepare(shape, outputs)`, `forward(theta, x)`, `pullback(kept, cot, want_x)`.
struct Code {
    object: Py<PyAny>,
    /// What it raised first.
    fault: Arc<Mutex<Option<PyErr>>>,
}

/// Arrays before the loss says what their labels mean.
struct Numbers {
    train: (Vec<f64>, Vec<i64>),
    test: Option<(Vec<f64>, Vec<i64>)>,
    shape: Vec<usize>,
    classes: Vec<String>,
}

/// Holds the code of a model.
#[pyfunction]
pub fn hold_model(sha256: String, owner: usize, object: Py<PyAny>) {
    hold(&MODELS, sha256, owner, Code { object, fault: Arc::default() });
}

/// Lets go of it.
#[pyfunction]
pub fn release_model(sha256: &str, owner: usize) {
    release(&MODELS, sha256, owner);
}

/// A set of arrays: inputs `(n, dim)` and labels `(n,)`.
type Arrays<'py> = (PyReadonlyArray2<'py, f64>, PyReadonlyArray1<'py, i64>);

/// Holds arrays. `classes` may be empty: they are then made from the labels.
#[pyfunction]
#[pyo3(signature = (sha256, owner, train, test, shape, classes))]
pub fn hold_data(
    py: Python<'_>,
    sha256: String,
    owner: usize,
    train: Arrays<'_>,
    test: Option<Arrays<'_>>,
    shape: Vec<usize>,
    classes: Vec<String>,
) -> PyResult<()> {
    guard(py, || {
        let copied = |(x, y): Arrays<'_>| -> PyResult<(Vec<f64>, Vec<i64>)> {
            Ok((x.as_slice()?.to_vec(), y.as_slice()?.to_vec()))
        };
        let test = test.map(copied).transpose()?;
        hold(&DATA, sha256, owner, Numbers { train: copied(train)?, test, shape, classes });
        Ok(())
    })
}

/// Lets go of them.
#[pyfunction]
pub fn release_data(sha256: &str, owner: usize) {
    release(&DATA, sha256, owner);
}

/// What the code of a model raised in its last run, once.
#[pyfunction]
pub fn take_fault(sha256: &str) -> Option<PyErr> {
    let code = held(&MODELS, sha256)?;
    code.fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
}

/// Gives a spec the code and the numbers that it names and that are held here. What is not held stays without; assembling or
/// loading it says so by name.
///
/// # Errors
/// Labels that the loss has no classes for.
pub fn attach(spec: &mut Spec) -> Result<(), Error> {
    let mut outputs = None;
    if let AnyModel::Foreign(foreign) = &mut spec.model
        && let Some(code) = held(&MODELS, &foreign.sha256)
    {
        outputs = code.outputs();
        foreign.attach(Arc::new(move |shape: &[usize], outputs: usize| code.assemble(shape, outputs)));
    }
    if let Source::Arrays(arrays) = &mut spec.data
        && let Some(numbers) = held(&DATA, &arrays.sha256)
    {
        let is_binary = matches!(spec.loss.name(), "logistic" | "exponential");
        let sets = numbers.sets(is_binary, outputs);
        let (train, test) = sets.map_err(|e| Error::spec(format!("data.{}", e.field), e.message))?;
        arrays.attach(train, test);
    }
    Ok(())
}

impl Numbers {
    /// The sets, with class 0 the positive one of a binary loss: label 1, of 0 and 1 as of −1 and +1.
    fn sets(
        &self,
        is_binary: bool,
        outputs: Option<usize>,
    ) -> Result<(Arc<Data>, Option<Arc<Data>>), Invalid> {
        let all = || self.train.1.iter().chain(self.test.iter().flat_map(|t| &t.1)).copied();
        let (low, high) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        let label = |what: &str| Err(Invalid::new("labels", what.to_owned()));
        let (index, classes): (fn(i64) -> u32, Vec<String>) = if is_binary {
            let named = |positive: &str, negative: &str| vec![positive.to_owned(), negative.to_owned()];
            let classes = match self.classes.as_slice() {
                // Names come in the order of the labels, and the data name the positive class first.
                [negative, positive] => named(positive, negative),
                [] if low < 0 => named("+1", "-1"),
                [] => named("1", "0"),
                more => {
                    return label(&format!("a binary loss is for two classes, and {} are named", more.len()));
                }
            };
            if high > 1 || low < -1 || low < 0 && all().any(|y| y == 0) {
                let text = format!(
                    "labels of a binary loss are 0 and 1, or -1 and +1, and these go from {low} to {high}; use cross-entropy for more classes"
                );
                return label(&text);
            }
            (|y| u32::from(y < 1), classes)
        } else {
            let count = match self.classes.len() {
                0 => usize::try_from(high).unwrap_or(0).saturating_add(1).max(outputs.unwrap_or(2)),
                named => named,
            };
            if low < 0 || usize::try_from(high).is_ok_and(|high| high >= count) || count > 1 << 20 {
                let text = format!(
                    "labels of {count} classes go from 0 to {}, and these go from {low} to {high}",
                    count - 1
                );
                return label(&text);
            }
            let classes = match self.classes.is_empty() {
                true => (0..count).map(|k| k.to_string()).collect(),
                false => self.classes.clone(),
            };
            (|y| y as u32, classes)
        };
        let made = |(x, y): &(Vec<f64>, Vec<i64>)| {
            let labels = y.iter().map(|y| index(*y)).collect();
            Data::new(x.clone(), labels, classes.clone(), self.shape.clone()).map(Arc::new)
        };
        Ok((made(&self.train)?, self.test.as_ref().map(made).transpose()?))
    }
}

/// What `prepare` gives: the blocks as (name, shape, degree, trained), the numbers of all of them, the degree as (kind, order,
/// power, why), and rows in a chunk.
type Prepared<'py> = (
    Vec<(String, Vec<usize>, f64, bool)>,
    PyReadonlyArray1<'py, f64>,
    (String, f64, f64, String),
    Option<usize>,
);

impl Code {
    fn keep(&self, py: Python<'_>, error: PyErr) -> String {
        let text = error.to_string();
        let mut fault = self.fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // The first is the cause; the interpreter's lock orders them.
        fault.get_or_insert_with(|| error.clone_ref(py));
        text
    }

    fn outputs(&self) -> Option<usize> {
        Python::attach(|py| self.object.bind(py).getattr("outputs").ok()?.extract().ok())
    }

    fn assemble(self: &Arc<Self>, shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        Python::attach(|py| {
            let ready = || -> PyResult<Foreign> {
                let object = self.object.bind(py);
                let prepared = object.call_method1("prepare", (shape.to_vec(), outputs))?;
                let (blocks, values, (kind, order, power, why), rows): Prepared<'_> = prepared.extract()?;
                let (mut layout, mut stored) = (Layout::default(), Layout::default());
                for (name, shape, degree, is_trained) in blocks {
                    stored.push(name.clone(), &shape, degree);
                    if is_trained {
                        layout.push(name, &shape, degree);
                    }
                }
                let degree = match kind.as_str() {
                    "exact" => Degree::Exact { degree: order },
                    // What was measured is no bound: the coefficient is not known.
                    "near" => {
                        let bound = Posynomial::term(f64::INFINITY, power);
                        Degree::Near { order, defect: Defect { power, bound, why } }
                    }
                    _ => Degree::None { why },
                };
                let values = values.as_slice()?.to_vec();
                if values.len() != stored.dim() {
                    let text = format!("{} numbers for blocks of {}", values.len(), stored.dim());
                    return Err(PyValueError::new_err(text));
                }
                let chunking = rows.map_or(Chunking::Whole, Chunking::Rows);
                let inputs = shape.iter().product();
                Ok(Foreign {
                    code: Arc::clone(self),
                    layout,
                    stored,
                    values,
                    degree,
                    inputs,
                    outputs,
                    chunking,
                })
            };
            let model = ready().map_err(|error| Invalid::new("", self.keep(py, error)))?;
            Ok(Box::new(model) as Box<dyn Model>)
        })
    }
}

/// A model in Python. The trained blocks come first among the stored ones.
struct Foreign {
    code: Arc<Code>,
    layout: Layout,
    stored: Layout,
    values: Vec<f64>,
    degree: Degree,
    inputs: usize,
    outputs: usize,
    chunking: Chunking,
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a model in Python of {} parameters", self.layout.dim())
    }
}

impl Foreign {
    fn call<T>(
        &self,
        work: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T, Breakdown> {
        Python::attach(|py| {
            work(py, self.code.object.bind(py)).map_err(|error| {
                let kind = error.get_type(py).name().map_or_else(|_| String::new(), |name| name.to_string());
                let what = self.code.keep(py, error);
                let what = what.strip_prefix(&format!("{kind}: ")).unwrap_or(&what).to_owned();
                Breakdown::Failed { what: format!("the model's own code raised {kind}: {what}") }
            })
        })
    }

    /// Arrays that Python owns: code may keep them.
    fn rows<'py>(py: Python<'py>, x: Rows<'_>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        PyArray1::from_slice(py, x.data).reshape([x.n(), x.dim])
    }
}

impl Model for Foreign {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn degree(&self) -> &Degree {
        &self.degree
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn init(&self, _: &mut ChaCha8Rng) -> Vec<f64> {
        self.values.clone()
    }

    fn forward(&self, theta: &[f64], x: Rows<'_>, out: &mut [f64], tape: &mut Tape) -> Result<(), Breakdown> {
        // What the last forward pass left goes first: two sets of activations would double the memory.
        tape.other = None;
        let kept: Py<PyAny> = self.call(|py, object| {
            let arguments = (PyArray1::from_slice(py, theta), Foreign::rows(py, x)?);
            let given = object.call_method1("forward", arguments)?;
            let (scores, kept): (PyReadonlyArray2<'_, f64>, Py<PyAny>) = given.extract()?;
            let scores = scores.as_slice()?;
            if scores.len() != out.len() {
                let text = format!("{} scores for {} rows of {}", scores.len(), x.n(), self.outputs);
                return Err(PyValueError::new_err(text));
            }
            out.copy_from_slice(scores);
            Ok(kept)
        })?;
        tape.other = Some(Box::new(kept));
        Ok(())
    }

    fn pullback(
        &self,
        _theta: &[f64],
        _x: Rows<'_>,
        tape: &mut Tape,
        cot: &[f64],
        grad: Option<&mut [f64]>,
        dx: Option<&mut [f64]>,
    ) -> Result<(), Breakdown> {
        let kept = tape.other.as_ref().and_then(|kept| kept.downcast_ref::<Py<PyAny>>());
        let Some(kept) = kept else {
            return Err(Breakdown::Failed { what: "a pullback without a forward pass".into() });
        };
        self.call(|py, object| {
            let cot = Foreign::rows(py, Rows::new(cot, self.outputs))?;
            let given = object.call_method1("pullback", (kept.bind(py), cot, dx.is_some()))?;
            let (gradient, of_x): (PyReadonlyArray1<'_, f64>, Option<PyReadonlyArray1<'_, f64>>) =
                given.extract()?;
            if let Some(grad) = grad {
                let gradient = gradient.as_slice()?;
                if gradient.len() != grad.len() {
                    let text = format!("a gradient of {} numbers for {}", gradient.len(), grad.len());
                    return Err(PyValueError::new_err(text));
                }
                grad.iter_mut().zip(gradient).for_each(|(grad, g)| *grad += g);
            }
            match (dx, &of_x) {
                (Some(dx), Some(of_x)) => {
                    let of_x = of_x.as_slice()?;
                    if of_x.len() != dx.len() {
                        let text = format!("a gradient of {} numbers for inputs of {}", of_x.len(), dx.len());
                        return Err(PyValueError::new_err(text));
                    }
                    dx.copy_from_slice(of_x);
                }
                // Not known, so not claimed.
                (Some(dx), None) => dx.fill(f64::NAN),
                (None, _) => {}
            }
            Ok(())
        })
    }

    fn row_size(&self) -> usize {
        self.inputs + self.outputs
    }

    fn chunking(&self) -> Chunking {
        self.chunking
    }

    fn parallel(&self) -> bool {
        false
    }

    fn stored(&self) -> &Layout {
        &self.stored
    }

    fn export<'a>(&self, theta: &'a [f64]) -> std::borrow::Cow<'a, [f64]> {
        let frozen = &self.values[theta.len()..];
        match frozen {
            [] => theta.into(),
            _ => [theta, frozen].concat().into(),
        }
    }

    fn select<'a>(&self, stored: &'a [f64]) -> std::borrow::Cow<'a, [f64]> {
        std::borrow::Cow::Borrowed(&stored[..self.layout.dim()])
    }
}

/// An audit of the start of a spec's model: as JSON, as text, as a page. `examples` of each set are attacked.
#[pyfunction]
pub fn audit(py: Python<'_>, text: &str, examples: usize) -> PyResult<(String, String, String)> {
    guard(py, || {
        let look = || -> Result<(String, String, String), Error> {
            let mut spec = Spec::parse(text, "<audit>", &[])?;
            attach(&mut spec)?;
            let lookup = Lookup::from_env();
            let loaded = spec.data.load(spec.seed, &lookup).map_err(Error::from)?;
            let sets = [Some(&loaded.train), loaded.test.as_ref()];
            let limits = sets.into_iter().flatten().all(|set| audits::is_picture(set.rows()));
            spec.probes = audits::probes(examples, limits.then_some((0.0, 1.0)));
            let found = audits::audit(&spec, &lookup).map_err(|e| spec.locate(e))?;
            let json = serde_json::to_string(&found).map_err(Error::usage)?;
            Ok((json, audits::text(&found), audits::report(&found, &spec)?))
        };
        py.detach(look).map_err(|e| raised(py, &e))
    })
}
