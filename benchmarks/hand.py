"""Backpropagation written by hand, in NumPy alone.

`Tuned...` is the limit for an engine that runs on NumPy: every array is allocated once, everything
is computed in place, nothing is computed twice or in vain. `Plain...` is the same mathematics as
most people would write it down: a new array for each line. Both keep the classic order of a step:
forward, backward, then b ← μ b + g and w ← w − α b for each parameter.

A network is a list of parameters, float32, and is called with a batch: `network(X, y) -> loss`.
"""

import numpy as np


class TunedSGD:
    """Momentum in place: three passes over each parameter and no new array."""

    def __init__(self, parameters, rate, momentum):
        self.parameters, self.rate, self.momentum = parameters, rate, momentum
        self.gradients = [np.zeros_like(w) for w in parameters]
        self.velocities = [np.zeros_like(w) for w in parameters]
        self.scratch = [np.empty_like(w) for w in parameters]

    def step(self):
        for w, g, b, s in zip(self.parameters, self.gradients, self.velocities, self.scratch):
            b *= self.momentum
            b += g
            np.multiply(b, self.rate, out=s)
            w -= s


class PlainSGD:
    """The same, as it stands in the textbooks."""

    def __init__(self, parameters, rate, momentum):
        self.parameters, self.rate, self.momentum = parameters, rate, momentum
        self.velocities = [np.zeros_like(w) for w in parameters]

    def step(self, gradients):
        for i, g in enumerate(gradients):
            self.velocities[i] = self.momentum * self.velocities[i] + g
            self.parameters[i] = self.parameters[i] - self.rate * self.velocities[i]


class TunedSoftmax:
    """Mean cross-entropy of scores Z (n, classes), which are overwritten by their adjoint."""

    def __init__(self, n):
        self.rows, self.column = np.arange(n), np.empty((n, 1), np.float32)

    def __call__(self, Z, y):
        column = self.column
        np.max(Z, axis=1, keepdims=True, out=column)
        Z -= column
        chosen = Z[self.rows, y]
        np.exp(Z, out=Z)
        np.sum(Z, axis=1, keepdims=True, out=column)
        loss = np.mean(np.log(column[:, 0]) - chosen)
        column *= len(y)
        Z /= column
        Z[self.rows, y] -= np.float32(1 / len(y))
        return loss


def plain_softmax(Z, y):
    """(loss, adjoint of Z)"""
    Z = Z - Z.max(axis=1, keepdims=True)
    P = np.exp(Z)
    P = P / P.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = -np.mean(np.log(P[rows, y]))
    P[rows, y] -= 1
    return loss, P / len(y)


class TunedMLP:
    """Linear layers with ReLU between them; parameters W₀, b₀, W₁, b₁, ..."""

    def __init__(self, parameters, n, rate, momentum):
        self.weights, self.biases = parameters[0::2], parameters[1::2]
        self.sgd = TunedSGD(parameters, rate, momentum)
        widths = [W.shape[1] for W in self.weights]
        self.values = [np.empty((n, width), np.float32) for width in widths]
        self.adjoints = [np.empty((n, width), np.float32) for width in widths[:-1]]
        self.alive = [np.empty((n, width), bool) for width in widths[:-1]]
        self.softmax, self.ones = TunedSoftmax(n), np.ones(n, np.float32)

    def __call__(self, X, y):
        h, last = X, len(self.weights) - 1
        for i, (W, b) in enumerate(zip(self.weights, self.biases)):
            z = np.dot(h, W, out=self.values[i])
            z += b
            if i < last:
                np.maximum(z, 0, out=z)
            h = z
        loss = self.softmax(h, y)
        g = h
        for i in range(last, -1, -1):
            below = self.values[i - 1] if i else X
            np.dot(below.T, g, out=self.sgd.gradients[2 * i])
            np.dot(self.ones, g, out=self.sgd.gradients[2 * i + 1])
            if i:  # nobody asks for the adjoint of X
                g = np.dot(g, self.weights[i].T, out=self.adjoints[i - 1])
                np.greater(below, 0, out=self.alive[i - 1])
                g *= self.alive[i - 1]
        self.sgd.step()
        return loss


class PlainMLP:
    """The same network in the textbook's lines."""

    def __init__(self, parameters, n, rate, momentum):
        self.sgd = PlainSGD(parameters, rate, momentum)

    def __call__(self, X, y):
        weights, biases = self.sgd.parameters[0::2], self.sgd.parameters[1::2]
        values = [X]
        for W, b in zip(weights[:-1], biases[:-1]):
            values.append(np.maximum(values[-1] @ W + b, 0))
        loss, g = plain_softmax(values[-1] @ weights[-1] + biases[-1], y)
        gradients = []
        for i in range(len(weights) - 1, -1, -1):
            gradients[:0] = [values[i].T @ g, g.sum(axis=0)]
            if i:
                g = g @ weights[i].T * (values[i] > 0)
        self.sgd.step(gradients)
        return loss


class TunedLSTM:
    """An LSTM over a whole sequence, then scores from its last state, or from every state.

    X (T, n, d). Parameters W (d, 4k), U (k, 4k), b (4k,), whose columns are the input gate, the
    forget gate, the candidate and the output gate, then V (k, classes), c (classes,).

    What it keeps is turned: a state is (k, n), so that a gate is one block of memory. The gates
    stand in the order o, i, f, g: the first three are sigmoids, the last three feed the cell. A
    state has a row of ones at its end, and the biases are the last column of what multiplies it.
    Whatever need not wait for the step before is done for all steps at once.
    """

    def __init__(self, parameters, T, n, rate, momentum, every=False):
        W, U, b, V, c = parameters
        k, classes, rows = len(U), len(c), n * (T if every else 1)
        order = np.concatenate([np.arange(j * k, (j + 1) * k) for j in (3, 0, 1, 2)])
        self.A = np.ascontiguousarray(W[:, order].T)
        self.B = np.ascontiguousarray(np.vstack([U, b])[:, order].T)
        self.V = np.vstack([V, c])
        self.sgd = TunedSGD([self.A, self.B, self.V], rate, momentum)
        self.U_turned, self.V_only = self.B[:, :k].T, self.V[:k]
        self.halved = np.empty_like(self.A), np.empty_like(self.B)
        new = lambda *shape: np.zeros(shape, np.float32)
        self.Z, self.gZ, self.turned = new(T, 4 * k, n), new(T, 4 * k, n), new(4 * k, T, n)
        self.h, self.all_h = new(T + 1, k + 1, n), new(k + 1, T + 1, n)
        self.h[:, k] = 1
        self.cell, self.tanh, self.slope = new(T + 1, k, n), new(T, k, n), new(T, k, n)
        self.scores, self.gh_from_scores = new(rows, classes), new(T if every else 1, k, n)
        self.spread, self.s, self.gh, self.gcell = new(4 * k, n), new(k, n), new(k, n), new(k, n)
        self.softmax, self.every, self.k = TunedSoftmax(rows), every, k
        self.gates = [
            (z, z[: 3 * k], *z.reshape(4, k, n), *self.cell[t : t + 2], self.tanh[t])
            for t, z in enumerate(self.Z)
        ]

    def __call__(self, X, y):
        self.run(X)
        self.all_h[:] = self.h.transpose(1, 0, 2)
        columns = self.all_h.reshape(len(self.all_h), -1)
        n = X.shape[1]
        states = columns[:, n:] if self.every else self.h[-1]
        scores = np.dot(states.T, self.V, out=self.scores)
        loss = self.softmax(scores, y)
        gA, gB, gV = self.sgd.gradients
        np.dot(states, scores, out=gV)
        np.matmul(
            self.V_only, scores.reshape(-1, n, gV.shape[1]).transpose(0, 2, 1),
            out=self.gh_from_scores,
        )  # fmt: skip
        self.run_back()
        self.turned[:] = self.gZ.transpose(1, 0, 2)
        gZ = self.turned.reshape(len(self.turned), -1)
        np.dot(gZ, X.reshape(-1, X.shape[2]), out=gA)
        np.dot(gZ, columns[:, :-n].T, out=gB)
        self.sgd.step()
        return loss

    def run(self, X):
        k, s, spread = self.k, self.s, self.spread
        for turned, halved in zip((self.A, self.B), self.halved):  # σ(z) = (1 + tanh(z / 2)) / 2
            np.multiply(turned[: 3 * k], 0.5, out=halved[: 3 * k])
            halved[3 * k :] = turned[3 * k :]
        A, B = self.halved
        np.matmul(A, X.transpose(0, 2, 1), out=self.Z)
        for step, (z, sigmoids, o, i, f, g, cell, new_cell, tanh) in enumerate(self.gates):
            z += np.dot(B, self.h[step], out=spread)
            np.tanh(z, out=z)
            sigmoids *= 0.5
            sigmoids += 0.5
            np.multiply(f, cell, out=new_cell)
            new_cell += np.multiply(i, g, out=s)
            np.tanh(new_cell, out=tanh)
            np.multiply(o, tanh, out=self.h[step + 1, :k])

    def run_back(self):
        k, Z, gZ, slope, s = self.k, self.Z, self.gZ, self.slope, self.s
        o, i, f, g = (Z[:, j * k : (j + 1) * k] for j in range(4))
        # What the adjoints of h and of the cell will be multiplied by, for all steps at once.
        sigmoids = gZ[:, : 3 * k]
        np.subtract(1, Z[:, : 3 * k], out=sigmoids)
        sigmoids *= Z[:, : 3 * k]
        gZ[:, :k] *= self.tanh
        gZ[:, k : 2 * k] *= g
        gZ[:, 2 * k : 3 * k] *= self.cell[:-1]
        np.multiply(g, g, out=gZ[:, 3 * k :])
        np.subtract(1, gZ[:, 3 * k :], out=gZ[:, 3 * k :])
        gZ[:, 3 * k :] *= i
        np.multiply(self.tanh, self.tanh, out=slope)
        np.subtract(1, slope, out=slope)
        slope *= o
        gh, gcell = self.gh, self.gcell
        gh[:] = self.gh_from_scores[-1]
        gcell[:] = 0
        for step in range(len(Z) - 1, -1, -1):
            gcell += np.multiply(gh, slope[step], out=s)
            gz = gZ[step].reshape(4, k, -1)
            gz[0] *= gh
            gz[1:] *= gcell
            gcell *= f[step]
            if step:
                np.dot(self.U_turned, gZ[step], out=gh)
                if self.every:
                    gh += self.gh_from_scores[step - 1]


class PlainLSTM:
    """The same LSTM, a step at a time, in the textbook's lines."""

    def __init__(self, parameters, T, n, rate, momentum, every=False):
        self.sgd, self.every = PlainSGD(parameters, rate, momentum), every

    def __call__(self, X, y):
        W, U, b, V, c = self.sgd.parameters
        T, n, _ = X.shape
        k = len(U)
        h, cell = [np.zeros((n, k), np.float32)], [np.zeros((n, k), np.float32)]
        gates = []
        for x in X:
            z = x @ W + h[-1] @ U + b
            i, f, o = (1 / (1 + np.exp(-z[:, j * k : (j + 1) * k])) for j in (0, 1, 3))
            g = np.tanh(z[:, 2 * k : 3 * k])
            gates.append((i, f, g, o))
            cell.append(f * cell[-1] + i * g)
            h.append(o * np.tanh(cell[-1]))
        states = np.concatenate(h[1:]) if self.every else h[-1]
        loss, gscores = plain_softmax(states @ V + c, y)
        gV, gc = states.T @ gscores, gscores.sum(axis=0)
        gstates = (gscores @ V.T).reshape(-1, n, k)
        gW, gU, gb = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
        gh, gcell = np.zeros((n, k), np.float32), np.zeros((n, k), np.float32)
        for step in range(T - 1, -1, -1):
            if self.every or step == T - 1:
                gh = gh + gstates[step if self.every else 0]
            i, f, g, o = gates[step]
            tanh = np.tanh(cell[step + 1])
            gcell = gcell + gh * o * (1 - tanh**2)
            gz = [gcell * g * i * (1 - i), gcell * cell[step] * f * (1 - f)]
            gz += [gcell * i * (1 - g**2), gh * tanh * o * (1 - o)]
            gz = np.concatenate(gz, axis=1)
            gW += X[step].T @ gz
            gU += h[step].T @ gz
            gb += gz.sum(axis=0)
            gh, gcell = gz @ U.T, gcell * f
        self.sgd.step([gW, gU, gb, gV, gc])
        return loss


class TunedConvNet:
    """Two convolutions, each with ReLU and 2 x 2 max pooling, then a linear layer.

    X (n, rows, columns, channels), kernels (size, size, channels in, channels out). A convolution
    is one product: each place that the kernel visits becomes a row of a matrix.
    """

    def __init__(self, parameters, shape, rate, momentum):
        self.parameters = parameters
        self.sgd = TunedSGD(parameters, rate, momentum)
        self.stages = []
        for K in parameters[0:4:2]:
            stage = _Stage(shape, K.shape, needs_input_adjoint=bool(self.stages))
            self.stages.append(stage)
            shape = stage.pooled.shape
        n, classes = shape[0], len(parameters[-1])
        self.flat = shape[0], int(np.prod(shape[1:]))
        self.scores = np.empty((n, classes), np.float32)
        self.gflat = np.empty(self.flat, np.float32)
        self.softmax, self.ones = TunedSoftmax(n), np.ones(n, np.float32)

    def __call__(self, X, y):
        first, second = self.stages
        K1, b1, K2, b2, V, c = self.parameters
        gK1, gb1, gK2, gb2, gV, gc = self.sgd.gradients
        h = second.forward(first.forward(X, K1, b1), K2, b2).reshape(self.flat)
        scores = np.dot(h, V, out=self.scores)
        scores += c
        loss = self.softmax(scores, y)
        np.dot(h.T, scores, out=gV)
        np.dot(self.ones, scores, out=gc)
        g = np.dot(scores, V.T, out=self.gflat)
        g = second.backward(g.reshape(second.pooled.shape), K2, gK2, gb2)
        first.backward(g, K1, gK1, gb1)
        self.sgd.step()
        return loss


class _Stage:
    """Convolution, 2 x 2 max pooling, ReLU: the largest of four first, for ReLU keeps the order."""

    def __init__(self, shape, kernel, needs_input_adjoint):
        n, rows, columns, channels = shape
        size, _, _, features = kernel
        self.out = n, rows - size + 1, columns - size + 1, features
        _, p, q, _ = self.out
        new = lambda *shape: np.empty(shape, np.float32)
        self.patches = new(n, p, q, size, size, channels)
        self.matrix = self.patches.reshape(n * p * q, -1)
        self.values = new(*self.out)
        self.half, self.pooled = new(n, p, q // 2, features), new(n, p // 2, q // 2, features)
        self.largest = np.empty((4, *self.pooled.shape), bool)
        self.adjoint, self.alive = new(*self.out), np.empty(self.pooled.shape, bool)
        self.ones = np.ones(n * p * q, np.float32)
        self.gpatches = np.empty_like(self.patches) if needs_input_adjoint else None
        self.ginput = new(*shape) if needs_input_adjoint else None

    def corners(self, array):
        """The four quarters of an array: each 2 x 2 block has one entry in each."""
        return [array[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]

    def forward(self, X, K, b):
        size = len(K)
        windows = np.lib.stride_tricks.sliding_window_view(X, (size, size), axis=(1, 2))
        np.copyto(self.patches, windows.transpose(0, 1, 2, 4, 5, 3))
        flat = self.values.reshape(len(self.matrix), -1)
        np.dot(self.matrix, K.reshape(-1, K.shape[-1]), out=flat)
        flat += b
        np.maximum(self.values[:, :, 0::2], self.values[:, :, 1::2], out=self.half)
        np.maximum(self.half[:, 0::2], self.half[:, 1::2], out=self.pooled)
        for corner, largest in zip(self.corners(self.values), self.largest):
            np.equal(corner, self.pooled, out=largest)
        np.greater(self.pooled, 0, out=self.alive)
        np.maximum(self.pooled, 0, out=self.pooled)
        return self.pooled

    def backward(self, g, K, gK, gb):
        g *= self.alive
        for corner, largest in zip(self.corners(self.adjoint), self.largest):
            np.multiply(g, largest, out=corner)
        flat = self.adjoint.reshape(len(self.matrix), -1)
        np.dot(self.matrix.T, flat, out=gK.reshape(-1, K.shape[-1]))
        np.dot(self.ones, flat, out=gb)
        if self.ginput is None:
            return None
        np.dot(flat, K.reshape(-1, K.shape[-1]).T, out=self.gpatches.reshape(self.matrix.shape))
        self.ginput[:] = 0
        _, p, q, _ = self.out
        for i in range(len(K)):
            for j in range(len(K)):
                self.ginput[:, i : i + p, j : j + q] += self.gpatches[:, :, :, i, j]
        return self.ginput
