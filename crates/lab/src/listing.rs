//! What a spec can name, and what can be asked for by name, from the catalogues: the list is the documentation.
//!
//! # Examples
//! ```
//! use latephase_lab::listing::{Kind, lines};
//! let norms = lines(Kind::named("norms").unwrap());
//! assert!(norms.iter().any(|line| line.name == "l2" && line.example == "norm = \"l2\""));
//! ```

use latephase_core::algorithm::AnyAlgorithm;
use latephase_core::catalogue::Listed;
use latephase_core::descent::AnyDescent;
use latephase_core::loss::AnyLoss;
use latephase_core::model::AnyModel;
use latephase_core::model::layer::{AnyLayer, Nonlinearity};
use latephase_core::norm::AnyNorm;
use latephase_core::pace::AnyPace;
use latephase_core::probe::AnyProbe;

use crate::recipe::{LIST, RecipeText, find};
use crate::source::Source;

macro_rules! kinds {
    ($($kind:ident $name:literal $about:literal),+ $(,)?) => {
        /// What can be listed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $about] $kind,)+
        }

        impl Kind {
            /// Every kind, in the order in which they are shown.
            pub const ALL: &[Kind] = &[$(Kind::$kind),+];

            /// What it is called.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name),+ }
            }

            /// What it is, in a few words.
            pub fn about(self) -> &'static str {
                match self { $(Kind::$kind => $about),+ }
            }
        }
    };
}

kinds! {
    Data "data" "Where inputs and labels come from.",
    Models "models" "From inputs and θ to outputs.",
    Layers "layers" "Between the layers of a model.",
    Activations "activations" "Between the layers, entry by entry.",
    Initialisations "initialisations" "Where θ₀ comes from.",
    Losses "losses" "From outputs and labels to ln 𝓛.",
    Algorithms "algorithms" "How θ moves.",
    Batches "batches" "Which examples a step sees.",
    Descents "descents" "Where a step goes.",
    Norms "norms" "The geometry of steepest descent.",
    Paces "paces" "How far a step goes.",
    Probes "probes" "What is measured.",
    Recipes "recipes" "Papers' experiments, ready to run.",
    Claims "claims" "Statements that runs are held against.",
    References "references" "Optima that margins are held against.",
    Exports "exports" "Formats of other tools that runs are written in.",
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: String,
    /// What to write in a spec, or to type.
    pub example: String,
}

/// Names and descriptions of what the core parses without a catalogue.
const BATCHES: [(&str, &str, &str); 3] = [
    ("full", "the whole training set at every step", ""),
    ("shuffle", "without replacement, a new order every epoch", "size = 32"),
    ("fresh", "a subset drawn anew and independently at every step", "size = 32"),
];
const INITIALISATIONS: [(&str, &str, &str); 8] = [
    ("he", "normal with variance 2/fan_in", "alpha = 0.1"),
    ("he-truncated", "the same, cut off at two standard deviations", ""),
    ("lecun", "normal with variance 1/fan_in", ""),
    ("uniform", "uniform on +-1/sqrt(fan_in)", "outer = { kind = \"normal\", std = 0.01 }"),
    ("uniform-fan", "uniform on +-1/fan, fan_in or fan_out", "alpha = 0.01\nfan = \"out\""),
    ("normal", "normal with a given standard deviation", "std = 0.01\nlayers = [1.0, 0.1]"),
    ("file", "weights made elsewhere, from a safetensors file", "path = \"theta.safetensors\""),
    ("values", "every weight given, block after block", "values = [1.0, -0.5]"),
];

/// The entries of a kind.
pub fn lines(kind: Kind) -> Vec<Line> {
    let fixed = |key: &str, list: &[(&'static str, &str, &str)]| {
        list.iter()
            .map(|&(name, about, body)| Line { name, about: about.into(), example: written(key, name, body) })
            .collect()
    };
    match kind {
        Kind::Data => {
            let line = |a: &crate::source::About| Line {
                name: a.name,
                about: a.about.into(),
                example: written("data", a.name, a.example),
            };
            Source::LIST.iter().map(line).collect()
        }
        Kind::Models => listed("model", AnyModel::LIST),
        Kind::Layers => listed("layers", AnyLayer::MAPS),
        Kind::Activations => listed("activation", Nonlinearity::LIST),
        Kind::Initialisations => fixed("init", &INITIALISATIONS),
        Kind::Batches => fixed("batch", &BATCHES),
        Kind::Losses => listed("loss", AnyLoss::LIST),
        Kind::Algorithms => listed("algorithm", AnyAlgorithm::LIST),
        Kind::Descents => listed("descent", AnyDescent::LIST),
        Kind::Norms => listed("norm", AnyNorm::LIST),
        Kind::Paces => listed("pace", AnyPace::LIST),
        Kind::Probes => listed("probes", AnyProbe::LIST),
        Kind::Recipes => recipes(),
        Kind::Claims => claims(),
        Kind::References => references(),
        Kind::Exports => exports(),
    }
}

/// A reference is asked by its name.
fn references() -> Vec<Line> {
    let line = |r: &&'static dyn crate::optima::Reference| Line {
        name: r.name(),
        about: r.about().into(),
        example: format!("latephase exact SPEC --only {}", r.name()),
    };
    crate::optima::LIST.iter().map(line).collect()
}

/// A format is asked for by its name.
fn exports() -> Vec<Line> {
    let line = |f: &&'static dyn crate::export::Format| Line {
        name: f.name(),
        about: f.about().into(),
        example: format!("latephase export RUN --to {}", f.name()),
    };
    crate::export::LIST.iter().map(line).collect()
}

/// A claim is checked on a run, by its id.
fn claims() -> Vec<Line> {
    let line = |c: &'static crate::claim::Stated| Line {
        name: c.about.id,
        about: c.about.says.into(),
        example: format!("{}; assumes {}", c.about.formula, c.about.assumes),
    };
    crate::claim::all().map(line).collect()
}

/// A recipe is run by its name.
fn recipes() -> Vec<Line> {
    let line = |r: &RecipeText| {
        let about = find(r.name).map_or_else(|e| e.to_string(), |recipe| recipe.about);
        Line { name: r.name, about, example: format!("latephase recipe {}", r.name) }
    };
    LIST.iter().map(line).collect()
}

fn listed(key: &str, list: &'static [Listed]) -> Vec<Line> {
    let line =
        |l: &Listed| Line { name: l.name, about: l.about.into(), example: written(key, l.name, l.example) };
    list.iter().map(line).collect()
}

/// `key = "name"`, or with settings `key = { kind = "name", … }`; a probe or a layer is one of a list.
fn written(key: &str, name: &str, body: &str) -> String {
    let settings: Vec<&str> = body.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let value = match settings.is_empty() {
        true => format!("\"{name}\""),
        false => format!("{{ kind = \"{name}\", {} }}", settings.join(", ")),
    };
    if ["probes", "layers"].contains(&key) {
        format!("{key} = [{value}]")
    } else {
        format!("{key} = {value}")
    }
}

#[cfg(test)]
mod tests {
    use latephase_core::Batches;
    use latephase_core::model::Init;

    use super::*;

    #[test]
    fn what_is_listed_is_what_the_core_parses() {
        assert_eq!(BATCHES.map(|b| b.0).as_slice(), Batches::NAMES);
        for (name, _, body) in BATCHES {
            let text = format!("kind = \"{name}\"\n{body}");
            assert!(toml::from_str::<Batches>(&text).is_ok(), "{text}");
        }
        assert_eq!(INITIALISATIONS.map(|i| i.0).as_slice(), Init::NAMES);
        for (name, _, body) in INITIALISATIONS {
            let text = format!("kind = \"{name}\"\n{body}");
            assert!(toml::from_str::<Init>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_example_is_a_line_of_toml() {
        for &kind in Kind::ALL
            .iter()
            .filter(|k| ![Kind::Recipes, Kind::Claims, Kind::References, Kind::Exports].contains(k))
        {
            for line in lines(kind) {
                assert!(toml::from_str::<toml::Table>(&line.example).is_ok(), "{}", line.example);
                assert!(!line.about.is_empty(), "{}", line.name);
            }
        }
    }
}
