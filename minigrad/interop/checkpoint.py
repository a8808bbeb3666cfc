"""A run in a file: all that its next epoch depends on, so that it can be interrupted.

    >>> run = Module()
    >>> run.model, run.optimiser, run.rng = model, optimiser, np.random.default_rng(0)
    >>> settings, notes = {"batch": 32}, {"losses": []}
    >>> if os.path.exists("run.npz"):
    ...     notes = resume("run.npz", run, settings)
    >>> ...                                                  # an epoch, with a note of its loss
    >>> keep("run.npz", run, settings, notes)

`minigrad.train.fit` does just this, by way of `Checkpoint`. The file is one of weights, which any
program can read, and one array more, "about", with the rest as JSON text. There is no pickle in it.
"""

import inspect
import json
import os
import zlib
from numbers import Real
from types import FunctionType

import numpy as np

from minigrad.interop.weights import load, save
from minigrad.nn import Module

TOLD = Real | FunctionType  # of what a setting holds, what tells it from others


class Checkpoint:
    """The file of a run of `fit`, with its settings; without a path, nothing is kept."""

    def __init__(self, path, run, **settings):
        settings |= {"model": type(run.model).__name__, "optimiser": run.optimiser}
        self.path, self.run = path, run
        self.settings = {} if path is None else {name: mark(s) for name, s in settings.items()}

    def resume(self):
        """Bring the run to where the file left it, and return its notes; {} where there is none."""
        there = self.path is not None and os.path.exists(self.path)
        return resume(self.path, self.run, self.settings) if there else {}

    def keep(self, notes):
        """Write the file anew."""
        if self.path is not None:
            keep(self.path, self.run, self.settings, notes)


def keep(path, run, settings, notes):
    """Write a module's state, its random generators', and `notes` (what JSON can hold) to `path`.

    The file is whole at all times: the old one until the new one is complete. `settings` say what
    run this is, also in what JSON can hold (see `mark`); `resume` compares them.
    """
    random = [generator.bit_generator.state for generator in _generators(run)]
    about = {"settings": settings, "random": random, "notes": notes}
    text = json.dumps(about, default=np.ndarray.tolist).encode()
    save({**run.state_dict(), "about": np.frombuffer(text, np.uint8)}, path)


def resume(path, run, settings):
    """Bring `run` to where the checkpoint was made; returns the notes.

    Raises ValueError, changing nothing, for a file that is damaged or holds no checkpoint, for
    other settings, which it names, and for the state of another module.
    """
    state = load(path)
    try:
        about = json.loads(state.pop("about").tobytes())
        then, random, notes = (about[name] for name in ("settings", "random", "notes"))
    except (KeyError, TypeError, ValueError) as error:  # none of that name, or another's
        no = f"{path} holds weights but no checkpoint; give another path"
        raise ValueError(no) from error
    now = json.loads(json.dumps(settings))
    if other := [name for name in {**then, **now} if then.get(name) != now.get(name)]:
        lines = [f"{name}: {then.get(name)} then, {now.get(name)} now" for name in other]
        raise ValueError(
            f"{path} is the checkpoint of another run. Give another path to begin anew, or go on "
            "with the settings as they were.\n  " + "\n  ".join(lines)
        )
    kinds = [[state["bit_generator"] for state in random]]
    kinds += [[g.bit_generator.state["bit_generator"] for g in _generators(run)]]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{path}: the run had the random generators {kinds[0]}, not {kinds[1]}")
    run.load_state_dict(state)
    for generator, state in zip(_generators(run), random, strict=True):
        generator.bit_generator.state = state
    return notes


def _generators(run):
    held = [value for _, module in run.named(Module) for value in vars(module).values()]
    return [value for value in held if isinstance(value, np.random.Generator)]


def mark(value):
    """What a setting is known by in a file.

    Numbers and texts as they are, for arrays a checksum, for the rest a name and the numbers and
    functions that it holds: for `cosine(0.1, steps=100)` the rate and the steps.
    """
    if value is None or isinstance(value, str | Real):
        return value
    if isinstance(value, list | tuple):
        return [mark(inside) for inside in value]
    if isinstance(value, np.ndarray):
        data = value.tobytes() if value.dtype != object else repr(value.tolist()).encode()
        return f"{value.dtype} {value.shape}, checksum {zlib.crc32(data):x}"
    held = getattr(value, "__dict__", {}).items()
    if inspect.isfunction(value):
        held = inspect.getclosurevars(value).nonlocals.items()
    told = [f"{key}={mark(inside)}" for key, inside in held if isinstance(inside, TOLD)]
    name = getattr(value, "__name__", type(value).__name__)
    return f"{name}({', '.join(told)})" if told else name
