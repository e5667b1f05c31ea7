"""The import law: imports point inward, heavy packages load late, plug-ins know the api alone."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import curate.filters
import curate.sources
import pytest

PACKAGE = Path(find_spec("curate").origin).parent
PLUGINS = {
    "curate.filters": Path(curate.filters.__file__).parent,
    "curate.sources": Path(curate.sources.__file__).parent,
}

# Each layer may import those before it, and nothing after it.
LAYERS = [
    {
        "errors",
        "files",
        "keys",
        "addresses",
        "chat",
        "licenses",
        "toml_lines",
        "watch",
        "views",
        "verdict",
        "markdown",
        "archives",
        "buckets",
        "json_array",
        "spans",
        "streams",
        "zstd",
        "tables",
        "unpacking",
    },
    {"authoring", "record", "intake", "lines", "shapes", "csv_rows", "store"}
    | {"vectors", "rankings", "metrics", "measure", "dedup", "export"},
    {"api", "fingerprint", "registry", "testing"},
    {"pipeline", "engine", "checked_toml", "train.recipe"},
    {"resolve", "inputs", "manifest", "pull"},
    {"complete", "read", "judge", "masking", "selection", "why", "contrast", "twins"}
    | {"report", "attribution", "diff_settings"},
    {"diff", "diff_files", "diff_texts", "duplicates", "rethreshold", "shifts", "distributions"}
    | {"shown", "explore", "tuning", "run_display", "run_charts"},
    {"amend", "measuring", "reduce", "facts", "embedding"}
    | {"decisions", "exporting", "selecting", "controls"}
    | {"eligible", "collapse", "contamination", "deduplicating"},
    {"work"},
    {"review", "explore_widget", "tuning_widget"},
    {"runs"},
    {"ablation", "lint", "looking", "plan", "forms", "implied", "reporting"},
    {"train"},
    {"cli"},
]
# The contracts and the built-ins of these packages lie together; what they may import differs.
LATE = {
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "ray",
    "jinja2",
    "altair",
    "langdetect",
    "datasketch",
    "numba",
    "llvmlite",
    "pyarrow",
    "huggingface_hub",
    "tokenizers",
    "ipywidgets",
    "vl_convert",
    "datasets",
    "trl",
    "peft",
    "accelerate",
    "safetensors",
}


def modules():
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(["curate", *file.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        yield name, file
    for package, folder in PLUGINS.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *parts]).removesuffix(".__init__"), file


def imports(file, *, top_level_only=False):
    tree = ast.parse(file.read_bytes())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:  # with a level: of its own package
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name):
    parts = name.split(".")[1:]
    # A module may lie further in than its package.
    own = (".".join(parts[:2]), parts[0] if parts else "")
    return next((depth for part in own for depth, names in enumerate(LAYERS) if part in names), None)


ALL = dict(modules())


@pytest.mark.parametrize("name", ALL)
def test_imports_point_inward(name):
    own = layer(name)
    for imported in imports(ALL[name]):
        package = imported.split(".")[0]
        if package != "curate" or imported in {"curate", "curate.__version__"} or own is None:
            continue
        depth = layer(imported)
        assert depth is not None, f"{name} imports {imported}, which has no layer"
        assert depth <= own, f"{name} imports {imported} from a layer outside its own"


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith(("curate.filters.", "curate.sources."))])
def test_plugins_import_the_api_and_parsers_alone(name):
    ours = {module for module in imports(ALL[name]) if module.split(".")[0] == "curate"}
    allowed = ("curate.api", "curate.archives", "curate.lines")
    assert all(module.startswith(allowed) for module in ours), sorted(ours)


def test_no_plugin_is_imported_by_name_and_none_by_its_bare_name():
    for name, file in ALL.items():
        if not name.startswith(tuple(PLUGINS)):
            assert not any(
                module.startswith(("curate.filters.", "curate.sources.")) for module in imports(file)
            ), name
        assert not any(module.split(".")[0] in {"filters", "sources"} for module in imports(file)), name


@pytest.mark.parametrize("name", ALL)
def test_heavy_packages_are_imported_where_they_are_used(name):
    used = [module for module in imports(ALL[name], top_level_only=True) if module]
    if name.rpartition(".")[2].startswith("_"):
        return  # loops over arrays, which lists of plug-ins do not import
    assert not {module.split(".")[0] for module in used} & LATE
    assert not [module for module in used if module.rpartition(".")[2].startswith("_") and "__" not in module]


@pytest.mark.parametrize("name", ALL)
def test_hashing_and_randomness_live_in_keys(name):
    if name != "curate.keys":
        assert not {"hashlib", "random", "secrets", "uuid"} & {
            module.split(".")[0] for module in imports(ALL[name])
        }


@pytest.mark.parametrize("name", ALL)
def test_only_the_command_line_prints(name):
    if not name.startswith("curate.cli"):
        calls = [node for node in ast.walk(ast.parse(ALL[name].read_bytes())) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


@pytest.mark.parametrize("name", ALL)
def test_every_module_says_what_it_is_for(name):
    assert ast.get_docstring(ast.parse(ALL[name].read_bytes())), ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_public_functions_and_classes_have_docstrings(name):
    tree = ast.parse(ALL[name].read_bytes())
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        # What only types tell apart is said where it is implemented.
        and not any(getattr(mark, "id", "") == "overload" for mark in node.decorator_list)
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


def test_importing_curate_loads_no_heavy_module():
    program = "import curate, sys; print(sorted({'polars', 'pydantic', 'numpy', 'click'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
