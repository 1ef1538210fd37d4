"""The order of the house: what every part has, what none may do, and how long things get.

The directions of imports are held by the contracts in pyproject.toml (`lint-imports`).
"""

import ast
import dataclasses
import inspect
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from reconcile.loop import reconcile
from reconcile.models.convergent import Convergent
from reconcile.models.declared import Declared
from reconcile.values import Kind
from tests.reconcile.laws import ConvergenceLaws

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    *("access", "benchmarks", "clusters", "delivery", "kubenova", "policies", "portal"),
    *("reconcile", "sandbox", "tenancy", "vault"),
)
PURE = (
    *("*/adapters/*.py", "*/intents.py", "tenancy/rules/*.py", "delivery/rules/*.py"),
    "policies/rules/*.py",
    *(f"reconcile/{name}.py" for name in ("values", "errors", "cluster", "plan", "drift", "loop")),
    *(f"reconcile/{name}.py" for name in ("fields", "ownership", "omission")),
    *(f"reconcile/{name}.py" for name in ("deadline", "planning/values", "planning/footing")),
)
FORBIDDEN_NAMES = {"utils", "helpers", "services", "common", "managers"}

MODULE_LINES = 300
FUNCTION_LINES = 40
LOOP_LINES = 25
TEST_LINES_PER_SOURCE_LINE = 1.0

# The one place where a defect of a row is caught, so that the others go on.
BROAD_EXCEPT = "reconcile/drain.py"


def sources(*parts: str) -> list[Path]:
    """Every module of the parts that is written by hand."""
    found = (path for part in parts or PARTS for path in sorted((ROOT / part).rglob("*.py")))
    return [path for path in found if "migrations" not in path.parts]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines(paths: Sequence[Path]) -> int:
    return sum(len(path.read_text().splitlines()) for path in paths)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


each_module = pytest.mark.parametrize("path", sources(), ids=name_of)


# --- Size.


@each_module
def test_a_module_can_be_held_in_the_head(path):
    assert len(path.read_text().splitlines()) <= MODULE_LINES


@each_module
def test_a_function_fits_on_a_page(path):
    long = [
        f"{node.name}: {length}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []


def test_the_loop_reads_at_a_glance():
    assert len(inspect.getsource(reconcile).splitlines()) <= LOOP_LINES


def test_there_is_at_least_as_much_test_as_source():
    tests = [path for path in sources("tests") if path.name != "__init__.py"]
    ratio = lines(tests) / lines(sources())
    assert ratio >= TEST_LINES_PER_SOURCE_LINE, f"{ratio:.2f}"


# --- What none may do.


@each_module
def test_a_module_is_named_after_what_it_is_about(path):
    assert FORBIDDEN_NAMES.isdisjoint({path.stem, *path.relative_to(ROOT).parts})


@each_module
def test_every_module_says_what_it_is_for(path):
    module = tree(path)
    assert not module.body or ast.get_docstring(module)


@each_module
def test_nothing_is_left_to_do_later(path):
    assert not any(word in path.read_text() for word in ("TODO", "FIXME", "XXX"))


def broad(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything and does not pass it on."""
    named = handler.type
    caught = {named.id} if isinstance(named, ast.Name) else set()
    if isinstance(named, ast.Tuple):
        caught = {item.id for item in named.elts if isinstance(item, ast.Name)}
    everything = named is None or not caught.isdisjoint({"Exception", "BaseException"})
    last = handler.body[-1]
    return everything and not (isinstance(last, ast.Raise) and last.exc is None)


@each_module
def test_no_error_is_swallowed_whatever_it_is(path):
    found = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and broad(node)
    ]
    assert len(found) == (1 if name_of(path) == BROAD_EXCEPT else 0), found


def pure() -> list[Path]:
    """The modules that know no Django, no HTTP and no database."""
    return [path for path in sources() if any(fnmatch(name_of(path), glob) for glob in PURE)]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", pure(), ids=name_of)
def test_what_only_translates_or_decides_is_pure(path):
    roots = {name.partition(".")[0] for name in imported(path)}
    assert roots.isdisjoint(
        {"django", "rest_framework", "kubernetes", "urllib3", "aiohttp", "requests", "structlog"}
    )


def test_no_migration_is_missing(db):
    out = StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", *OUR_APPS, stdout=out)
    except SystemExit:
        pytest.fail(out.getvalue())


# --- What every kind has that converges.

OUR_APPS = [
    config.label
    for config in apps.get_app_configs()
    if Path(config.path).parent == ROOT and Path(config.path).name in PARTS and config.models
]


def kinds(base: type) -> list[type]:
    """The concrete models of the product that inherit from `base`."""
    return [
        model
        for model in apps.get_models()
        if issubclass(model, base) and model._meta.app_label in OUR_APPS
    ]


each_kind = pytest.mark.parametrize("model", kinds(Convergent), ids=lambda model: model.__name__)
each_declared = pytest.mark.parametrize("model", kinds(Declared), ids=lambda model: model.__name__)


def test_the_kinds_are_found():
    found = {model.__name__ for model in kinds(Convergent)}
    assert found >= {"ClusterBaseline", "TenantPlacement", "ProjectPlacement", "AppPlacement"}


@each_kind
def test_every_kind_has_a_frozen_intent(model):
    assert model.intent is not Convergent.intent
    intent = inspect.get_annotations(model.intent, eval_str=True)["return"]

    assert dataclasses.is_dataclass(intent) and intent.__dataclass_params__.frozen


@each_kind
def test_every_kind_has_an_adapter(model):
    assert model.adapter is not Convergent.adapter


def adapters() -> list[type]:
    """Every class of an `adapters` package that renders."""
    packages = (path for path in sources() if "adapters" in path.parts)
    modules = (name_of(path).removesuffix(".py").removesuffix("/__init__") for path in packages)
    members = (vars(import_module(module.replace("/", "."))).values() for module in modules)
    return list(
        {
            value: None
            for found in members
            for value in found
            if isinstance(value, type) and hasattr(value, "render") and hasattr(value, "kinds")
        }
    )


@pytest.mark.parametrize("adapter", adapters(), ids=lambda adapter: adapter.__name__)
def test_every_adapter_keeps_the_contract(adapter):
    assert isinstance(adapter.name, str) and adapter.name
    assert adapter.kinds and all(isinstance(kind, Kind) for kind in adapter.kinds)
    assert len(set(adapter.kinds)) == len(adapter.kinds)
    assert list(inspect.signature(adapter.render).parameters) == ["self", "intent"]
    assert list(inspect.signature(adapter.assess).parameters) == ["self", "intent", "seen"]


def in_admin(model: type) -> bool:
    inlines = (inline for shown in admin.site._registry.values() for inline in shown.inlines)
    return admin.site.is_registered(model) or model in {inline.model for inline in inlines}


@pytest.mark.parametrize(
    "model", [*kinds(Declared), *kinds(Convergent)], ids=lambda model: model.__name__
)
def test_operators_see_every_kind_in_the_admin(model):
    assert in_admin(model)


def routes(
    patterns: Sequence[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        else:
            yield path, getattr(pattern.callback, "cls", None)


@each_declared
def test_every_kind_has_its_place_in_the_api(model):
    paths = {
        path
        for path, view in routes(get_resolver().url_patterns)
        if path.startswith("api/v1/") and getattr(view, "model", None) is model
    }
    single = {path for path in paths if path.endswith(":name>")}
    lists = {path.rpartition("/")[0] for path in single}

    assert single, "one path shows one object"
    assert lists <= paths, "and the path before it lists them"


@each_kind
def test_every_kind_obeys_the_laws(model):
    suites = [suite for suite in law_suites() if suite.model is model]

    assert suites, f"no suite that inherits ConvergenceLaws has model = {model.__name__}"
    for suite in suites:
        assert suite.__name__.startswith("Test"), f"{suite.__name__} is never run"
        skipped = laws_of(ConvergenceLaws) - laws_of(suite) | laws_of(ConvergenceLaws) & {
            name for name in vars(suite) if name.startswith("test_")
        }
        assert not skipped, f"{suite.__name__} has its own {skipped}"


@each_kind
def test_every_kind_is_held_against_strangers(model):
    """Law f is skipped for what has no API: nothing of the product may say so."""
    (suite,) = [suite for suite in law_suites() if suite.model is model]
    assert suite.urls is not ConvergenceLaws.urls


def law_suites() -> list[type[ConvergenceLaws]]:
    for path in sorted((ROOT / "tests").glob("*/test_laws.py")):
        import_module(name_of(path).removesuffix(".py").replace("/", "."))
    return ConvergenceLaws.__subclasses__()


def laws_of(suite: type) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_")}


# --- What stays out of the repository.


def texts() -> list[Path]:
    kept = {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".go", ".yaml", ".yml", ".json"}
    places = [ROOT / part for part in (*PARTS, "tests", "docs", "templates", "static", "deploy")]
    inside = (path for place in places if place.is_dir() for path in place.rglob("*"))
    top = (path for path in ROOT.iterdir() if path.is_file())
    return [path for path in (*inside, *top) if path.suffix in kept]


def test_no_file_knows_the_machine_that_it_was_written_on():
    homes = ("/" + "work/", "/" + "root/", "/" + "farm/")
    assert [
        name_of(path) for path in texts() if any(home in path.read_text() for home in homes)
    ] == []
