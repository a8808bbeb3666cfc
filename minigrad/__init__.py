"""minigrad: automatic differentiation, small enough to read.

    import numpy as np
    import minigrad as mg

    x1, x2 = mg.TensorNode(2.0), mg.TensorNode(5.0)
    y = np.log(x1) + x1 * x2 - np.sin(x2)
    y.backward()
    x1.grad, x2.grad

Start with `core`: reverse mode is that one file. This package imports NumPy and nothing else.
"""

from minigrad.checker import gradcheck
from minigrad.core import Op, OpNode, TensorNode, no_grad, strict, wengert_list
from minigrad.dual import Dual
from minigrad.functions import (
    checkpoint,
    cross_entropy,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    log_softmax,
    logsumexp,
    mean_squared_error,
    norm,
    sigmoid,
    softmax,
    value_and_grad,
    vjp,
)
from minigrad.ops import (
    Abs,
    Add,
    Concatenate,
    Cos,
    Divide,
    Exp,
    Expand,
    Index,
    Log,
    LogSumExp,
    MatMul,
    Max,
    Maximum,
    Mean,
    Multiply,
    Negate,
    Power,
    Reshape,
    Sigmoid,
    Sin,
    Sqrt,
    Stack,
    Subtract,
    Sum,
    Tan,
    Tanh,
    Transpose,
    Where,
)

__version__ = "0.1.0"
__all__ = [
    name
    for name in dir()
    if not name.startswith("_")
    and name not in {"checker", "core", "dual", "functions", "mistakes", "ops", "promises"}
]


def __getattr__(name):
    """mg.to_torch and mg.from_torch are fetched when first used: only they need PyTorch."""
    if name in {"to_torch", "from_torch"}:
        from minigrad import interop

        return getattr(interop, name)
    raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
