"""Workloads without networks: chains of single numbers, and gradients beside their functions."""

import math
import sys

import numpy as np

from benchmarks import peers
from benchmarks.harness import SEED, Workload


class Scalars(Workload):
    """A function of Python numbers: nothing but what the library does around the arithmetic."""

    absolute, tolerance = True, 1e-12

    def setup(self):
        pass

    def prepare_autograd(self):
        import autograd.numpy as anp
        from autograd import grad

        gradient = grad(lambda x: self.function(list(x), anp.log, anp.sin))
        return lambda: np.array(gradient(self.at))

    def prepare_torch(self):
        torch = peers.import_torch()

        def step():
            leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in self.at]
            self.function(leaves, torch.log, torch.sin).backward()
            return np.array([x.grad.item() for x in leaves])

        return step

    def prepare_micrograd(self):
        from micrograd.engine import Value

        sys.setrecursionlimit(max(sys.getrecursionlimit(), 10_000))  # its backward is recursive

        def unary(function, slope):
            def op(x):
                y = Value(function(x.data), (x,))

                def backward():
                    x.grad += slope(x.data) * y.grad

                y._backward = backward
                return y

            return op

        log, sin = unary(math.log, lambda x: 1 / x), unary(math.sin, math.cos)

        def step():
            leaves = [Value(x) for x in self.at]
            self.function(leaves, log, sin).backward()
            return np.array([x.grad for x in leaves])

        return step

    def prepare_minigrad(self):
        import minigrad as mg

        def step():
            leaves = [mg.TensorNode(x) for x in self.at]
            self.function(leaves, np.log, np.sin).backward()
            return np.array([x.grad for x in leaves])

        return step

    def prepare_minigrad_replayed(self):
        import minigrad as mg

        leaves = [mg.TensorNode(x) for x in self.at]
        replay = mg.compile(lambda: self.function(leaves, np.log, np.sin))

        def step():
            for leaf in leaves:
                leaf.zero_grad()
            replay()
            return np.array([leaf.grad for leaf in leaves])

        return step


class Chain(Scalars):
    """A thousand steps, y ← y w and y ← y + b in turn; times are for one of them."""

    key, title = "chain", "A chain of 1,000 scalar steps, forward and back"
    unit, scale = "µs an op", 1e6 / 1000
    aims = {"minigrad": 4.0, "minigrad_replayed": 2.5}
    at = (2.0, 0.999, 0.001)

    def function(self, leaves, log, sin):
        y, w, b = leaves
        for _ in range(500):
            y = y * w
            y = y + b
        return y

    def prepare_hand(self):
        def step():
            y, w, b = self.at
            seen = []
            for _ in range(500):
                seen.append(y)
                y = y * w
                y = y + b
            gy, gw, gb = 1.0, 0.0, 0.0
            for y in reversed(seen):
                gb += gy
                gw += gy * y
                gy *= w
            return np.array([gy, gw, gb])

        return step


class Book(Scalars):
    """f(x₁, x₂) = ln x₁ + x₁ x₂ − sin x₂ at (2, 5), value and gradient."""

    key, title = "book", "f(2, 5) of the book, value and gradient"
    unit, scale = "µs", 1e6
    at = (2.0, 5.0)

    def function(self, leaves, log, sin):
        x1, x2 = leaves
        return log(x1) + x1 * x2 - sin(x2)

    def prepare_hand(self):
        def step():
            x1, x2 = self.at
            math.log(x1) + x1 * x2 - math.sin(x2)
            return np.array([1 / x1 + x2, x1 - math.cos(x2)])

        return step


class Gradient(Workload):
    """Value and gradient of a function of n numbers, float64, against the function alone."""

    unit, scale, baseline, reference, tolerance = "ms", 1e3, "function", "hand", 1e-9
    checked, quick = 1, {"n": 1000}
    n = 0

    def setup(self):
        self.x = np.random.default_rng(SEED).uniform(0.5, 1.5, self.n) / self.spread()

    def spread(self):
        return 1.0

    def prepare_function(self):
        return lambda: self.f(self.x, np)

    def prepare_hand(self):
        assert np.isclose(self.by_hand(self.x)[0], self.f(self.x, np), rtol=1e-10)
        return lambda: self.by_hand(self.x)[1]

    def prepare_minigrad(self):
        import minigrad as mg

        both = mg.value_and_grad(lambda x: self.f(x, np))
        return lambda: both(self.x)[1]

    def prepare_torch(self):
        torch = peers.import_torch()
        constants = self.constants(torch.from_numpy)
        start = torch.from_numpy(self.x)

        def step():
            x = start.clone().requires_grad_()
            self.f(x, torch, *constants).backward()
            return x.grad.numpy()

        return step

    def prepare_autograd(self):
        import autograd.numpy as anp
        from autograd import value_and_grad

        both = value_and_grad(lambda x: self.f(x, anp))
        return lambda: both(self.x)[1]

    def constants(self, convert):
        return ()


class SumOfTerms(Gradient):
    key, title = "gradient-sum", "Gradient of Σ ln x sin x + x², n = 1,000,000"
    n, aims = 1_000_000, {"minigrad": 2.5}

    def f(self, x, library):
        return (library.log(x) * library.sin(x) + x * x).sum()

    def by_hand(self, x):
        log, sin = np.log(x), np.sin(x)
        value = (log * sin + x * x).sum()
        g = np.cos(x)
        g *= log
        sin /= x
        g += sin
        g += 2 * x
        return value, g


class Rosenbrock(Gradient):
    key, title = "gradient-rosenbrock", "Gradient of Rosenbrock's function, n = 1,000,000"
    n, aims = 1_000_000, {"minigrad": 4.0}

    def f(self, x, library):
        here, there = x[:-1], x[1:]
        return (100.0 * (there - here**2) ** 2 + (1.0 - here) ** 2).sum()

    def by_hand(self, x):
        here, there = x[:-1], x[1:]
        valley, slope = there - here**2, 1.0 - here
        value = (100.0 * valley**2 + slope**2).sum()
        g = np.zeros_like(x)
        valley *= 200.0
        g[1:] = valley
        valley *= here
        valley += slope
        g[:-1] -= 2.0 * valley
        return value, g


class Helmholtz(Gradient):
    """The Helmholtz energy of a mixture: the classic test of what a gradient costs.

    f(x) = Σ xᵢ ln(xᵢ / (1 − b·x)) − xᵀAx / (√8 b·x) ln((1 + (1 + √2) b·x) / (1 + (1 − √2) b·x))
    """

    key, title = "gradient-helmholtz", "Gradient of the Helmholtz energy, n = 3,000"
    n, aims = 3000, {"minigrad": 2.0}

    def setup(self):
        super().setup()
        rng = np.random.default_rng(SEED)
        A = rng.random((self.n, self.n))
        self.A, self.b = (A + A.T) / 2, rng.random(self.n) * 0.5

    def spread(self):
        return self.n

    def constants(self, convert):
        return convert(self.A), convert(self.b)

    def f(self, x, library, A=None, b=None):
        A, b = (self.A, self.b) if A is None else (A, b)
        u, root = b @ x, math.sqrt(2)
        mixing = (x * library.log(x / (1.0 - u))).sum()
        ratio = (1.0 + (1 + root) * u) / (1.0 + (1 - root) * u)
        return mixing - (x @ (A @ x)) / (math.sqrt(8) * u) * library.log(ratio)

    def by_hand(self, x):
        A, b, root = self.A, self.b, math.sqrt(2)
        u, Ax, eighth = b @ x, A @ x, math.sqrt(8)
        logs, upper, lower = np.log(x / (1 - u)), 1 + (1 + root) * u, 1 + (1 - root) * u
        pull, log = (x @ Ax) / (eighth * u), math.log(upper / lower)
        value = (x * logs).sum() - pull * log
        g = Ax
        g *= -2 / (eighth * u) * log  # A is symmetric: what the function computed serves again
        g += logs
        slope = x.sum() / (1 - u) + pull * log / u
        slope -= pull * ((1 + root) / upper - (1 - root) / lower)
        g += 1.0 + slope * b
        return value, g
