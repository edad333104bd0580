"""latephase: a laboratory for the end of neural-network training.

Losses like 1e-100000 are ordinary numbers here: the same losses and algorithms as elsewhere run exactly at any loss, margins and KKT
residuals are measured on the way, and the theorems about the late phase are held against the run.

    >>> import latephase
    >>> run = latephase.run("quickstart", progress=False)
    >>> run.outcome.reached
    True

Everything enters through a spec, a dict or TOML with the keys of the command line's: see :func:`run`.
"""

from ._errors import InternalError, SpecError
from ._native import __version__
from ._progress import Progress
from ._run import Outcome, Run, load, resume, run
from . import losses, norms
from .audit import Audit, audit
from .model import Data, Model

__all__ = [
    "Audit",
    "Data",
    "InternalError",
    "Model",
    "Outcome",
    "Progress",
    "Run",
    "SpecError",
    "__version__",
    "audit",
    "load",
    "losses",
    "norms",
    "resume",
    "run",
]
