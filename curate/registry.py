"""Entry points to names to objects, on demand.

An entry point names a package; every public module in it that holds a plug-in of its own name is one. Nothing
is imported until it is asked for by name, or until all names are wanted for a list.
"""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, Protocol, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from curate.errors import CurateError, PluginError, nearest

Kind = Literal["filters", "sources", "measures", "dedups", "rankings", "exports"]

# A folder given on the command line is imported as this package.
LOCAL: Final = "curate_local"

# The extra that brings a package, for the answer to a missing one.
_EXTRAS: Final = {
    "jinja2": "report",
    "altair": "report",
    "vl_convert": "report",
    "tokenizers": "report",
    "ipywidgets": "notebook",
    "torch": "embed",
    "sentence_transformers": "embed",
    "faiss": "embed",
    "transformers": "train",
    "trl": "train",
    "peft": "train",
    "accelerate": "train",
    "datasets": "train",
}


class Plugin(Protocol):
    """What every plug-in has, whatever its kind."""

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def summary(self) -> str: ...
    @property
    def module(self) -> str: ...


def get(kind: Kind, name: str) -> Any:
    """The plug-in of a kind by its name.

    Raises `PluginError` when there is none, it cannot be imported, or a package it needs is missing.
    """
    found = []
    if name.isidentifier() and not name.startswith("_"):
        found = [_plugin(kind, package, name) for package in _packages(kind) if name in _modules(package)]
    plugins = [plugin for plugin in found if plugin is not None]
    if len(plugins) > 1:
        raise PluginError(
            f"two {kind} are called {name!r}",
            where=" and ".join(plugin.module for plugin in plugins),
            next="rename one of them: reasons and tables go by the name",
        )
    if plugins:
        return plugins[0]
    known = names(kind)
    raise PluginError(f"no {kind.removesuffix('s')} is called {name!r}", next=nearest(name, known))


def names(kind: Kind) -> list[str]:
    """The names of all plug-ins of a kind, in alphabetical order. Imports them all; broken ones are not listed."""
    found = set()
    for package in _packages(kind):
        for name in _modules(package):
            with suppress(PluginError):
                if _plugin(kind, package, name) is not None:
                    found.add(name)
    return sorted(found)


def use_folders(wanted: Sequence[Path]) -> None:
    """Make the plug-ins in these folders known, and those of any others unknown.

    Each `name.py` that holds a plug-in called `name` is one. Modules loaded before are forgotten, so that in a
    long session an edited plug-in is read again.
    """
    for folder in wanted:
        if not folder.is_dir():
            raise PluginError("the plug-in folder does not exist", where=str(folder), next="check `--plugins`")
    for loaded in [name for name in sys.modules if name == LOCAL or name.startswith(f"{LOCAL}.")]:
        del sys.modules[loaded]
    _modules.cache_clear()
    _installed.cache_clear()
    invalidate_caches()
    if wanted:
        package = ModuleType(LOCAL)
        package.__path__ = [str(folder.resolve()) for folder in wanted]
        sys.modules[LOCAL] = package


def folders() -> list[Path]:
    """The folders of plug-ins in use, so that workers can use them too."""
    return [Path(folder) for folder in getattr(sys.modules.get(LOCAL), "__path__", [])]


def parameters(plugin: Plugin) -> type[BaseModel]:
    """The plug-in's keyword-only parameters as a model: strict types, nothing else allowed."""
    hints = get_type_hints(plugin.function, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(plugin.function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            # Under an alias, a parameter may bear a name that pydantic's models use themselves.
            default = Field(default=parameter.default, alias=name, min_length=_fewest(hints[name]))
            fields[f"parameter_{name}"] = (hints[name], default)
    config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    return create_model(plugin.name, __config__=config, **fields)


def _fewest(hint: Any) -> int | None:
    """How many a parameter must name: one at least where it chooses among kinds, since none would say nothing."""
    chosen = get_origin(hint) is tuple and get_origin(get_args(hint)[0]) is Literal
    return 1 if chosen else None


def resolved(model: BaseModel) -> dict[str, Any]:
    """A model of parameters as the arguments to call the plug-in with."""
    return {name.removeprefix("parameter_"): getattr(model, name) for name in type(model).model_fields}


def missing(error: ModuleNotFoundError, *, wanted_by: str) -> PluginError:
    """The error for a package that is not installed, with the line that installs it."""
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    install = f"pip install 'curate-sft[{extra}]'" if extra else f"pip install {package}"
    return PluginError(f"{wanted_by} needs the package {package!r}, which is not installed", next=install)


def _class(kind: Kind) -> type:
    module, name = {
        "filters": ("curate.verdict", "Filter"),
        "sources": ("curate.intake", "Source"),
        "measures": ("curate.measure", "Measure"),
        "dedups": ("curate.dedup", "Method"),
        "rankings": ("curate.rankings", "Ranking"),
        "exports": ("curate.export", "Exporter"),
    }[kind]
    found: type = getattr(import_module(module), name)
    return found


def _packages(kind: Kind) -> list[str]:
    found = _installed(kind)
    return [*found, LOCAL] if LOCAL in sys.modules else [*found]


@cache
def _installed(kind: Kind) -> tuple[str, ...]:
    return tuple(sorted({point.value for point in entry_points(group=f"curate.{kind}")}))


@cache
def _modules(package: str) -> Mapping[str, str]:
    try:
        paths = import_module(package).__path__
    except ImportError as error:
        raise PluginError(f"the plug-in package {package!r} cannot be imported: {error}") from error
    return {
        module.name: f"{package}.{module.name}"
        for module in pkgutil.iter_modules(paths)
        if not module.name.startswith("_")
    }


def _plugin(kind: Kind, package: str, name: str) -> Any:
    try:
        module = import_module(_modules(package)[name])
    except ModuleNotFoundError as error:
        raise missing(error, wanted_by=f"the plug-in {name!r}") from error
    except CurateError:
        raise
    except Exception as error:
        what = f"the plug-in {name!r} cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(what, where=_modules(package)[name]) from error
    plugin = getattr(module, name, None)
    return plugin if isinstance(plugin, _class(kind)) else None
