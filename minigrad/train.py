"""Training, once its loop has been written by hand: with a history, and over several seeds."""

import os
import time
from typing import NamedTuple

import numpy as np

from minigrad.core import no_grad
from minigrad.data import minibatches
from minigrad.functions import cross_entropy
from minigrad.interop.checkpoint import keep, mark, resume
from minigrad.nn import Module
from minigrad.optim import SGD, clip_by_norm


def step(model, loss, optimiser, X, y, clip=None):
    """Forward, backward, update, on one batch; returns the loss before the update.

    `clip` is the limit of `clip_by_norm`.
    """
    optimiser.zero_grad()
    now = loss(model(X), y)
    now.backward()
    if clip is not None:
        clip_by_norm(optimiser.parameters(), clip)
    optimiser.step()
    return now.item()


def evaluate(model, loss, X, y):
    """(loss, accuracy) on all examples, without recording, out of training mode.

    The accuracy is the share of rows whose largest score stands in the column of the label; it is
    None where the labels are not integers.
    """
    modules = model.named(Module) if isinstance(model, Module) else []
    modes = {module: module.training for _, module in modules}
    try:
        for module in modes:
            module.training = False
        with no_grad():
            scores = model(X)
            now = loss(scores, y).item()
    finally:
        for module, training in modes.items():
            module.training = training
    if np.asarray(y).dtype.kind not in "iu":
        return now, None
    return now, float(np.mean(np.argmax(scores.value, axis=1) == y))


def fit(
    model,
    train,
    test=None,
    loss=cross_entropy,
    rate=0.1,
    momentum=0.9,
    batch=32,
    epochs=20,
    rng=None,
    progress=False,
    optimiser=None,
    clip=None,
    patience=None,
    watch="test_loss",
    checkpoint=None,
):
    """Train `model` on `train`, a pair (X, y), in training mode; returns the history.

    The history is a dict of lists with one entry for each epoch: "loss" and "accuracy" on `train`
    and "test_loss" and "test_accuracy" on `test`, if there is one, measured at its end; the "rate"
    of its last step; the "seconds" that its steps took.

    `optimiser`   SGD with `rate` and `momentum`, if none is given
    `clip`        the limit of `clip_by_norm`
    `progress`    a bar, of tqdm; a line for each epoch where that is not installed
    `patience`    stop when so many epochs in a row have brought nothing better, and go back to the
                  weights of the best. `watch` says by which list of the history: an accuracy
                  should be large, a loss small. "best" in the history is the index of the best
                  epoch so far.
    `checkpoint`  a file, run.npz, that is written after every epoch. Where it is there already,
                  `fit` goes on from it, to the very numbers of a run that was never interrupted.

    What is "test" here stands in for new data while you choose; what you choose by it is no longer
    new, so keep a part for the end.

    An interrupt (Ctrl-C, or Stop in a notebook) is passed on, as every error is: the model stays
    as the last step left it, the checkpoint as the last full epoch did. Call `fit` again in the
    same way to go on, or with more `epochs`. Raises ValueError, before anything has changed, for a
    checkpoint that is damaged, of another model or made with other settings or other data.
    """
    parts = {"": train} if test is None else {"": train, "test_": test}
    lists = [prefix + name for prefix in parts for name in ("loss", "accuracy")]
    if patience is not None and (patience < 1 or watch not in lists):
        raise ValueError(
            f"fit: patience={patience}, watch={watch!r}; expected at least one epoch of patience, "
            f"and one of {lists}: with test=..., the lists of test data are there, too"
        )
    optimiser = optimiser or SGD(model.parameters(), rate, momentum)
    batches, history = minibatches(*train, batch, rng), {}
    run = Module()  # all that the next epoch depends on
    run.model, run.optimiser, run.rng = model.train(), optimiser, batches.rng
    run.best = model.state_dict() if patience else {}
    if checkpoint is not None:
        settings = dict(model=type(model).__name__, loss=loss, optimiser=optimiser, train=train)
        settings |= dict(test=test, batch=batch, clip=clip, patience=patience, watch=watch)
        settings = {name: mark(value) for name, value in settings.items()}
        history = resume(checkpoint, run, settings) if os.path.exists(checkpoint) else {}
    steps, say = _progress(range(len(history.get("loss", ())), epochs), epochs, progress)
    for epoch in steps:
        if patience and epoch > history.get("best", [epoch])[-1] + patience:
            break
        began, row = time.perf_counter(), {}
        for X, y in batches:
            step(model, loss, optimiser, X, y, clip)
        seconds = time.perf_counter() - began
        for prefix, part in parts.items():
            row |= zip((prefix + "loss", prefix + "accuracy"), evaluate(model, loss, *part))
        row |= {"rate": optimiser.rate_at(int(optimiser.steps) - 1), "seconds": seconds}
        if patience:
            scores = np.array([*history.get(watch, ()), row[watch]], float)
            scores *= -1.0 if watch.endswith("accuracy") else 1.0
            row["best"] = int(np.argmin(np.where(np.isnan(scores), np.inf, scores)))
            run.best = model.state_dict() if row["best"] == epoch else run.best
        for name, value in row.items():
            history.setdefault(name, []).append(value)
        if checkpoint is not None:
            keep(checkpoint, run, settings, history)
        told = [f"{name} {row[name]:.3g}" for name in lists if row[name] is not None]
        say(f"epoch {epoch + 1}: " + ", ".join(told))
    if patience:
        model.load_state_dict(run.best)
    return history


def _progress(steps, total, wanted):
    """The steps to go through, and a function that shows a line of text with them."""
    if not wanted:
        return steps, lambda line: None
    try:
        from tqdm.auto import tqdm

        bar = tqdm(steps, initial=steps.start, total=total, unit="epoch")
    except ImportError:  # tqdm itself is missing, or in a notebook ipywidgets
        return steps, print
    return bar, bar.set_postfix_str


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
