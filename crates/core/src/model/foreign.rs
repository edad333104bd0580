//! A network of the user's own, made by a program that embeds this library: a spec holds its name and fingerprint alone.
//!
//! The program attaches the code with [`Foreign::attach`]; a spec that was read from a file has none, and says so when it is
//! assembled. Runs of the same fingerprint are runs of the same network: the program makes the digest of all that
//! determines the outputs (blocks and shapes, code, fixed numbers, θ₀).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Architecture, Init, Model};
use crate::Invalid;
use crate::catalogue::Entry;
use crate::cite::{Cite, LYU_LI_2020};

/// Makes the model, given the shape of an input and the number of outputs that the loss asks for.
pub type Maker = dyn Fn(&[usize], usize) -> Result<Box<dyn Model>, Invalid> + Send + Sync;

/// A model whose code is elsewhere.
///
/// # Errors
/// [`Architecture::assemble`] refuses one without code, by its name.
///
/// # Examples
/// ```
/// use latephase_core::model::AnyModel;
/// let model: AnyModel = toml::from_str("kind = 'foreign'\nname = 'my network'\nsha256 = 'c0ffee'")?;
/// let error = model.build().assemble(&[2], 1).unwrap_err();
/// assert!(error.message.contains("`my network`"));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// What its owner calls it.
    pub name: String,
    /// Digest of all that determines its outputs, in hexadecimal digits.
    pub sha256: String,
    #[serde(skip)]
    maker: Option<Arc<Maker>>,
    #[serde(skip)]
    init: Init,
}

impl Foreign {
    /// Gives it its code.
    pub fn attach(&mut self, maker: Arc<Maker>) {
        self.maker = Some(maker);
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = if self.maker.is_some() { "with" } else { "without" };
        write!(f, "Foreign({:?}, {}, {code} code)", self.name, self.sha256)
    }
}

impl Architecture for Foreign {
    fn assemble(&self, input_shape: &[usize], outputs: usize) -> Result<Box<dyn Model>, Invalid> {
        match &self.maker {
            Some(make) => make(input_shape, outputs),
            None => Err(Invalid::new(
                "kind",
                format!(
                    "the model `{}` (SHA-256 {}) is code of the user's own, which a spec does not hold: \
                     run, resume and check it from the program that made it (in Python, with `model=`)",
                    self.name,
                    &self.sha256.get(..12).unwrap_or(&self.sha256)
                ),
            )),
        }
    }

    fn init(&self) -> &Init {
        &self.init
    }
}

impl Entry for Foreign {
    const ABOUT: &'static str =
        "a network of the user's own, in code; only the program that made it can run it";
    const EXAMPLE: &'static str = "name = \"mine\"\nsha256 = \"00\"";
    const CITE: &'static [Cite] = &[LYU_LI_2020];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AnyModel;

    #[test]
    fn attached_code_makes_the_model_and_leaves_no_trace_in_the_spec() {
        let text = "kind = \"foreign\"\nname = \"mine\"\nsha256 = \"0123456789abcdef\"\n";
        let mut any: AnyModel = toml::from_str(text).unwrap();
        let error = any.build().assemble(&[3], 1).unwrap_err();
        assert!(error.message.contains("`mine` (SHA-256 0123456789ab)"), "{error}");
        let AnyModel::Foreign(foreign) = &mut any else { panic!("{any:?}") };
        foreign.attach(Arc::new(|shape, outputs| crate::model::Linear::default().assemble(shape, outputs)));
        let model = any.build().assemble(&[3], 2).unwrap();
        assert_eq!((model.inputs(), model.outputs()), (3, 2));
        assert_eq!(toml::to_string(&any).unwrap(), text);
    }
}
