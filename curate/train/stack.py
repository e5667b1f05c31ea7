"""torch, transformers and their kin, imported late: told when they are missing, silent, and calling nobody."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Final

from curate.errors import PluginError

_NEEDED: Final = ("transformers", "torch", "trl", "accelerate", "peft", "datasets")
# Read when the packages are imported. Whoever wants a hub, or to be counted, sets them otherwise. Threads that
# spin while they wait for each other are, on a machine that does other work too, thirty times as slow (measured).
_ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def load_stack(*, training: bool = True) -> None:
    """Make the packages that training needs ready, without telemetry and without bars of their own.

    Without `training`, of these only transformers, which reads tokenizers and configurations without torch.

    Raises `PluginError` that says how they are installed when one is missing.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        for package in _NEEDED if training else _NEEDED[:1]:
            import_module(package)
    except ModuleNotFoundError as error:
        raise PluginError(
            f"training needs the package {error.name!r}, which is not installed",
            next="pip install 'curate-sft[train]'",
        ) from None
    # Whoever imported the hub's package before us read the environment as it was then.
    hub = import_module("huggingface_hub.constants")
    vars(hub)["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] != "0"
    import_module("transformers.utils.logging").disable_progress_bar()
    if training:
        import_module("datasets").disable_progress_bars()
