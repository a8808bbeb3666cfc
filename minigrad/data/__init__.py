"""Data to train on.

Offline: `digits` (1,797 handwritten ones), `names` (4,000 with their class), `corpus` (half a
million characters), and toys in the plane. Fetched once, checked and kept: `mnist`, `cifar10`,
`dbpedia`, `shakespeare`; `fetch` says where they are kept and how to do without a network.

A batch is rows: X (n, ...) are n examples, y (n,) their labels, integers from 0.
"""

from minigrad.data.batches import minibatches
from minigrad.data.images import CIFAR10_CLASSES, cifar10, digits, mnist
from minigrad.data.text import CLASSES, Alphabet, corpus, dbpedia, names, shakespeare
from minigrad.data.toys import circles, moons, spirals, xor

__all__ = [
    "CIFAR10_CLASSES",
    "CLASSES",
    "Alphabet",
    "cifar10",
    "circles",
    "corpus",
    "dbpedia",
    "digits",
    "minibatches",
    "mnist",
    "moons",
    "names",
    "shakespeare",
    "spirals",
    "xor",
]
