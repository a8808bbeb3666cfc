"""Training, once its loop has been written by hand: with a history, and over several seeds."""

import contextlib
import time

import numpy as np

from minigrad import display
from minigrad.core import no_grad
from minigrad.data import minibatches
from minigrad.functions import cross_entropy
from minigrad.interop.checkpoint import Checkpoint
from minigrad.nn import Module
from minigrad.optim import SGD, clip_by_norm
from minigrad.promises import expect
from minigrad.sweeps import Spread, over_seeds  # noqa: F401  to be had from here, too


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
    with contextlib.ExitStack() as after, no_grad():
        for _, module in model.named(Module) if isinstance(model, Module) else ():
            after.callback(setattr, module, "training", module.training)
            module.training = False
        now = loss(scores := model(X), y).item()
    integers = np.asarray(y).dtype.kind in "iu"
    return now, float(np.mean(np.argmax(scores.value, axis=1) == y)) if integers else None


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
    checkpoint that is damaged, of another model or made with other settings, another seed or
    other data.
    """
    parts = [train] if test is None else [train, test]
    lists = ["loss", "accuracy", "test_loss", "test_accuracy"][: 2 * len(parts)]
    may = lists if np.asarray(train[1]).dtype.kind in "iu" else lists[::2]  # no accuracies
    fits = patience is None or patience >= 1 and watch in may
    expect(fit, fits, f"1 or more, one of {may}; or test=...", patience=patience, watch=watch)
    batches, run = minibatches(*train, batch, rng), Module()  # all that the next epoch depends on
    run.model, run.rng, run.best = model.train(), batches.rng, patience and model.state_dict()
    run.optimiser = optimiser or SGD(model.parameters(), rate, momentum)
    asked = dict(loss=loss, train=train, test=test, batch=batch, clip=clip, patience=patience)
    file = Checkpoint(checkpoint, run, watch=watch, rng=rng, **asked)
    history = file.resume()
    for epoch in display.epochs(history, epochs, progress):
        if patience and epoch > history.get("best", [epoch])[-1] + patience:
            break
        began = time.perf_counter()
        for X, y in batches:
            step(model, loss, run.optimiser, X, y, clip)
        seconds = time.perf_counter() - began
        row = dict(zip(lists, [value for part in parts for value in evaluate(model, loss, *part)]))
        row |= {"rate": run.optimiser.rate_at(int(run.optimiser.steps) - 1), "seconds": seconds}
        for name, value in row.items():
            history.setdefault(name, []).append(value)
        if patience:
            scores = np.array(history[watch], float) * (-1.0 if watch.endswith("accuracy") else 1.0)
            # The first of the smallest; NaN comes last.
            history["best"] = [*history.get("best", ()), int(np.argsort(scores, kind="stable")[0])]
            run.best = model.state_dict() if history["best"][-1] == epoch else run.best
        file.keep(history)
    if patience:
        model.load_state_dict(run.best)
    return history
