"""What shapes a part's bytes besides its input: the code, and the versions of the packages it runs on.

The digest of a plug-in covers its module and every first-party module it imports, by their syntax trees
without docstrings (comments are not in the tree), so that rewording an explanation makes nothing again; and
data files that bear a module's name, such as `refers_elsewhere.toml` beside `refers_elsewhere.py`. A name
imported through a module that only passes it on, such as `curate.api`, is followed to where it is made.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from sys import stdlib_module_names, version_info
from typing import Final

from curate.keys import digest, file_digest

# Imported nearly everywhere, and in no table: what an error says, and what is shown of progress.
_SHAPES_NOTHING: Final = {"curate.errors", "curate.watch"}


@cache
def code(*modules: str) -> str:
    """The digest of modules, of the first-party modules they need, and of the versions of all others."""
    own = {module.partition(".")[0] for module in modules} | {"curate"}
    shapes: dict[str, str] = {}
    packages: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in shapes or module in _SHAPES_NOTHING:
            continue
        shapes[module], imports = _shape(module)
        for imported, name in imports:
            package = imported.partition(".")[0]
            if package in own:
                waiting.append(_origin(imported, name))
            elif package not in stdlib_module_names:
                packages.add(package)
    python = version_info[:2]  # what the standard library knows of Unicode, HTML and JSON goes with it
    return digest(python, sorted(shapes.items()), sorted((package, _version(package)) for package in packages))


def forget() -> None:
    """Look at all files anew, because a long session may have seen them edited."""
    for remembered in (code, _origin, _shape, _file):
        remembered.cache_clear()


@cache
def _shape(module: str) -> tuple[str, tuple[tuple[str, str | None], ...]]:
    """What a module is without comments and docstrings, as a digest, and what it imports: (module, name in it)."""
    file = _file(module)
    if file is None:
        return digest(""), ()
    stat = file.stat()
    tree, imports = _parsed(module, file, stat.st_mtime_ns, stat.st_size)
    return digest(tree, _data(file)), imports


@cache
def _parsed(module: str, file: Path, mtime: int, size: int) -> tuple[str, tuple[tuple[str, str | None], ...]]:  # noqa: ARG001 - a file that was edited is parsed again
    """The digest of a module's syntax tree, and what it imports."""
    tree = ast.parse(file.read_bytes())
    imports = tuple(_imports(tree, module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(
            node
        ):
            node.body = node.body[1:]
    return digest(ast.dump(tree)), imports


def _data(file: Path) -> str:
    """The digests of a module's data files, which lie beside it and bear its name."""
    beside = sorted(other for other in file.parent.glob(f"{file.stem}.*") if other.suffix not in {".py", ".pyc"})
    return "".join(f"\n{other.name} {file_digest(other)}" for other in beside if other.is_file())


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "+".join(version(name) for name in sorted(set(packages_distributions().get(package, []))))


@cache
def _file(module: str) -> Path | None:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _imports(tree: ast.Module, module: str) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                file = _file(module)
                own = 1 if file and file.name == "__init__.py" else 0  # a package's dots begin at itself
                parts = module.split(".")
                package = parts[: len(parts) + own - node.level]
                base = ".".join([*package, base] if base else package)
            yield from ((base, alias.name) for alias in node.names)


@cache
def _origin(module: str, name: str | None) -> str:
    """The module that makes `name`, which `module` may only pass on."""
    if name is None:
        return module
    if _file(f"{module}.{name}"):
        return f"{module}.{name}"
    for passed_on, inner in _shape(module)[1]:
        if inner == name and passed_on != module:
            return _origin(passed_on, inner)
    return module
