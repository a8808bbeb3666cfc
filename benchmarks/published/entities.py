"""What kind of thing a name names: the task of a course's homework, and what had to change.

10,000 titles of DBPedia entities to train on, 2,000 to validate, 2,000 to test: Person, Place,
Organisation, Work or Species. The homework (CMU 10-605, 2016) reads the first ten characters by an
MLP or an LSTM of 50 units, and its checker gave full marks for a test cross-entropy of 0.94 within
12 seconds of CPU time (MLP) and 0.92 within 100 (LSTM).

`HANDOUT` is the recipe of the handout, `STEPS` what is changed in it, one thing after the other.
All choices are made by the validation titles; the test titles are looked at once, at the end.
"""

import time

import numpy as np

from minigrad import TensorNode, cross_entropy
from minigrad.data import minibatches
from minigrad.data.text import CLASSES, Alphabet, dbpedia
from minigrad.nn import LSTM, Dropout, Linear, Module
from minigrad.optim import SGD, Adam
from minigrad.train import evaluate, step

HANDOUT = {
    "length": 10,  # characters of a name that are read
    "hidden": 50,
    "relu_scores": True,  # the handout has a ReLU before the softmax
    "forget": 0.0,  # where the bias of the LSTM's forget gate begins
    "optimiser": "sgd",
    "rate": 0.5,
    "batch": 64,
    "epochs": 15,
    "vector": 0,  # numbers in a learned vector for each character; 0: one-hot
    "drop_inputs": 0.0,  # share of the numbers that describe a character,
    "drop_hidden": 0.0,  # and of the hidden units, that dropout takes away
    "backwards": True,  # the LSTM reads a name from its end, so that it sees the first letter last
}

# (what is said about it, what changes), each on top of those before it.
STEPS = {
    "mlp": [
        ("the handout", {}),
        ("no ReLU before the softmax", {"relu_scores": False}),
        ("Adam", {"optimiser": "adam", "rate": 0.002}),
        ("a learned vector for each character", {"vector": 16}),
        ("dropout", {"drop_inputs": 0.2, "drop_hidden": 0.2}),
        ("40 epochs", {"epochs": 40}),
        ("20 characters", {"length": 20}),
        ("200 hidden units, more dropout", {"hidden": 200, "drop_hidden": 0.5}),
    ],
    "lstm": [
        ("the handout", {}),
        ("no ReLU before the softmax", {"relu_scores": False}),
        ("the forget gate begins open", {"forget": 1.0}),
        ("Adam", {"optimiser": "adam", "rate": 0.003}),
        ("a learned vector for each character", {"vector": 16}),
        ("dropout", {"drop_inputs": 0.2, "drop_hidden": 0.3}),
        ("30 characters", {"length": 30}),
        ("40 characters, 100 hidden units", {"length": 40, "hidden": 100, "drop_hidden": 0.5}),
    ],
}

# The step up to which a network still has the size that the handout gives it.
SAME_SIZE = {"mlp": "40 epochs", "lstm": "dropout"}


OPTIMISERS = {"sgd": SGD, "adam": Adam}


class Classifier(Module):
    """Numbers of characters (n, M) -> vectors, one-hot or learned -> hidden units -> scores."""

    def __init__(self, characters, network, recipe, rng):
        width, self.relu_scores = recipe["vector"] or characters, recipe["relu_scores"]
        options = {"rng": rng, "dtype": np.float32, "init": "glorot"}
        self.vectors = np.eye(characters, dtype=np.float32)
        if recipe["vector"]:
            drawn = rng.normal(0.0, 0.3, (characters, width))
            self.vectors = TensorNode(drawn.astype(np.float32))
        if network == "lstm":
            self.hidden = LSTM(width, recipe["hidden"], **options)
            self.hidden.input.bias.value[2 * recipe["hidden"] : 3 * recipe["hidden"]] = recipe[
                "forget"
            ]
        else:
            self.hidden = Linear(recipe["length"] * width, recipe["hidden"], **options)
        self.scores = Linear(recipe["hidden"], len(CLASSES), **options)
        self.drop_inputs = Dropout(recipe["drop_inputs"], rng)
        self.drop_hidden = Dropout(recipe["drop_hidden"], rng)

    def forward(self, x):
        inputs = self.vectors[x]
        inputs = self.drop_inputs(inputs)
        if isinstance(self.hidden, LSTM):
            _, hidden, _ = self.hidden(inputs)
        else:
            hidden = np.maximum(self.hidden(np.reshape(inputs, (len(x), -1))), 0.0)
        scores = self.scores(self.drop_hidden(hidden))
        return np.maximum(scores, 0.0) if self.relu_scores else scores


def experiment(folder=None):
    """The function to sweep over: `run(seed, network, **recipe)`; `folder` has the data."""

    def run(seed, network, final=False, **recipe):
        """Train, and give the loss on the validation titles; if `final`, that on the test titles.

        The CPU seconds are those of everything, from the first file opened to the last probability.
        """
        start = time.process_time()
        (names, y), *held_out = dbpedia("autolab", folder)
        alphabet, rng = Alphabet(names), np.random.default_rng(seed)
        backwards = network == "lstm" and recipe["backwards"]

        def numbers(names):  # a character that no training title has counts as a space
            one_hot = alphabet.one_hot(names, recipe["length"], backwards, dtype=np.uint8)
            return np.argmax(one_hot, axis=2)

        valid, test = [(numbers(names), y) for names, y in held_out]
        model = Classifier(len(alphabet), network, recipe, rng)
        optimiser = OPTIMISERS[recipe["optimiser"]](model.parameters(), recipe["rate"])
        batches = minibatches(numbers(names), y, recipe["batch"], rng)
        curve = []
        for _ in range(recipe["epochs"]):
            for batch in batches:
                step(model, cross_entropy, optimiser, *batch)
            curve.append(evaluate(model, cross_entropy, *valid))
            if curve[-1] == min(curve):
                best = model.state_dict()
        model.load_state_dict(best)
        loss, accuracy = min(curve)
        result = {
            "valid": loss,
            "valid_accuracy": accuracy,
            "best_epoch": 1 + curve.index(min(curve)),
        }
        if final:
            result |= zip(("test", "test_accuracy"), evaluate(model, cross_entropy, *test))
        parameters = sum(p.value.size for p in model.parameters())
        return result | {"cpu_seconds": time.process_time() - start, "parameters": parameters}

    return run


def ladder(network):
    """{step: recipe}: the settings after each of the `STEPS`."""
    recipe, recipes = HANDOUT, {}
    for name, change in STEPS[network]:
        recipes[name] = recipe = recipe | change
    return recipes


# ---- What comes without a network ----


def majority(y):
    """Scores (5,) for any name: the logarithms of the shares of the classes in y."""
    return np.log(np.bincount(y, minlength=len(CLASSES)) / len(y))


class NaiveBayes:
    """Scores  log p(class) + Σ log p(g | class) / T,  over the groups g of up to n characters.

    A group counts as often as it stands in a name, whose ends are characters, too; `alpha` is added
    to each count. The groups overlap, so that their sum is too sure of itself: hence the
    temperature T.
    """

    def __init__(self, names, y, n, alpha):
        self.n, self.prior = n, majority(y)
        found = sorted({group for name in names for group in self.groups(name)})
        self.number = {group: number for number, group in enumerate(found)}
        counts = np.full((len(found), len(CLASSES)), alpha)
        for name, label in zip(names, y):
            np.add.at(counts[:, label], self.known(name), 1.0)
        self.log_p = np.log(counts / counts.sum(axis=0))

    def groups(self, name):
        name = f"^{name}$"
        return [name[i : i + k] for k in range(1, self.n + 1) for i in range(len(name) - k + 1)]

    def known(self, name):
        return [self.number[group] for group in self.groups(name) if group in self.number]

    def sums(self, names):
        return np.array([self.log_p[self.known(name)].sum(axis=0) for name in names])


def naive_bayes(train, valid, test):
    """(scores of the test names, settings): n, alpha and T as the validation names want them."""
    best = np.inf, None, None
    for n in 3, 4, 5:
        for alpha in 0.03, 0.1, 0.3:
            model = NaiveBayes(*train, n, alpha)
            sums = model.sums(valid[0])
            for temperature in 4.0, 6.0, 8.0, 12.0, 16.0:
                loss = cross_entropy(model.prior + sums / temperature, valid[1]).item()
                if loss < best[0]:
                    best = loss, model, {"n": n, "alpha": alpha, "temperature": temperature}
    _, model, settings = best
    return model.prior + model.sums(test[0]) / settings["temperature"], settings


def baselines(folder=None):
    """[{name, settings, cross_entropy, accuracy}], measured on the test titles."""
    parts = dbpedia("autolab", folder)
    cut = [(np.array([name[: HANDOUT["length"]] for name in names]), y) for names, y in parts]
    y = parts[2][1]
    found = {
        "the shares of the classes": (np.tile(majority(parts[0][1]), (len(y), 1)), {}),
        "naive Bayes, 10 characters": naive_bayes(*cut),
        "naive Bayes, the whole name": naive_bayes(*parts),
    }
    return [
        {
            "name": name,
            "settings": settings,
            "cross_entropy": cross_entropy(scores, y).item(),
            "accuracy": float(np.mean(np.argmax(scores, axis=1) == y)),
        }
        for name, (scores, settings) in found.items()
    ]
