"""Training, once its loop has been written by hand: with a history, and over several seeds."""

from typing import NamedTuple

import numpy as np

from minigrad.core import no_grad
from minigrad.data import minibatches
from minigrad.functions import cross_entropy
from minigrad.optim import SGD


def step(model, loss, optimiser, X, y):
    """Forward, backward, update, on one batch; returns the loss before the update."""
    optimiser.zero_grad()
    now = loss(model(X), y)
    now.backward()
    optimiser.step()
    return now.item()


def evaluate(model, loss, X, y):
    """(loss, accuracy) on all examples, without recording.

    The accuracy is the share of rows whose largest score stands in the column of the label; it is
    None where the labels are not integers.
    """
    with no_grad():
        scores = model(X)
        now = loss(scores, y).item()
    if np.asarray(y).dtype.kind not in "iu":
        return now, None
    return now, float(np.mean(np.argmax(scores.value, axis=1) == y))


def fit(
    model, train, test=None, loss=cross_entropy, rate=0.1, momentum=0.9, batch=32, epochs=20,
    rng=None, progress=False,
):  # fmt: skip
    """Train `model` on `train`, a pair (X, y), by SGD; returns the history.

    The history is a dict of lists with one entry for each epoch, measured at its end: "loss" and
    "accuracy" on `train`, "test_loss" and "test_accuracy" on `test` if there is one. `progress`
    shows a bar, where tqdm is installed.
    """
    optimiser = SGD(model.parameters(), rate, momentum)
    batches = minibatches(*train, batch, rng)
    history = {}
    for _ in _progress(range(epochs)) if progress else range(epochs):
        for X, y in batches:
            step(model, loss, optimiser, X, y)
        for prefix, part in ("", train), ("test_", test):
            if part is not None:
                for name, value in zip(("loss", "accuracy"), evaluate(model, loss, *part)):
                    history.setdefault(prefix + name, []).append(value)
    return history


def _progress(steps):
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return steps
    return tqdm(steps, unit="epoch")


class Spread(NamedTuple):
    """What several runs gave: their mean, standard deviation (over n − 1), and every value."""

    mean: float
    sd: float
    values: np.ndarray

    def __str__(self):
        return f"{self.mean:.3g} ± {self.sd:.2g} ({len(self.values)} runs)"


def over_seeds(run, seeds=range(10)):
    """`run(seed)` for each seed, as a `Spread`: one run is an anecdote."""
    values = np.array([run(seed) for seed in seeds])
    if len(values) < 2:
        raise ValueError(f"over_seeds: {len(values)} seeds; a spread needs at least two")
    return Spread(values.mean(axis=0), values.std(axis=0, ddof=1), values)
