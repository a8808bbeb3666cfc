"""What every check of the museum begins with. Paste it into a notebook, and any check below it."""

import ast
import math
from collections import Counter

import numpy as np
import sympy as sp

import minigrad as mg
from minigrad import nn, optim
from minigrad.trace import trace

rng = np.random.default_rng(0)


def slopes(f, x, h=1e-6):
    """Central differences: how the entries of f(x) follow each entry of x. Nothing is derived."""
    x = np.asarray(x, dtype=float)
    steps = h * np.eye(x.size).reshape(-1, *x.shape)
    columns = [(np.asarray(f(x + step)) - f(x - step)) / (2 * h) for step in steps]
    return np.stack(columns, axis=-1).reshape(np.shape(f(x)) + x.shape)


def attempt(f):
    """What f() gives; if it raises, the name of the error."""
    try:
        return f()
    except Exception as error:
        return type(error).__name__
