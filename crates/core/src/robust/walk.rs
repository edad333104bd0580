//! One search for a near point on the wrong side of the boundary, as a sequence of questions to the network.
//!
//! A walk first *seeks*: it projects x onto {linearised margin ≤ 0}, again and again from where it gets (Newton's method for
//! the boundary, as DeepFool has it, but from x each time), until a point is on the wrong side. It then *slides*: at its
//! best point z it projects x onto the linearised margin there, tries z + α(p − z), goes back along the segment to x to where
//! the margin changes sign, and keeps the crossing if it is nearer to x (sequential quadratic programming with the
//! boundary as a constraint that is met at every iterate). A trial that lands on the right side adds its own
//! linearisation as a second half-space: that is the correction for curvature, and at a kink of the boundary the other face.
//! p no nearer than z is the condition for a local minimum.
//!
//! The wrong side is the union of {s_j ≤ 0} over the rivals j, and a walk is about one j: the margin that it calls its own is
//! s_j. Points that it meets on the wrong side of another rival it keeps too.
//!
//! Walks do not evaluate anything themselves, so that those of many examples share their passes through the network.

use super::project::{Cut, project};
use crate::numeric::{distance, dot, norm};

/// Newton steps towards the boundary.
const SEEK: usize = 12;
/// Linearisations kept at one point.
const CUTS: usize = 4;
/// Relative width at which the crossing of a segment is known well enough on the way, and most questions for it.
const COARSE: (f64, usize) = (1e-5, 6);
/// The same for the answer.
const FINE: (f64, usize) = (1e-12, 60);
/// Improvements below this relative size end a walk, as does a step shorter than this.
const PROGRESS: f64 = 1e-5;

/// How far behind a linearised boundary the slide aims, relative to the distance so far.
const PUSH: f64 = 1e-7;
/// Parts in which the first segment to the wrong side is searched for an earlier crossing.
const PARTS: usize = 8;

/// What a walk wants to know at [`Walk::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// It has ended.
    Nothing,
    /// The margins.
    Value,
    /// The gradient of its own margin too.
    Gradient,
}

/// The answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    /// The least margin.
    pub q: f64,
    /// The walk's own margin: against its target, or the least one while it has none.
    pub value: f64,
    /// The rival of that margin.
    pub rival: usize,
    /// ∇ of that margin with respect to the input; empty where none was asked for.
    pub gradient: &'a [f64],
}

#[derive(Debug)]
enum Stage {
    /// Newton steps so far.
    Seek(usize),
    /// Parts of the way to the point done.
    Scan(usize, Vec<f64>, f64),
    Cross(Line),
    Linearise,
    /// Trials from the same point so far.
    Trial(usize),
    Done,
}

/// A segment from x to a point on the wrong side, with a bracket of a change of sign.
#[derive(Debug)]
struct Line {
    to: Vec<f64>,
    /// (t, margin) on the right side and on the wrong one.
    right: (f64, f64),
    wrong: (f64, f64),
    t: f64,
    /// Whether the last point fell on the wrong side, for Illinois' rule.
    last: Option<bool>,
    asked: usize,
    until: (f64, usize),
}

impl Line {
    fn new(q0: f64, to: Vec<f64>, q: f64, until: (f64, usize)) -> Line {
        let mut line = Line { to, right: (0.0, q0), wrong: (1.0, q), t: 0.0, last: None, asked: 0, until };
        line.aim();
        line
    }

    /// Regula falsi, kept off the ends; only ratios of margins enter.
    fn aim(&mut self) {
        let ((a, qa), (b, qb)) = (self.right, self.wrong);
        let part = (qa / (qa - qb)).clamp(0.01, 0.99);
        self.t = a + (b - a) * if part.is_nan() { 0.5 } else { part };
    }

    fn is_found(&self) -> bool {
        let (relative, most) = self.until;
        self.wrong.0 - self.right.0 <= relative * self.wrong.0 || self.asked >= most || self.wrong.1 == 0.0
    }

    fn tell(&mut self, q: f64) {
        self.asked += 1;
        let is_wrong = q <= 0.0;
        // Illinois: an end that stays twice counts half, or the bracket would close from one side only.
        let twice = self.last == Some(is_wrong);
        if is_wrong {
            self.wrong = (self.t, q);
            self.right.1 *= if twice { 0.5 } else { 1.0 };
        } else {
            self.right = (self.t, q);
            self.wrong.1 *= if twice { 0.5 } else { 1.0 };
        }
        self.last = Some(is_wrong);
        self.aim();
    }
}

/// x + t(to − x).
fn between(x: &[f64], to: &[f64], t: f64) -> Vec<f64> {
    x.iter().zip(to).map(|(x, to)| x + t * (to - x)).collect()
}

/// What walks of one example share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The example.
    pub x: &'a [f64],
    /// Its margins by rival.
    pub margins: &'a [(usize, f64)],
    /// The box.
    pub limits: Option<(f64, f64)>,
}

impl Place<'_> {
    /// The margin against a rival.
    fn margin(&self, rival: Option<usize>) -> f64 {
        self.margins.iter().find(|(j, _)| Some(*j) == rival).map_or(f64::NAN, |(_, value)| *value)
    }
}

/// One search.
#[derive(Debug)]
pub(super) struct Walk {
    /// Index of the example.
    pub example: usize,
    /// Where the next question is asked.
    pub at: Vec<f64>,
    /// The nearest point known to be on the wrong side, of any rival; x itself before there is one.
    pub best: Vec<f64>,
    /// How far it is from x; ∞ before there is one.
    pub distance: f64,
    /// The rival that it is about.
    pub target: Option<usize>,
    /// Its own best point and its distance.
    z: Vec<f64>,
    length: f64,
    stage: Stage,
    alpha: f64,
    cuts: Vec<Cut>,
    stalls: usize,
    left: usize,
}

impl Walk {
    /// Begins at `from` with at most `budget` questions, aiming at `target` (or at whichever rival is nearest).
    pub fn new(
        example: usize,
        place: &Place<'_>,
        from: Vec<f64>,
        target: Option<usize>,
        budget: usize,
    ) -> Walk {
        Walk {
            example,
            at: from,
            best: place.x.to_vec(),
            distance: f64::INFINITY,
            target,
            z: Vec::new(),
            length: f64::INFINITY,
            stage: Stage::Seek(0),
            alpha: 1.0,
            cuts: Vec::new(),
            stalls: 0,
            left: budget,
        }
    }

    /// Only narrows down where the segment from x to `to` crosses, where the margin against `rival` is `q` ≤ 0.
    pub fn along(example: usize, place: &Place<'_>, to: Vec<f64>, rival: usize, q: f64) -> Walk {
        let mut walk = Walk::new(example, place, to.clone(), Some(rival), FINE.1);
        walk.distance = distance(&to, place.x);
        walk.best.clone_from(&to);
        walk.cross(place, to, q, FINE);
        walk
    }

    /// What it wants to know.
    pub fn asks(&self) -> Ask {
        match &self.stage {
            _ if self.left == 0 => Ask::Nothing,
            Stage::Done => Ask::Nothing,
            Stage::Scan(..) | Stage::Cross(_) => Ask::Value,
            Stage::Seek(_) | Stage::Linearise | Stage::Trial(_) => Ask::Gradient,
        }
    }

    /// Takes the answer and decides where to ask next.
    pub fn tell(&mut self, place: &Place<'_>, answer: Answer<'_>) {
        self.left -= 1;
        if !answer.q.is_finite() {
            self.stage = Stage::Done;
            return;
        }
        let length = if answer.q <= 0.0 { distance(&self.at, place.x) } else { f64::INFINITY };
        if length < self.distance {
            (self.best, self.distance) = (self.at.clone(), length);
        }
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Seek(steps) => self.seek(place, answer, steps),
            Stage::Scan(parts, to, q) => self.scan(place, answer, (parts, to, q)),
            Stage::Cross(mut line) => {
                line.tell(answer.value);
                self.crossing(place, line);
            }
            Stage::Linearise => self.linearise(place, answer),
            Stage::Trial(trials) => self.trial(place, answer, trials),
            Stage::Done => {}
        }
    }

    fn seek(&mut self, place: &Place<'_>, answer: Answer<'_>, steps: usize) {
        if answer.value <= 0.0 {
            self.target = Some(answer.rival);
            self.scan_on(place, (0, self.at.clone(), answer.value));
            return;
        }
        // Further each time: from the right side of a curved boundary plain Newton steps stop just before it.
        let beyond = (0.02 * f64::powi(2.0, steps as i32)).min(0.5);
        let Some(cut) = cut(&self.at, &answer, beyond, 0.0) else { return };
        let next = project(place.x, &[cut], place.limits);
        if steps < SEEK && next != self.at {
            self.at = next;
            self.stage = Stage::Seek(steps + 1);
        }
    }

    fn scan(&mut self, place: &Place<'_>, answer: Answer<'_>, (parts, to, q): (usize, Vec<f64>, f64)) {
        if answer.value <= 0.0 {
            let to = self.at.clone();
            self.cross(place, to, answer.value, COARSE);
        } else {
            self.scan_on(place, (parts, to, q));
        }
    }

    /// Asks at the next part of the way to a point on the wrong side; the nearest of them with a change of sign is kept.
    fn scan_on(&mut self, place: &Place<'_>, (parts, to, q): (usize, Vec<f64>, f64)) {
        if parts + 1 == PARTS {
            self.cross(place, to, q, COARSE);
        } else {
            self.at = between(place.x, &to, (parts + 1) as f64 / PARTS as f64);
            self.stage = Stage::Scan(parts + 1, to, q);
        }
    }

    fn cross(&mut self, place: &Place<'_>, to: Vec<f64>, q: f64, until: (f64, usize)) {
        self.crossing(place, Line::new(place.margin(self.target), to, q, until));
    }

    fn crossing(&mut self, place: &Place<'_>, line: Line) {
        if !line.is_found() {
            self.at = between(place.x, &line.to, line.t);
            self.stage = Stage::Cross(line);
            return;
        }
        if line.until == FINE {
            // Every point on the wrong side that was asked about has been kept.
            return;
        }
        let z = between(place.x, &line.to, line.wrong.0);
        let length = distance(&z, place.x);
        let gain = 1.0 - length / self.length;
        // The crossing is known to COARSE only, so a smaller gain is none.
        self.stalls = if gain > PROGRESS { 0 } else { self.stalls + 1 };
        if length < self.length {
            (self.z, self.length) = (z, length);
            self.alpha = (2.0 * self.alpha).min(1.0);
        } else {
            self.alpha *= 0.25;
        }
        if self.stalls < 3 && self.alpha > PROGRESS {
            self.at.clone_from(&self.z);
            self.stage = Stage::Linearise;
        }
    }

    fn linearise(&mut self, place: &Place<'_>, answer: Answer<'_>) {
        // A linear boundary would be met to rounding, on either side: a little beyond it.
        let Some(cut) = cut(&self.at, &answer, 0.0, PUSH * self.length) else { return };
        self.cuts = vec![cut];
        self.step(place, 0);
    }

    fn trial(&mut self, place: &Place<'_>, answer: Answer<'_>, trials: usize) {
        if answer.value <= 0.0 {
            let to = self.at.clone();
            self.cross(place, to, answer.value, COARSE);
            return;
        }
        let Some(cut) = cut(&self.at, &answer, 0.05, PUSH * self.length) else { return };
        self.cuts.push(cut);
        if trials + 1 >= CUTS {
            // The linearisations do not agree over this distance.
            self.cuts.truncate(1);
            self.alpha *= 0.25;
            if self.alpha > PROGRESS {
                self.step(place, 0);
            }
            return;
        }
        self.step(place, trials + 1);
    }

    /// Asks at z + α(p − z), p the projection of x onto what the linearisations leave.
    fn step(&mut self, place: &Place<'_>, trials: usize) {
        let p = project(place.x, &self.cuts, place.limits);
        let nearest = distance(&p, place.x);
        if trials == 0 && nearest >= self.length * (1.0 - PROGRESS) {
            return;
        }
        self.at = self.z.iter().zip(&p).map(|(z, p)| z + self.alpha * (p - z)).collect();
        self.stage = Stage::Trial(trials);
    }
}

/// {p : value + ⟨g, p − at⟩ ≤ −beyond·|value|}, moved on by a length, as a half-space with a unit normal; none where the
/// gradient is 0.
fn cut(at: &[f64], answer: &Answer<'_>, beyond: f64, push: f64) -> Option<Cut> {
    let size = norm(answer.gradient);
    if !(size > 0.0 && size.is_finite()) {
        return None;
    }
    let normal: Vec<f64> = answer.gradient.iter().map(|g| g / size).collect();
    let offset = dot(&normal, at) - answer.value / size - beyond * (answer.value / size).abs() - push;
    Some(Cut { normal, offset })
}
