"""Networks with a memory: what they keep of the steps that they have seen is their state.

A batch of n sequences of T steps, d numbers in a step, is an array (n, T, d); or (n, T) integers
below d, each of which stands for a step with a 1 in that place and 0 elsewhere.

    >>> lstm, read_out = LSTM(70, 50, rng=0), Linear(50, 5, rng=1)
    >>> outputs, h, c = lstm(X)                           # (n, T, 50), (n, 50), (n, 50)
    >>> loss = cross_entropy(read_out(h), y)
"""

from functools import partial

import numpy as np

from minigrad.core import Op
from minigrad.functions import sigmoid
from minigrad.nn.layers import Dropout, masked
from minigrad.nn.linear import Linear, as_function
from minigrad.nn.module import Module
from minigrad.promises import expect


class Recurrent(Module):
    """What RNN and LSTM share: z = x W + b for all steps at once, then `run` from state to state.

    `input` is the `Linear` layer of W and b, `recurrent` is U, which the state before meets.
    """

    def __init__(self, n_in, n_hidden, blocks, dropout=0.0, rng=None, init="glorot", **options):
        options |= {"rng": np.random.default_rng(rng), "init": init}
        self.input = Linear(n_in, blocks * n_hidden, **options)
        self.recurrent = Linear(n_hidden, blocks * n_hidden, **options).weight
        self.dropout = Dropout(dropout, options["rng"])

    def forward(self, x, *state):
        (d, _), (k, _), shape = self.input.weight.shape, self.recurrent.shape, np.shape(x)
        integers = x.dtype.kind in "iu"
        fits = len(shape) == 2 and np.all((0 <= x) & (x < d)) if integers else shape[2:] == (d,)
        wanted = f"(n, T, {d}), or (n, T) integers from 0 to {d - 1}"
        expect(self, fits and 0 not in shape, wanted, dtype=x.dtype.name, x=x)
        n, T = shape[:2]
        state = state or [np.zeros((n, k), self.recurrent.dtype)] * self.parts
        shapes = [np.shape(part) for part in state]
        expect(self, shapes == [(n, k)] * self.parts, f"{self.parts} of {(n, k)}", state=shapes)
        if integers:
            z = self.input.weight[x] + self.input.bias
        else:
            x = masked(x, self.dropout.mask((n, 1, d), x.dtype))
            z = self.input(np.reshape(x, (n * T, d)))
        mask = self.dropout.mask((n, k), self.recurrent.dtype)
        hs, *state = self.run(np.reshape(z, (n, -1)), self.recurrent, *state, mask=mask)
        return np.reshape(hs, (n, T, k)), hs[:, -k:], *state


class RNN(Recurrent):
    """hₜ = activation(xₜ W + hₜ₋₁ U + b), for t = 1 … T.  Elman 1990.

    `outputs, h = rnn(x)`: x (n, T, d) or (n, T) integers; outputs (n, T, h), all hₜ; h (n, h), the
    last, from which rnn(x, h) goes on. `dropout` is the share of the entries of x and h that are
    dropped, the same at every step (Gal and Ghahramani 2016); of integers, only of h. Raises
    ValueError for shapes that do not fit.
    """

    parts = 1

    def __init__(self, n_in, n_hidden, activation=np.tanh, **options):
        super().__init__(n_in, n_hidden, 1, **options)
        self.activation = as_function(activation)

    def run(self, z, U, h, mask):
        return unroll(lambda z, U, h: [self.activation(z + masked(h, mask) @ U)], z, U, h)


class LSTM(Recurrent):
    """Long short-term memory: a state c to which there is access only through gates.

        [g, i, f, o] = xₜ W + hₜ₋₁ U + b
        cₜ = σ(f) ∘ cₜ₋₁ + σ(i) ∘ tanh(g)
        hₜ = σ(o) ∘ tanh(cₜ)

    `outputs, h, c = lstm(x)`: x (n, T, d) or (n, T) integers; outputs (n, T, h), all hₜ; h and c
    (n, h), the last, from which lstm(x, h, c) goes on. In W (d, 4h), U (h, 4h) and b (4h,) the four
    lie side by side; the bias of f begins at 1, so that at first c is kept. `dropout` as for RNN.

    `form` is how it is recorded: "gates", in elementary ops; "step", an op for each step;
    "sequence", one op. They give the same, each faster than the one before. Raises ValueError for
    shapes that do not fit. Hochreiter and Schmidhuber 1997; f: Gers, Schmidhuber and Cummins 2000.
    """

    parts = 2

    def __init__(self, n_in, n_hidden, form="sequence", **options):
        super().__init__(n_in, n_hidden, 4, **options)
        expect(self, form in FORMS, " or ".join(map(repr, FORMS)), form=form)
        self.form = form
        self.input.bias.value[2 * n_hidden : 3 * n_hidden] = 1.0

    def run(self, z, U, h, c, mask):
        return FORMS[self.form](z, U, h, c, mask=mask)


def unroll(cell, z, U, *state, **constants):
    """All h side by side, and the rest of the last state: stateₜ = cell(zₜ, U, *stateₜ₋₁)."""
    seen = []
    for z_t in Split.do_forward(z, width=U.shape[1]):
        state = cell(z_t, U, *state, **constants)
        seen.append(state[0])
    return np.concatenate(seen, axis=1), *state[1:]


def gates(z, U, h, c, mask=None):
    """One step of an LSTM in elementary ops: h′ and c′ from z = x W + b, h and c."""
    g, i, f, o = Split.do_forward(z + masked(h, mask) @ U, width=c.shape[1])
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


class Split(Op):
    """The columns of x in pieces of equal `width`: y₁, y₂ …;  x̄ = [ȳ₁, ȳ₂ …]."""

    linear = True

    @staticmethod
    def forward(context, x, width):
        return tuple([x[:, start : start + width] for start in range(0, x.shape[1], width)])

    @staticmethod
    def backward(context, *gys):
        return np.concatenate(gys, axis=1)


class Remember(Op):
    """Steps of an LSTM as one op: h₁ … h_T side by side (n, T h), and c_T (n, h).

    From z = [x₁W + b, …] (n, T 4h), U (h, 4h), h₀ and c₀ (n, h). Nothing but the products with U
    has to wait for its turn. Backward, z̄ of all steps is gathered first; then Ū = Σ hₜ₋₁ᵀ z̄ₜ is
    one product. Since σ(x) = ½ + ½ tanh(x/2), one call of tanh serves all gates.
    """

    reference = staticmethod(partial(unroll, gates))

    @staticmethod
    def forward(context, z, U, h, c, mask=None):
        (n, k), T = h.shape, z.shape[1] // U.shape[1]
        U_4 = np.swapaxes(U.reshape(k, 4, k), 0, 1)
        a = np.array(z.reshape(n, T, 4, k).transpose(1, 2, 0, 3), order="C")  # a gate in one piece
        hs, cs, tanh_c = (np.empty((T + more, n, k), z.dtype) for more in (1, 1, 0))
        hs[0], cs[0] = h, c
        for t, now in enumerate(a):
            now += masked(hs[t], mask) @ U_4
            now[1:] *= 0.5
            g, i, f, o = np.tanh(now, out=now)
            now[1:] *= 0.5
            now[1:] += 0.5
            np.multiply(f, cs[t], out=cs[t + 1])
            cs[t + 1] += i * g
            np.multiply(o, np.tanh(cs[t + 1], out=tanh_c[t]), out=hs[t + 1])
        context.update(U=U, a=a, hs=hs, cs=cs, tanh_c=tanh_c, mask=mask)
        return hs[1:].swapaxes(0, 1).reshape(n, T * k), cs[T]

    @staticmethod
    def backward(context, ghs, gc):
        U, a, hs, cs, tanh_c, mask = map(context.get, ("U", "a", "hs", "cs", "tanh_c", "mask"))
        (T, _, n, k), (g, i, f, o) = a.shape, a.swapaxes(0, 1)
        slopes, gz = a - a * a, np.empty((T, n, 4, k), a.dtype)  # σ′ = σ (1 − σ)
        slopes[:, 0] = 1.0 - g * g  # for this one is a tanh
        slopes *= np.stack((i, g, cs[:-1], tanh_c), axis=1)
        h_by_c = o * (1.0 - tanh_c * tanh_c)
        ghs, gh = ghs.reshape(n, T, k), np.zeros_like(hs[0])
        for t in reversed(range(T)):
            gh += ghs[:, t]
            gc = gc + gh * h_by_c[t]
            slopes[t, :3] *= gc
            slopes[t, 3] *= gh
            gz[t] = slopes[t].swapaxes(0, 1)
            gc *= f[t]
            gh = masked(gz[t].reshape(n, 4 * k) @ U.T, mask)
        gU = masked(hs[:-1], mask).reshape(T * n, k).T @ gz.reshape(T * n, 4 * k)
        return gz.swapaxes(0, 1).reshape(n, -1), gU, gh, gc


FORMS = {
    "gates": Remember.reference,
    "step": partial(unroll, Remember.do_forward),
    "sequence": Remember.do_forward,
}
