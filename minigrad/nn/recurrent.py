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
from minigrad.ops import Affine, LinearMap
from minigrad.promises import expect


class Recurrent(Module):
    """What RNN and LSTM share: what they are given, checked, then `run` from state to state.

    `input` is the `Linear` layer of W and b, `recurrent` is U, which the state before meets.
    `parts` is the number of arrays that the state has.
    """

    def __init__(self, n_in, n_hidden, blocks, dropout=0.0, rng=None, init="glorot", **options):
        options |= {"rng": np.random.default_rng(rng), "init": init}
        self.input = Linear(n_in, blocks * n_hidden, **options)
        self.recurrent = Linear(n_hidden, blocks * n_hidden, **options).weight
        self.dropout = Dropout(dropout, options["rng"])

    def forward(self, x, *state):
        W, b, U = self.input.weight, self.input.bias, self.recurrent
        (d, _), (k, _), dtype = W.shape, U.shape, U.dtype
        x = x if hasattr(x, "dtype") else np.asarray(x)
        shape, integers = np.shape(x), x.dtype.kind in "iu"
        fits = len(shape) == 2 if integers else len(shape) == 3 and shape[2] == d
        wanted = f"(n, T, {d}), or (n, T) integers from 0 to {d - 1}"
        expect(self, fits and 0 not in shape, wanted, dtype=x.dtype.name, x=x)
        hidden = (shape[0], k)
        state = state or [np.zeros(hidden, dtype)] * self.parts
        shapes = [np.shape(part) for part in state]
        expect(self, shapes == [hidden] * self.parts, f"{self.parts} of {hidden}", state=shapes)
        if integers:
            x = OneHot.do_forward(x, d=d, dtype=dtype)
        x = masked(x, self.dropout.mask((shape[0], 1, d), dtype))
        return self.run(x, W, b, U, *state, mask=self.dropout.mask(hidden, dtype))


class OneHot(Op):
    """Each integer of x, from 0 to d − 1, as d numbers: a 1 in its place, and zeros."""

    @staticmethod
    def forward(context, x, d, dtype):
        low, high = int(x.min()), int(x.max())
        expect(OneHot, 0 <= low and high < d, f"integers from 0 to {d - 1}", least=low, most=high)
        return np.equal(x[..., np.newaxis], np.arange(d)).astype(dtype)


class RNN(Recurrent):
    """hₜ = activation(xₜ W + hₜ₋₁ U + b), for t = 1 … T.  Elman 1990.

    `outputs, h = rnn(x)`: x (n, T, d) or (n, T) integers; outputs (n, T, h), all hₜ; h (n, h), the
    last, from which rnn(x, h) goes on. `dropout` is the share of the entries of x and h that are
    dropped, the same at every step (Gal and Ghahramani 2016). Raises ValueError for shapes that do
    not fit.
    """

    parts = 1

    def __init__(self, n_in, n_hidden, activation=np.tanh, **options):
        super().__init__(n_in, n_hidden, 1, **options)
        self.activation = as_function(activation)

    def run(self, *inputs, mask):
        return unroll(lambda z, U, h: [self.activation(z + h @ U)], *inputs, mask=mask)


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
        self.run = FORMS[form]
        self.input.bias.value[2 * n_hidden : 3 * n_hidden] = 1.0


def unroll(cell, x, W, b, U, h, *c, mask=None):
    """All hₜ (n, T, h), and the last state: hₜ, cₜ = cell(xₜ W + b, U, hₜ₋₁, cₜ₋₁)."""
    z, hs = np.reshape(Affine.do_forward(x, W, b), (np.shape(x)[0], -1)), []
    for z_t in Split.do_forward(z, width=U.shape[1]):
        h, *c = cell(z_t, U, masked(h, mask), *c)
        hs.append(h)
    return np.stack(hs, axis=1), h, *c


def gates(z, U, h, c):
    """One step of an LSTM in elementary ops: h′ and c′ from z = x W + b, U, h and c."""
    g, i, f, o = Split.do_forward(z + h @ U, width=c.shape[1])
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


class Split(LinearMap):
    """The columns of x in pieces of equal `width`: y₁, y₂ …;  x̄ = [ȳ₁, ȳ₂ …]."""

    f = lambda x, width: tuple([x[:, i : i + width] for i in range(0, x.shape[1], width)])
    # An `adjoint` is given one ȳ; here there are several.
    backward = staticmethod(lambda context, *gys: np.concatenate(gys, axis=1))


class Step(Op):
    """One step of an LSTM as one op: h′ and c′ from z = x W + b, U, h and c.

    Since σ(x) = ½ + ½ tanh(x/2), one call of tanh serves three gates; σ′ = σ (1 − σ).
    """

    @staticmethod
    def forward(context, z, U, h, c):
        z, k = z + h @ U, c.shape[1]
        g, s = np.tanh(z[:, :k]), 0.5 + 0.5 * np.tanh(0.5 * z[:, k:])
        i, f, o = s[:, :k], s[:, k : 2 * k], s[:, 2 * k :]
        context.update(U=U, h=h, c=c, g=g, s=s, i=i, f=f, o=o)
        c = f * c + i * g
        context["tanh_c"] = tanh_c = np.tanh(c)
        return o * tanh_c, c

    @staticmethod
    def backward(context, gh, gc):
        U, h, c, g, s, i, f, o, tanh_c = map(context.get, "U h c g s i f o tanh_c".split())
        gc = gc + gh * o * (1.0 - tanh_c * tanh_c)
        gs = np.concatenate((gc * g, gc * c, gh * tanh_c), axis=1)
        gz = np.concatenate((gc * i * (1.0 - g * g), gs * s * (1.0 - s)), axis=1)
        return gz, h.T @ gz, gz @ U.T, gc * f


class Remember(Op):
    """An LSTM as one op: all hₜ (n, T, h), h_T and c_T from x (n, T, d), W, b, U, h₀ and c₀.

    Nothing but the products with U has to wait for its turn. Backward, z̄ of all steps is gathered
    first; then W̄ = Σ xₜᵀ z̄ₜ is one product, and so are Ū = Σ hₜ₋₁ᵀ z̄ₜ and b̄. The four gates of a
    step lie not side by side but one after the other, (4, n, h), so that each is in one piece.
    """

    reference = staticmethod(partial(unroll, Step.do_forward))

    @staticmethod
    def forward(context, x, W, b, U, h, c, mask=None):
        (n, T, _), k, x = x.shape, h.shape[1], x.swapaxes(0, 1)
        W_4, b_4, U_4 = (w.reshape(-1, 4, k).swapaxes(0, 1) for w in (W, b, U))
        a = x[:, np.newaxis] @ W_4
        a += b_4
        hs, cs = np.empty((n, T, k), a.dtype), np.empty((T + 1, n, k), a.dtype)
        context.update(x=x, W=W, U=U, h=h, mask=mask, a=a, hs=hs, cs=cs)
        cs[0] = c
        for t, z in enumerate(a):
            z += masked(h, mask) @ U_4
            sigmoids = z[1:]
            sigmoids *= 0.5
            g, i, f, o = np.tanh(z, out=z)
            sigmoids *= 0.5
            sigmoids += 0.5
            c = np.add(f * c, i * g, out=cs[t + 1])
            h = np.multiply(o, np.tanh(c), out=hs[:, t])
        return hs, h, c

    @staticmethod
    def backward(context, ghs, gh, gc):
        x, W, U, h, mask, a, hs, cs = map(context.get, "x W U h mask a hs cs".split())
        (T, _, n, k), a, by_c = a.shape, a.swapaxes(0, 1), np.tanh(cs[1:])
        gz, (g, i, f, o) = np.subtract(1.0, a, order="C"), a
        for slope, y, factor in zip(gz, (1.0 + g, i, f, o), (i, g, cs[:-1], by_c)):
            slope *= y  # tanh′ = (1 − tanh) (1 + tanh), σ′ = (1 − σ) σ
            slope *= factor
        by_c *= hs.swapaxes(0, 1)
        np.subtract(o, by_c, out=by_c)  # ∂h/∂c = o − h tanh(c) = o (1 − tanh²(c))
        U_4 = np.ascontiguousarray(U.T).reshape(4, k, k)
        for t in reversed(range(T)):
            gh = gh + ghs[:, t]
            gc = gc + gh * by_c[t]
            gz[:3, t] *= gc
            gz[3, t] *= gh
            gc = gc * f[t]
            gh = masked(np.add.reduce(gz[:, t] @ U_4), mask)
        gz, gx = gz.reshape(4, T * n, k), None
        if context.get("wanted", (True,))[0]:
            gx = (gz @ W.T.reshape(4, k, -1)).sum(axis=0).reshape(T, n, -1).swapaxes(0, 1)
        share = lambda left: np.concatenate(left.reshape(T * n, -1).T @ gz, axis=1)
        gW, gb = share(x), gz.sum(axis=1).ravel()
        by_c[0], by_c[1:] = masked(h, mask), masked(hs.swapaxes(0, 1)[:-1], mask)  # its room: hₜ₋₁
        return gx, gW, gb, share(by_c), gh, gc


FORMS = dict(gates=partial(unroll, gates), step=Remember.reference, sequence=Remember.do_forward)
