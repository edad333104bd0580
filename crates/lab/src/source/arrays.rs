//! Arrays of a program that embeds this library: a spec holds their name and fingerprint alone.

use std::sync::Arc;

use latephase_core::{Data, Invalid};
use serde::{Deserialize, Serialize};

use super::{Kind, Loaded, Lookup, SourceError};

/// The settings of `kind = "arrays"`. The program hands the numbers over with [`Arrays::attach`]; a spec that was read from a
/// file has none, and says so when it is loaded.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Arrays {
    /// What their owner calls them.
    pub name: String,
    /// Digest of the inputs, labels and classes of both sets, in hexadecimal digits.
    pub sha256: String,
    #[serde(skip)]
    held: Held,
}

/// The sets; equal by their digest, which the settings hold.
#[derive(Clone, Debug, Default)]
struct Held(Option<(Arc<Data>, Option<Arc<Data>>)>);

impl PartialEq for Held {
    fn eq(&self, _: &Held) -> bool {
        true
    }
}

impl Arrays {
    /// Hands over the training set, and a test set of the same classes and shape.
    pub fn attach(&mut self, train: Arc<Data>, test: Option<Arc<Data>>) {
        self.held = Held(Some((train, test)));
    }
}

impl Kind for Arrays {
    const ABOUT: &'static str = "arrays of a program; only the program that made them can run with them";
    const EXAMPLE: &'static str = "name = \"mine\"\nsha256 = \"00\"";
    const CITE: &'static [&'static str] = &[];

    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn seed_mut(&mut self) -> Option<&mut Option<u64>> {
        None
    }

    fn load(&self, _: u64, _: &Lookup) -> Result<Loaded, SourceError> {
        match &self.held.0 {
            Some((train, test)) => Ok(Loaded {
                train: Arc::clone(train),
                test: test.clone(),
                files: Vec::new(),
                truth: None,
                credit: None,
            }),
            None => Err(SourceError::setting(
                "kind",
                format!(
                    "the data `{}` (SHA-256 {}) are arrays of a program, which a spec does not hold: run, resume and check \
                     from the program that made them (in Python, with `data=`)",
                    self.name,
                    self.sha256.get(..12).unwrap_or(&self.sha256)
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn attached_arrays_are_loaded_and_leave_no_trace_in_the_spec() {
        let text = "kind = \"arrays\"\nname = \"mine\"\nsha256 = \"0123456789abcdef\"\n";
        let mut source: Source = toml::from_str(text).unwrap();
        let error = source.load(0, &Lookup::from_env()).unwrap_err().to_string();
        assert!(error.contains("`mine` (SHA-256 0123456789ab)"), "{error}");
        let data = Data::new(vec![1.0, 2.0], vec![0, 1], vec!["+1".into(), "-1".into()], vec![1]).unwrap();
        let data = Arc::new(data);
        let Source::Arrays(arrays) = &mut source else { panic!("{source:?}") };
        arrays.attach(Arc::clone(&data), None);
        assert_eq!(source.load(0, &Lookup::from_env()).unwrap().train, data);
        assert_eq!(toml::to_string(&source).unwrap(), text);
    }
}
