//! The points of the spec itself: small examples and counter-examples, written out.

use latephase_core::{Data, Invalid};
use serde::{Deserialize, Serialize};

use super::{Kind, Loaded, Lookup, SourceError, signs, vectors};

/// The settings of `kind = "points"`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// The inputs, one list of numbers for each, all of one length.
    pub inputs: Vec<Vec<f64>>,
    /// A label for each input: 1 and −1, the positive class being 1; or class numbers 0, 1, …, of which class 0 is the
    /// positive one of two.
    pub labels: Vec<i64>,
}

impl Points {
    /// Index of the class of a label, and the names of the classes.
    fn classes(&self) -> Result<(Vec<u32>, Vec<String>), Invalid> {
        if self.labels.iter().all(|y| matches!(y, 1 | -1)) {
            return Ok((self.labels.iter().map(|y| u32::from(*y < 0)).collect(), signs()));
        }
        let count = self.labels.iter().max().map_or(0, |most| most.saturating_add(1));
        let mut seen = vec![false; usize::try_from(count).unwrap_or(0).min(self.labels.len())];
        for (i, y) in self.labels.iter().enumerate() {
            let slot = usize::try_from(*y).ok().and_then(|y| seen.get_mut(y));
            let Some(slot) = slot else {
                let text = format!("{y} is no label; use 1 and -1, or class numbers 0, 1, 2, … without gaps");
                return Err(Invalid::new(format!("labels[{i}]"), text));
            };
            *slot = true;
        }
        if let Some(missing) = seen.iter().position(|seen| !seen) {
            return Err(Invalid::new(
                "labels",
                format!("no point is of class {missing}, but some of {}", count - 1),
            ));
        }
        let classes = (0..count.max(2)).map(|k| k.to_string()).collect();
        Ok((self.labels.iter().map(|y| *y as u32).collect(), classes))
    }
}

impl Kind for Points {
    const ABOUT: &'static str = "the inputs and labels that are written here";
    const EXAMPLE: &'static str = "inputs = [[2.0, 1.0], [-1.0, -2.0]]\nlabels = [1, -1]";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        let Some(first) = self.inputs.first() else {
            return Err(Invalid::new("inputs", "at least one point is needed"));
        };
        if first.is_empty() {
            return Err(Invalid::new("inputs[0]", "a point needs at least one coordinate"));
        }
        for (i, point) in self.inputs.iter().enumerate() {
            if point.len() != first.len() {
                let text = format!("{} coordinates, but the first point has {}", point.len(), first.len());
                return Err(Invalid::new(format!("inputs[{i}]"), text));
            }
            if let Some(x) = point.iter().find(|x| !x.is_finite()) {
                return Err(Invalid::new(format!("inputs[{i}]"), format!("{x} is not finite")));
            }
        }
        if self.labels.len() != self.inputs.len() {
            let text = format!("{} labels for {} points", self.labels.len(), self.inputs.len());
            return Err(Invalid::new("labels", text));
        }
        self.classes().map(drop)
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        None
    }

    fn load(&self, _: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        let dim = self.inputs.first().map_or(0, Vec::len);
        let (labels, classes) = self.classes()?;
        let train = vectors(self.inputs.concat(), labels, classes, dim)?;
        Ok(Loaded { train, test: None, files: Vec::new(), truth: None, credit: None })
    }
}

impl Points {
    /// The set as data, for programs.
    ///
    /// # Errors
    /// The setting that does not fit, as in a spec.
    ///
    /// # Examples
    /// ```
    /// use latephase_lab::source::Points;
    /// let points = Points { inputs: vec![vec![1.0, 0.0], vec![0.0, 1.0]], labels: vec![1, -1] };
    /// let data = points.data()?;
    /// assert_eq!((data.n(), data.sign(0), data.sign(1)), (2, 1.0, -1.0));
    /// # Ok::<(), latephase_core::Invalid>(())
    /// ```
    pub fn data(&self) -> Result<Data, Invalid> {
        self.check()?;
        let (labels, classes) = self.classes()?;
        Data::new(self.inputs.concat(), labels, classes, vec![self.inputs[0].len()])
    }
}
