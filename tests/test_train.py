"""The training loop: history, modes, early stopping, and runs that are interrupted.

`tests/test_data.py` has its results on toys and digits.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import moons
from minigrad.interop import load, save
from minigrad.interop.checkpoint import keep, mark, resume
from minigrad.nn import MLP, Linear, Module
from minigrad.optim import SGD, Adam, cosine, linear
from minigrad.train import evaluate, fit, step

TRAIN, TEST = moons(96, rng=0), moons(60, rng=1)


class Noisy(Module):
    """A network that behaves differently in training: it adds noise, and counts its calls."""

    def __init__(self, rng=None):
        rng = np.random.default_rng(rng)
        self.inner, self.rng, self.calls = MLP([2, 6, 2], rng=rng), rng, np.zeros(2, int)
        self.frozen = Linear(1, 1, rng)

    def forward(self, x):
        self.calls[int(self.training)] += 1
        noise = self.rng.normal(size=np.shape(x)) if self.training else 0.0
        return self.inner(x + 0.1 * noise)


def options(model, **changed):
    """What the runs of this file have in common: momentum, moments, schedules, noise, clipping."""
    optimiser = Adam(model.parameters(), cosine(0.05, steps=40, warmup=4), decay=0.01)
    common = dict(test=TEST, optimiser=optimiser, rng=5, clip=1.0, patience=3, epochs=9)
    return common | changed


def state(model):
    return model.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def without_times(history):
    return {name: values for name, values in history.items() if name != "seconds"}


class Interrupt:
    """A loss that is interrupted in one of its calls, as by Ctrl-C."""

    __name__ = "cross_entropy"
    __slots__ = ("calls", "call", "error")  # no settings, by which a checkpoint would know it

    def __init__(self, call, error=KeyboardInterrupt):
        self.calls, self.call, self.error = 0, call, error

    def __call__(self, scores, y):
        self.calls += 1
        if self.calls == self.call:
            raise self.error
        return mg.cross_entropy(scores, y)


# The loop


def test_the_history_has_an_entry_for_each_epoch():
    model = MLP([2, 6, 2], rng=0)
    optimiser = SGD(model.parameters(), linear(0.3, 9, last=0.03))
    history = fit(model, TRAIN, TEST, optimiser=optimiser, epochs=3, batch=32)
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ["loss", "accuracy", "test_loss", "test_accuracy", "rate", "seconds"], 3
    )
    # 3 batches an epoch; the last steps of the epochs are numbers 2, 5 and 8
    assert history["rate"] == pytest.approx([0.24, 0.15, 0.06])
    assert all(0.0 < seconds < 60.0 for seconds in history["seconds"])


def test_fit_takes_the_steps_that_a_loop_by_hand_takes():
    by_hand, by_fit = MLP([2, 6, 2], rng=0), MLP([2, 6, 2], rng=0)
    optimiser, rng = Adam(by_hand.parameters(), 0.01), np.random.default_rng(5)
    for _ in range(2):
        order = rng.permutation(96)
        for start in 0, 40, 80:
            rows = order[start : start + 40]
            by_hand.zero_grad()
            mg.cross_entropy(by_hand(TRAIN[0][rows]), TRAIN[1][rows]).backward()
            optimiser.step()
    fit(by_fit, TRAIN, optimiser=Adam(by_fit.parameters(), 0.01), epochs=2, batch=40, rng=5)
    assert same(state(by_hand), state(by_fit))


def test_clipping_bounds_each_step():
    model = MLP([2, 6, 2], rng=0)
    before = np.concatenate([p.value.ravel() for p in model.parameters()])
    step(model, mg.cross_entropy, SGD(model.parameters(), 1.0), *TRAIN, clip=1e-3)
    after = np.concatenate([p.value.ravel() for p in model.parameters()])
    assert np.linalg.norm(after - before) == pytest.approx(1e-3)


def test_training_is_in_training_mode_and_evaluation_is_not():
    model = Noisy(0).eval()
    fit(model, TRAIN, TEST, epochs=2, batch=32)
    assert model.calls.tolist() == [4, 6]  # 2 epochs of 2 evaluations, and of 3 batches
    assert model.training


def test_evaluate_leaves_every_module_in_the_mode_it_was_in():
    model = Noisy(0)
    model.frozen.eval()
    evaluate(model, mg.cross_entropy, *TEST)
    assert model.training and not model.frozen.training and model.calls.tolist() == [1, 0]
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, Interrupt(1), *TEST)
    assert model.training and not model.frozen.training


def test_a_loss_that_is_nan_ends_in_an_error_about_the_gradient():
    model = MLP([2, 6, 2], rng=0)
    before = state(model)
    spoilt = np.where(np.arange(96)[:, None] == 7, np.nan, TRAIN[0])
    with pytest.raises(ValueError, match="no NaN or infinity"):
        fit(model, (spoilt, TRAIN[1]), batch=96)
    assert same(before, state(model))


@pytest.mark.parametrize("installed", [True, False])
def test_progress_with_and_without_tqdm(capsys, monkeypatch, installed):
    if installed:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    fit(MLP([2, 6, 2], rng=0), TRAIN, TEST, epochs=2, progress=True)
    out, err = capsys.readouterr()
    if installed:  # the bar counts the epochs that are done, and its numbers are theirs
        bars = err.strip().split("\r")
        assert "0/2" in bars[0] and "loss" not in bars[0]
        assert re.search(r"2/2 .*, loss 0\.\d+, .*test_accuracy \d", bars[-1])
    else:
        lines = out.splitlines()
        assert len(lines) == 2 and lines[1].startswith("epoch 2: loss 0.")


# Early stopping


class Scripted(Module):
    """A 'network' whose accuracy and loss follow a script, one entry for each evaluation."""

    def __init__(self, losses):
        self.weight, self.losses = mg.TensorNode(np.zeros(1)), list(losses)

    def forward(self, x):
        return self.weight * np.ones((len(x), 1))

    def loss(self, scores, y):
        if self.training or len(y) == 2:  # training data have 2 rows, test data 3
            return np.sum(scores) * -1.0
        return np.sum(scores) * 0.0 + self.losses.pop(0)


def scripted(losses, **options):
    model = Scripted(losses)
    parts = [(np.zeros((n, 1)), np.zeros(n)) for n in (2, 3)]
    optimiser = SGD(model.parameters(), 0.5)  # the weight grows by 1 in every epoch
    history = fit(
        model, *parts, loss=model.loss, optimiser=optimiser, epochs=len(losses), **options
    )
    return model.weight.item(), history


@pytest.mark.parametrize(
    "losses, patience, stopped_after, best",
    [
        ([5, 4, 3, 3.5, 3.4, 3.3, 1], 3, 6, 2),
        ([5, 4, 3, 3.5, 3.4, 1, 2], 3, 7, 5),  # better just in time
        ([5, 4, 3], 3, 3, 2),
        ([5, 5, 5, 5], 2, 3, 0),  # as good is not better
        ([1, np.nan, np.nan, 0], 2, 3, 0),
        ([np.nan, 3, 2, 4], 1, 4, 2),  # NaN is worse than anything
        ([np.nan, np.nan, np.nan], 2, 3, 0),
        ([5, np.inf, 4, 6], 1, 2, 0),
    ],
)
def test_early_stopping_restores_the_best_weights(losses, patience, stopped_after, best):
    weight, history = scripted(losses, patience=patience)
    assert len(history["test_loss"]) == stopped_after
    assert history["best"][-1] == best
    assert weight == best + 1.0


def test_without_patience_the_last_weights_stay():
    weight, history = scripted([5, 4, 3, 6, 7])
    assert weight == 5.0 and "best" not in history


def test_an_accuracy_is_better_when_it_is_larger():
    model = MLP([2, 6, 2], rng=0)
    history = fit(model, TRAIN, TEST, epochs=40, rng=0, rate=0.5, patience=4, watch="test_accuracy")
    best = history["best"][-1]
    assert best == int(np.argmax(history["test_accuracy"])) > 0
    assert len(history["loss"]) == best + 5 < 40
    assert evaluate(model, mg.cross_entropy, *TEST)[1] == history["test_accuracy"][best]


@pytest.mark.parametrize(
    "wrong",
    [
        dict(patience=3),  # without test data
        dict(patience=0, test=TEST),
        dict(patience=-1, test=TEST),
        dict(patience=2, test=TEST, watch="valid_loss"),
        dict(patience=2, watch="test_accuracy"),
    ],
)
def test_patience_that_makes_no_sense_is_refused_before_anything_moves(wrong):
    model = MLP([2, 6, 2], rng=0)
    before = state(model)
    with pytest.raises(ValueError, match="patience .*watch .*test=") as caught:
        fit(model, TRAIN, **wrong)
    assert "'loss', 'accuracy'" in str(caught.value) and same(before, state(model))


def test_where_labels_are_no_integers_there_is_no_accuracy_to_watch():
    model = Linear(2, 1, rng=0)
    data = TRAIN[0], TRAIN[0][:, :1]
    with pytest.raises(ValueError, match="'accuracy'; expected 1 or more, one of .'loss'.; or"):
        fit(model, data, loss=mg.mean_squared_error, patience=2, watch="accuracy")
    history = fit(model, data, loss=mg.mean_squared_error, patience=2, watch="loss", epochs=3)
    assert history["accuracy"] == [None] * 3


# Runs that are interrupted


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


@pytest.mark.parametrize("interrupted_in", [6, 8, 12, 23, 27])
def test_a_run_that_goes_on_gives_bit_for_bit_what_one_in_a_piece_gives(path, interrupted_in):
    straight = Noisy(0)
    expected = fit(straight, TRAIN, **options(straight))
    first = Noisy(0)
    # an epoch calls the loss 5 times: 3 batches, and 2 evaluations, outside the steps
    with pytest.raises(KeyboardInterrupt):
        fit(first, TRAIN, **options(first, loss=Interrupt(interrupted_in), checkpoint=path))
    second = Noisy(99)  # other first weights, another generator: both come from the file
    history = fit(second, TRAIN, **options(second, checkpoint=path))
    assert without_times(history) == without_times(expected)
    assert same(state(second), state(straight))
    assert second.rng.bit_generator.state == straight.rng.bit_generator.state


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.SFC64])
def test_it_goes_on_to_more_epochs_with_any_generator(path, bits, dtype):
    def run(epochs, checkpoint=None):
        model = MLP([2, 6, 2], rng=0, dtype=dtype)
        rng = np.random.Generator(bits(3))
        return state(model), fit(model, TRAIN, epochs=epochs, rng=rng, checkpoint=checkpoint), model

    *_, straight = run(5)
    run(2, path)
    *_, longer = run(5, path)
    assert same(state(straight), state(longer))


def test_a_run_that_had_stopped_early_has_stopped(path):
    model = Noisy(0)
    short = options(model, patience=1, epochs=200, checkpoint=path)
    history = fit(model, TRAIN, **short)
    assert len(history["loss"]) < 200
    again = Noisy(1)
    assert fit(again, TRAIN, **options(again, patience=1, epochs=200, checkpoint=path)) == history
    assert same(state(again), state(model))


def test_an_interrupt_is_passed_on_and_leaves_the_last_complete_checkpoint(path):
    model = Noisy(0)
    with pytest.raises(KeyboardInterrupt):  # in the third epoch, at its second batch
        fit(model, TRAIN, **options(model, loss=Interrupt(12), checkpoint=path))
    assert int(load(path)["optimiser.steps"]) == 6
    assert not same(
        {"w": load(path)["model.inner.layers.0.weight"]}, {"w": model.inner.layers[0].weight.value}
    )
    assert [entry.name for entry in path.parent.iterdir()] == ["run.npz"]


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_checkpoint_before_it(path, monkeypatch, function):
    model, really, calls = Noisy(0), getattr(os, function), []

    def fails(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError("no space left on device")
        return really(*arguments)

    monkeypatch.setattr(os, function, fails)
    with pytest.raises(OSError, match="no space"):
        fit(model, TRAIN, **options(model, checkpoint=path))
    monkeypatch.undo()
    assert int(load(path)["optimiser.steps"]) == 6  # of the second epoch
    assert [entry.name for entry in path.parent.iterdir()] == ["run.npz"]
    straight, resumed = Noisy(0), Noisy(1)
    fit(straight, TRAIN, **options(straight))
    fit(resumed, TRAIN, **options(resumed, checkpoint=path))
    assert same(state(straight), state(resumed))


KILLED = """
import numpy as np
from minigrad.data import moons
from minigrad.nn import MLP
from minigrad.train import fit
model = MLP([2, 6, 2], rng=0)
print("started", flush=True)
fit(model, moons(96, rng=0), epochs={epochs}, rng=0, checkpoint={path!r})
"""


def test_a_process_killed_at_any_moment_leaves_a_checkpoint_to_go_on_from(path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(epochs=100_000, path=str(path))],
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    done = int(load(path)["optimiser.steps"]) // 3
    resumed, straight = MLP([2, 6, 2], rng=1), MLP([2, 6, 2], rng=0)
    fit(resumed, TRAIN, epochs=done + 2, rng=0, checkpoint=path)
    fit(straight, TRAIN, epochs=done + 2, rng=0)
    assert same(state(resumed), state(straight))


class Wider(Noisy):
    def __init__(self):
        super().__init__(0)
        self.inner = MLP([2, 7, 2], rng=0)


Wider.__name__ = "Noisy"  # only its arrays give it away


def twice_the_steps(model):
    return Adam(model.parameters(), cosine(0.05, steps=80, warmup=4), decay=0.01)


@pytest.mark.parametrize(
    "words, model, changed",
    [
        ("inner.layers.0.weight", Wider, {}),
        ("model: Noisy then, MLP now", lambda: MLP([2, 6, 2], rng=0), {}),
        ("batch: 32 then, 16 now", Noisy, {"batch": 16}),
        ("clip: 1.0 then, None now", Noisy, {"clip": None}),
        ("patience: 3 then, 4 now", Noisy, {"patience": 4}),
        (
            "loss: cross_entropy then, mean_squared_error now",
            Noisy,
            {"loss": mg.mean_squared_error},
        ),
        ("optimiser: Adam.* then, SGD.* now", Noisy, {"optimiser": None}),
        ("steps=40.* then, .*steps=80", Noisy, {"optimiser": twice_the_steps}),
        ("test: .*checksum .* then", Noisy, {"test": TRAIN}),
        ("train: .*checksum .* then", Noisy, {"train": (TRAIN[0] + 1e-9, TRAIN[1])}),
        ("rng: 5 then, 6 now", Noisy, {"rng": 6}),  # else ten seeds would give one result
        ("rng: 5 then, Generator now", Noisy, {"rng": np.random.default_rng(5)}),
    ],
)
def test_another_runs_checkpoint_is_refused_by_name_and_changes_nothing(
    path, words, model, changed
):
    first = Noisy(0)
    fit(first, TRAIN, **options(first, checkpoint=path, epochs=2))
    content = path.read_bytes()
    other = model()
    before, changed = state(other), {"train": TRAIN} | changed
    if callable(changed.get("optimiser")):
        changed["optimiser"] = changed["optimiser"](other)
    given = options(other, checkpoint=path, **changed)
    with pytest.raises(ValueError, match=words):
        fit(other, **given)
    assert same(before, state(other)) and path.read_bytes() == content
    assert given["optimiser"] is None or given["optimiser"].steps == 0


def test_another_kind_of_generator_is_refused(path):
    model = MLP([2, 6, 2], rng=0)
    fit(model, TRAIN, epochs=2, rng=np.random.default_rng(0), checkpoint=path)
    before = state(model)
    with pytest.raises(ValueError, match="PCG64.*not.*SFC64"):
        fit(model, TRAIN, rng=np.random.Generator(np.random.SFC64(0)), checkpoint=path)
    assert same(before, state(model))


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def empty(path):
    path.write_bytes(b"")


def flipped(path):
    content = bytearray(path.read_bytes())
    content[content.index(load(path)["optimiser.mean.0"].tobytes()) + 3] ^= 1
    path.write_bytes(content)


def weights_alone(path):
    save(Noisy(0), path)


def about_something_else(path):
    save({**Noisy(0).state_dict(), "about": np.frombuffer(b'{"made": "here"}', np.uint8)}, path)


def without_an_array(path):
    state = load(path)
    del state["optimiser.mean.0"]
    save(state, path)


@pytest.mark.parametrize(
    "damage, words",
    [
        (truncated, "damaged, cut short"),
        (empty, "empty"),
        (flipped, "damaged"),
        (weights_alone, "no checkpoint"),
        (about_something_else, "no checkpoint"),
        (without_an_array, "optimiser.mean.0: nothing"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_changes_nothing(path, damage, words):
    first = Noisy(0)
    fit(first, TRAIN, **options(first, checkpoint=path, epochs=2))
    damage(path)
    content, other = path.read_bytes(), Noisy(1)
    before, given = state(other), options(other, checkpoint=path)
    with pytest.raises(ValueError, match=words):
        fit(other, TRAIN, **given)
    assert same(before, state(other)) and given["optimiser"].steps == 0
    assert path.read_bytes() == content


def test_a_checkpoint_is_arrays_and_text_without_pickle(path):
    model = Noisy(0)
    history = fit(model, TRAIN, **options(model, checkpoint=path, epochs=2))
    with np.load(path, allow_pickle=False) as file:
        assert {name.split(".")[0] for name in file} == {"model", "optimiser", "best", "about"}
        about = json.loads(file["about"].tobytes())
    assert about["notes"] == history and about["settings"]["batch"] == 32
    assert all(name.endswith(".npy") for name in zipfile.ZipFile(path).namelist())


def test_the_same_file_serves_a_loop_of_ones_own(path):
    run = Module()
    run.model, run.rng = MLP([2, 3, 2], rng=0), np.random.default_rng(0)
    keep(path, run, {"batch": 8}, {"losses": [0.5, float("nan")]})
    expected, at = run.rng.random(3), state(run.model)
    for parameter in run.model.parameters():
        parameter.value = parameter.value + 1.0
    notes = resume(path, run, {"batch": 8})
    assert notes["losses"][0] == 0.5 and np.isnan(notes["losses"][1])
    assert same(at, state(run.model)) and run.rng.random(3).tolist() == expected.tolist()


def test_what_a_setting_is_known_by():
    assert [mark(value) for value in (3, 0.5, "x", None, True)] == [3, 0.5, "x", None, True]
    assert mark(cosine(0.1, 50)) == "schedule(last=0.0, rate=0.1, steps=50, warmup=0)"
    assert mark(mg.cross_entropy) == "cross_entropy" and mark(np.tanh) == "tanh"
    w = [mg.TensorNode(1.0)]
    assert mark(SGD(w, 0.1)) != mark(SGD(w, 0.1, 0.9)) != mark(SGD(w, 0.1, 0.9, nesterov=True))
    assert mark(SGD(w, linear(0.1, 5))) != mark(SGD(w, linear(0.1, 6)))
    words = np.array(["a", "bc"], object)
    assert mark(words) == mark(words.copy()) != mark(words[::-1])
    assert mark(np.zeros(2)) != mark(np.zeros(2, np.float32))
    strided = np.arange(6.0).reshape(2, 3).T
    assert mark(strided) == mark(strided.copy())
