"""Training steps of networks: forward, backward, SGD with momentum, all in float32.

Everybody starts from the same weights and is given the same batches, drawn once.
"""

import itertools

import numpy as np

from benchmarks import hand, peers
from benchmarks.harness import SEED, Workload

RATE, MOMENTUM, BATCHES = 0.01, 0.9, 8


def normal(rng, *shape):
    """Weights that keep the variance of what passes through them."""
    fan_in = int(np.prod(shape[:-1]))
    return (rng.normal(size=shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def in_turn(network, batches):
    """The step: the network, trained on the next batch."""
    turn = itertools.cycle(batches)
    return lambda: network(*next(turn))


def train_minigrad(model, parameters, batches, replayed=False):
    """A step of minigrad as its training loop takes it, or recorded once and then replayed."""
    import minigrad as mg
    from minigrad.optim import SGD

    for node, w in zip(model.parameters(), parameters, strict=True):
        assert node.shape == w.shape, (node.shape, w.shape)
        node.value = w.copy()
    optimiser = SGD(model.parameters(), RATE, MOMENTUM)

    def recorded(X, y):
        loss = mg.cross_entropy(model(X), y)
        loss.backward()
        return loss.item()

    loss = mg.compile(lambda X, y: mg.cross_entropy(model(X), y)) if replayed else recorded

    def step(X, y):
        optimiser.zero_grad()
        now = loss(X, y)
        optimiser.step()
        return now

    return in_turn(step, batches)


class Network(Workload):
    """What the networks have in common: who takes part, and who trains."""

    tuned = plain = None

    def prepare_hand(self):
        return in_turn(self.by_hand(self.tuned), self.batches)

    def prepare_plain(self):
        return in_turn(self.by_hand(self.plain), self.batches)

    def by_hand(self, network):
        return network([w.copy() for w in self.parameters], *self.sizes, RATE, MOMENTUM)

    def minigrad(self, model, replayed=False):
        return train_minigrad(model, *self.as_minigrad_wants_them(), replayed)

    def as_minigrad_wants_them(self):
        """(parameters, batches) in the order and shape that minigrad's layers have."""
        return self.parameters, self.batches

    def torch(self, scores):
        network = peers.train_torch(scores, self.parameters, RATE, MOMENTUM)
        return in_turn(network, peers.torch_batches(self.batches))

    def jax(self, scores):
        network = peers.train_jax(scores, self.parameters, RATE, MOMENTUM)
        return in_turn(network, peers.jax_batches(self.batches))

    def autograd(self, scores):
        network = peers.train_autograd(scores, self.parameters, RATE, MOMENTUM)
        return in_turn(network, self.batches)


# ---- Multilayer perceptrons ----


class MLP(Network):
    widths, n = [], 0
    tuned, plain = hand.TunedMLP, hand.PlainMLP

    def setup(self):
        rng = np.random.default_rng(SEED)
        self.sizes = (self.n,)
        self.parameters = []
        for n_in, n_out in zip(self.widths[:-1], self.widths[1:]):
            self.parameters += [normal(rng, n_in, n_out), np.zeros(n_out, np.float32)]
        self.batches = [
            (
                rng.random((self.n, self.widths[0]), np.float32),
                rng.integers(0, self.widths[-1], self.n),
            )
            for _ in range(BATCHES)
        ]

    def model(self):
        from minigrad import nn
        from minigrad.solutions import ReLU

        return nn.MLP(self.widths, activation=ReLU, dtype=np.float32)

    def prepare_minigrad(self):
        return self.minigrad(self.model())

    def prepare_torch(self):
        import torch

        def scores(parameters, X):
            *layers, (W, b) = zip(parameters[0::2], parameters[1::2])
            for V, c in layers:
                X = torch.relu(torch.addmm(c, X, V))
            return torch.addmm(b, X, W)

        return self.torch(scores)

    def prepare_jax(self):
        import jax

        def scores(parameters, X):
            *layers, (W, b) = zip(parameters[0::2], parameters[1::2])
            for V, c in layers:
                X = jax.nn.relu(X @ V + c)
            return X @ W + b

        return self.jax(scores)

    def prepare_autograd(self):
        import autograd.numpy as anp

        def scores(parameters, X):
            *layers, (W, b) = zip(parameters[0::2], parameters[1::2])
            for V, c in layers:
                z = anp.dot(X, V) + c
                X = z * (z > 0)  # anp.maximum would answer in float64
            return anp.dot(X, W) + b

        return self.autograd(scores)


class MLP400(MLP):
    key, title = "mlp-400", "MLP 784-400-400-10, batch 64"
    widths, n = [784, 400, 400, 10], 64
    aims = {"minigrad": 1.10}


class MLP800(MLP):
    key, title = "mlp-800", "MLP 784-800-800-800-800-10, batch 64"
    widths, n = [784, 800, 800, 800, 800, 10], 64
    aims = {"minigrad": 1.10}


class MLPSmall(MLP):
    """So small that it measures what a library does around the arithmetic."""

    key, title = "mlp-small", "MLP 64-32-10, batch 32"
    widths, n = [64, 32, 10], 32
    aims = {"minigrad": 1.45, "minigrad_replayed": 1.25}

    def prepare_minigrad_replayed(self):
        return self.minigrad(self.model(), replayed=True)


# ---- LSTMs ----


class LSTM(Network):
    """One-hot characters (T, n, d); a class for each sequence, or a character after each."""

    T = n = d = k = classes = 0
    every = False
    tuned, plain = hand.TunedLSTM, hand.PlainLSTM

    def setup(self):
        rng = np.random.default_rng(SEED)
        d, k = self.d, self.k
        self.sizes = (self.T, self.n)
        self.parameters = [normal(rng, d, 4 * k) / 2, normal(rng, k, 4 * k) / 2]
        self.parameters += [np.zeros(4 * k, np.float32)]
        self.parameters += [normal(rng, k, self.classes), np.zeros(self.classes, np.float32)]
        one_hot = np.eye(d, dtype=np.float32)
        rows = self.n * (self.T if self.every else 1)
        self.batches = [
            (one_hot[rng.integers(0, d, (self.T, self.n))], rng.integers(0, self.classes, rows))
            for _ in range(BATCHES)
        ]

    def by_hand(self, network):
        copies = [w.copy() for w in self.parameters]
        return network(copies, *self.sizes, RATE, MOMENTUM, every=self.every)

    def model(self, form):
        from minigrad import nn
        from minigrad.nn import LSTM, Linear

        class Model(nn.Module):
            def __init__(self, d, k, classes, every):
                self.lstm = LSTM(d, k, dtype=np.float32, form=form)
                self.read_out = Linear(k, classes, dtype=np.float32)
                self.every, self.k = every, k

            def forward(self, X):
                outputs, h, _ = self.lstm(X)
                return self.read_out(np.reshape(outputs, (-1, self.k)) if self.every else h)

        return Model(self.d, self.k, self.classes, self.every)

    def as_minigrad_wants_them(self):
        """The candidate before the gates; batches (n, T, d), labels in the same order."""
        W, U, b, V, c = self.parameters
        turned = lambda w: np.concatenate([np.split(w, 4, axis=-1)[j] for j in (2, 0, 1, 3)], -1)
        batches = [
            (
                np.ascontiguousarray(X.swapaxes(0, 1)),
                y.reshape(self.T, self.n).T.ravel() if self.every else y,
            )
            for X, y in self.batches
        ]
        return [turned(W), turned(b), turned(U), V, c], batches

    def prepare_minigrad(self):
        return self.minigrad(self.model("sequence"))

    def prepare_minigrad_step(self):
        return self.minigrad(self.model("step"))

    def prepare_minigrad_gates(self):
        return self.minigrad(self.model("gates"))

    def prepare_minigrad_gates_replayed(self):
        return self.minigrad(self.model("gates"), replayed=True)

    def prepare_torch(self):
        torch = peers.import_torch()
        lstm = torch.nn.LSTM(self.d, self.k, bias=True)
        W, U, b, V, c = self.parameters
        with torch.no_grad():
            lstm.weight_ih_l0.copy_(torch.tensor(W.T))
            lstm.weight_hh_l0.copy_(torch.tensor(U.T))
            lstm.bias_ih_l0.copy_(torch.tensor(b))
            lstm.bias_hh_l0.zero_()
        lstm.bias_hh_l0.requires_grad_(False)  # a second bias, which would learn the same again
        readout = torch.nn.Linear(self.k, self.classes)
        with torch.no_grad():
            readout.weight.copy_(torch.tensor(V.T))
            readout.bias.copy_(torch.tensor(c))
        trained = [p for p in (*lstm.parameters(), *readout.parameters()) if p.requires_grad]
        optimiser = torch.optim.SGD(trained, lr=RATE, momentum=MOMENTUM)

        def network(X, y):
            optimiser.zero_grad()
            states, (last, _) = lstm(X)
            scores = readout(states.flatten(0, 1) if self.every else last[0])
            loss = torch.nn.functional.cross_entropy(scores, y)
            loss.backward()
            optimiser.step()
            return loss.item()

        return in_turn(network, peers.torch_batches(self.batches))

    def prepare_torch_gates(self):
        torch = peers.import_torch()

        def scores(parameters, X):
            W, U, b, V, c = parameters
            h = cell = torch.zeros(X.shape[1], self.k)
            states = []
            for x in X:
                i, f, g, o = (torch.addmm(b, x, W) + h @ U).chunk(4, dim=1)
                cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(cell)
                states.append(h)
            return torch.addmm(c, torch.cat(states) if self.every else h, V)

        return self.torch(scores)

    def prepare_jax(self):
        import jax

        def scores(parameters, X):
            W, U, b, V, c = parameters

            def step(state, x):
                h, cell = state
                i, f, g, o = jax.numpy.split(x + h @ U, 4, axis=1)
                cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
                h = jax.nn.sigmoid(o) * jax.numpy.tanh(cell)
                return (h, cell), h

            zeros = jax.numpy.zeros((X.shape[1], self.k))
            (h, _), states = jax.lax.scan(step, (zeros, zeros), X @ W + b)
            return (states.reshape(-1, self.k) if self.every else h) @ V + c

        return self.jax(scores)

    def prepare_autograd_gates(self):
        import autograd.numpy as anp

        def scores(parameters, X):
            W, U, b, V, c = parameters
            k, states = self.k, []
            h = cell = np.zeros((X.shape[1], k), np.float32)
            sigmoid = lambda z: 0.5 * (anp.tanh(0.5 * z) + 1.0)
            for x in X:
                z = anp.dot(x, W) + anp.dot(h, U) + b
                i, f, g, o = (z[:, j * k : (j + 1) * k] for j in range(4))
                cell = sigmoid(f) * cell + sigmoid(i) * anp.tanh(g)
                h = sigmoid(o) * anp.tanh(cell)
                states.append(h)
            return anp.dot(anp.concatenate(states) if self.every else h, V) + c

        return self.autograd(scores)


class LSTMSmall(LSTM):
    key, title = "lstm-small", "LSTM classifier, M = 10, H = 50, N = 16"
    T, n, d, k, classes = 10, 16, 70, 50, 5
    aims = {"minigrad": 1.15, "minigrad_step": 1.7, "minigrad_gates": 3.5}
    aims |= {"minigrad_gates_replayed": 3.0}


class LSTMLarge(LSTM):
    key, title = "lstm-large", "LSTM classifier, M = 20, H = 128, N = 64"
    T, n, d, k, classes = 20, 64, 70, 128, 5
    aims = {"minigrad": 1.00, "minigrad_gates": 1.35}
    prepare_minigrad_step = prepare_minigrad_gates_replayed = None


class Characters(LSTM):
    key, title = "characters", "Character model, V = 96, H = 128, T = 50, N = 32"
    T, n, d, k, classes, every = 50, 32, 96, 128, 96, True
    aims = {"minigrad": 1.00, "minigrad_gates": 1.75}
    prepare_minigrad_step = prepare_minigrad_gates_replayed = None


# ---- A convolutional network ----


class ConvNet(Network):
    key, title = "convnet", "Convnet 3 x 32 x 32, two 5 x 5 convolutions, batch 16"
    n, side, channels, classes = 16, 32, (3, 8, 16), 10
    aims = {"minigrad": 1.15}
    tuned, prepare_plain = hand.TunedConvNet, None

    def setup(self):
        rng = np.random.default_rng(SEED)
        first, second, third = self.channels
        left = ((self.side - 4) // 2 - 4) // 2  # of each side, after two kernels and two poolings
        self.sizes = ((self.n, self.side, self.side, first),)
        self.parameters = [
            normal(rng, 5, 5, first, second), np.zeros(second, np.float32),
            normal(rng, 5, 5, second, third), np.zeros(third, np.float32),
            normal(rng, left * left * third, self.classes), np.zeros(self.classes, np.float32),
        ]  # fmt: skip
        self.batches = [
            (
                rng.normal(size=self.sizes[0]).astype(np.float32),
                rng.integers(0, self.classes, self.n),
            )
            for _ in range(BATCHES)
        ]

    def channels_first(self):
        """(parameters, batches) as they are where channels come before rows and columns."""
        K1, b1, K2, b2, V, c = self.parameters
        left = round((len(V) // self.channels[-1]) ** 0.5)
        order = np.arange(len(V)).reshape(left, left, -1).transpose(2, 0, 1).ravel()
        turned = [K1.transpose(3, 2, 0, 1), b1, K2.transpose(3, 2, 0, 1), b2, V[order], c]
        batches = [(np.ascontiguousarray(X.transpose(0, 3, 1, 2)), y) for X, y in self.batches]
        return [np.ascontiguousarray(w) for w in turned], batches

    def as_minigrad_wants_them(self):
        (K1, b1, K2, b2, V, c), batches = self.channels_first()
        return [K1, b1[:, np.newaxis], K2, b2[:, np.newaxis], V, c], batches

    def prepare_minigrad(self):
        from minigrad import nn
        from minigrad.nn import Conv2d, Linear, MaxPool2d
        from minigrad.solutions import ReLU

        class Model(nn.Module):
            def __init__(self, first, second, third, rows, classes):
                self.one = Conv2d(first, second, 5, dtype=np.float32)
                self.two = Conv2d(second, third, 5, dtype=np.float32)
                self.pool = MaxPool2d(2)
                self.read_out = Linear(rows, classes, dtype=np.float32)

            def forward(self, X):
                h = self.pool(ReLU.do_forward(self.one(X)))
                h = self.pool(ReLU.do_forward(self.two(h)))
                return self.read_out(np.reshape(h, (len(X), -1)))

        return self.minigrad(Model(*self.channels, len(self.parameters[4]), self.classes))

    def prepare_torch(self):
        torch = peers.import_torch()
        F = torch.nn.functional
        parameters, batches = self.channels_first()

        def scores(parameters, X):
            K1, b1, K2, b2, V, c = parameters
            h = F.max_pool2d(torch.relu(F.conv2d(X, K1, b1)), 2)
            h = F.max_pool2d(torch.relu(F.conv2d(h, K2, b2)), 2)
            return torch.addmm(c, h.flatten(1), V)

        network = peers.train_torch(scores, parameters, RATE, MOMENTUM)
        return in_turn(network, peers.torch_batches(batches))

    def prepare_jax(self):
        import jax

        def stage(h, K, b):
            layout = ("NHWC", "HWIO", "NHWC")
            h = jax.lax.conv_general_dilated(h, K, (1, 1), "VALID", dimension_numbers=layout) + b
            window = (1, 2, 2, 1)
            largest = jax.lax.reduce_window(h, -jax.numpy.inf, jax.lax.max, window, window, "VALID")
            return jax.nn.relu(largest)

        def scores(parameters, X):
            K1, b1, K2, b2, V, c = parameters
            h = stage(stage(X, K1, b1), K2, b2)
            return h.reshape(len(h), -1) @ V + c

        return self.jax(scores)

    def prepare_autograd(self):
        import autograd.numpy as anp

        def stage(h, K, b):
            size, _, channels, features = K.shape
            n, rows, columns, _ = h.shape
            p, q = rows - size + 1, columns - size + 1
            moved = [h[:, i : i + p, j : j + q] for i in range(size) for j in range(size)]
            patches = anp.reshape(anp.concatenate(moved, axis=3), (n * p * q, -1))
            z = anp.dot(patches, anp.reshape(K, (-1, features))) + b
            z = z * (z > 0)
            return anp.max(anp.reshape(z, (n, p // 2, 2, q // 2, 2, features)), axis=(2, 4))

        def scores(parameters, X):
            K1, b1, K2, b2, V, c = parameters
            h = stage(stage(X, K1, b1), K2, b2)
            return anp.dot(anp.reshape(h, (len(h), -1)), V) + c

        return self.autograd(scores)
