"""Pictures to classify: digits that scikit-learn carries; MNIST and CIFAR-10, fetched once."""

import gzip
import tarfile

import numpy as np

from minigrad.data import sources
from minigrad.data.batches import set_apart
from minigrad.data.fetch import fetch


def digits(test=0.2, seed=0, dtype=np.float64):
    """Handwritten digits, 8 by 8 pixels: `(X, y), (X_test, y_test)`.

    scikit-learn carries 1,797 of them, 174 to 183 of each. X (n, 64) is scaled to [0, 1], y (n,)
    holds 0 to 9. The share `test` of each digit is set aside for testing, drawn by `seed`: the same
    seed, the same split. Raises ImportError where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed: pip install scikit-learn"
        ) from error
    if not 0.0 < test < 1.0:
        raise ValueError(f"digits: test={test}; expected a share between 0 and 1, such as 0.2")
    X, y = load_digits(return_X_y=True)
    X, held_out = (X / 16.0).astype(dtype), set_apart(y, [test], seed) == 1
    return (X[~held_out], y[~held_out]), (X[held_out], y[held_out])


def mnist(folder=None, dtype=np.float32):
    """Handwritten digits, 28 by 28 pixels: `(X, y), (X_test, y_test)`, 60,000 and 10,000 of them.

    X (n, 784) is scaled to [0, 1]; with `dtype=np.uint8` it holds the pixels as they are stored, 0
    to 255. y (n,) holds 0 to 9. The first call fetches 11.6 MB, unless `folder` has the files: see
    `minigrad.data.fetch`, also for the errors that it raises.
    """
    X, y, X_test, y_test = map(read_idx, fetch(sources.MNIST, folder))
    return (_scaled(X, dtype).reshape(len(X), -1), y.astype(int)), (
        _scaled(X_test, dtype).reshape(len(X_test), -1),
        y_test.astype(int),
    )


def cifar10(folder=None, dtype=np.float32):
    """Small colour photographs of ten things: `(X, y), (X_test, y_test)`, 50,000 and 10,000.

    X (n, 3, 32, 32), red, green and blue, is scaled to [0, 1]; `dtype=np.uint8` keeps 0 to 255.
    y (n,) holds the numbers of `CIFAR10_CLASSES`. The first call fetches 170 MB, as `mnist` does.
    """
    (path,) = fetch(sources.CIFAR10, folder)
    parts = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rsplit("/", 1)[-1]
            if name.endswith(".bin"):
                parts[name] = cifar10_records(archive.extractfile(member).read(), name)
    train = [parts[f"data_batch_{number}.bin"] for number in range(1, 6)]
    X, y = (np.concatenate(arrays) for arrays in zip(*train))
    X_test, y_test = parts["test_batch.bin"]
    return (_scaled(X, dtype), y), (_scaled(X_test, dtype), y_test)


CIFAR10_CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())


def cifar10_records(stored, name="the file"):
    """Images (n, 3, 32, 32) of uint8 and labels (n,) from the bytes of CIFAR-10's binary version.

    A record is a label and 3 times 32 times 32 pixels, 3,073 bytes. Raises ValueError where the
    bytes are no whole number of records, or a label is not 0 to 9.
    """
    if len(stored) % 3073 or not stored:
        raise ValueError(f"{name}: {len(stored):,} bytes; expected a multiple of 3,073, a record")
    records = np.frombuffer(stored, np.uint8).reshape(-1, 3073)
    if records[:, 0].max() > 9:
        raise ValueError(f"{name}: a label is {records[:, 0].max()}; expected 0 to 9")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(int)


def read_idx(path):
    """The array in an IDX file of bytes, the format of MNIST, packed by gzip or not.

    Four bytes, 0, 0, 8 (unsigned bytes) and the number of axes; the length of each axis in four
    bytes, highest first; then the entries, row by row. Raises ValueError where the file is not so.
    """
    with open(path, "rb") as file:
        stored = file.read()
    if stored[:2] == b"\x1f\x8b":
        try:
            stored = gzip.decompress(stored)
        except (EOFError, OSError) as error:
            raise ValueError(f"{path}: {error}; the file is cut off or damaged") from error
    magic, axes = stored[:4], stored[3] if len(stored) > 3 else 0
    if magic[:3] != b"\x00\x00\x08" or not axes:
        raise ValueError(
            f"{path} is no IDX file of bytes: it starts with {magic.hex(' ')}, expected 00 00 08 "
            "and the number of axes (00 00 08 03 for images, 00 00 08 01 for labels)"
        )
    shape = np.frombuffer(stored, ">u4", min(axes, len(stored) // 4 - 1), offset=4)
    entries = np.frombuffer(stored, np.uint8, offset=min(4 + 4 * axes, len(stored)))
    if len(shape) < axes or len(entries) != np.prod(shape, dtype=int):
        raise ValueError(
            f"{path}: {len(entries):,} entries; its header says {tuple(shape.tolist())}"
        )
    return entries.reshape(shape)


def _scaled(pixels, dtype):
    """Bytes as they are, or in [0, 1] of another dtype."""
    return (
        pixels if np.dtype(dtype) == np.uint8 else pixels.astype(dtype) / np.dtype(dtype).type(255)
    )
