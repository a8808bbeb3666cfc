"""Fixtures for the tests in headless Chromium: a server, a browser that reaches nothing else, and
axe.

Chromium is found in $CHROMIUM, on the PATH under its usual names, or as the macOS application.
Where there is none these tests are skipped, and the reason is printed; under CI=true that is a
failure.
"""

import json
import os
import shutil
import sys
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from serve import Handler  # noqa: E402

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
MAC = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
FLAGS = """--disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync""".split()
EXCEPTIONS = json.loads((Path(__file__).parent / "axe_exceptions.json").read_text())


def pytest_collection_modifyitems(items):
    """Mark the tests in this folder, and put them last: while Playwright lives, an event loop runs,
    and no other test could start one of its own."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")
    items.sort(key=lambda item: here in item.path.parents)


def give_up(reason):
    """Skip with the reason; where CI promises a browser and a built site, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: a browser test may not be skipped)")
    pytest.skip(reason)


def find_chromium():
    """The path of a Chromium, or None."""
    asked = os.environ.get("CHROMIUM")
    if asked:
        return shutil.which(asked)
    found = (shutil.which(name) for name in NAMES)
    return next(filter(None, found), next(filter(os.path.exists, MAC), None))


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, one for all tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        give_up("browser tests need playwright: pip install -e '.[test]'")
    program = find_chromium()
    if not program:
        give_up(
            "no Chromium found: install one (Debian: apt install chromium; macOS: brew install "
            "--cask chromium) or name yours in CHROMIUM=..."
        )
    flags = [*FLAGS, "--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=flags)
        yield chromium
        chromium.close()


def serve(folder):
    """Serve a folder on a free port; a generator of its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def site():
    """The address of the built book."""
    folder = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
    if not (folder / "index.html").exists():
        give_up(f"there is no built book in {folder}: run `make book` first")
    yield from serve(folder)


@pytest.fixture(scope="session")
def package_site():
    """The address of minigrad/widgets, where the demo pages are."""
    yield from serve(ROOT / "minigrad" / "widgets")


@pytest.fixture
def open_page(browser):
    """open_page(address, width=1280, scheme="light") -> page, which can reach no other host.

    `page.problems` collects errors of the page, failed requests and requests to other hosts; the
    test fails at its end if anything is in it."""
    opened = []

    def open_one(address, width=1280, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        context.set_default_timeout(120_000)  # waits end as soon as they can; slow machines exist
        page, host = context.new_page(), urlsplit(address).netloc
        page.problems = problems = []

        def pass_or_block(route):
            target = urlsplit(route.request.url)
            if target.scheme in {"data", "blob"} or target.netloc == host:
                return route.continue_()
            problems.append(f"request to another host: {route.request.url}")
            route.abort()

        def answered(response):
            if response.status >= 400:
                problems.append(f"{response.status}: {response.url}")

        def logged(message):
            if message.type == "error":
                problems.append(f"console: {message.text}")

        context.route("**/*", pass_or_block)
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
        page.on("response", answered)
        page.on("console", logged)
        page.goto(address, wait_until="load")
        settle(page)
        opened.append((context, problems))
        return page

    yield open_one
    found = [problem for _, problems in opened for problem in problems]
    for context, _ in opened:
        context.close()
    assert not found, "\n".join(found)


def settle(page):
    """Wait until formulas are typeset and every widget has started (or failed)."""
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.widget-place')].every(p => p.dataset.state)"
    )


@pytest.fixture(scope="session")
def axe():
    """axe(page, within=None) -> what axe-core finds wrong, less the listed exceptions."""
    script = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        give_up("axe-core is missing: run `make set-up` (or `npm ci`)")
    source = script.read_text(encoding="utf-8")
    options = {"rules": {"label-content-name-mismatch": {"enabled": True}}}

    def run(page, within=None):
        page.evaluate(source)
        start = "([where, options]) => axe.run(where ?? document, options)"
        result = page.evaluate(start, [within, options])
        return [
            f"{violation['id']}: {node['html'][:160]}\n    {node['failureSummary']}"
            for violation in result["violations"]
            for node in violation["nodes"]
            if not excepted(page, violation["id"], node)
        ]

    return run


def excepted(page, rule, node):
    """Whether the committed list names this rule for this element."""
    element = node["target"][0]
    for exception in EXCEPTIONS:
        if exception["rule"] == rule and isinstance(element, str):
            matches = "([one, many]) => document.querySelector(one)?.matches(many)"
            if page.evaluate(matches, [element, exception["selector"]]):
                return True
    return False
