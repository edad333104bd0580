//! What can be said of a spec before any data are loaded.

use latephase_core::Invalid;

use super::Spec;
use crate::stop::check_level;

impl Spec {
    /// Checks that the settings make sense together. What depends on the data is checked when the run is built.
    ///
    /// # Errors
    /// The dotted path of a setting, what was given and what is allowed.
    pub fn check(&self) -> Result<(), Invalid> {
        let within = |prefix: &str, e: Invalid| match e.field.as_str() {
            "" => Invalid::new(prefix, e.message),
            field => Invalid::new(format!("{prefix}.{field}"), e.message),
        };
        self.check_name()?;
        if i64::try_from(self.seed).is_err() {
            return Err(Invalid::new(
                "seed",
                format!("{} is beyond the largest seed, {}", self.seed, i64::MAX),
            ));
        }
        self.data.check().map_err(|e| within("data", e))?;
        self.check_phases()?;
        self.stop.check().map_err(|e| within("stop", e))?;
        self.look.check().map_err(|e| within("look", e))?;
        for (k, &level) in self.keep.log10_loss.iter().enumerate() {
            check_level(&format!("keep.log10_loss[{k}]"), level)?;
        }
        self.check_probes()
    }

    /// The name becomes a directory.
    fn check_name(&self) -> Result<(), Invalid> {
        let Some(name) = &self.name else { return Ok(()) };
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=' | ',' | ' ');
        if !name.is_empty() && !name.starts_with(['.', ' ']) && name.len() <= 100 && name.chars().all(plain) {
            return Ok(());
        }
        let text = format!(
            "{name:?} cannot name a directory; use up to 100 letters, digits, `-`, `_` and `.`, not starting with `.`"
        );
        Err(Invalid::new("name", text))
    }

    fn check_phases(&self) -> Result<(), Invalid> {
        let Some(last) = self.algorithm.len().checked_sub(1) else {
            return Err(Invalid::new("algorithm", "the list is empty; give at least one algorithm"));
        };
        for (k, phase) in self.algorithm.iter().enumerate() {
            let path = if last == 0 { "algorithm".to_owned() } else { format!("algorithm[{k}]") };
            match &phase.until {
                None if k < last => {
                    let text = "this phase never ends, so the next never begins; give it `until = { … }`";
                    return Err(Invalid::new(path, text));
                }
                Some(_) if k == last => {
                    let text = "the last phase lasts until `stop` holds; put the condition there";
                    return Err(Invalid::new(format!("{path}.until"), text));
                }
                Some(until) => until.check().map_err(|e| {
                    let dot = if e.field.is_empty() { "" } else { "." };
                    Invalid::new(format!("{path}.until{dot}{}", e.field), e.message)
                })?,
                None => {}
            }
        }
        Ok(())
    }

    fn check_probes(&self) -> Result<(), Invalid> {
        for (k, probe) in self.probes.iter().enumerate() {
            let name = probe.name();
            if name != "external" && self.probes[..k].iter().any(|earlier| earlier.name() == name) {
                let text =
                    format!("the probe `{name}` is listed twice, and its columns can be there only once");
                return Err(Invalid::new(format!("probes[{k}]"), text));
            }
        }
        Ok(())
    }
}
