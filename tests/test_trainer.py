"""The Trainer without a browser: its run, its buttons on a loop, what it says and leaves behind.

tests/browser/test_jupyterlab.py drives the same in JupyterLab.
"""

import asyncio
import time

import numpy as np
import pytest

pytest.importorskip("ipywidgets")

import ipywidgets as widgets

from minigrad.data import moons
from minigrad.nn import MLP
from minigrad.solutions import ReLU
from minigrad.train import fit
from minigrad.widgets import Trainer
from minigrad.widgets.curves import _ticks, curves


def network(width=8, seed=0):
    return MLP([2, width, 2], activation=ReLU, rng=seed)


def press(trainer, name):
    trainer.buttons[name].click()


async def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def on_a_loop(session):
    """Run an `async def session()`: the Trainers made in it find a loop, as in a notebook."""
    asyncio.run(asyncio.wait_for(session(), 30))


def epochs_done(trainer):
    return len(trainer.history.get("loss", [])) - 1


def test_the_recorded_run_is_the_run_of_fit():
    train, test = moons(100, rng=0), moons(100, rng=1)
    trainer = Trainer(network(), (train, test), rate=0.2, momentum=0.5, batch=16, rng=3)
    recorded = trainer.record(epochs=4)
    by_fit = fit(network(), train, test, rate=0.2, momentum=0.5, batch=16, epochs=4, rng=3)
    for name in ("loss", "accuracy", "test_loss", "test_accuracy"):
        assert recorded[name][1:] == pytest.approx(by_fit[name]), name
    assert "Done after 4 epochs" in trainer.status.value
    assert f"accuracy {100 * by_fit['test_accuracy'][-1]:.1f} %" in trainer.status.value
    assert trainer.progress.value == trainer.progress.max == 4


def test_train_pause_train_is_the_same_run_as_without_a_pause():
    async def session():
        trainer = Trainer(network(), moons(100), epochs=6, pace=50)
        press(trainer, "Train")
        await until(lambda: epochs_done(trainer) >= 2)
        press(trainer, "Pause")
        assert "Paused after" in trainer.status.value and trainer.active
        halted = trainer.model.layers[0].weight.value
        await asyncio.sleep(0.1)
        assert trainer.model.layers[0].weight.value is halted
        press(trainer, "Train")
        press(trainer, "Train")  # twice does no harm
        await until(lambda: not trainer.active)
        assert epochs_done(trainer) == 6
        straight = Trainer(network(), moons(100), epochs=6).record()
        assert trainer.history["loss"] == straight["loss"]

    on_a_loop(session)


def test_pause_and_train_at_once_leave_one_driver():
    async def session():
        trainer = Trainer(network(), moons(100), epochs=100, pace=10)
        press(trainer, "Train")
        await until(lambda: epochs_done(trainer) >= 1)
        for _ in range(5):  # while the first driver still sleeps until its next epoch
            press(trainer, "Pause")
            press(trainer, "Train")
        await asyncio.sleep(0.25)
        drivers = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_drive"]
        assert len(drivers) == 1
        press(trainer, "Stop")

    on_a_loop(session)


def test_stop_ends_and_keeps_the_weights_and_reset_gives_the_first_ones_back():
    async def session():
        trainer = Trainer(network(), moons(100), epochs=1000, pace=None)
        first = trainer.model.layers[0].weight.value.copy()
        press(trainer, "Train")
        await until(lambda: epochs_done(trainer) >= 3)
        press(trainer, "Stop")
        assert not trainer.active and "Stopped after" in trainer.status.value
        learnt = trainer.model.layers[0].weight.value
        await asyncio.sleep(0.05)
        assert trainer.model.layers[0].weight.value is learnt
        assert not np.array_equal(learnt, first)
        press(trainer, "Reset")
        assert np.array_equal(trainer.model.layers[0].weight.value, first)

    on_a_loop(session)


def test_sliders_act_on_the_very_next_step():
    trainer = Trainer(network(), moons(128), batch=32)
    trainer._run = run = trainer._steps()
    assert next(run) is True and next(run) is False  # measured, then the first step
    assert trainer._seen == 32
    trainer.rate.value, trainer.momentum.value, trainer.batch.value = 1e-4, 0.0, 128
    before = [parameter.value for parameter in trainer.model.parameters()]
    assert next(run) is False and trainer._seen == 128  # all that was left of the epoch
    for parameter, w in zip(trainer.model.parameters(), before, strict=True):
        assert parameter.value - w == pytest.approx(-1e-4 * parameter.grad, abs=1e-12)


def test_the_loop_stays_free_while_training():
    async def session():
        trainer = Trainer(network(64), moons(5000), batch=1, epochs=10_000, pace=None)
        press(trainer, "Train")
        begun = time.monotonic()
        for _ in range(20):  # another cell, twenty times: each may have to wait for one burst
            await asyncio.sleep(0.002)
        assert time.monotonic() - begun < 3.0
        assert trainer.active
        press(trainer, "Stop")

    on_a_loop(session)


def test_a_newer_trainer_stops_the_one_before():
    async def session():
        first = Trainer(network(), moons(100), epochs=1000)
        press(first, "Train")
        await until(lambda: epochs_done(first) >= 1)
        second = Trainer(network(), moons(100), epochs=1000)
        assert not first.active and "newer Trainer" in first.status.value
        press(second, "Train")
        press(first, "Train")  # and the other way round
        assert first.active and not second.active
        press(first, "Stop")

    on_a_loop(session)


def test_an_error_in_training_is_shown_in_words():
    class Broken(MLP):
        def forward(self, x):
            raise ValueError("shapes <3> & <4> do not fit")

    async def session():
        trainer = Trainer(Broken([2, 2], rng=0), moons(20))
        press(trainer, "Train")
        await until(lambda: "error" in trainer.status.value)
        assert "ValueError: shapes &lt;3&gt; &amp; &lt;4&gt; do not fit" in trainer.status.value
        assert not trainer.active

    on_a_loop(session)
    with pytest.raises(ValueError, match="do not fit"):  # a book that records it must not go on
        Trainer(Broken([2, 2], rng=0), moons(20)).record()


def test_a_rate_too_large_ends_in_a_message_about_the_rate():
    trainer = Trainer(MLP([2, 8, 1], ReLU, rng=0), (moons()[0], moons()[0][:, :1]), rate=10.0)
    from minigrad import mean_squared_error

    trainer.loss = mean_squared_error
    with pytest.raises(ValueError, match="rate"):
        trainer.record(50)
    assert "Usually the rate is too large" in trainer.status.value


def test_a_function_of_the_width_brings_a_slider_and_a_new_network():
    async def session():
        trainer = Trainer(network, moons(100), width=4, epochs=1000)
        assert trainer.model.layers[0].weight.shape == (2, 4)
        press(trainer, "Train")
        await until(lambda: epochs_done(trainer) >= 1)
        trainer.width.value = 16
        assert trainer.model.layers[0].weight.shape == (2, 16)
        await until(lambda: epochs_done(trainer) >= 1)  # it goes on, with the new network
        assert trainer.active
        press(trainer, "Stop")

    on_a_loop(session)


def test_regression_has_a_loss_and_no_accuracy():
    from minigrad import mean_squared_error

    X = np.linspace(-1, 1, 20)[:, None]
    trainer = Trainer(MLP([1, 8, 1], rng=0), (X, X**2), loss=mean_squared_error, rate=0.05)
    history = trainer.record(20)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert "accuracy" not in trainer.status.value and trainer.chart.value.count("<svg") == 1


def test_the_book_shows_a_recorded_run(monkeypatch):
    monkeypatch.setenv("MINIGRAD_BOOK", "1")
    trainer = Trainer(network(), moons(100), epochs=3)
    assert "application/vnd.jupyter.widget-view+json" in trainer._repr_mimebundle_()
    assert epochs_done(trainer) == 3 and "<svg" in trainer.chart.value
    monkeypatch.delenv("MINIGRAD_BOOK")
    live = Trainer(network(), moons(100), epochs=3)
    live._repr_mimebundle_()
    assert live.history == {}


def test_each_control_says_what_it_is():
    trainer = Trainer(network, moons(100))
    found, queue = [], [trainer]
    while queue:
        widget = queue.pop()
        queue.extend(getattr(widget, "children", ()))
        if hasattr(widget, "description") and not isinstance(
            widget, (widgets.HTML, widgets.FloatProgress)
        ):
            found.append(widget)
    assert len(found) == 5 + 4
    assert all(widget.description and widget.tooltip for widget in found)
    assert not any(getattr(widget, "disabled", False) for widget in found)


@pytest.mark.parametrize(
    "wrong, error, words",
    [
        (lambda: Trainer(network(), moons(20)[0]), ValueError, "ndarray"),
        (lambda: Trainer(network(), (1, 2, 3)), ValueError, "3 things"),
        (
            lambda: Trainer(network(), (np.ones((4, 2)), [0, 1])),
            ValueError,
            "4 examples and 2 labels",
        ),
        (lambda: Trainer(network(), moons(20), width=8), TypeError, "lambda width"),
        (lambda: Trainer(3, moons(20)), TypeError, "a module, or a function"),
    ],
)
def test_bad_input_gets_an_error_that_teaches(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()


def test_curves_say_in_words_what_they_show():
    drawn = curves("loss", {"training set": [2.0, 1.0, 0.5], "a<b": [2.5, np.nan, 1.5]}, 10)
    assert 'role="img"' in drawn
    assert "Loss: training set 2 at first, 0.5 after 2 epochs; a&lt;b 2.5 at first" in drawn
    assert "a<b" not in drawn and "nan" not in drawn.split("points", 1)[1]
    # x: epoch 2 of 10 on the axis from 46 to 330; y: 0.5 on the axis 0 ... 2.5 from 172 up to 34.
    assert f"{46 + 284 * 0.2:.1f},{172 - 138 * 0.2:.1f}" in drawn
    assert curves("accuracy", {"training set": [0.5, 0.96]}, 2, percent=True).count("96 %") == 1


@pytest.mark.parametrize("low, high", [(0, 2.3), (0, 0.07), (0.11, 1), (0.97, 1), (0, 0), (0, 1e5)])
def test_ticks_are_few_round_and_reach_both_ends(low, high):
    ticks = _ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert ticks[0] <= low + 1e-9 and ticks[-1] >= high - 1e-9
    assert all(len(f"{tick:.4g}") <= 6 for tick in ticks)
