"""What the performance page draws: costs as a problem grows, and time to accuracy.

All times are CPU seconds, each a median of samples taken in turn.
"""

import gc
import time
import tracemalloc

import numpy as np

from benchmarks import hand, harness, networks, peers, scalars
from benchmarks.harness import SEED, Disagreement, quartiles


def medians(steps, rounds):
    """{name: median CPU time of one call}, sampled in turn."""
    for step in steps.values():
        step()
    numbers = {name: harness.calls(step, harness.SAMPLE / 3) for name, step in steps.items()}
    samples = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            samples[name].append(harness._sample(step, numbers[name]))
    return {name: float(np.median(times)) for name, times in samples.items()}


def cost_against_size(rounds, quick=False):
    """Gradient over function for Σ ln x sin x + x², as n grows; and differences, at 2 n calls."""
    sizes = [10, 100, 1000] if quick else [10, 100, 1000, 10_000, 100_000, 1_000_000]
    curve = {"n": sizes, "function_ms": [], "ratios": {}}
    for n in sizes:
        workload = scalars.SumOfTerms()
        workload.n = n
        steps, _ = harness.prepare(workload)
        harness.agree(workload, steps)
        if n <= 1000:
            steps["differences"] = lambda w=workload: central_differences(w.f, w.x)
        times = medians(steps, rounds)
        function = times.pop("function")
        curve["function_ms"].append(function * 1e3)
        for name, time_taken in times.items():
            curve["ratios"].setdefault(name, []).append(time_taken / function)
    return curve


def central_differences(f, x, h=1e-6):
    g = np.empty_like(x)
    for i in range(len(x)):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        g[i] = (f(up, np) - f(down, np)) / (2 * h)
    return g


class Deep:
    """h ← tanh(h W + b), again and again with weights of its own each time; the loss is Σ h²."""

    def __init__(self, depth, width=64, n=256):
        rng = np.random.default_rng(SEED)
        self.X = rng.normal(size=(n, width)).astype(np.float32)
        scale = 1 / np.sqrt(width)
        draw = lambda: (rng.normal(size=(width, width)) * scale).astype(np.float32)
        self.weights = [draw() for _ in range(depth)]
        self.biases = [np.zeros(width, np.float32) for _ in range(depth)]

    def function(self):
        h = self.X
        for W, b in zip(self.weights, self.biases):
            h = np.tanh(h @ W + b)
        return np.sum(h * h)

    def gradient(self, segment=None):
        """All gradients; with `segment`, that many layers at a time are forgotten and rerun."""
        import minigrad as mg

        nodes = [mg.TensorNode(w) for pair in zip(self.weights, self.biases) for w in pair]

        def layers(h, *parameters):
            for W, b in zip(parameters[0::2], parameters[1::2]):
                h = np.tanh(h @ W + b)
            return h

        h, stride = self.X, 2 * (segment or len(self.weights))
        for start in range(0, len(nodes), stride):
            run = mg.checkpoint(layers) if segment else layers
            h = run(h, *nodes[start : start + stride])
        np.sum(h * h).backward()
        return [node.grad for node in nodes]

    def gradient_torch(self):
        torch = peers.import_torch()
        leaf = lambda w: torch.from_numpy(w).requires_grad_()
        pairs = [(leaf(W), leaf(b)) for W, b in zip(self.weights, self.biases)]
        h = torch.from_numpy(self.X)
        for W, b in pairs:
            h = torch.tanh(torch.addmm(b, h, W))
        (h * h).sum().backward()
        return [w.grad.numpy() for pair in pairs for w in pair]


def cost_against_depth(rounds, quick=False):
    """Gradient over function as layers are added: both grow alike."""
    depths = [1, 4] if quick else [1, 2, 4, 8, 16, 32, 64, 128]
    curve = {"depth": depths, "function_ms": [], "ratios": {}}
    for depth in depths:
        deep = Deep(depth)
        steps = {"function": deep.function, "minigrad": deep.gradient}
        try:
            theirs = deep.gradient_torch()
        except ImportError:
            pass
        else:
            _same(deep.gradient(), theirs, "PyTorch's gradients of a deep network")
            steps["torch"] = deep.gradient_torch
        times = medians(steps, rounds)
        function = times.pop("function")
        curve["function_ms"].append(function * 1e3)
        for name, time_taken in times.items():
            curve["ratios"].setdefault(name, []).append(time_taken / function)
    return curve


def memory_against_depth(quick=False):
    """Megabytes at the height of a gradient, above what was there; gradients are kept in both."""
    depths = [1, 4, 16] if quick else [1, 4, 16, 36, 64, 100, 144]
    curve = {"depth": depths, "everything kept": [], "checkpoints": []}
    for depth in depths:
        deep, segment = Deep(depth, width=32, n=512), round(depth**0.5)
        _same(deep.gradient(), deep.gradient(segment), "the gradients with checkpoints")
        for name, part in ("everything kept", None), ("checkpoints", segment):
            gc.collect()
            tracemalloc.start()
            deep.gradient(part)
            curve[name].append(tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()
    return curve


def _same(expected, got, what):
    for right, other in zip(expected, got, strict=True):
        if not np.allclose(right, other, rtol=1e-3, atol=1e-3 * np.max(np.abs(right))):
            raise Disagreement(f"{what} are not those of minigrad, so nothing was measured")


# ---- Time to accuracy ----


class Digits(networks.MLP):
    """The handwritten digits: 64-32-10, the same start and the same batches for everybody."""

    widths, n = [64, 32, 10], 32

    def __init__(self, seed):
        from minigrad.data import digits

        (X, y), (self.X_test, self.y_test) = digits(seed=seed, dtype=np.float32)
        rng = np.random.default_rng(seed)
        self.sizes, self.parameters = (self.n,), []
        for n_in, n_out in zip(self.widths[:-1], self.widths[1:]):
            self.parameters += [networks.normal(rng, n_in, n_out), np.zeros(n_out, np.float32)]
        self.steps = len(X) // self.n
        self.X, self.y, self.rng = X, y, rng

    def epochs(self, number):
        """The batches of `number` epochs, one after the other."""
        self.batches = []
        for _ in range(number):
            order = self.rng.permutation(len(self.X))[: self.steps * self.n]
            parts = order.reshape(self.steps, self.n)
            self.batches += [(self.X[part], self.y[part]) for part in parts]
        return self

    def accuracy(self, weights):
        W, b, V, c = weights
        scores = np.maximum(self.X_test @ W + b, 0) @ V + c
        return float(np.mean(scores.argmax(axis=1) == self.y_test))


def time_to_accuracy(seeds, epochs, target=0.95, rate=0.05, progress=lambda: None):
    """Test accuracy against CPU seconds of training, seed by seed, everybody in turn."""
    contenders = {
        "hand": _train_hand,
        "minigrad": _train_minigrad,
        "minigrad_replayed": _train_minigrad_replayed,
        "torch": _train_torch,
    }
    runs, missing = {}, {}
    for seed in range(seeds):
        task = Digits(seed).epochs(epochs)
        for name, train in contenders.items():
            try:
                network, weights = train(task, rate)
            except ImportError as error:
                missing[name] = str(error).split(" (")[0]
                continue
            seconds, accuracies, spent = [0.0], [task.accuracy(weights())], 0.0
            for epoch in range(epochs):
                part = task.batches[epoch * task.steps : (epoch + 1) * task.steps]
                start = time.process_time()
                for X, y in part:
                    network(X, y)
                spent += time.process_time() - start
                seconds.append(spent)
                accuracies.append(task.accuracy(weights()))
            runs.setdefault(name, []).append({"seconds": seconds, "accuracy": accuracies})
        progress()
    curve = {"target": target, "seeds": seeds, "epochs": epochs, "missing": missing, "runs": {}}
    for name, curves in runs.items():
        accuracy = np.array([run["accuracy"] for run in curves])
        expected = np.array([run["accuracy"] for run in runs["hand"]])
        if np.max(np.abs(accuracy - expected)) > 0.02:
            raise Disagreement(f"time to accuracy: {name} learns something else than hand")
        reached = [_reached(run, target) for run in curves]
        curve["runs"][name] = {
            "seconds": np.median([run["seconds"] for run in curves], axis=0).tolist(),
            "accuracy": accuracy.mean(axis=0).tolist(),
            "to_target": None if None in reached else float(np.median(reached)),
            "to_target_quartiles": None if None in reached else quartiles(reached),
        }
    return curve


def _reached(run, target):
    return next((s for s, a in zip(run["seconds"], run["accuracy"]) if a >= target), None)


def _train_hand(task, rate):
    weights = [w.copy() for w in task.parameters]
    return hand.TunedMLP(weights, task.n, rate, networks.MOMENTUM), lambda: weights


def _train_minigrad(task, rate, replayed=False):
    import minigrad as mg
    from minigrad.optim import SGD

    model = task.model()
    for node, w in zip(model.parameters(), task.parameters, strict=True):
        node.value = w.copy()
    optimiser = SGD(model.parameters(), rate, networks.MOMENTUM)
    now = lambda: [node.value for node in model.parameters()]
    if replayed:
        replay = mg.compile(lambda X, y: mg.cross_entropy(model(X), y))

    def network(X, y):
        optimiser.zero_grad()
        if replayed:
            replay(X, y)
        else:
            mg.cross_entropy(model(X), y).backward()
        optimiser.step()

    return network, now


def _train_minigrad_replayed(task, rate):
    return _train_minigrad(task, rate, replayed=True)


def _train_torch(task, rate):
    torch = peers.import_torch()
    held = []

    def scores(tensors, X):
        held[:] = tensors
        W, b, V, c = tensors
        return torch.addmm(c, torch.relu(torch.addmm(b, X, W)), V)

    network = peers.train_torch(scores, task.parameters, rate, networks.MOMENTUM)
    now = lambda: [w.detach().numpy() for w in held] if held else task.parameters
    return lambda X, y: network(torch.from_numpy(X), torch.from_numpy(y)), now
