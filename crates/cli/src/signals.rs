//! Ctrl-C and SIGTERM: the first asks the run to end, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::{Exit, Failure};

/// Set by the first signal; a run ends after its current step, with everything saved.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Listens from here on.
///
/// # Errors
/// When the operating system lets nobody listen.
pub fn listen() -> Result<(), Failure> {
    let heard = || {
        if STOP.swap(true, Ordering::Relaxed) {
            // What is on the disk is whole at any moment: files are renamed into place.
            std::process::exit(Exit::Interrupted as i32);
        }
        eprintln!("\nending after this step; once more to end at once");
    };
    ctrlc::set_handler(heard).map_err(|e| Failure::wrong(format!("cannot listen for signals: {e}")))
}
