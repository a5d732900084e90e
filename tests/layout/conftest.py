import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from patience import PATIENCE_MS
from worlds import plain_root

from rmset.root import Root

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    return plain_root(tmp_path_factory.mktemp("plain"), ["one", "two"])


@pytest.fixture
def root(plain, tmp_path):
    return Root(shutil.copytree(plain.path, tmp_path / "root"))


@pytest.fixture
def address(root):
    pytest.importorskip("starlette", reason="the page needs `pip install 'rmset[review]'`")
    pytest.importorskip("uvicorn", reason="the page needs `pip install 'rmset[review]'`")
    from rmset.review import serve

    told: list[str] = []
    server = threading.Thread(target=lambda: serve(root, root.video_ids(), ready=told.append), daemon=True)
    server.start()
    while server.is_alive():
        if told:
            return told[0]
        time.sleep(0.02)
    raise AssertionError("the page did not come up")


@pytest.fixture(scope="session")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need `pip install playwright`")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("browser tests need chromium: `apt-get install chromium`, or $CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, address):
    context = chromium.new_context(viewport={"width": 1300, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda e: errors.append(str(e)))
    opened.goto(address)
    opened.wait_for_selector(".box.region")
    yield opened
    # A request that a test holds back would keep an old Playwright waiting here.
    context.unroute_all(behavior="ignoreErrors")
    context.close()
    assert errors == []
