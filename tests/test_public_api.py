"""Public names: their documentation, the cost of importing them, and runnable examples in docstrings."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from dataclasses import is_dataclass

import pytest

import fertrain
import fertrain.losses
import rmset

PACKAGES = [rmset, fertrain, fertrain.losses]
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]


def named(pair):
    return f"{pair[0].__name__}.{pair[1]}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_exported_names_are_those_of_all(package):
    assert sorted(package.__all__) == list(package.__all__), "in order"
    assert len(set(package.__all__)) == len(package.__all__)
    modules = {name.rpartition(".")[2] for _, name, _ in pkgutil.walk_packages(package.__path__, "")}
    shown = {name for name in dir(package) if not name.startswith("_")} - modules
    assert shown - set(package.__all__) <= {"annotations", "import_module", "Any", "TYPE_CHECKING"}
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.parametrize("pair", NAMES, ids=named)
def test_a_public_name_is_there_and_says_what_it_is(pair):
    value = getattr(*pair)
    assert inspect.getdoc(value), "has a docstring"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018


def is_noun(value) -> bool:
    """Whether a name is an error, a record or a protocol, which needs no example."""
    if not isinstance(value, type):
        return not callable(value)
    return issubclass(value, (BaseException, tuple)) or is_dataclass(value) or getattr(value, "_is_protocol", False)


@pytest.mark.parametrize("pair", [p for p in NAMES if not is_noun(getattr(*p))], ids=named)
def test_a_public_function_has_an_example(pair):
    assert ">>>" in (inspect.getdoc(getattr(*pair)) or "")


TRAINING = ("fertrain._run", "fertrain._train")
"""their examples train, evaluate and export"""


def modules_with_examples():
    for package in (rmset, fertrain):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            source = importlib.util.find_spec(found.name).loader.get_source(found.name)
            if ">>>" in source:
                yield found.name


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in TRAINING else n for n in modules_with_examples()]
)
def test_examples_in_docstrings_run(name, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    module = importlib.import_module(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workplace))
    given = {"np": importlib.import_module("numpy"), "rmset": rmset, "fertrain": fertrain}
    if name.startswith("fertrain"):
        given["torch"] = importlib.import_module("torch")
    tests = [t for t in doctest.DocTestFinder().find(module, extraglobs=given) if t.examples]
    assert tests
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for test in tests:
        assert not any(doctest.SKIP in example.options for example in test.examples), f"{test.name} is skipped"
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


HEAVY = ("torch", "numpy", "pyarrow", "duckdb", "cv2", "av", "matplotlib", "rich", "openvino")


@pytest.mark.parametrize(
    ("package", "first"), [("rmset", "rmset.RmsetError"), ("fertrain", "fertrain.RunConfig(method='rmfer')")]
)
def test_importing_a_package_imports_nothing_heavy(package, first):
    code = f"import sys, {package}; dir({package}); {first}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & set(HEAVY)


def test_reading_a_root_imports_no_torch(workplace):
    code = (
        "import sys, rmset; root = rmset.open('data/rmset'); root.crops()[0].image; root.sql('from faces').rows(1); "
        "root.stats(); next(iter(root.pairs(d_far=10))); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "matplotlib", "openvino"}


@pytest.mark.slow
def test_losses_need_torch_and_nothing_else():
    code = "import sys, fertrain; fertrain.losses.acl; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert "torch" in found
    assert not found & {"timm", "torchvision", "matplotlib", "cv2", "duckdb", "pyarrow", "av", "rmset.root"}


@pytest.mark.slow
def test_nothing_switches_the_backend_of_figures(workplace):
    code = (
        "import matplotlib; matplotlib.use('svg'); import fertrain, pkgutil, importlib\n"
        "for found in pkgutil.walk_packages(fertrain.__path__, 'fertrain.'): importlib.import_module(found.name)\n"
        "figures = fertrain.load_run('runs/cel').figures()\n"
        "print(matplotlib.get_backend().lower(), *(type(f).__name__ for f in figures.values()))\n"
        "import sys; print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["svg Figure Figure Figure", "False"]
