"""Train your own model by hand: sliders, Train, Pause, Stop, and curves that grow as it learns.

    Trainer(MLP([64, 32, 10], activation=ReLU, rng=0), digits())

For a notebook: its controls call Python. A page without Python shows a recorded run in its place.
"""

import asyncio
import html
import os
import time

import ipywidgets as widgets
import numpy as np

from minigrad.data import minibatches
from minigrad.functions import cross_entropy
from minigrad.optim import SGD
from minigrad.train import evaluate, step
from minigrad.widgets.curves import curves

BURST = 0.01  # seconds of work at a time; in between the kernel answers other cells
REFRESH = 0.2  # seconds between two looks at the progress within an epoch


class Trainer(widgets.VBox):
    """A control panel for training `model` on `data` by SGD with momentum.

    `model`     a module; or a function width -> module, which adds a slider for the width
    `data`      (X, y), or ((X, y), (X_test, y_test)) as from `digits()`
    `loss`      a function of (scores, labels)
    `rng`       seed of the order of the batches: the same seed and settings, the same run
    `pace`      at most so many epochs a second, so that the eye can follow; None for full speed

    A moved slider acts on the very next step. Pause keeps everything; Train goes on from there.
    Stop ends the run, and the model keeps what it has learnt; Reset gives it its first weights
    back. `trainer.model` is the model itself, and `trainer.history` what was measured: a dict of
    lists, entry 0 before the first step. Only one Trainer trains at a time: a new one stops the one
    before.
    """

    _latest = None

    def __init__(
        self, model, data, loss=cross_entropy, rate=0.1, momentum=0.9, batch=32, epochs=20,
        width=None, rng=0, pace=5,
    ):  # fmt: skip
        self.train, self.test = _parts(data)
        self.loss, self.seed, self.pace = loss, rng, pace
        self.history = {}
        self._make = None if hasattr(model, "parameters") else model
        if self._make is None and width is not None:
            raise TypeError(
                f"Trainer: a width ({width}) needs a function that makes the model: "
                "Trainer(lambda width: MLP([64, width, 10]), ..., width=32)"
            )
        if not callable(model):
            raise TypeError(
                f"Trainer: model is {model!r}; expected a module, or a function width -> module"
            )
        self._controls(rate, momentum, batch, epochs, width or 32)
        self._adopt(self._make(self.width.value) if self._make else model)
        super().__init__(
            [
                _row(self.rate, self.momentum, self.batch, self.epochs, *self._width_control),
                _row(*self.buttons.values()),
                self.progress,
                self.status,
                self.chart,
            ]
        )
        if Trainer._latest is not None and Trainer._latest.active:
            Trainer._latest._end("Stopped: a newer Trainer has taken over.")
        Trainer._latest = self
        try:  # the kernel's event loop; a plain Python session has none
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    # What the reader sees.

    def _controls(self, rate, momentum, batch, epochs, width):
        sizes = sorted({1, 2, 4, 8, 16, 32, 64, 128, 256, 512} | {batch})
        sizes = [size for size in sizes if size <= len(self.train[1])] or [batch]
        self.rate = widgets.FloatLogSlider(
            rate, min=-4, max=1, step=0.05, description="rate",
            tooltip="Learning rate α: the length of a step", readout_format=".3g",
        )  # fmt: skip
        self.momentum = widgets.FloatSlider(
            momentum, min=0, max=0.99, step=0.01, description="momentum",
            tooltip="μ, how much of the last step is kept: 0 is plain gradient descent",
        )  # fmt: skip
        self.batch = widgets.SelectionSlider(
            value=min(batch, sizes[-1]), options=sizes, description="batch",
            tooltip="How many examples each step looks at",
        )  # fmt: skip
        self.epochs = widgets.IntSlider(
            epochs, min=1, max=max(100, epochs), description="epochs",
            tooltip="How many times a run goes through the training set",
        )  # fmt: skip
        self.width = widgets.IntSlider(
            width, min=1, max=max(128, width), description="width",
            tooltip="Units in the hidden layer; a new width begins with a new network",
        )  # fmt: skip
        self._width_control = [self.width] if self._make else []
        actions = {
            "Train": (self._start, "Train, or go on after a pause"),
            "Pause": (self._pause, "Halt; Train goes on from here"),
            "Stop": (self._stop, "End the run; the model keeps what it has learnt"),
            "Reset": (self._reset, "End the run and give the model its first weights back"),
        }
        # None of them is ever disabled: a button that goes grey takes the keyboard's focus with it.
        self.buttons = {}
        for name, (act, tooltip) in actions.items():
            button = widgets.Button(description=name, tooltip=tooltip)
            button.on_click(lambda _, act=act: self._on_loop(act))
            self.buttons[name] = button
        self.progress = widgets.FloatProgress(0.0, min=0.0, max=epochs, tooltip="Epochs done")
        self.status, self.chart = widgets.HTML(), widgets.HTML()
        self._say("Ready. Press Train.")
        for slider in self.rate, self.momentum, self.batch, self.epochs:
            slider.observe(lambda _: self._on_loop(self._settings_changed), "value")
        self.width.observe(lambda _: self._on_loop(self._width_changed), "value")

    def _say(self, words, details="", announce=True):
        # A screen reader hears what changes the state of things, not each of the numbers in
        # between.
        role = ' role="status"' if announce else ""
        lines = "<br>".join(html.escape(line) for line in (words, details) if line)
        self.status.value = f'<div{role} style="line-height:1.5">{lines}</div>'

    def _draw(self):
        done, total = len(self.history["loss"]) - 1, self.epochs.value
        self.progress.max, self.progress.value = total, done
        names = {"": "training set", "test_": "test set"}
        charts = []
        for what in ("loss", "accuracy"):
            lines = {
                names[prefix]: self.history[prefix + what]
                for prefix in names
                if self.history.get(prefix + what, [None])[-1] is not None
            }
            if lines:
                charts.append(curves(what, lines, total, percent=what == "accuracy"))
        self.chart.value = (
            f'<div style="display:flex;flex-wrap:wrap;gap:1em">{"".join(charts)}</div>'
        )

    def _numbers(self):
        parts = []
        for name, key in ("loss", "loss"), ("test loss", "test_loss"):
            if key in self.history:
                parts.append(f"{name} {self.history[key][-1]:.4f}")
        for name, key in ("accuracy", "accuracy"), ("test accuracy", "test_accuracy"):
            if self.history.get(key, [None])[-1] is not None:
                parts.append(f"{name} {100 * self.history[key][-1]:.1f} %")
        return ", ".join(parts)

    # The run. It is a generator that yields after every step, so to pause is just not to ask for
    # the next.

    def _adopt(self, model):
        self.model = model
        self._first_weights = [np.copy(p.value) for p in model.parameters()]
        self._optimiser = self._batches = self._run = self._driver = None

    def _steps(self):
        """One run. Yields False after each step and True after each epoch, measured and drawn."""
        self._optimiser = SGD(self.model.parameters(), self.rate.value, self.momentum.value)
        self._batches = minibatches(*self.train, self.batch.value, self.seed)
        self.history = {}
        self._measure()
        yield True
        while len(self.history["loss"]) <= self.epochs.value:
            for X, y in self._batches:
                with np.errstate(all="ignore"):  # SGD says in words what an overflow leads to
                    step(self.model, self.loss, self._optimiser, X, y)
                self._seen += len(y)
                yield False
            self._measure()
            yield True

    def _measure(self):
        for prefix, part in ("", self.train), ("test_", self.test):
            if part is not None:
                values = evaluate(self.model, self.loss, *part)
                for name, value in zip(("loss", "accuracy"), values, strict=True):
                    self.history.setdefault(prefix + name, []).append(value)
        self._seen = 0
        self._draw()

    async def _drive(self, me):
        """Ask for steps, in short bursts, for as long as `me` is the driver.

        Why a task on the kernel's own loop and not a thread: a cell that runs meanwhile sees the
        model between two steps, never in the middle of one, and its own backward cannot mix with
        ours. It also works where there are no threads, in Python that runs in a page.
        """
        looked = began = time.perf_counter()
        while self._driver is me:
            epoch_done, until = False, time.perf_counter() + BURST
            try:
                while not epoch_done and time.perf_counter() < until:
                    epoch_done = next(self._run)
            except StopIteration:
                return self._finish()
            except Exception as error:
                return self._fail(error)
            now, wait = time.perf_counter(), 0.001
            if epoch_done:
                self._report()
                wait = max(wait, began + 1 / self.pace - now) if self.pace else wait
                began = now + wait
            elif now > looked + REFRESH:
                looked = now
                done = len(self.history["loss"]) - 1
                self.progress.value = done + self._seen / len(self.train[1])
            await asyncio.sleep(wait)

    def _report(self):
        done = len(self.history["loss"]) - 1
        self._say(f"Training: epoch {done} of {self.epochs.value}.", self._numbers(), False)

    def _finish(self):
        done = len(self.history["loss"]) - 1
        self._end(f"Done after {done} epoch{'s' * (done != 1)}.", self._numbers())

    def _fail(self, error):
        name = type(error).__name__
        self._end(f"Training ended with an error. {name}: {error}", self._numbers())

    def _end(self, words, details=""):
        self._driver = self._run = None
        self._say(words, details)

    @property
    def active(self):
        """Whether a run has begun (it may be paused) and not ended."""
        return self._run is not None

    def record(self, epochs=None):
        """Train here and now, without buttons; returns the history, raises what training raises."""
        if epochs is not None:
            self.epochs.max = max(self.epochs.max, epochs)
            self.epochs.value = epochs
        self._driver, self._run = None, self._steps()
        try:
            for _ in self._run:
                pass
        except Exception as error:
            self._fail(error)
            raise
        self._finish()
        return self.history

    def _repr_mimebundle_(self, **kwargs):
        if os.environ.get("MINIGRAD_BOOK") == "1" and not self.history:
            self.record()  # the book is being built: a page without a kernel shows this run
        return super()._repr_mimebundle_(**kwargs)

    # The buttons and sliders.

    def _on_loop(self, act):
        """Call `act` on the kernel's loop, between two bursts of steps.

        JupyterLab hands the messages of widgets to a thread of their own. All that touches the run
        happens on the one loop, so nothing here needs a lock.
        """
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or here is self._loop:
            act()
        else:
            self._loop.call_soon_threadsafe(act)

    def _start(self):
        if self._driver is not None:
            return
        if Trainer._latest is not self:
            if Trainer._latest.active:
                Trainer._latest._end("Stopped: another Trainer has taken over.")
            Trainer._latest = self
        if self._loop is None:
            self.record()
            return
        if self._run is None:
            self._run = self._steps()
        self._driver = me = object()
        self._say("Training.")
        self._task = self._loop.create_task(self._drive(me))

    def _pause(self):
        if self._driver is not None:
            self._driver = None
            done = len(self.history.get("loss", [0])) - 1
            self._say(f"Paused after {done} of {self.epochs.value} epochs.", self._numbers())

    def _stop(self):
        if self.active:
            done = len(self.history.get("loss", [0])) - 1
            self._end(f"Stopped after {done} epochs; the model keeps its weights.", self._numbers())

    def _reset(self):
        self._end("Reset: the model has its first weights again. Press Train.")
        for parameter, first in zip(self.model.parameters(), self._first_weights, strict=True):
            parameter.value = first.copy()[()]

    def _settings_changed(self):
        if self.active and self._optimiser is not None:
            self._optimiser.rate, self._optimiser.momentum = self.rate.value, self.momentum.value
            self._batches.size = self.batch.value
        self.progress.max = self.epochs.value

    def _width_changed(self):
        training = self._driver is not None
        self._adopt(self._make(self.width.value))
        self._say(f"A new network of width {self.width.value}. Press Train.")
        if training:
            self._start()


def _parts(data):
    """(train, test) of what was handed in; test is None where there is none."""
    pairs = list(data) if isinstance(data, tuple | list) else []
    if len(pairs) == 2 and all(isinstance(part, tuple | list) and len(part) == 2 for part in pairs):
        parts = [tuple(np.asarray(a) for a in part) for part in pairs]
    elif len(pairs) == 2:
        parts = [tuple(np.asarray(a) for a in pairs), None]
    else:
        given = f"{len(pairs)} things" if pairs else type(data).__name__
        raise ValueError(
            f"Trainer: data is {given}; expected (X, y) or ((X, y), (X_test, y_test)), as digits() "
            "gives them"
        )
    for part in parts:
        if part and len(part[0]) != len(part[1]):
            raise ValueError(
                f"Trainer: {len(part[0])} examples and {len(part[1])} labels; expected one label "
                "for each"
            )
    return parts


def _row(*children):
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap"))
