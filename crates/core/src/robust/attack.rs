//! A minimum-norm attack on margins.

use rand::distr::Distribution;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::walk::{Answer, Ask, Place, Walk};
use super::{Margins, least};
use crate::loss::Constraint;
use crate::model::Tape;
use crate::numeric::{distance, norm};
use crate::problem::{chunk_rows, outputs};
use crate::rng::stream;
use crate::{Breakdown, Invalid, Rows};

/// Looks for the nearest point that is classified otherwise; see [`Attack::run`].
///
/// # Examples
/// A linear classifier is f(x)/‖w‖ away from its boundary:
/// ```
/// use latephase_core::loss::{AnyLoss, Logistic};
/// use latephase_core::model::{Architecture, Linear};
/// use latephase_core::robust::{Attack, Margins};
/// use latephase_core::Rows;
/// let model = Linear::default().assemble(&[2], 1).unwrap();
/// let loss = AnyLoss::from(Logistic::default()).build();
/// let margins = Margins { model: model.as_ref(), loss: loss.as_ref(), theta: &[3e50, 4e50] };
/// let found = Attack::default().run(&margins, Rows::new(&[1.0, 0.5], 2), &[0], &[]).unwrap();
/// assert!((found[0].radius - 1.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// Most passes through the network for one walk.
    pub iterations: usize,
    /// Rivals to aim at, the nearest by the linearised margins at x.
    pub rivals: usize,
    /// Further walks, from random points about as far away as what has been found.
    pub restarts: usize,
    /// Where inputs may lie, as (low, high) of every coordinate; anywhere when absent.
    pub limits: Option<(f64, f64)>,
}

impl Default for Attack {
    fn default() -> Attack {
        Attack { iterations: 80, rivals: 3, restarts: 2, limits: None }
    }
}

/// The nearest point found on the wrong side.
#[derive(Clone, Debug, PartialEq)]
pub struct Adversary {
    /// Its distance from the example: an upper bound on the robustness; 0 where the example is on the wrong side
    /// already, ∞ where nothing was found.
    pub radius: f64,
    /// The point; the example itself where the radius is 0 or ∞.
    pub point: Vec<f64>,
}

/// Of one row the least margin, the margin against the target (or the least one again), and that one's rival.
type Seeing = (f64, f64, usize);

/// What there is to know of rows, and where wanted the gradient of each row's second margin.
struct Seen {
    answers: Vec<Seeing>,
    gradients: Vec<f64>,
}

impl Attack {
    /// Checks the settings.
    ///
    /// # Errors
    /// A count of 0, or a box without an inside.
    pub fn check(&self) -> Result<(), Invalid> {
        for (name, count) in [("iterations", self.iterations), ("rivals", self.rivals)] {
            if count == 0 {
                return Err(Invalid::new(name, "0 is not allowed; use at least 1"));
            }
        }
        match self.limits {
            Some((lo, hi)) if !(lo < hi && lo.is_finite() && hi.is_finite()) => {
                let text = format!("[{lo}, {hi}] is no box; give two finite numbers, the lower first");
                Err(Invalid::new("box", text))
            }
            _ => Ok(()),
        }
    }

    /// The nearest points found for the examples, in their order.
    ///
    /// Walks start at every example towards its nearest rivals, at `others` (one for each example: a point believed to be
    /// on its wrong side, such as the nearest example of another class; none when empty) and then at random points. All
    /// walks of a stage pass through the network together. An example's random points are drawn from a stream
    /// that its own numbers name, so its result does not depend on which other examples there are, but for rounding.
    ///
    /// # Accuracy
    /// Every point is verified: its margin, evaluated once more, is at most 0. The radius is an upper bound, and a local
    /// minimum to about 1e-5 of itself unless the passes run out.
    ///
    /// # Errors
    /// Only models that run foreign code fail.
    ///
    /// # Panics
    /// When the numbers of rows, labels and others do not fit, or a row lies outside the box.
    pub fn run(
        &self,
        margins: &Margins<'_>,
        x: Rows<'_>,
        labels: &[u32],
        others: &[&[f64]],
    ) -> Result<Vec<Adversary>, Breakdown> {
        let n = x.n();
        assert!(
            labels.len() == n && (others.is_empty() || others.len() == n),
            "a label and a start for each row"
        );
        if let Some((lo, hi)) = self.limits {
            assert!(x.data.iter().all(|v| (lo..=hi).contains(v)), "inputs lie in the box");
        }
        let known = margins.all(x, labels)?;
        let places: Vec<Place<'_>> =
            (0..n).map(|i| Place { x: x.row(i), margins: &known[i], limits: self.limits }).collect();
        let mut best: Vec<Adversary> = places
            .iter()
            .map(|place| Adversary {
                radius: if place.margins.iter().any(|(_, q)| *q <= 0.0) { 0.0 } else { f64::INFINITY },
                point: place.x.to_vec(),
            })
            .collect();
        // A NaN is on no side, so nothing is claimed of it.
        let open: Vec<usize> = (0..n).filter(|&i| places[i].margins.iter().all(|(_, q)| *q > 0.0)).collect();
        let mut walks = Vec::new();
        for (i, target) in self.aims(margins, &places, labels, &open)? {
            walks.push(Walk::new(i, &places[i], x.row(i).to_vec(), Some(target), self.iterations));
        }
        for &i in open.iter().filter(|_| !others.is_empty()) {
            walks.push(Walk::new(i, &places[i], others[i].to_vec(), None, self.iterations));
        }
        margins.walk(&mut walks, &places, labels)?;
        keep(&walks, &mut best);
        let mut walks = Vec::new();
        for &i in &open {
            let radius = if best[i].radius.is_finite() { best[i].radius } else { 1.0 };
            for k in 0..self.restarts {
                let from = self.around(x.row(i), radius * (k + 1) as f64 / self.restarts as f64, k);
                walks.push(Walk::new(i, &places[i], from, None, self.iterations));
            }
        }
        margins.walk(&mut walks, &places, labels)?;
        keep(&walks, &mut best);
        margins.settle(&places, labels, &mut best)?;
        Ok(best)
    }

    /// For each open example the rivals to aim at: those with the least |s_j|/‖∇s_j‖ at the example.
    fn aims(
        &self,
        margins: &Margins<'_>,
        places: &[Place<'_>],
        labels: &[u32],
        open: &[usize],
    ) -> Result<Vec<(usize, usize)>, Breakdown> {
        let rivals: Vec<Vec<usize>> = open.iter().map(|&i| margins.rivals(labels[i])).collect();
        let asked: Vec<(usize, usize)> =
            open.iter().zip(&rivals).flat_map(|(&i, list)| list.iter().map(move |j| (i, *j))).collect();
        if rivals.iter().all(|list| list.len() == 1) {
            return Ok(asked);
        }
        let dim = places[0].x.len();
        let x: Vec<f64> = asked.iter().flat_map(|(i, _)| places[*i].x.iter().copied()).collect();
        let own: Vec<u32> = asked.iter().map(|(i, _)| labels[*i]).collect();
        let targets: Vec<Option<usize>> = asked.iter().map(|(_, j)| Some(*j)).collect();
        let seen = margins.see(Rows::new(&x, dim), &own, &targets, true)?;
        let mut order: Vec<(usize, f64, usize)> = asked
            .iter()
            .enumerate()
            .map(|(k, &(i, j))| (i, seen.answers[k].1 / norm(&seen.gradients[k * dim..(k + 1) * dim]), j))
            .collect();
        order.sort_by(|a, b| (a.0.cmp(&b.0)).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut aims: Vec<(usize, usize)> = Vec::new();
        for of_one in order.chunk_by(|a, b| a.0 == b.0) {
            aims.extend(of_one.iter().take(self.rivals).map(|(i, _, j)| (*i, *j)));
        }
        Ok(aims)
    }

    /// A random point at this distance, put into the box.
    fn around(&self, x: &[f64], radius: f64, draw: usize) -> Vec<f64> {
        let name = x.iter().fold(0xcbf29ce484222325u64, |h, v| (h ^ v.to_bits()).wrapping_mul(0x100000001b3));
        let mut rng = stream(name, "robust", draw as u64);
        let mut d: Vec<f64> = x.iter().map(|_| StandardNormal.sample(&mut rng)).collect();
        let size = norm(&d);
        for (d, x) in d.iter_mut().zip(x) {
            *d = x + *d * radius / size;
            if let Some((lo, hi)) = self.limits {
                *d = d.clamp(lo, hi);
            }
        }
        d
    }
}

/// Keeps the nearest of what the walks have found.
fn keep(walks: &[Walk], best: &mut [Adversary]) {
    for walk in walks {
        let known = &mut best[walk.example];
        if walk.distance < known.radius {
            *known = Adversary { radius: walk.distance, point: walk.best.clone() };
        }
    }
}

impl Margins<'_> {
    /// The rivals of a label.
    pub(crate) fn rivals(&self, label: u32) -> Vec<usize> {
        let mut list = Vec::new();
        self.list(label, &vec![0.0; self.model.outputs()], &mut list);
        list.iter().map(|c| c.rival).collect()
    }

    /// The margins of every row by rival.
    fn all(&self, x: Rows<'_>, labels: &[u32]) -> Result<Vec<Vec<(usize, f64)>>, Breakdown> {
        let out = outputs(self.model, self.theta, x)?;
        let (mut all, mut list) = (Vec::with_capacity(x.n()), Vec::new());
        for (out, label) in out.chunks(self.model.outputs()).zip(labels) {
            self.list(*label, out, &mut list);
            all.push(list.iter().map(|c| (c.rival, c.value)).collect());
        }
        Ok(all)
    }

    /// Lets the walks ask until none has a question left.
    fn walk(&self, walks: &mut [Walk], places: &[Place<'_>], labels: &[u32]) -> Result<(), Breakdown> {
        loop {
            let mut is_over = true;
            for wants_gradient in [false, true] {
                let wanted = if wants_gradient { Ask::Gradient } else { Ask::Value };
                let asking: Vec<usize> = (0..walks.len()).filter(|&k| walks[k].asks() == wanted).collect();
                if asking.is_empty() {
                    continue;
                }
                is_over = false;
                let x: Vec<f64> = asking.iter().flat_map(|&k| walks[k].at.iter().copied()).collect();
                let own: Vec<u32> = asking.iter().map(|&k| labels[walks[k].example]).collect();
                let targets: Vec<Option<usize>> = asking.iter().map(|&k| walks[k].target).collect();
                let dim = places[0].x.len();
                let seen = self.see(Rows::new(&x, dim), &own, &targets, wants_gradient)?;
                for (row, &k) in asking.iter().enumerate() {
                    let (q, value, rival) = seen.answers[row];
                    let gradient = match wants_gradient {
                        true => &seen.gradients[row * dim..(row + 1) * dim],
                        false => &[],
                    };
                    let walk = &mut walks[k];
                    walk.tell(&places[walk.example], Answer { q, value, rival, gradient });
                }
            }
            if is_over {
                return Ok(());
            }
        }
    }

    /// Narrows every crossing down to rounding and makes sure that what is returned is on the wrong side.
    fn settle(&self, places: &[Place<'_>], labels: &[u32], best: &mut [Adversary]) -> Result<(), Breakdown> {
        let is_open = |a: &Adversary| a.radius > 0.0 && a.radius.is_finite();
        let dim = places.first().map_or(0, |p| p.x.len());
        let look = |best: &[Adversary], which: &[usize]| -> Result<Vec<Seeing>, Breakdown> {
            let x: Vec<f64> = which.iter().flat_map(|&i| best[i].point.iter().copied()).collect();
            let own: Vec<u32> = which.iter().map(|&i| labels[i]).collect();
            let seen = self.see(Rows::new(&x, dim), &own, &vec![None; own.len()], false)?;
            Ok(seen.answers)
        };
        let open: Vec<usize> = (0..best.len()).filter(|&i| is_open(&best[i])).collect();
        if open.is_empty() {
            return Ok(());
        }
        let margins = look(best, &open)?;
        let mut walks: Vec<Walk> = open
            .iter()
            .zip(margins)
            .filter(|(_, (q, ..))| *q <= 0.0)
            .map(|(&i, (q, _, rival))| Walk::along(i, &places[i], best[i].point.clone(), rival, q))
            .collect();
        self.walk(&mut walks, places, labels)?;
        keep(&walks, best);
        // A row's outputs depend on the rows beside it by rounding, so a point on the boundary may fall to either side:
        // out along the segment until it is on the wrong one.
        let mut doubtful = open;
        let mut reach = 1e-15;
        while !doubtful.is_empty() && reach < 1e-3 {
            let margins = look(best, &doubtful)?;
            doubtful = doubtful
                .into_iter()
                .zip(margins)
                .filter(|(_, (q, ..))| !(*q <= 0.0))
                .map(|(i, _)| i)
                .collect();
            for &i in &doubtful {
                let Place { x, limits, .. } = places[i];
                for (p, x) in best[i].point.iter_mut().zip(x) {
                    *p += reach * (*p - x);
                    if let Some((lo, hi)) = limits {
                        *p = p.clamp(lo, hi);
                    }
                }
                best[i].radius = distance(&best[i].point, x);
            }
            reach *= 4.0;
        }
        for i in doubtful {
            best[i] = Adversary { radius: f64::INFINITY, point: places[i].x.to_vec() };
        }
        Ok(())
    }

    /// For every row its least margin and the margin against its target (or the least one), with the latter's gradient
    /// where wanted. Chunks depend on the number of rows alone.
    fn see(
        &self,
        x: Rows<'_>,
        labels: &[u32],
        targets: &[Option<usize>],
        wants_gradient: bool,
    ) -> Result<Seen, Breakdown> {
        let (n, dim, k) = (x.n(), x.dim, self.model.outputs());
        let chunk = chunk_rows(self.model, n.max(1));
        let mut gradients = vec![0.0; if wants_gradient { n * dim } else { 0 }];
        let mut answers = vec![(0.0, 0.0, 0); n];
        let run = |(c, (answers, gradients)): (usize, (&mut [Seeing], &mut [f64]))| {
            let from = c * chunk;
            let rows = x.slice(from, (from + chunk).min(n));
            let (mut out, mut cot) = (vec![0.0; rows.n() * k], vec![0.0; rows.n() * k]);
            let mut tape = Tape::default();
            self.model.forward(self.theta, rows, &mut out, &mut tape)?;
            let mut list: Vec<Constraint> = Vec::new();
            for (r, answer) in answers.iter_mut().enumerate() {
                let span = r * k..(r + 1) * k;
                let label = labels[from + r];
                self.list(label, &out[span.clone()], &mut list);
                let (q, nearest) = least(&list);
                let rival = targets[from + r].unwrap_or(nearest);
                let value = list.iter().find(|c| c.rival == rival).map_or(q, |c| c.value);
                *answer = (q, value, rival);
                if wants_gradient {
                    self.loss.constraint_cotangent(label, rival, &mut cot[span]);
                }
            }
            if wants_gradient {
                self.model.pullback(self.theta, rows, &mut tape, &cot, None, Some(gradients))?;
            }
            Ok(())
        };
        // Without gradients every chunk gets an empty slice of them.
        let empty: Vec<&mut [f64]> = match wants_gradient {
            true => gradients.chunks_mut(chunk * dim).collect(),
            false => (0..n.div_ceil(chunk)).map(|_| &mut [][..]).collect(),
        };
        let work: Vec<_> = answers.chunks_mut(chunk).zip(empty).enumerate().collect();
        if self.model.parallel() && rayon::current_num_threads() > 1 {
            work.into_par_iter().try_for_each(run)?;
        } else {
            work.into_iter().try_for_each(run)?;
        }
        Ok(Seen { answers, gradients })
    }
}
