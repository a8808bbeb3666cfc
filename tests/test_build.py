"""The build keeps its promises: nothing broken is published, nothing is run twice, nothing stale
is shown.

A book of one chapter is built with the project's own configuration and extensions, in a folder of
its own with a copy of the package, so that sources can be edited.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow

HEAD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

(trial)=
# A trial

A chapter for the tests, with a first paragraph that describes it.

"""
CHAPTER = (
    HEAD
    + """
$\\newcommand{\\tangent}[1]{\\dot{#1}}\\newcommand{\\adjoint}[1]{\\bar{#1}}$

$\\tangent{v} = 2$ and {glue:text}`half:.2f`

:::{tip} Good to know
See {ref}`trial`.
:::

```{code-cell}
:tags: [remove-cell]
import minigrad
from myst_nb import glue
glue("half", 0.5, display=False)
```

```{code-cell}
:tags: [live]
from ipywidgets import interact
@interact(x=(0.0, 4.0), side=["left", "right"])
def show(x=1.5, side="left"):
    print("twice", 2 * x)
```

```{code-cell}
import anywidget, traitlets
class Foreign(anywidget.AnyWidget):
    _esm = "export default { render({ model, el }) { el.textContent = 'n = ' + model.get('n'); } }"
    n = traitlets.Int(3).tag(sync=True)
Foreign()
```
"""
)


# What a build must not let pass: a cell that warns, one that raises, a reference to nothing.
BROKEN = """
```{code-cell}
import warnings; warnings.warn("careful")
```

```{code-cell}
1 / 0
```

See {ref}`nowhere`.
"""


class Trial:
    """A small book in a folder."""

    def __init__(self, folder):
        self.folder, self.chapter = folder, folder / "book" / "trial.md"
        (folder / "book").mkdir()
        for name in ["_config.yml", "requirements-lock.txt", "node_modules"]:
            (folder / name).symlink_to(ROOT / name)
        for name in ["_ext", "_static", "_templates", "references.bib", "sources.yml"]:
            (folder / "book" / name).symlink_to(ROOT / "book" / name)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "minigrad", folder / "minigrad", ignore=ignored)
        (folder / "_toc.yml").write_text("format: jb-book\nroot: book/trial\n")
        self.chapter.write_text(CHAPTER)

    def build(self, **environment):
        """(exit status, what was printed)"""
        program = shutil.which("jupyter-book", path=str(Path(sys.executable).parent))
        run = subprocess.run(
            [program, "build", ".", "-n", "-W", "--keep-going"],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder)} | environment,
            capture_output=True,
            text=True,
        )
        return run.returncode, run.stdout + run.stderr

    def page(self):
        return (self.folder / "_build" / "html" / "book" / "trial.html").read_text()


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    if not (ROOT / "node_modules" / "mathjax").is_dir():
        pytest.skip("the front-end files are not there: make book")
    trial = Trial(tmp_path_factory.mktemp("trial"))
    status, printed = trial.build(BOOK_REPOSITORY_URL="", GITHUB_REPOSITORY="")
    assert status == 0, printed
    assert "Executed notebook" in printed
    return trial


def test_a_second_build_runs_nothing(trial):
    status, printed = trial.build()
    assert status == 0
    assert "0 added, 0 changed, 0 removed" in printed
    assert "Execut" not in printed


def test_an_edit_of_the_package_runs_the_chapter_again(trial):
    core = trial.folder / "minigrad" / "core.py"
    core.write_text(core.read_text() + "\n# a remark\n")
    status, printed = trial.build()
    assert status == 0
    assert "book/trial runs again" in printed and "Executed notebook" in printed


def test_a_widget_that_needs_a_kernel_is_shown_as_a_recorded_run(trial):
    run = re.search(r'<section class="recorded-run".*?</section>', trial.page(), re.S)[0]
    words = re.sub(r"<[^>]+>", " ", run)
    for expected in ("Recorded run", "x 1.5", "side left", "twice 3.0", "on your own machine"):
        assert expected in " ".join(words.split())
    assert "<input" not in run and "Binder" not in run


def test_an_anywidget_keeps_its_module_and_state(trial):
    place = re.search(r'<div class="widget-place.*?</script>', trial.page(), re.S)[0]
    assert '"n":3' in place and "export default" in place
    assert "widget_host.js" in trial.page()


def test_a_page_asks_nobody_else(trial):
    page = trial.page()
    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(https?:[^"]+)"', page)
    assert loaded == []
    for word in ("require.js", "embed-amd", "THEBE", "fontawesome.js", "cdn."):
        assert word not in page


def test_a_page_describes_itself(trial):
    assert 'name="description" content="A chapter for the tests' in trial.page()
    assert 'property="og:title" content="A trial"' in trial.page()


def test_the_notebook_to_take_away_is_plain(trial):
    path = trial.folder / "_build" / "html" / "_sources" / "book" / "trial.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "$\\dot{v} = 2$ and 0.50" in text
    assert "> **Good to know**" in text and "See A trial." in text
    assert "newcommand" not in text and "newcommand" not in trial.page()
    assert "{ref}" not in text and ":::" not in text and "(trial)=" not in text
    glues = next(cell for cell in notebook.cells if "glue(" in cell.source)
    assert glues.metadata["jupyter"] == {"source_hidden": True}


def test_launch_buttons_only_where_the_repository_is_known(trial):
    assert "mybinder.org" not in trial.page()
    status, printed = trial.build(BOOK_REPOSITORY_URL="https://github.com/someone/some-book")
    assert status == 0, printed
    address = (
        "https://mybinder.org/v2/gh/someone/some-book/main?urlpath=lab/tree/notebooks/trial.ipynb"
    )
    assert trial.page().count(address) >= 2  # the button, and the recorded run's link
    status, printed = trial.build(BOOK_REPOSITORY_URL="my repository")
    assert status != 0 and "expected https://github.com/OWNER/NAME" in printed


def test_what_is_broken_fails_the_build_every_time(trial):
    trial.chapter.write_text(CHAPTER + BROKEN)
    try:
        for attempt in ("first", "second"):
            status, printed = trial.build()
            assert status != 0, f"the {attempt} build of a broken chapter succeeded"
            warnings = [line for line in printed.splitlines() if "WARNING" in line]
            for complaint in ("stderr was found", "CellExecutionError", "undefined label"):
                assert any(complaint in line for line in warnings), f"{attempt} build: {complaint}"
            assert "ZeroDivisionError" in printed
    finally:
        trial.chapter.write_text(CHAPTER)
