"""minigrad: automatic differentiation, small enough to read.

    import numpy as np
    import minigrad as mg

    x1, x2 = mg.TensorNode(2.0), mg.TensorNode(5.0)
    y = np.log(x1) + x1 * x2 - np.sin(x2)
    y.backward()
    x1.grad, x2.grad

Start with `core`: reverse mode is that one file. This package imports NumPy and nothing else.
"""

from importlib import import_module

import numpy as np

from minigrad import functions, ops
from minigrad.checker import gradcheck
from minigrad.core import Op, OpNode, TensorNode, debug, no_grad, strict, wengert_list
from minigrad.dual import Dual
from minigrad.functions import *  # noqa: F403  its functions and the ops, each by its name
from minigrad.ops import *  # noqa: F403

__version__ = "0.1.0"
__all__ = ["Dual", "Op", "OpNode", "TensorNode", "debug", "gradcheck", "no_grad", "strict"]
__all__ += ["wengert_list", *functions.__all__, *ops.__all__]  # noqa: PLE0604

# Fetched when first used: they need more than the rest, PyTorch in two cases.
LATER = {"compile": "wengert", "to_torch": "interop", "from_torch": "interop"}
MODULES = {"data", "interop", "nn", "optim", "train", "wengert"}


def __getattr__(name):
    if name in MODULES:
        return import_module(f"minigrad.{name}")
    if name not in LATER:
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
    return getattr(import_module(f"minigrad.{LATER[name]}"), name)


# When a large array is freed, the C library gives its pages back to the system, and the next one is
# mapped in anew, page by page: it takes as long as to compute it, at every step of a training loop.
# From this one, freed at once and never touched, glibc learns to keep 62 MB of what has been freed.
np.empty(31 << 20, np.uint8)
