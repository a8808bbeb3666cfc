"""Weights in files: `.npz`, which NumPy reads, and `.safetensors`, which other frameworks read.

    >>> save(model, "digits.npz")
    >>> model.load_state_dict(load("digits.npz"))

Both formats hold names and arrays and nothing else. A pickle is a program, which runs when it is
opened; none is ever opened here.
"""

import os
import zipfile
from pathlib import Path

import numpy as np

from minigrad.core import TensorNode


def save(model, path):
    """Write the state of a module, or a dict {name: array}, to `path`; returns the path.

    A file that is there already is replaced in one go, when the new one is complete: whatever
    happens, there is an old file or a new one, never half of one. Raises ValueError for another
    suffix than .npz and .safetensors, TypeError for what is no array of numbers.
    """
    path = Path(path)
    write = _format(path)[0]
    state = model if isinstance(model, dict) else model.state_dict()
    for name, array in state.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray | np.number):
            raise TypeError(f"save: {name!r} is {array!r}; expected names and arrays of numbers")
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save: {name!r} is an array of {array.dtype}; expected numbers")
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            write({name: np.asarray(array, order="C") for name, array in state.items()}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def load(path):
    """The dict {name: array} in a file, for `module.load_state_dict`.

    Raises FileNotFoundError, and ValueError for a file that is not, or not wholly, what its suffix
    says; the message says what it seems to be, and what to do.
    """
    path = Path(path)
    read = _format(path)[1]
    with open(path, "rb") as file:
        start = file.read(8)
    try:
        return read(path)
    except ImportError:
        raise
    except Exception as error:  # damaged bytes can make a reader stumble in any way
        advice = next((say for mark, say in SEEMS.items() if start.startswith(mark)), None)
        advice = advice or "it is damaged or of another kind; fetch it or save it again"
        advice = advice if start else "it is empty; fetch it or save it again"
        raise ValueError(f"{path} holds no {path.suffix} weights: {advice} ({error})") from error


def state_dict(module):
    """{name: array} of all parameters, then all buffers: copies, which training won't change.

    `minigrad.interop.save` writes it to a file.
    """
    state = module.named(TensorNode) + module.named(np.ndarray)
    return {name: np.array(getattr(held, "value", held), order="C") for name, held in state}


def load_state_dict(module, state):
    """Take over what `state_dict` gave, all of it or nothing.

    `state` {name: array} has the names of this module's own state, each with the same shape and
    dtype. Raises ValueError that names every entry that is missing, unexpected or does not fit; the
    module is then as it was. (`minigrad.interop.load` reads a state from a file.)
    """
    own = state_dict(module)
    kind = lambda a: "nothing" if a is None else f"{np.asarray(a).dtype} {np.shape(a)}"
    kinds = {name: (kind(state.get(name)), kind(own.get(name))) for name in {**own, **state}}
    if wrong := [f"\n  {name}: {a}; expected {b}" for name, (a, b) in kinds.items() if a != b]:
        name = type(module).__name__
        raise ValueError(f"{name} was given another state; nothing was changed:{''.join(wrong)}")
    for name, node in module.named(TensorNode):
        node.value = np.array(state[name])[()]
    for name, buffer in module.named(np.ndarray):
        buffer[...] = state[name]


# How a file begins, and what to do if it is not what was asked for.
SEEMS = {
    b"\x89PNG": "it is a PNG picture; give the path of the weights",
    b"\x80": "it is a pickle, a program that would run when opened; where it was made, save "
    "arrays, with numpy.savez or safetensors",
    b"\x93NUMPY": "it is one array, of numpy.save; save a dict of arrays, with "
    "minigrad.interop.save",
    b"PK": "it is a zip file, but damaged, cut short or not of plain arrays; save it again (of a "
    "PyTorch model: safetensors.torch.save_file(model.state_dict(), path))",
}


def _write_npz(state, file):
    # Not np.savez(file, **state), which cannot have an array called "file"; nor the date of today,
    # so that the same weights are the same bytes.
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in state.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read_npz(path):
    state = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if not member.endswith(".npy"):
                raise ValueError(f"{member} in it is no array")
            with archive.open(member) as file:
                state[member.removesuffix(".npy")] = np.lib.format.read_array(file)
                if file.read(1):  # to read to the end is to have the checksum compared
                    raise ValueError(f"{member} in it goes on behind its array")
    return state


def _write_safetensors(state, file):
    file.write(_safetensors().save(state))


def _read_safetensors(path):
    try:
        return _safetensors().load(path.read_bytes())
    except KeyError as kind:  # 'BF16', say
        raise ValueError(f"NumPy has no numbers of kind {kind}; save them as float32") from kind


def _safetensors():
    try:
        import safetensors.numpy
    except ModuleNotFoundError as missing:
        raise ImportError(
            ".safetensors files need a package: pip install safetensors, or use .npz"
        ) from missing
    return safetensors.numpy


FORMATS = {".npz": (_write_npz, _read_npz), ".safetensors": (_write_safetensors, _read_safetensors)}


def _format(path):
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: weights are kept in files named *.npz or *.safetensors")
    return FORMATS[path.suffix]
