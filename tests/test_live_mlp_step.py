"""The live MLP's training, run in Node, against minigrad and against HIPS autograd."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

import minigrad as mg
from minigrad.data import digits
from minigrad.functions import cross_entropy
from minigrad.solutions import ReLU
from minigrad.widgets.page import packed_digits

FOLDER = Path(__file__).resolve().parents[1] / "minigrad" / "widgets" / "live_mlp"
WIDTHS = [4, 7, 5, 3]


def in_node(program, given):
    """Run a module that sees `given` and the live MLP's exports; what it hands to `answer`."""
    beside_python = Path(sys.executable).parent / "node"
    node = shutil.which("node") or (beside_python.exists() and str(beside_python))
    if not node:
        if os.environ.get("CI") == "true":
            pytest.fail("no Node found: run `make set-up`")
        pytest.skip("no Node found: run `make set-up`")
    modules = [FOLDER / "live_mlp.js", FOLDER / "data.js", FOLDER.parent / "engine.js"]
    sources = [f"...(await import({json.dumps(path.as_uri())}))" for path in modules]
    text = f"""
        import {{ readFileSync }} from "node:fs";
        const given = JSON.parse(readFileSync(0, "utf8"));
        const live = {{ {", ".join(sources)} }};
        const answer = (it) => console.log(JSON.stringify(it));
        {program}"""
    run = subprocess.run(
        [node, "--no-warnings", "--input-type=module", "--eval", text],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def close(got, expected):
    assert np.shape(got) == np.shape(expected)
    assert np.all(np.abs(got - expected) <= 1e-10 * np.maximum(1, np.abs(expected)))


def packed(array):
    return {"shape": list(np.shape(array)), "data": np.ravel(array).tolist()}


def unpacked(tensor, shape):
    data = tensor["data"]  # a Float64Array is written as an object, {"0": ..., "1": ...}
    return np.array(list(data.values()) if isinstance(data, dict) else data).reshape(shape)


def a_batch(seed=3):
    rng = np.random.default_rng(seed)
    layers = [
        (rng.normal(size=(a, b)), rng.normal(size=b))
        for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)
    ]
    return layers, rng.normal(size=(6, WIDTHS[0])), rng.integers(0, WIDTHS[-1], 6)


def loss_of(layers, X, y, activation, relu, relu_on_logits, loss):
    signal = X
    for W, b in layers[:-1]:
        signal = activation(signal @ W + b)
    W, b = layers[-1]
    logits = signal @ W + b
    return loss(relu(logits) if relu_on_logits else logits, y)


@pytest.mark.parametrize("relu_on_logits", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_one_step_is_the_step_of_minigrad_and_of_autograd(activation, relu_on_logits):
    layers, X, y = a_batch()
    rate = 0.25
    given = {
        "net": {
            "widths": WIDTHS,
            "activation": activation,
            "reluOnLogits": relu_on_logits,
            "layers": [{"W": packed(W), "b": packed(b)} for W, b in layers],
        },
        "X": packed(X),
        "labels": y.tolist(),
        "rate": rate,
    }
    stepped = in_node(
        """
        const load = ({ shape, data }) => live.tensor(shape, data);
        const layers = given.net.layers.map(({ W, b }) => ({ W: load(W), b: load(b) }));
        const net = { ...given.net, layers };
        const { net: after, loss } = live.trainStep(net, load(given.X), given.labels, given.rate);
        answer({ loss, before: layers, after: after.layers });
        """,
        given,
    )

    nodes = [(mg.TensorNode(W), mg.TensorNode(b)) for W, b in layers]
    functions = {"tanh": np.tanh, "sigmoid": mg.sigmoid, "relu": ReLU.do_forward}
    loss = loss_of(
        nodes,
        mg.TensorNode(X),
        y,
        functions[activation],
        ReLU.do_forward,
        relu_on_logits,
        cross_entropy,
    )
    loss.backward()
    close(stepped["loss"], loss.value)

    def relu(x):
        return anp.where(x > 0, x, 0.0)

    def picked(logits, labels):
        exps = anp.exp(logits)
        return -anp.mean(anp.log(exps[anp.arange(len(labels)), labels] / anp.sum(exps, axis=1)))

    functions = {"tanh": anp.tanh, "sigmoid": lambda x: 1 / (1 + anp.exp(-x)), "relu": relu}
    witness = autograd.grad(
        lambda layers: loss_of(layers, X, y, functions[activation], relu, relu_on_logits, picked)
    )(layers)

    for layer in range(len(layers)):
        for place, name in enumerate("Wb"):
            old = layers[layer][place]
            new = unpacked(stepped["after"][layer][name], old.shape)
            close(new, old - rate * nodes[layer][place].grad)
            close(new, old - rate * witness[layer][place])
            assert np.array_equal(unpacked(stepped["before"][layer][name], old.shape), old)


SETTINGS = {
    "data": "moons",
    "hidden": [8, 8],
    "activation": "tanh",
    "rate": 0.3,
    "batch": 32,
    "seed": 0,
    "reluOnLogits": False,
}
RUN = """
    const run = new live.Training(given.settings, given.digits);
    for (let i = 0; i < given.steps && run.trouble !== "nan"; i++) {
      run.step();
      if (given.stop && run.trouble) break;
    }
    const { steps, trouble } = run;
    const silent = run.net.layers.map(({ b }) => Array(b.shape[0]).fill(0));
    const said = (live.diagnosis(run, silent) ?? "").replace(/\\s+/g, " ");
    answer({ scores: run.scores(), steps, trouble, said, ...run.data });
"""


def run(steps, images=None, stop=False, **settings):
    given = {"settings": SETTINGS | settings, "steps": steps, "stop": stop, "digits": images}
    return in_node(RUN, given)


def test_the_same_settings_give_the_same_run():
    first, again, other = run(60), run(60), run(60, seed=1)
    assert first == again
    assert first["scores"][-1] != other["scores"][-1]


@pytest.mark.parametrize(
    "data, hidden, steps",
    [("moons", 8, 300), ("circles", 8, 300), ("xor", 8, 300), ("spirals", 16, 1500)],
)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_each_toy_can_be_learnt(data, hidden, steps, activation):
    ended = run(steps, data=data, hidden=[hidden, hidden], activation=activation)["scores"][-1]
    assert ended["step"] == steps
    assert ended["test"]["accuracy"] > 0.95


def test_the_digits_arrive_as_they_are_and_can_be_learnt():
    ended = run(300, packed_digits(), data="digits", hidden=[16])
    (X, y), (X_test, y_test) = digits()
    for half, pixels, labels in [("train", X, y), ("test", X_test, y_test)]:
        assert np.array_equal(unpacked(ended[half]["X"], pixels.shape), pixels)
        assert ended[half]["labels"] == labels.tolist()
    assert ended["scores"][-1]["test"]["accuracy"] > 0.9


def test_a_rate_that_is_too_high_is_explained():
    ended = run(200, stop=True, rate=30.0)
    assert ended["trouble"] == "growing" and ended["steps"] < 200
    assert "Lower the rate to about 3 " in ended["said"] and "Reset" in ended["said"]


def test_numbers_that_overflow_are_explained():
    ended = run(400, rate=100.0, activation="relu", hidden=[32, 32, 32], data="spirals")
    assert ended["trouble"] == "nan"
    assert "NaN" in ended["said"] and "Reset" in ended["said"]


def test_a_dead_logit_is_named():
    said = in_node(
        """
        const run = new live.Training({ ...given, reluOnLogits: true });
        const quiet = (last) => [...given.hidden.map((width) => Array(width).fill(0)), last];
        answer([[0.2, 1], [1, 1], [0.2, 0.5]].map((last) => live.diagnosis(run, quiet(last))));
        """,
        SETTINGS,
    )
    assert said[0].startswith("Logit 1 is dead") and said[1].startswith("Logits 0 and 1 are dead")
    assert said[2] is None
