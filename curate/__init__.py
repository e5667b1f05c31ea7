"""Turn raw dumps into a small, excellent instruction-tuning set, and prove how.

Public names are resolved on first use, so that `import curate` loads no heavy module.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.ablation import ablate as ablate
    from curate.looking import look as look
    from curate.reporting import open_files as open_files
    from curate.runs import Run as Run
    from curate.runs import load as load
    from curate.runs import run as run

__version__ = "0.1.0"

# In a checkout the plug-in folders lie beside this package, not in it. A Python started there finds
# this `curate` before an installed one, so the checkout's root joins the package's search path.
_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "filters").is_dir() and (_ROOT / "sources").is_dir():
    __path__.append(str(_ROOT))

_PUBLIC = {
    "run": "curate.runs",
    "load": "curate.runs",
    "Run": "curate.runs",
    "look": "curate.looking",
    "ablate": "curate.ablation",
    "open_files": "curate.reporting",
}

__all__ = ["Run", "__version__", "ablate", "load", "look", "open_files", "run"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'curate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
