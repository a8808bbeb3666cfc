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
        ("dropout", {"drop_inputs": 0.2, "drop_hidden": 0.5}),
        ("200 hidden units", {"hidden": 200}),
        ("20 characters", {"length": 20}),
    ],
    "lstm": [
        ("the handout", {}),
        ("no ReLU before the softmax", {"relu_scores": False}),
        ("the forget gate begins open", {"forget": 1.0}),
        ("Adam", {"optimiser": "adam", "rate": 0.003}),
        ("a learned vector for each character", {"vector": 16}),
        ("dropout", {"drop_inputs": 0.2, "drop_hidden": 0.3}),
        ("20 characters", {"length": 20}),
    ],
}


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
        curve, best = [], model.state_dict()
        for _ in range(recipe["epochs"]):
            for batch in batches:
                step(model, cross_entropy, optimiser, *batch)
            curve.append(evaluate(model, cross_entropy, *valid))
            if curve[-1] == min(curve):
                best = model.state_dict()
        model.load_state_dict(best)
        result = dict(
            zip(("valid", "valid_accuracy"), min(curve)), epochs=1 + np.argmin(curve, 0)[0]
        )
        if final:
            result |= zip(("test", "test_accuracy"), evaluate(model, cross_entropy, *test))
        parameters = sum(p.value.size for p in model.parameters())
        return result | {"cpu_seconds": time.process_time() - start, "parameters": parameters}

    return run


OPTIMISERS = {"sgd": SGD, "adam": Adam}


def ladder(network):
    """The recipes of `STEPS`, each a dict with all settings; the last is the one to report."""
    recipe, recipes = dict(HANDOUT), []
    for _, change in STEPS[network]:
        recipe = recipe | change
        recipes.append(recipe)
    return recipes


def majority(y, y_new):
    """(cross-entropy, accuracy) of always giving the shares of the classes in y."""
    shares = np.bincount(y, minlength=len(CLASSES)) / len(y)
    return -np.mean(np.log(shares[y_new])), np.mean(y_new == np.argmax(shares))


class NaiveBayes:
    """log p(class) + Σ log p(g | class) over the groups g of up to n neighbouring characters.

    A group is counted as often as it stands in the name, whose ends count as characters. With
    `alpha` added to each count. Neighbouring groups overlap, so that the sum is too sure of itself:
    it is divided by a `temperature`.
    """

    def __init__(self, names, y, n, alpha):
        self.n = n
        found = sorted({group for name in names for group in self.groups(name)})
        self.number = {group: number for number, group in enumerate(found)}
        counts = np.full((len(found), len(CLASSES)), alpha)
        for name, label in zip(names, y):
            np.add.at(counts[:, label], self.known(name), 1.0)
        self.log_p = np.log(counts / counts.sum(axis=0))
        self.prior = np.log(np.bincount(y, minlength=len(CLASSES)) / len(y))

    def groups(self, name):
        name = f"^{name}$"
        return [name[i : i + k] for k in range(1, self.n + 1) for i in range(len(name) - k + 1)]

    def known(self, name):
        return [self.number[group] for group in self.groups(name) if group in self.number]

    def __call__(self, names, temperature=1.0):
        """Scores (n, 5)."""
        sums = np.array([self.log_p[self.known(name)].sum(axis=0) for name in names])
        return self.prior + sums / temperature


def baselines(folder=None):
    """What comes without a network: rows of (name, what it is, test cross-entropy, accuracy)."""
    (names, y), valid, test = dbpedia("autolab", folder)
    losses = {}
    for n in 2, 3, 4:
        for alpha in 0.01, 0.03, 0.1, 0.3:
            model = NaiveBayes(names, y, n, alpha)
            for temperature in 1.0, 2.0, 3.0, 4.0, 6.0:
                scores = model(valid[0], temperature)
                losses[n, alpha, temperature] = cross_entropy(scores, valid[1]).item()
    n, alpha, temperature = min(losses, key=losses.get)
    scores = NaiveBayes(names, y, n, alpha)(test[0], temperature)
    about = f"groups of up to {n} characters, alpha {alpha:g}, temperature {temperature:g}"
    return [
        ("majority", "the shares of the classes", *majority(y, test[1])),
        (
            *("naive Bayes", about, cross_entropy(scores, test[1]).item()),
            np.mean(np.argmax(scores, axis=1) == test[1]),
        ),
    ]
