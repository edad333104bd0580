//! The margin constraints of a linear model, as vectors a_c with margins ⟨a_c, θ⟩.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::Failure;
use crate::numeric::{axpy, dot};
use crate::{Data, Invalid};

/// One constraint: sign·⟨θ_right − θ_wrong, x⟩ for one row x of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Index of the example.
    pub example: usize,
    /// The output that should be larger.
    pub right: usize,
    /// The output that should be smaller; none where there is one output only.
    pub wrong: Option<usize>,
    /// Whether the margin counts negatively: an example of the second of two classes.
    pub negative: bool,
}

/// The constraints of a linear model f(x) = W x: vectors a_c over θ = W (outputs × inputs, row by row).
///
/// With one output a_n = y_n x_n; with k outputs there is a_{n,j} = (e_y − e_j) x_nᵀ for each wrong class j.
///
/// # Examples
/// Two points and one output have two constraints, and their margins are y⟨x, θ⟩:
/// ```
/// use latephase_core::Data;
/// use latephase_core::exact::Constraints;
/// let data = Data::new(vec![2.0, 1.0, -1.0, -3.0], vec![0, 1], vec!["+".into(), "-".into()], vec![2])?;
/// let a = Constraints::of(&data, 1, false)?;
/// assert_eq!(a.margins(&[1.0, 1.0]), [3.0, 4.0]);
/// # Ok::<(), latephase_core::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct Constraints<'a> {
    x: Cow<'a, [f64]>,
    inputs: usize,
    outputs: usize,
    list: Vec<Constraint>,
    reach: OnceLock<f64>,
}

impl<'a> Constraints<'a> {
    /// The constraints of a training set for a linear model with this many outputs. With `constant`, every input is
    /// followed by a 1: the weights of it are a bias.
    ///
    /// # Errors
    /// One output for more than two classes, or fewer outputs than classes.
    pub fn of(data: &'a Data, outputs: usize, constant: bool) -> Result<Self, Invalid> {
        let classes = data.classes.len();
        if !(outputs == 1 && classes == 2 || outputs > 1 && outputs >= classes) {
            return Err(Invalid::new(
                "outputs",
                format!("{outputs} outputs cannot tell {classes} classes apart"),
            ));
        }
        let mut list = Vec::with_capacity(data.n() * (outputs - 1).max(1));
        for (example, label) in data.labels().iter().enumerate() {
            let right = *label as usize;
            if outputs == 1 {
                list.push(Constraint { example, right: 0, wrong: None, negative: data.sign(example) < 0.0 });
            } else {
                let wrong = (0..outputs).filter(|j| *j != right);
                list.extend(wrong.map(|j| Constraint { example, right, wrong: Some(j), negative: false }));
            }
        }
        let rows = data.rows();
        let (x, inputs) = match constant {
            false => (Cow::Borrowed(rows.data), rows.dim),
            true => {
                let longer = (0..rows.n()).flat_map(|i| rows.row(i).iter().copied().chain([1.0]));
                (Cow::Owned(longer.collect()), rows.dim + 1)
            }
        };
        Ok(Constraints { x, inputs, outputs, list, reach: OnceLock::new() })
    }

    /// Vectors a_c as they are, `dim` numbers each.
    ///
    /// # Errors
    /// No vector, a length that does not fit, or a number that is not finite.
    pub fn vectors(rows: impl Into<Cow<'a, [f64]>>, dim: usize) -> Result<Self, Invalid> {
        let x = rows.into();
        if dim == 0 || x.is_empty() || x.len() % dim != 0 {
            return Err(Invalid::new("rows", format!("{} numbers are no vectors of {dim}", x.len())));
        }
        if !crate::numeric::all_finite(&x) {
            return Err(Invalid::new("rows", "every number has to be finite"));
        }
        let one = |example| Constraint { example, right: 0, wrong: None, negative: false };
        let list = (0..x.len() / dim).map(one).collect();
        Ok(Constraints { x, inputs: dim, outputs: 1, list, reach: OnceLock::new() })
    }

    /// The same vectors with every input multiplied by its own factor.
    ///
    /// # Panics
    /// When there is not one factor for each input.
    pub fn scaled(&self, factors: &[f64]) -> Constraints<'static> {
        assert_eq!(factors.len(), self.inputs, "one factor for each input");
        let x = self.x.iter().zip(factors.iter().cycle()).map(|(x, c)| x * c).collect::<Vec<_>>();
        Constraints {
            x: Cow::Owned(x),
            inputs: self.inputs,
            outputs: self.outputs,
            list: self.list.clone(),
            reach: OnceLock::new(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none; never so.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Numbers in θ.
    pub fn dim(&self) -> usize {
        self.inputs * self.outputs
    }

    /// Rows and columns of W.
    pub fn shape(&self) -> (usize, usize) {
        (self.outputs, self.inputs)
    }

    /// What the constraints are about, in order.
    pub fn list(&self) -> &[Constraint] {
        &self.list
    }

    fn input(&self, example: usize) -> &[f64] {
        &self.x[example * self.inputs..(example + 1) * self.inputs]
    }

    /// The (first number in θ, factor) of each copy of x that a_c is made of.
    fn parts(&self, c: usize) -> impl Iterator<Item = (usize, f64)> + use<> {
        let Constraint { right, wrong, negative, .. } = self.list[c];
        let sign = if negative { -1.0 } else { 1.0 };
        let inputs = self.inputs;
        [Some((right * inputs, sign)), wrong.map(|j| (j * inputs, -sign))].into_iter().flatten()
    }

    /// Writes a_c.
    pub fn vector(&self, c: usize, out: &mut [f64]) {
        out.fill(0.0);
        let x = self.input(self.list[c].example);
        self.parts(c).for_each(|(from, sign)| axpy(sign, x, &mut out[from..from + self.inputs]));
    }

    /// The margins ⟨a_c, θ⟩.
    ///
    /// # Panics
    /// When θ has another length.
    pub fn margins(&self, theta: &[f64]) -> Vec<f64> {
        assert_eq!(theta.len(), self.dim(), "theta of another length");
        let (mut scores, mut of) = (vec![0.0; self.outputs], usize::MAX);
        self.list
            .iter()
            .map(|c| {
                if c.example != of {
                    of = c.example;
                    let x = self.input(of);
                    scores.iter_mut().zip(theta.chunks_exact(self.inputs)).for_each(|(s, w)| *s = dot(w, x));
                }
                let margin = scores[c.right] - c.wrong.map_or(0.0, |j| scores[j]);
                if c.negative { -margin } else { margin }
            })
            .collect()
    }

    /// Σ λ_c a_c.
    ///
    /// # Panics
    /// When there is not one λ for each constraint.
    pub fn combine(&self, lambda: &[f64]) -> Vec<f64> {
        assert_eq!(lambda.len(), self.len(), "one weight for each constraint");
        let mut g = vec![0.0; self.dim()];
        for (c, weight) in lambda.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            let x = self.input(self.list[c].example);
            self.parts(c).for_each(|(at, sign)| axpy(sign * weight, x, &mut g[at..at + self.inputs]));
        }
        g
    }

    /// ⟨a_c, a_d⟩.
    pub fn inner(&self, c: usize, d: usize) -> f64 {
        let factor: f64 = self
            .parts(c)
            .flat_map(|(at, sign)| self.parts(d).filter(move |p| p.0 == at).map(move |p| sign * p.1))
            .sum();
        if factor == 0.0 {
            return 0.0;
        }
        factor * dot(self.input(self.list[c].example), self.input(self.list[d].example))
    }

    /// ⟨a_c, θ⟩ in twice the working precision, rounded once.
    pub(super) fn margin_exactly(&self, c: usize, theta: &[f64]) -> f64 {
        let x = self.input(self.list[c].example);
        let mut sum = Twice::default();
        for (at, sign) in self.parts(c) {
            theta[at..at + self.inputs].iter().zip(x).for_each(|(w, x)| sum.add_product(sign * w, *x));
        }
        sum.value()
    }

    /// Σ λ_c a_c in twice the working precision, rounded once.
    pub(super) fn combine_exactly(&self, lambda: &[f64]) -> Vec<f64> {
        let mut g = vec![Twice::default(); self.dim()];
        for (c, weight) in lambda.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            let x = self.input(self.list[c].example);
            for (at, sign) in self.parts(c) {
                let place = g[at..at + self.inputs].iter_mut();
                place.zip(x).filter(|(_, x)| **x != 0.0).for_each(|(g, x)| g.add_product(sign * weight, *x));
            }
        }
        g.iter().map(Twice::value).collect()
    }

    /// The largest ‖a_c‖₂, or a little more.
    pub(super) fn reach(&self) -> f64 {
        *self.reach.get_or_init(|| {
            let longest = self.x.chunks_exact(self.inputs).map(|x| dot(x, x)).fold(0.0, f64::max);
            // (e_y − e_j)xᵀ is √2‖x‖ long.
            (if self.outputs > 1 { 2.0 * longest } else { longest }).sqrt()
        })
    }

    /// Refuses data without any number but 0, or with one beyond squares.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let largest = self.x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        if largest > 1e100 || (largest > 0.0 && largest < 1e-100) {
            let text =
                format!("the largest input is {largest:e}; scale the data to between 1e-100 and 1e100");
            return Err(Invalid::new("data", text).into());
        }
        Ok(())
    }
}

/// A sum of products kept as two numbers: the error of n terms is that of one rounding plus n²·2⁻¹⁰⁶ of their sizes
/// (Ogita, Rump & Oishi 2005, algorithm Dot2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Twice {
    high: f64,
    low: f64,
}

impl Twice {
    pub(super) fn add_product(&mut self, a: f64, b: f64) {
        let product = a * b;
        let rest = a.mul_add(b, -product);
        let sum = self.high + product;
        let back = sum - self.high;
        self.low += ((self.high - (sum - back)) + (product - back)) + rest;
        self.high = sum;
    }

    pub(super) fn value(&self) -> f64 {
        self.high + self.low
    }
}
