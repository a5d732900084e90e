"""Without Unix-only modules, everything imports and the basics work.

Other differences of Windows (such as open files that cannot be replaced) are not tested here.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HIDE = """
import importlib, os, pkgutil, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource", "pwd", "grp", "termios") and not name in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

allowed = set()
"""
# Third-party packages may use those modules if present, so they are imported before.
OTHERS = """
for other in ("av", "cv2", "duckdb", "pyarrow.parquet", "torch", "torchvision", "timm", "openvino", "yt_dlp", "typer",
              "rich.console", "matplotlib.figure", "accelerate", "captum.attr", "torchmetrics", "sklearn.manifold",
              "multiprocessing.pool", "subprocess", "tempfile", "uvicorn", "starlette.applications", "scipy.optimize",
              "asyncio", "readline", "trackeval"):
    try:
        importlib.import_module(other)
    except ImportError:
        pass
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
for name in [n for n in sys.modules if n.partition(".")[0] == "filelock"]:
    del sys.modules[name]
for name in ("pread", "posix_fallocate", "getuid", "geteuid", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY"):
    if hasattr(os, name):
        delattr(os, name)
sys.meta_path.insert(0, Hidden())
"""


def without_unix(code, *words):
    """Run code in a process in which the modules are hidden."""
    text = HIDE + OTHERS + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text, *words], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_module_imports():
    code = """
    import fertrain, rmset, rmset_cli
    failed, count = [], 0
    for package in (rmset, fertrain, rmset_cli):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if found.name.endswith("__main__"):
                # Importing it runs the program.
                continue
            count += 1
            try:
                importlib.import_module(found.name)
            except ImportError as error:
                if error.name in ("fcntl", "resource", "pwd", "grp", "termios"):
                    failed.append(found.name)
            except AttributeError as error:
                failed.append(f"{found.name}: {error}")
    print(count, *failed, sep="\\n")
    """
    done = without_unix(code)
    assert done.returncode == 0, done.stderr
    count, *failed = done.stdout.split("\n")
    assert int(count) > 200
    assert [name for name in failed if name] == []


@pytest.mark.slow
def test_the_basics_work(tmp_path):
    code = f"""
    sys.path.insert(0, {str(HERE)!r})
    from store.worlds import crop_root
    from rmset.read.catalog import Catalog
    from rmset.read.crops import CropStore
    from rmset.read.pairindex import open_sampler
    from rmset.errors import RootError
    root = crop_root(sys.argv[1], frames=40)
    with root.files.lock("v"):
        assert root.files.is_locked("v")
        try:
            with root.files.lock("v"):
                raise SystemExit("locked twice")
        except RootError as error:
            assert "another process" in str(error)
    assert not root.files.is_locked("v")
    store = CropStore(root)
    print(len(store), len(store.images(range(5))), len(open_sampler(store).anchors))
    print(Catalog(root).sql("select count(*) n from crops").rows())
    root.write_text("layouts/a.json", "x")
    print(root.files.keys("layouts/*"))
    """
    done = without_unix(code, str(tmp_path / "root"))
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.split()[:2] == ["240", "5"]
    assert int(first.split()[2]) > 0
    assert second == "[{'n': 240}]"
    assert third == "['layouts/a.json']"
