"""latephase: a laboratory for the end of neural-network training.

Losses like 1e-100000 are ordinary numbers here: the same losses and algorithms as elsewhere run exactly at any loss, margins and KKT
residuals are measured on the way, and the theorems about the late phase are held against the run.

    >>> import latephase
    >>> run = latephase.run("quickstart", progress=False)
    >>> run.outcome.reached
    True

Everything enters through a spec, a dict or TOML with the keys of the command line's: see :func:`run`.
"""

from ._asked import Checked, Comparison, Degree, Entry, Optimum, check_spec, cite, compare, degree, exact, export, list
from ._errors import InternalError, SpecError
from ._many import Band, Limit, Recipe, Refutation, Sweep, check, limit, recipe, refute, sweep
from ._native import __version__
from ._progress import Progress
from ._run import Outcome, Run, load, resume, run
from . import losses, norms
from .audit import Audit, audit
from .model import Data, Model

__all__ = [
    "Audit",
    "Band",
    "Checked",
    "Comparison",
    "Data",
    "Degree",
    "Entry",
    "InternalError",
    "Limit",
    "Model",
    "Optimum",
    "Outcome",
    "Progress",
    "Recipe",
    "Refutation",
    "Run",
    "SpecError",
    "Sweep",
    "__version__",
    "audit",
    "check",
    "check_spec",
    "cite",
    "compare",
    "degree",
    "exact",
    "export",
    "limit",
    "list",
    "load",
    "losses",
    "norms",
    "recipe",
    "refute",
    "resume",
    "run",
    "sweep",
]
