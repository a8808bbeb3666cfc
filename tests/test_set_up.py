"""Set-up explains itself: a wrong Python, a taken port, no network; and the pins hold."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import loosen  # noqa: E402
import serve  # noqa: E402
import set_up  # noqa: E402


def fake_python(folder, name, version=(3, 12), venv=True):
    """A program that answers as such a Python would."""
    program = folder / name
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        f'  *"version_info <"*) exit {int(version < (3, 11))} ;;\n'
        f'  *"import venv"*) exit {int(not venv)} ;;\n'
        f'  *version_info*) echo "{version[0]}.{version[1]}" ;;\n'
        f'  --version) echo "Python {version[0]}.{version[1]}.0" ;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    return program


def find_python(folder, asked=""):
    """(exit status, standard output, standard error), with only `folder` on the PATH."""
    for name in ("sh", "cat"):
        if not (folder / name).exists():
            (folder / name).symlink_to(f"/bin/{name}")
    command = ["/bin/sh", ROOT / "tools" / "find_python.sh", asked]
    run = subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True)
    return run.returncode, run.stdout.strip(), run.stderr


posix = pytest.mark.skipif(os.name == "nt", reason="make and sh are for Linux and macOS")


@posix
def test_the_newest_suitable_python_is_taken(tmp_path):
    fake_python(tmp_path, "python3", (3, 9))
    fake_python(tmp_path, "python3.11", (3, 11))
    wanted = fake_python(tmp_path, "python3.12", (3, 12))
    assert find_python(tmp_path) == (0, str(wanted), "")


@posix
def test_an_old_python_is_refused(tmp_path):
    fake_python(tmp_path, "python3", (3, 9))
    status, _, said = find_python(tmp_path)
    assert status == 1
    assert "No Python 3.11 or newer" in said and "make PYTHON=" in said


@posix
def test_the_python_that_was_asked_for_must_serve(tmp_path):
    old = fake_python(tmp_path, "my-python", (3, 8))
    status, _, said = find_python(tmp_path, str(old))
    assert status == 1 and "is Python 3.8.0. The book needs Python 3.11" in said
    status, _, said = find_python(tmp_path, "no-such-python")
    assert status == 1 and "there is no such program" in said


@posix
def test_without_venv_the_exact_package_is_named(tmp_path):
    fake_python(tmp_path, "python3", (3, 12), venv=False)
    fake_python(tmp_path, "apt-get")
    status, _, said = find_python(tmp_path)
    assert status == 1 and "sudo apt install python3.12-venv" in said


def test_a_taken_port_is_explained():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, ROOT / "tools" / "serve.py", "--check", str(port)]
        run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert f"Port {port} is taken" in run.stderr
    other = int(re.search(r"make serve PORT=(\d+)", run.stderr)[1])
    assert other != port and serve.is_free(other)


@pytest.mark.parametrize("port", ["", "eighty", "0", "70000", "-1"])
def test_a_port_that_is_none_is_explained(port):
    with pytest.raises(SystemExit, match="is no port"):
        serve.check(port)


def test_no_network_is_told_from_a_failure(monkeypatch):
    run = set_up.run
    failing = lambda *command, **options: 1 if "install" in command else run(*command, **options)
    monkeypatch.setattr(set_up, "run", failing)
    monkeypatch.setattr(set_up, "PYTHON", sys.executable)
    with socket.socket() as unused, pytest.raises(SystemExit) as stop:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/simple/"
        monkeypatch.setenv("PIP_INDEX_URL", nobody)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # no second index from this machine
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        set_up.pip_install("nothing", what="the packages")
    said = str(stop.value)
    assert said.startswith("No network: pip was to fetch the packages, and its index does not")
    assert "HTTPS_PROXY" in said and "PIP_INDEX_URL" in said


def test_a_failure_with_network_points_at_its_reason():
    answers = (sys.executable, "-c", "pass")
    said = set_up.explain_failure("npm", answers, "the front-end files")
    assert said == "npm could not install the front-end files; the reason stands above."


def test_help_lists_every_public_target():
    if os.name == "nt":
        pytest.skip("no make here")
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in ("serve", "book", "test", "bench", "assignment", "clean"):
        assert re.search(rf"^  make {target} ", said, re.M)


def test_the_makefile_is_for_make_3_81():
    text = (ROOT / "Makefile").read_text()
    for newer in (".ONESHELL", "!=", "::=", "$(file ", ".RECIPEPREFIX =", "&:"):
        assert newer not in text


def test_every_requirement_is_locked():
    wanted = re.findall(r"^([\w.-]+)[>=<]", (ROOT / "requirements.txt").read_text(), re.M)
    locked = dict(
        re.findall(r"^([\w.-]+)==(.+)$", (ROOT / "requirements-lock.txt").read_text(), re.M)
    )
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in locked}
    assert len(wanted) >= 10
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in wanted} <= names


def test_requirements_end_with_the_package_itself():
    assert (ROOT / "requirements.txt").read_text().rstrip().endswith("\n-e .")


def test_the_oldest_versions_are_the_lower_bounds():
    assert loosen.oldest("numpy>=2.0\n# remark\njupyter-book>=1.0.4,<2  # why\n") == (
        "numpy==2.0\njupyter-book==1.0.4\n"
    )


def test_front_end_files_are_locked_by_hash_and_without_addresses():
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    wanted = json.loads((ROOT / "package.json").read_text())
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for name, package in packages.items():
        if name:
            assert package["integrity"].startswith("sha512-")
            assert "resolved" not in package


def test_nobody_is_told_to_install_the_other_minigrad():
    """PyPI's project of that name is somebody else's."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    wrong = re.compile(r"pip3? install (-\S+ )*minigrad\b")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    texts = [path for path in files if path.suffix in {".py", ".md", ".txt", ".toml", ".yml", ""}]
    found = [p.name for p in texts if p.is_file() and wrong.search(p.read_text(errors="ignore"))]
    assert files and found == []


@posix
@pytest.mark.parametrize("name", [".ci/run", ".binder/postBuild"])
def test_scripts_parse_and_can_be_run(name):
    assert subprocess.run(["bash", "-n", ROOT / name]).returncode == 0
    assert os.access(ROOT / name, os.X_OK)
