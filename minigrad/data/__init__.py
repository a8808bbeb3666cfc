"""Data to train on, all of it offline: 1,797 real digits, and toys in the plane.

A batch is rows: X (n, d) are n examples of d numbers, y (n,) their labels, integers from 0.
"""

from minigrad.data.batches import minibatches
from minigrad.data.images import digits
from minigrad.data.toys import circles, moons, spirals, xor

__all__ = ["circles", "digits", "minibatches", "moons", "spirals", "xor"]
