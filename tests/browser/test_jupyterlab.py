"""The notebook widgets in JupyterLab: a real server, a real kernel, headless Chromium.

One JupyterLab for all tests, open in one page, with settings, runtime files and notebooks in a
folder of its own, so that the reader's are neither used nor touched.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import give_up

from minigrad.exercises import find
from minigrad.widgets.page import PageWidget

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = [
    "derivatives/forward-mode",
    "derivatives/reverse-mode",
    "training/from-neuron-to-network",
]

TRAINER = """\
from minigrad.data import moons
from minigrad.nn import MLP
from minigrad.solutions import ReLU
from minigrad.widgets import Trainer

model = MLP([2, 16, 2], activation=ReLU, rng=0)
trainer = Trainer(model, (moons(200, rng=0), moons(200, rng=1)), rate=0.02, epochs=100, pace=8)
trainer"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of a JupyterLab, and the folder that it shows."""
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        give_up("JupyterLab is not installed: pip install -r requirements.txt")
    home = tmp_path_factory.mktemp("lab")
    notebooks, runtime, settings = home / "notebooks", home / "runtime", home / "settings"
    shutil.copytree(ROOT / "book", notebooks / "book")
    news = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    own = {
        "JUPYTER_RUNTIME_DIR": runtime,
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTERLAB_SETTINGS_DIR": settings,
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--expose-app-in-browser"]
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": "0",
        "ServerApp.root_dir": notebooks,
        "ServerApp.allow_root": "True",
        "IdentityProvider.token": "",
        "LabApp.extension_manager": "readonly",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    environment = {k: v for k, v in os.environ.items() if k != "MINIGRAD_BOOK"}
    with open(home / "log", "w") as log:
        server = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in options.items())],
            env=environment | {name: str(folder) for name, folder in own.items()},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield address_of(server, runtime, home / "log"), notebooks
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def address_of(server, runtime, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        for written in runtime.glob("jpserver-*.json"):
            try:
                return json.loads(written.read_text())["url"]
            except json.JSONDecodeError:  # still being written
                pass
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def lab_page(browser, lab):
    """JupyterLab in a page that reaches no other host; `page.problems` collects its errors."""
    address, _ = lab
    context = browser.new_context(viewport={"width": 1280, "height": 1000})

    def own_host_only(route):
        local = route.request.url.startswith((address, "data:", "blob:"))
        route.continue_() if local else route.abort()

    context.route("**/*", own_host_only)
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.set_default_timeout(180_000)
    page.goto(f"{address}lab")
    page.wait_for_function("window.jupyterapp !== undefined")
    page.evaluate("jupyterapp.restored")
    yield page
    context.close()


@pytest.fixture
def notebook(lab_page, lab):
    """notebook(path) or notebook(path, cells) -> a `Notebook`, all of whose cells are being run."""

    def open_one(path, cells=None):
        if cells is not None:
            write(lab[1] / path, cells)
        return Notebook(lab_page, path)

    lab_page.problems.clear()
    yield open_one
    lab_page.evaluate(
        """async () => {
            await window.opened?.sessionContext.shutdown();
            window.opened?.dispose();
            window.opened = undefined;
        }"""
    )
    assert not lab_page.problems, "\n".join(lab_page.problems)


def write(path, cells):
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), str(path)
    )


class Notebook:
    """An open notebook. Cells are counted from 0."""

    patience = 180_000  # milliseconds; nothing here waits longer than it must

    def __init__(self, page, path):
        self.page = page
        page.evaluate(
            """async path => {
                const view = await jupyterapp.commands.execute(
                    'docmanager:open', {path, factory: 'Notebook'});
                await view.context.ready;
                await view.sessionContext.ready;
                window.opened = view;
                await jupyterapp.commands.execute('notebook:run-all-cells');
            }""",
            path,
        )

    def cell(self, index):
        """The element of a cell, brought into view: JupyterLab draws only what can be seen."""
        self.page.evaluate(
            """async index => {
                opened.content.activeCellIndex = index;
                await opened.content.scrollToItem(index, 'start');
                opened.content.widgets[index].node.dataset.number = index;
            }""",
            index,
        )
        return self.page.locator(f'.jp-Cell[data-number="{index}"]')

    def run(self, index):
        self.cell(index)
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")

    def tagged(self, tag):
        """Indices of the cells that bear a tag."""
        return self.page.evaluate(
            """tag => opened.content.widgets
                .map((cell, index) => [cell.model.getMetadata('tags') ?? [], index])
                .filter(([tags]) => tags.includes(tag)).map(([, index]) => index)""",
            tag,
        )

    def errors(self):
        """Messages of the cells that raised, less those that are there to raise."""
        return self.page.evaluate(
            """() => opened.content.widgets
                .filter(cell => !cell.model.getMetadata('tags')?.includes('raises-exception'))
                .flatMap(cell => cell.model.sharedModel.outputs ?? [])
                .filter(output => output.output_type === 'error')
                .map(output => `${output.ename}: ${output.evalue}`)"""
        )

    def wait(self, what, script, argument=None):
        """Wait for a condition in the page; a time-out says what it was."""
        try:
            return self.page.wait_for_function(script, arg=argument, timeout=self.patience)
        except Exception as error:
            raise AssertionError(f"waited in vain: {what}; {self.errors()}") from error


STATUS = "[...document.querySelectorAll('.widget-html')].map(e => e.innerText).join(' ')"
EPOCH = rf"Number(/epoch (\d+) of/.exec({STATUS})?.[1] ?? -1)"


def numbers(notebook):
    """(epochs done, loss) as the Trainer's status line tells them."""
    words = notebook.page.evaluate(STATUS)
    return int(re.search(r"(\d+) (?:of|epochs)", words)[1]), float(
        re.search(r"loss ([\d.]+)", words)[1]
    )


def test_the_trainer_trains_pauses_and_stops_and_the_kernel_answers_meanwhile(notebook):
    answer = "print('answer', 6 * 7, trainer.active, float(trainer._optimiser.rate))"
    opened = notebook("trainer.ipynb", [TRAINER, "0", answer])
    page = opened.page
    train, pause, stop = (
        page.get_by_role("button", name=name, exact=True) for name in ("Train", "Pause", "Stop")
    )
    train.click()
    opened.wait("the third epoch", f"{EPOCH} >= 3")
    _, early = numbers(opened)
    opened.wait("the tenth epoch", f"{EPOCH} >= 10")
    _, late = numbers(opened)
    assert late < early
    chart = page.get_by_role("img", name=re.compile("^Loss: training set"))
    assert "at first" in chart.get_attribute("aria-label")

    # A slider, by keyboard, while it trains: the optimiser of the running loop has the new rate ...
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    shown = page.locator(".widget-readout").first
    opened.wait("a larger rate", "e => Number(e.innerText) > 0.02", shown.element_handle())
    # ... and another cell is answered while the training goes on.
    opened.run(2)
    said = opened.cell(2).locator(".jp-OutputArea-output", has_text="answer 42 True")
    said.wait_for()
    rate = float(said.inner_text().split()[-1])
    assert 0.02 < rate < 0.1
    opened.cell(0)
    done = page.evaluate(EPOCH)
    opened.wait("training after the answer", f"{EPOCH} > {done}")

    pause.focus()
    page.keyboard.press("Enter")
    opened.wait("the pause", f"/Paused after/.test({STATUS})")
    before = numbers(opened)
    page.wait_for_timeout(400)  # three epochs' time
    assert numbers(opened) == before

    train.focus()
    page.keyboard.press("Space")
    opened.wait("training after the pause", f"{EPOCH} > {before[0]}")
    stop.click()
    opened.wait("the end", f"/Stopped after/.test({STATUS})")
    after = numbers(opened)
    page.wait_for_timeout(300)
    assert numbers(opened) == after and before[0] < after[0] < 100
    assert not opened.errors()


def test_running_the_cell_again_stops_the_first_trainer(notebook):
    opened = notebook(
        "again.ipynb", [TRAINER, "first = trainer", "print(first.active, first.status.value)"]
    )
    page = opened.page
    page.get_by_role("button", name="Train", exact=True).click()
    opened.wait("the second epoch", f"{EPOCH} >= 2")
    opened.run(0)
    opened.wait("the new trainer", f"/Ready/.test({STATUS})")
    opened.run(2)
    opened.cell(2).locator(".jp-OutputArea-output", has_text="False").wait_for()
    assert "newer Trainer" in opened.cell(2).inner_text()


def test_an_error_in_training_is_shown_in_the_widget(notebook):
    broken = TRAINER.replace("[2, 16, 2]", "[3, 16, 2]")
    opened = notebook("broken.ipynb", [broken])
    opened.page.get_by_role("button", name="Train", exact=True).click()
    opened.wait("the message", f"/expected \\(n, 3\\)/.test({STATUS})")


# Each page widget, and what the reader does with it: a key on its first slider or menu, or a click.
MOVES = {
    "Nudge()": ("slider", "ArrowRight"),
    "SwellMeter()": ("slider", "ArrowRight"),
    "VCurve()": ("slider", "ArrowLeft"),
    "CostExplorer(measured=[])": ("slider", "ArrowLeft"),
    "MemoryTimeline()": ("slider", "ArrowLeft"),
    "GradcheckMicroscope()": ("slider", "ArrowLeft"),
    "ShapeAndBlame()": ("combobox", "ArrowUp"),
    "TracePlayer()": ("button", re.compile("^Step back")),
    "TracePlayer('x1 * x1', at=(3,), seed=(1,), mode='game')": ("button", re.compile(r"^v\s*1")),
    "GraphXray()": ("button", "One turn back"),
    "BackwardLab()": ("button", "no mask"),
    "LiveMLP()": ("button", "Step"),
}


def test_every_page_widget_starts_and_answers(notebook):
    """In one notebook, for JupyterLab keeps every widget's sheet: all must look and work beside
    all."""
    assert {widget.split("(")[0] for widget in MOVES} == {
        kind.__name__ for kind in PageWidget.__subclasses__()
    }
    opened = notebook("widgets.ipynb", ["from minigrad.widgets.page import *", *MOVES])
    opened.wait("all widgets", "() => opened.content.widgets.every(c => c.model.executionCount)")
    assert not opened.errors()
    for index, (widget, (role, move)) in enumerate(MOVES.items(), 1):
        cell = opened.cell(index)
        named = {"name": move, "disabled": False} if role == "button" else {}
        control = cell.get_by_role(role, **named).first
        control.wait_for()
        before = cell.evaluate(WORDS)
        if role == "button":
            control.click()
        else:
            control.focus()
            opened.page.keyboard.press(move)
        changed = f"([cell, before]) => ({WORDS})(cell) !== before"
        opened.wait(f"an answer of {widget}", changed, [cell.element_handle(), before])


def test_an_exercise_is_shown_offered_diagnosed_and_solved(notebook):
    made = find("relu")
    cells = ["from minigrad.exercises import check, exercise", "import numpy as np"]
    opened = notebook("exercise.ipynb", [*cells, "import minigrad as mg", 'exercise("relu")'])
    offered = "() => opened.content.widgets[4]?.model.sharedModel.source"
    stub = opened.wait("the offered cell", offered).json_value()
    assert "NotImplementedError" in stub and made.check_line() in stub
    statement = opened.cell(3)
    statement.get_by_text(made.title).first.wait_for()  # it may come after the offered cell
    assert "Hint 2" not in statement.inner_text()
    statement.locator("summary").first.click()
    statement.get_by_text("Hint 2 of 3").wait_for()
    mistake, right = made.mistakes[0], made.cells["solution"]
    answers = {"Not attempted.": stub, "Likely cause:": mistake["answer"], "Right.": right}
    for says, answer in answers.items():
        source = answer if answer is stub else f"{answer}\n\n{made.check_line()}"
        opened.page.evaluate(
            "source => opened.content.widgets[4].model.sharedModel.setSource(source)", source
        )
        opened.run(4)
        said = opened.cell(4).locator(".check-report", has_text=says)
        said.wait_for()
        if says == "Likely cause:":
            start = mistake["message"].replace("`", "").split(",")[0][:30]
            assert start in said.inner_text()
    assert not opened.errors()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.rsplit("/", 1)[1])
def test_the_live_cells_of_a_chapter_answer(notebook, chapter):
    path = f"book/{chapter}.md"
    if "{code-cell}" not in (ROOT / path).read_text(encoding="utf-8"):
        pytest.skip(f"{path} is not written yet")
    opened = notebook(path)  # jupytext opens the Markdown file as a notebook
    live = len(opened.tagged("live"))
    assert live, f"{path} has no cell tagged live"
    for number in range(live):
        opened.wait(
            "the chapter up to its live cell",
            """number => opened.content.widgets
                .filter(cell => (cell.model.getMetadata('tags') ?? []).includes('live'))
                [number].model.executionCount !== null""",
            number,
        )
        # Counted only now: until it has run, each exercise above it puts another cell in between.
        move_something(opened, opened.cell(opened.tagged("live")[number]))
    assert not opened.errors()


def test_widgets_are_told_apart_from_their_absence(notebook):
    """The wait that the tests above rest on does fail when nothing moves."""
    opened = notebook(
        "still.ipynb", ["import ipywidgets as w\nw.VBox([w.IntSlider(), w.HTML('x')])"]
    )
    cell = opened.cell(0)
    cell.get_by_role("slider").wait_for()
    opened.patience = 1_000
    with pytest.raises(AssertionError, match="waited in vain"):
        move_something(opened, cell)


# What a widget says: a focus ring or a pressed button is no step.
WORDS = "cell => cell.querySelector('.jp-OutputArea-output').innerText"
# What the reader sees of a cell, less the controls themselves.
PARTS = ".widget-output, .widget-html, .jp-RenderedHTMLCommon, svg, img"
RESULT = f"cell => [...cell.querySelectorAll('{PARTS}')].map(e => e.outerHTML).join('')"


def move_something(opened, cell):
    """Press Train, move the first slider or choose another option; then the result must change."""
    page = opened.page
    button = cell.get_by_role("button", name="Train", exact=True)
    slider, menu = cell.get_by_role("slider"), cell.locator("select")
    button.or_(slider).or_(menu).first.wait_for()
    before = cell.evaluate(RESULT)
    if button.count():
        button.click()
    elif slider.count():
        slider.first.focus()
        page.keyboard.press("ArrowRight")
    else:
        menu.first.focus()
        page.keyboard.press("ArrowDown")
    opened.wait(
        "a change of the result",
        f"([cell, before]) => ({RESULT})(cell) !== before",
        [cell.element_handle(), before],
    )
    if button.count():
        cell.get_by_role("button", name="Stop", exact=True).click()
