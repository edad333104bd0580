//! The mathematics of the end of training.
//!
//! For a network f(θ; x), margins q_n(θ) and a loss 𝓛(θ) = Σ ℓ(q_n), gradient methods lower 𝓛 towards 0 for ever once the
//! data are separated. If f is homogeneous, f(cθ) = c^L f(θ), what settles is the direction θ/‖θ‖: gradient flow raises
//! ℓ⁻¹(𝓛)/‖θ‖^L and its limit directions are KKT points of
//!
//! > minimise ½‖θ‖² subject to q_n(θ) ≥ 1 for all n
//!
//! (Lyu & Li 2020). This crate takes such problems to any loss. 𝓛 is known only as ln 𝓛, its gradient only as ∇ ln 𝓛, time
//! only as its logarithm: 1e-100000 is a number like another.
//!
//! # The nouns
//!
//! | noun | what it is |
//! |---|---|
//! | [`Data`], [`Problem`] | examples; a model, a loss and data, with [`Problem::eval`] |
//! | [`model::Model`], [`Layout`], [`Degree`] | θ and inputs to outputs; how θ is cut into blocks; L, derived from the layers |
//! | [`loss::Loss`], [`norm::Norm`] | outputs to ln 𝓛; a geometry, with its steepest direction |
//! | [`Iterate`] | θ with what has been evaluated at it, and its [`Clocks`] |
//! | [`descent::Descent`], [`pace::Pace`], [`Batches`] | where to go, how far, on which examples |
//! | [`algorithm::Algorithm`] | from one iterate to the next: steps, a flow, or a bundle through kinks |
//! | [`probe::Probe`], [`probe::Snapshot`] | what is measured at a look |
//! | [`robust`] | how far an input must move to be called something else: an attack and a bound |
//! | [`ntk`], [`exact`] | the tangent kernel, layer by layer; exact maximal margins with certificates |
//! | [`kkt`] | whether a direction is a KKT point, kinks included, and whether it is a maximum |
//! | [`limit`] | the KKT point that a direction is heading for, and its certificate |
//! | [`quadratic`] | the two small quadratic programmes behind the bundle and the KKT certificates |
//! | [`saddle`] | the direction that raises every gradient of a bundle at once, in any norm |
//! | [`catalogue!`], [`catalogue::Entry`] | the lists from which parsing, help and law tests come |
//!
//! # What it does not do
//!
//! No files, no clock, no global randomness, no printing; no automatic differentiation, no GPU, no number type but f64.
//!
//! # Examples
//! A linear model on two points reaches a loss of 1e-1000 in the direction of the maximum margin:
//! ```
//! use std::sync::Arc;
//! use latephase_core::algorithm::{Algorithm, Stepped};
//! use latephase_core::loss::Logistic;
//! use latephase_core::model::{Architecture, Linear};
//! use latephase_core::pace::UnitDecrease;
//! use latephase_core::{Batches, Data, Iterate, Problem, RowSet};
//!
//! let data = Data::new(vec![2.0, 1.0, -1.0, -2.0], vec![0, 1], vec!["+".into(), "-".into()], vec![2])?;
//! let model = Linear::default().assemble(&[2], 1)?;
//! let problem = Problem::new(model, Box::new(Logistic::default()), Arc::new(data), None);
//! let mut at = Iterate::new(vec![0.1, 0.0]);
//! let pace = UnitDecrease::new(0.5, f64::INFINITY);
//! let mut descent = Stepped::new(Default::default(), pace.into(), Batches::Full);
//! descent.begin(&problem, 0)?;
//! while at.eval(&problem, &RowSet::Full)?.ln_loss > -2302.6 {
//!     descent.step(&problem, &mut at)?;
//! }
//! // The two points are mirror images about the line w_1 = w_2.
//! assert!((at.theta()[0] / at.theta()[1] - 1.0).abs() < 1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

mod batches;
mod data;
mod degree;
mod error;
mod frame;
mod iterate;
mod layout;
mod neurons;
mod posynomial;
mod problem;
mod product;
mod state;

pub mod algorithm;
pub mod catalogue;
pub mod cite;
pub mod descent;
pub mod exact;
pub mod kkt;
pub mod lanczos;
pub mod limit;
pub mod loss;
pub mod matrix;
pub mod model;
pub mod norm;
pub mod ntk;
pub mod numeric;
pub mod pace;
pub mod probe;
pub mod quadratic;
pub mod rng;
pub mod robust;
pub mod saddle;

pub use batches::{BatchStream, Batches};
pub use data::{Data, Rows};
pub use degree::{Defect, Degree};
pub use error::{Breakdown, Invalid};
pub use frame::{Frame, power_of_two};
pub use iterate::{Clocks, Iterate};
pub use layout::{Block, Layout};
pub use neurons::Neurons;
pub use posynomial::Posynomial;
pub use problem::{Eval, Problem, RowSet};
pub use state::{Array, State};

/// The examples of the README, tested.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
