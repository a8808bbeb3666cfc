"""Toys in the plane: points X (n, 2), classes y (n,). No straight line separates them."""

import numpy as np


def moons(n=200, noise=0.1, rng=0):
    """Two half circles that reach into each other."""
    rng, y = np.random.default_rng(rng), np.arange(n) % 2
    angle = np.pi * rng.uniform(0.0, 1.0, n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return _jitter(np.where(y[:, None] == 0, upper, lower), noise, rng), y


def circles(n=200, noise=0.08, rng=0):
    """A circle of radius 1/2 inside one of radius 1."""
    rng, y = np.random.default_rng(rng), np.arange(n) % 2
    angle, radius = 2 * np.pi * rng.uniform(0.0, 1.0, n), np.where(y == 0, 1.0, 0.5)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return _jitter(points, noise, rng), y


def xor(n=200, noise=0.2, rng=0):
    """Four clouds around (±1, ±1); the class says whether the signs differ."""
    rng, corner = np.random.default_rng(rng), np.arange(n) % 4
    right, top = corner % 2, corner // 2
    return _jitter(np.stack([2.0 * right - 1, 2.0 * top - 1], axis=1), noise, rng), right ^ top


def spirals(n=300, noise=0.05, rng=0, classes=3):
    """Arms that wind once around the origin, one for each class."""
    rng, y = np.random.default_rng(rng), np.arange(n) % classes
    along = np.sqrt(rng.uniform(0.0, 1.0, n))
    angle = 2 * np.pi * (along + y / classes)
    points = np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1)
    return _jitter(points, noise, rng), y


def _jitter(points, noise, rng):
    return points + rng.normal(0.0, noise, points.shape)
