"""Other programs: ops for PyTorch and from it, and weights in files that others read.

PyTorch is imported when `to_torch` or `from_torch` is first asked for, safetensors when a file of
that kind is.
"""

from minigrad.interop.weights import load, save

__all__ = ["from_torch", "load", "save", "to_torch"]


def __getattr__(name):
    if name in {"to_torch", "from_torch"}:
        from minigrad.interop import torch

        return getattr(torch, name)
    raise AttributeError(f"module 'minigrad.interop' has no attribute {name!r}")
