"""Binder builds what everybody else installs and opens a chapter as a notebook.

repo2docker prints the Dockerfile that it would build; no Docker is needed for that.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytest.importorskip("repo2docker", reason="jupyter-repo2docker is not installed")


@pytest.fixture(scope="module")
def dockerfile():
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def test_the_requirements_are_installed_after_the_book_is_copied(dockerfile):
    copied = dockerfile.index("COPY --chown=0:0 src/ ${REPO_DIR}/")
    install = dockerfile.index('-r ".binder/requirements.txt"')
    assert copied < install, "`-e .` in requirements.txt needs the package to be there already"


def test_python_is_a_tested_version(dockerfile):
    assert "Building conda environment for python=3.12" in dockerfile


def test_chapters_open_as_notebooks(dockerfile):
    assert "RUN ./.binder/postBuild" in dockerfile
    script = (ROOT / ".binder" / "postBuild").read_text()
    in_order = ("make book", "python tools/lab.py --only-copy", "make distclean", "jupytext-config")
    places = [script.index(step) for step in in_order]
    assert places == sorted(places)
    assert (ROOT / ".binder" / "postBuild").stat().st_mode & 0o100, "postBuild is not executable"


def test_binder_installs_what_a_reader_installs():
    lines = (ROOT / ".binder" / "requirements.txt").read_text().split("\n")
    assert "-r ../requirements.txt" in lines
