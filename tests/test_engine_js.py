"""The page's engine against Python: values, tangents, adjoints of every op and 500 expressions.

The lists are recorded by minigrad and sent to the engine, which runs in Node. minigrad is one
witness; HIPS autograd, which shares no line with either, is the other.
|a - b| <= 1e-10 max(1, |a|, |b|); NaN and infinities must agree.
"""

import json
import math
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

import minigrad as mg
from minigrad.solutions import ReLU
from minigrad.trace import to_json

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "minigrad" / "widgets" / "engine.js"
RUNNER = ROOT / "tests" / "js" / "engine.mjs"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node 20 or newer")
quiet = partial(np.errstate, all="ignore")  # NaN and infinity are among the things compared


def run_engine(jobs):
    """Every job through one Node process."""
    command = ["node", "--no-warnings", str(RUNNER)]
    done = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def to_value(x):
    """An array as the engine's JSON has it."""
    numbers = [float(v) if math.isfinite(v) else repr(float(v)) for v in np.ravel(x)]
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    numbers = [names.get(v, v) for v in numbers]
    return numbers[0] if np.ndim(x) == 0 else {"shape": list(np.shape(x)), "data": numbers}


def from_value(value):
    if isinstance(value, dict):
        return np.array([float(v) for v in value["data"]]).reshape(value["shape"])
    return np.array(float(value))


def agree(got, expected, what):
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, Python {expected.shape}"
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    scale = np.maximum(1.0, np.maximum(abs(got), abs(expected)))
    with quiet():
        close = np.isfinite(got) & np.isfinite(expected) & (abs(got - expected) <= 1e-10 * scale)
    assert np.all(same | close), f"{what}: {got}, Python {expected}"


# ---- Every op ----------------------------------------------------------------------------------

EDGES = np.array([0.0, 1.0, -1.0, 2.5, -0.5, 700.0, -800.0, np.inf, -np.inf, np.nan])
POSITIVE = np.array([0.0, 1e-3, 1.0, 2.0, 30.0, np.inf, np.nan])
SHAPES = [
    ((), ()),
    ((), (3,)),
    ((1,), (3,)),
    ((3,), (3,)),
    ((2, 1), (3,)),
    ((2, 3), (3,)),
    ((2, 3), (1, 3)),
    ((2, 3), (2, 1)),
    ((2, 1), (1, 3)),
    ((4, 2, 1), (2, 3)),
    ((1, 1), ()),
    ((0, 3), (3,)),
]
UNARY = {
    "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos, "tan": np.tan, "tanh": np.tanh,
    "sigmoid": mg.Sigmoid.do_forward, "sqrt": np.sqrt, "abs": np.abs, "relu": ReLU.do_forward,
    "negate": lambda x: -x,
}  # fmt: skip
BINARY = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "maximum": np.maximum,
}
TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])


def op_cases():
    """(name, function, inputs): what an op does to these inputs is compared."""
    rng = np.random.default_rng(7)
    some = lambda *shape: rng.normal(size=shape)
    for name, f in UNARY.items():
        for shape in [(), (1,), (3,), (2, 3), (0,), (2, 1, 3)]:
            x = some(*shape)
            yield name, f, [np.exp(x) if name in {"log", "sqrt"} else x]
        yield name, f, [EDGES]
        yield from ((name, f, [np.array(x)]) for x in EDGES)
    for name, f in BINARY.items():
        for left, right in SHAPES + [(b, a) for a, b in SHAPES]:
            a = np.exp(some(*left)) if name == "power" else some(*left)
            yield name, f, [a, some(*right)]
        if name != "power":
            yield name, f, [EDGES[:, None], EDGES[None, :]]
        yield name, lambda a, f=f: f(a, 2.0), [some(2, 3)]
        yield name, lambda b, f=f: f(2.0, b), [some(2, 3)]
        yield name, lambda a, f=f: f(a, a), [np.exp(some(3))]
    finite = np.array([0.0, 1.0, 0.5, 2.0, 3.0])
    yield "power", lambda a, b: a**b, [finite[:, None], finite[None, :]]
    yield "power", lambda a: a**3, [np.array([-2.0, 0.0, 2.0, np.inf, np.nan])]
    yield "power", lambda a: a**0, [np.array([-2.0, 0.0, 2.0])]
    yield "power", lambda a: a**-1, [np.array([-2.0, 0.0, 2.0])]
    yield "maximum", lambda a, b: np.maximum(a, b), [TIES, TIES[:, ::-1].copy()]
    for name in ["sum", "mean", "max"]:
        f = getattr(np, name)
        for axis in [None, 0, 1, -1, (0, 2), (0, 1, 2)]:
            for keep in [False, True]:
                reduce = lambda x, f=f, axis=axis, keep=keep: f(x, axis=axis, keepdims=keep)
                yield name, reduce, [some(2, 3, 4)]
        yield name, f, [np.array(2.0)]
        yield name, lambda x, f=f: f(x, axis=1), [TIES]
        yield name, lambda x, f=f: f(x, axis=0), [np.array([[1.0, np.nan, np.inf], [2.0, 1, 2]])]
    lse = mg.LogSumExp.do_forward
    for axis in [None, 0, 1, -1, (0, 1)]:
        for keep in [False, True]:
            yield "logsumexp", lambda x, a=axis, k=keep: lse(x, axis=a, keepdims=k), [some(2, 3)]
    huge = np.array([[1000.0, 1000.0], [-1000.0, 0.0], [-np.inf, 0.0], [-np.inf, -np.inf]])
    yield "logsumexp", lambda x: lse(x, axis=1), [huge]
    for left, right in [
        ((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 2)),
        ((3,), (5, 3, 2)),
    ]:  # fmt: skip
        yield "matmul", lambda a, b: a @ b, [some(*left), some(*right)]
    affine = mg.ops.Affine.do_forward
    for rows in [(2, 3), (5, 2, 3)]:
        yield "affine", affine, [some(*rows), some(3, 4), some(4)]
        x = some(*rows)
        yield "affine", lambda w, b, x=x: affine(x, w, b), [some(3, 4), some(4)]
    yield "affine", lambda b: affine(TIES, np.eye(3), b), [some(3)]
    yield "reshape", lambda x: np.reshape(x, (3, 4)), [some(2, 6)]
    yield "reshape", lambda x: np.reshape(x, (2, -1)), [some(4, 3)]
    yield "reshape", lambda x: np.reshape(x, -1), [some(4, 3)]
    yield "reshape", lambda x: np.reshape(x, (1, 1)), [np.array(2.0)]
    yield "transpose", lambda x: x.T, [some(2, 3)]
    yield "transpose", lambda x: np.transpose(x, (2, 0, 1)), [some(2, 3, 4)]
    yield "expand", lambda x: np.broadcast_to(x, (4, 2, 3)), [some(2, 1)]
    yield "expand", lambda x: np.broadcast_to(x, (2, 3)), [np.array(1.5)]
    picks = np.array([0, 1, 1, 3])
    indices = {
        "integer": 2, "negative": -1, "two": (1, 2), "slice": slice(1, 3),
        "step": slice(None, None, 2), "backwards": (slice(None), slice(None, None, -2)),
        "list": picks, "in step": (picks, picks[::-1]),
        "list and all": (slice(None), picks), "list and integer": (picks, 1),
        "mask": np.array([True, False, True, True]),
    }  # fmt: skip
    for index in indices.values():
        yield "index", lambda x, index=index: x[index], [some(4, 5)]
    yield "index", lambda x: x[picks, :, picks], [some(4, 2, 5)]
    for axis in [0, 1, -1]:
        join = lambda *xs, axis=axis: np.concatenate(xs, axis=axis)
        shapes = [(2, 3), (4, 3)] if axis == 0 else [(2, 3), (2, 1), (2, 2)]
        yield "concatenate", join, [some(*shape) for shape in shapes]
        yield "stack", lambda *xs, axis=axis: np.stack(xs, axis=axis), [some(2, 3), some(2, 3)]
    yield "stack", lambda a, b: np.stack([a, b]), [np.array(1.0), np.array(2.0)]
    mask = np.array([[True, False, True], [False, False, True]])
    yield "where", lambda a, b: np.where(mask, a, b), [some(2, 3), some(3)]
    yield "where", lambda a, b: np.where(mask, a, b), [np.full((2, 1), np.inf), np.array(np.nan)]
    x, w1, b1, w2 = some(5, 4), some(4, 6), some(6), some(6, 3)
    network = lambda x, w1, b1, w2: np.mean(lse(np.tanh(x @ w1 + b1) @ w2, axis=1))
    yield "network", network, [x, w1, b1, w2]


def case_id(case):
    return f"{case[0]}-{'-'.join('x'.join(map(str, np.shape(x))) or 'scalar' for x in case[2])}"


CASES = list(op_cases())


class Case:
    """One op on some inputs: recorded, differentiated by minigrad, and sent to the engine."""

    def __init__(self, name, f, inputs, rng):
        self.name, self.f, self.inputs = name, f, inputs
        with quiet():
            leaves = [mg.TensorNode(x) for x in inputs]
            self.output = f(*leaves)
            self.cotangent = rng.normal(size=self.output.shape)
            self.seeds = [[rng.normal(size=x.shape) for x in inputs] for _ in range(2)]
            self.output.backward(self.cotangent)
            self.gradients = [leaf.grad for leaf in leaves]
            self.json = json.loads(to_json(self.output, {f"x{i}": x for i, x in enumerate(leaves)}))

    def job(self):
        seeds = [[to_value(v) for v in seed] for seed in self.seeds]
        return {"list": self.json, "seeds": seeds, "cotangent": to_value(self.cotangent)}


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(3)
    cases = [Case(*case, rng) for case in CASES]
    return list(zip(cases, run_engine([case.job() for case in cases])))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case_id(case) for case in CASES])
def test_an_op_agrees_with_minigrad(answers, number):
    case, answer = answers[number]
    compare_reverse(case, answer)
    last = case.json["outputs"][0]
    for k, seed in enumerate(case.seeds):
        with quiet():
            _, tangent = mg.jvp(case.f, tuple(case.inputs), tuple(seed))
        agree(from_value(answer["tangents"][k][last]), tangent, "tangent")
    assert answer["duals"] == answer["tangents"]


def compare_reverse(case, answer):
    assert "error" not in answer, answer
    last = case.json["outputs"][0]
    agree(from_value(answer["values"][last]), case.output.value, "value")
    for i, gradient in enumerate(case.gradients):
        agree(from_value(answer["adjoints"][i]), gradient, f"adjoint of input {i}")


FINITE = [i for i, case in enumerate(CASES) if all(np.all(np.isfinite(x)) for x in case[2])]


@pytest.mark.parametrize("number", FINITE, ids=[case_id(CASES[i]) for i in FINITE])
def test_tangents_and_adjoints_are_one_derivative(answers, number):
    """<w, J v> = <Jᵀ w, v>, whatever Python says."""
    case, answer = answers[number]
    last = case.json["outputs"][0]
    for seed, tangents in zip(case.seeds, answer["tangents"]):
        left = np.sum(case.cotangent * from_value(tangents[last]))
        right = sum(np.sum(from_value(answer["adjoints"][i]) * v) for i, v in enumerate(seed))
        if math.isfinite(left):
            agree(right, left, "inner product")


def test_the_table_of_ops_is_covered():
    table = ENGINE.read_text().split("export const OPS = {")[1].split("\n};")[0]
    assert set(re.findall(r"^  (\w+): ", table, re.M)) == {case[0] for case in CASES} - {"network"}


# ---- Random expressions ------------------------------------------------------------------------

FUNCTIONS = "sin cos tan exp ln sqrt tanh sigmoid relu abs max".split()


def random_tree(rng, depth):
    """A tree: a number, "x1", (sign, left, right), ("-", inside), (function, *arguments)."""
    kind = rng.random()
    if depth == 0 or kind < 0.12:
        if rng.random() < 0.25:
            return round(float(rng.uniform(0.1, 4)), 2)
        return f"x{rng.integers(1, 5)}"
    deeper = lambda: random_tree(rng, depth - 1)
    if kind < 0.62:
        return (str(rng.choice(["+", "-", "*", "/", "**"])), deeper(), deeper())
    if kind < 0.7:
        return ("-", deeper())
    name = str(rng.choice(FUNCTIONS))
    return (name, deeper(), deeper()) if name == "max" else (name, deeper())


def written(tree):
    """The tree as a reader might type it, with every pair of parentheses."""
    match tree:
        case float():
            return repr(tree)
        case str():
            return tree
        case ("+" | "-" | "*" | "/" | "**" as sign, left, right):
            return f"({written(left)} {sign} {written(right)})"
        case ("-", inside):
            return f"(-{written(inside)})"
        case (name, *arguments):
            return f"{name}({', '.join(map(written, arguments))})"


class Numpy:
    """The functions as minigrad (or NumPy, for numbers) has them."""

    np = np

    @staticmethod
    def sigmoid(x):
        return mg.Sigmoid.do_forward(x) if isinstance(x, mg.TensorNode) else 1 / (1 + np.exp(-x))

    @staticmethod
    def relu(x):
        return ReLU.do_forward(x) if isinstance(x, mg.TensorNode) else np.maximum(x, 0.0)


class Autograd:
    """The same, in HIPS autograd."""

    np = anp
    sigmoid = staticmethod(lambda x: 1 / (1 + anp.exp(-x)))
    relu = staticmethod(lambda x: anp.where(x > 0, x, 0.0 * x))


def computed(tree, xs, library):
    np = library.np
    match tree:
        case float():
            return np.float64(tree) if library is Autograd else tree
        case str():
            return xs[tree]
        case ("-", inside):
            return -computed(inside, xs, library)
        case (name, *arguments):
            a, *b = (computed(argument, xs, library) for argument in arguments)
            signs = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power"}
            names = signs | {"max": "maximum", "ln": "log"}
            own = {"sigmoid": library.sigmoid, "relu": library.relu}
            f = own.get(name) or getattr(np, names.get(name, name))
            return f(a, *b)


def expressions():
    rng = np.random.default_rng(500)
    while True:
        tree = random_tree(rng, int(rng.integers(1, 6)))
        text = written(tree)
        if "x" in text.replace("exp", "").replace("max", "") and len(text) <= 300:
            yield tree, text, rng.uniform(-2, 3, size=4).round(3), rng.normal(size=(2, 4))


@pytest.fixture(scope="module")
def typed():
    found = expressions()
    chosen = [next(found) for _ in range(500)]
    jobs = []
    for _, text, at, seeds in chosen:
        used = [i for i in range(4) if f"x{i + 1}" in text]
        jobs.append({"text": text, "at": at.tolist(), "seeds": seeds[:, used].tolist()})
    return list(zip(chosen, run_engine(jobs)))


def test_500_expressions_agree_with_minigrad(typed):
    finite = 0
    for (tree, text, at, seeds), answer in typed:
        assert "error" not in answer, f"{text}: {answer}"
        names = [f"x{i + 1}" for i in range(4) if f"x{i + 1}" in text]
        point = {name: at[int(name[1]) - 1] for name in names}
        with quiet():
            leaves = {name: mg.TensorNode(np.float64(x)) for name, x in point.items()}
            output = computed(tree, leaves, Numpy)
            if output.source is not None:
                expected = json.loads(to_json(output, leaves))
                compare_lists(answer["list"], expected, text)
                output.backward()
                for i, leaf in enumerate(leaves.values()):
                    agree(
                        from_value(answer["adjoints"][i]),
                        leaf.grad,
                        f"{text} at {point}: adjoint {i}",
                    )
            # At a NaN or an infinity the two differ by design: minigrad's dual numbers multiply it
            # by the zero tangent of a constant, the engine leaves constants out.
            if not all(math.isfinite(from_value(value)) for value in answer["values"]):
                continue
            f = lambda *xs, tree=tree, names=names: computed(tree, dict(zip(names, xs)), Duals)
            for k in range(2):
                seed = [np.float64(seeds[k][int(name[1]) - 1]) for name in names]
                _, tangent = mg.jvp(f, tuple(map(np.float64, point.values())), tuple(seed))
                last = answer["list"]["outputs"][0]
                agree(
                    from_value(answer["tangents"][k][last]), tangent, f"{text} at {point}: tangent"
                )
        finite += 1
    assert finite > 300, f"only {finite} of 500 have finite values: the comparison would be hollow"


class Duals(Numpy):
    """Functions that also take dual numbers: sigmoid and relu by their forward."""

    sigmoid = staticmethod(
        lambda x: mg.Sigmoid.forward({}, x) if isinstance(x, mg.Dual) else Numpy.sigmoid(x)
    )
    relu = staticmethod(lambda x: ReLU.forward({}, x) if isinstance(x, mg.Dual) else Numpy.relu(x))


def compare_lists(got, expected, text):
    """The same inputs and the same steps, in the same order, with the same values."""
    assert [x["name"] for x in got["inputs"]] == [x["name"] for x in expected["inputs"]], text
    steps = lambda whole: [[s["op"], *map(plain, s["inputs"])] for s in whole["steps"]]
    plain = lambda x: x if isinstance(x, int) else "constant"
    assert steps(got) == steps(expected), text
    for mine, theirs in zip(got["steps"], expected["steps"]):
        agree(from_value(mine["value"]), from_value(theirs["value"]), f"{text}: {theirs['op']}")
        for a, b in zip(mine["inputs"], theirs["inputs"]):
            if isinstance(a, dict):
                agree(from_value(a["constant"]), from_value(b["constant"]), f"{text}: constant")


def test_500_expressions_agree_with_autograd(typed):
    """Where autograd's value and gradient are finite: it has other customs at the edges."""
    compared = 0
    for (tree, text, at, _), answer in typed:
        names = [f"x{i + 1}" for i in range(4) if f"x{i + 1}" in text]
        f = lambda xs, tree=tree, names=names: computed(tree, dict(zip(names, xs)), Autograd)
        point = np.array([at[int(name[1]) - 1] for name in names])
        with quiet():
            value, gradient = f(point), autograd.grad(lambda xs, f=f: f(xs) * 1.0)(point)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            continue
        mine = np.array([from_value(answer["adjoints"][i]) for i in range(len(names))])
        if not np.all(np.isfinite(mine)):
            continue
        last = answer["list"]["outputs"][0]
        agree(from_value(answer["values"][last]), value, text)
        assert np.all(abs(mine - gradient) <= 1e-8 * np.maximum(1, abs(gradient))), (
            f"{text} at {point}"
        )
        compared += 1
    assert compared > 300


# ---- The trace of the survey, and typing mistakes ----------------------------------------------


def test_the_trace_of_the_survey():
    text = "ln(x1) + x1*x2 - sin(x2)"
    (answer,) = run_engine([{"text": text, "at": [2, 5], "seeds": [[1, 0], [0, 1], [1, 1]]}])
    assert [s["op"] for s in answer["list"]["steps"]] == [
        "log",
        "multiply",
        "sin",
        "add",
        "subtract",
    ]
    rounded = lambda numbers: [round(x, 6) for x in numbers]
    assert rounded(answer["values"]) == [2, 5, 0.693147, 10, -0.958924, 10.693147, 11.652071]
    assert rounded(answer["tangents"][0]) == [1, 0, 0.5, 5, 0, 5.5, 5.5]
    assert rounded(answer["tangents"][1]) == [0, 1, 0, 2, 0.283662, 2, 1.716338]
    assert round(answer["tangents"][2][-1], 6) == 7.216338
    assert rounded(answer["adjoints"]) == [5.5, 1.716338, 1, 1, -1, 1, 1]
    arrived = [[round(value, 6) for _, _, value in parts] for parts in answer["contributions"]]
    assert arrived[:2] == [[5, 0.5], [-0.283662, 2]]


def test_precedence_is_pythons():
    texts = (
        "-x1**2  2**-x1  x1**x2**0.5  x1-x2-1  x1/x2/2  x1-x2*x1+2  +x1  -2*x1**2/x2  2*3*x1".split(
            "  "
        )
    )
    for text, answer in zip(texts, run_engine([{"text": t, "at": [1.3, 0.7]} for t in texts])):
        last = answer["list"]["outputs"][0]
        agree(answer["values"][last], eval(text, {"x1": 1.3, "x2": 0.7}), text)
    (answer,) = run_engine(
        [{"text": "a = exp(x1); b = a**2; c = a + b; exp(c) + sin(c)", "at": [0]}]
    )
    assert round(answer["values"][-1], 6) == 8.298354
    assert round(answer["adjoints"][0], 6) == 20.918728


MISTAKES = {
    "": (0, "Type an expression"),
    "x5 + 1": (0, "x1, x2, x3 and x4"),
    "X1": (0, "small letter"),
    "x1 + sni(x2)": (5, 'Did you mean "sin"'),
    "x + 1": (0, 'Did you mean "x1"'),
    "2x1": (1, "2*x1"),
    "x1 x2": (3, "x1*x2"),
    "(x1)(x2)": (4, "multiplication sign"),
    "x2x1": (0, "x2*x1"),
    "sin x1": (0, "sin(x1)"),
    "sin()": (0, "needs an argument"),
    "2*(x1 + 2": (2, "closing parenthesis"),
    "x1 + 2)": (6, "closes nothing"),
    "()": (0, "nothing between"),
    "x1^2": (2, "**"),
    "x1 +": (3, "stops too early"),
    "x1 */ 2": (4, "missing before"),
    "max(x1)": (0, "two values"),
    "max(x1, x2, 3)": (0, "Nest it"),
    "2,5*x1": (1, "point"),
    "np.sin(x1)": (2, "by name alone"),
    "3 + 4": (0, "number 7"),
    "x1 = 3": (0, "set below"),
    "y = x1": (0, "expression that uses it"),
    "sin = x1; sin": (0, "already has a meaning"),
    "[x1]": (0, "round parentheses"),
    "|x1|": (0, "abs(x1)"),
    "x1 $ 2": (3, "no meaning"),
    "x1+" * 120 + "x1": (300, "362 characters"),
    "+".join(["x1"] * 80): (182, "60 operations"),
}


@pytest.fixture(scope="module")
def mistakes():
    return dict(zip(MISTAKES, run_engine([{"text": text} for text in MISTAKES])))


@pytest.mark.parametrize("text", MISTAKES, ids=[text[:20] or "empty" for text in MISTAKES])
def test_a_typing_mistake_is_pointed_at(mistakes, text):
    position, words = MISTAKES[text]
    answer = mistakes[text]
    assert answer.get("kind") == "ExpressionError", answer
    assert words in answer["error"]
    assert answer["position"] == position


@pytest.mark.parametrize("change, words", [
    ({"version": 2}, "version 1"),
    ({"steps": [{"id": 1, "op": "frobnicate", "inputs": [0]}]}, "frobnicate"),
    ({"steps": [{"id": 1, "op": "exp", "inputs": [7]}]}, "does not come before"),
    ({"outputs": [9]}, "not in the list"),
])  # fmt: skip
def test_a_list_that_cannot_be_read_is_refused(change, words):
    good = {"format": "wengert-list", "version": 1, "inputs": [{"id": 0, "name": "x", "value": 1}]}
    good |= {"steps": [{"id": 1, "op": "exp", "inputs": [0], "constants": {}}], "outputs": [1]}
    fine, bad = run_engine([{"list": good}, {"list": good | change}])
    assert from_value(fine["values"][1]) == math.exp(1)
    assert words in bad["error"]


# ---- The tests can fail ------------------------------------------------------------------------

MUTANTS = {
    "a sign": ("(a) => -Math.sin(a)", "(a) => Math.sin(a)"),
    "a factor": ("(a, y) => 0.5 / y", "(a, y) => 1 / y"),
    "a missing sum": (
        ": scatterAdd(gradient, broadcastMap(shape, from), shape);",
        ": gather(gradient, new Int32Array(count(shape)), shape);",
    ),
    "a transposed operand": ("matmul(swapped(row), g)", "swapped(matmul(swapped(g), row)) && g"),
    "assign for add": ("value : plus(bar[id], value)", "value : value"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_engine_is_caught(tmp_path, name):
    right, wrong = MUTANTS[name]
    source = ENGINE.read_text()
    assert source.count(right) == 1, f"{right!r} is not in the engine once"
    (tmp_path / "minigrad" / "widgets").mkdir(parents=True)
    (tmp_path / "minigrad" / "widgets" / "engine.js").write_text(source.replace(right, wrong))
    (tmp_path / "tests" / "js").mkdir(parents=True)
    broken = shutil.copy(RUNNER, tmp_path / "tests" / "js" / RUNNER.name)
    rng = np.random.default_rng(3)
    cases = [Case(*case, rng) for case in CASES]
    done = subprocess.run(
        ["node", "--no-warnings", broken], input=json.dumps([case.job() for case in cases]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    caught = 0
    for case, answer in zip(cases, json.loads(done.stdout)):
        try:
            compare_reverse(case, answer)
        except AssertionError:
            caught += 1
    assert caught
