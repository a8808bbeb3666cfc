"""compile: what a replay gives is what the step gives, and what could go stale is refused."""

import copy
import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from ops_table import TABLE
from test_properties import programs, settled

import minigrad as mg
from minigrad.nn import LSTM, MLP, BatchNorm, Dropout, Linear
from minigrad.optim import SGD
from minigrad.solutions import Normalize, ReLU
from minigrad.wengert import Recording, compile

pytestmark = pytest.mark.relaxed  # in strict mode every call would also run the step as it is


def gradients(nodes):
    found = [node.grad for node in nodes]
    for node in nodes:
        node.zero_grad()
    return found


def same_as_eager(step, nodes, *batches, compiled=None):
    """On every batch: the loss and all gradients, to the last bit."""
    fast = compiled or compile(step)
    for batch in batches:
        value = fast(*batch)
        got = gradients(nodes)
        loss = step(*batch)
        loss.backward()
        np.testing.assert_array_equal(value, loss.value)
        for g, expected in zip(got, gradients(nodes), strict=True):
            np.testing.assert_array_equal(g, expected)
            assert g.dtype == expected.dtype
    return fast


def batches(rng, n=3, dtype=np.float64):
    return [(rng.normal(size=(8, 5)).astype(dtype), rng.integers(0, 3, 8)) for _ in range(n)]


@pytest.fixture
def model():
    return MLP([5, 4, 3], activation=ReLU, rng=0)


def classify(model):
    return lambda X, y: mg.cross_entropy(model(X), y)


# The same as eager.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_network_of_either_precision(rng, dtype):
    model = MLP([5, 4, 3], activation=ReLU, rng=0, dtype=dtype)
    same_as_eager(classify(model), model.parameters(), *batches(rng, dtype=dtype))


def test_training_is_the_same_to_the_last_bit(rng):
    models = [MLP([5, 4, 3], activation=np.tanh, rng=0) for _ in range(2)]
    optimisers = [SGD(model.parameters(), 0.1, momentum=0.9) for model in models]
    fast, data = compile(classify(models[0])), batches(rng, 20)
    for X, y in data:
        for optimiser in optimisers:
            optimiser.zero_grad()
        value = fast(X, y)
        loss = classify(models[1])(X, y)
        loss.backward()
        assert value == loss.item()
        for optimiser in optimisers:
            optimiser.step()
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        np.testing.assert_array_equal(p.value, q.value)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(programs())
def test_random_programs(program):
    f, xs, vs, w = settled(program)
    nodes = [mg.TensorNode(x) for x in xs]
    same_as_eager(lambda w: np.sum(w * f(*nodes)), nodes, (w,), (2.0 * w,))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs())
def test_random_programs_whose_inputs_are_arguments(program):
    f, xs, vs, w = settled(program)
    first, *rest = xs
    node = mg.TensorNode(first)
    step = lambda w, *rest: np.sum(w * (f(node, *rest) + 0.0 * node))
    same_as_eager(step, [node], (w, *rest), (w - 1.0, *[np.asarray(x * 0.5) for x in rest]))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_op(row, rng):
    for shapes, constants in row.cases:
        inputs = [row.inputs(shapes, rng) for _ in range(3)]
        nodes = [mg.TensorNode(x) if x.dtype.kind == "f" else x for x in inputs[0]]

        def step(scale, nodes=nodes, constants=constants):
            y = row.op.do_forward(*nodes, **constants)
            return sum(np.sum(np.sin(part) * scale) for part in (y if type(y) is tuple else (y,)))

        leaves = [node for node in nodes if isinstance(node, mg.TensorNode)]
        fast = same_as_eager(step, leaves, (1.0,), (2.5,))
        for other in inputs[1:]:
            for node, x in zip(nodes, other, strict=True):
                if isinstance(node, mg.TensorNode):
                    node.value = x[()]
            same_as_eager(step, leaves, (1.5,), compiled=fast)


class Halves(mg.Op):
    """Two outputs, of which one may go unused."""

    @staticmethod
    def forward(context, x):
        context["n"] = len(x)
        return x[: len(x) // 2], x[len(x) // 2 :]

    @staticmethod
    def backward(context, gfirst, gsecond):
        return np.concatenate([gfirst, gsecond])


class Twice(mg.Op):
    """A backward that hands the same array to both inputs."""

    @staticmethod
    def forward(context, x, y):
        return 2.0 * x + 2.0 * y

    @staticmethod
    def backward(context, gz):
        g = 2.0 * gz
        return [g, g]


def test_ops_of_the_reader(rng):
    x, y = (mg.TensorNode(rng.uniform(1.0, 2.0, (4, 3))) for _ in range(2))

    def step(scale):
        first, second = Halves.do_forward(Twice.do_forward(x, y))
        return np.sum(Normalize.do_forward(first) * scale) + 0.0 * np.sum(second)

    same_as_eager(step, [x, y], (rng.normal(size=(2, 3)),), (rng.normal(size=(2, 3)),))
    same_as_eager(lambda s: np.sum(Halves.do_forward(x)[1] * s), [x], (1.0,), (2.0,))
    compile(step)(1.0)
    assert not np.shares_memory(x.grad, y.grad)


def test_a_branch_that_leads_nowhere_sends_nothing_back(rng):
    x = mg.TensorNode(np.zeros(4))

    def step(scale):
        Halves.do_forward(np.sqrt(x))  # its slope is infinite, and would make 0 · ∞
        return np.sum(x * scale)

    same_as_eager(step, [x], (1.0,), (2.0,))


class Shares(mg.Op):
    """Gives, and takes, Python's numbers."""

    @staticmethod
    def forward(context, x, parts):
        shares = tuple(float(x) * part for part in parts)
        return shares if len(parts) > 1 else shares[0]

    @staticmethod
    def backward(context, *gshares):
        return sum(map(float, gshares)) / 2


@pytest.mark.parametrize("parts", [(0.5,), (0.5, 0.5)])
def test_an_op_of_python_numbers(parts):
    x = mg.TensorNode(3.0)
    first = lambda shares: shares[0] if len(parts) > 1 else shares
    step = lambda scale: np.sin(first(Shares.do_forward(x * scale, parts=parts))) * x
    same_as_eager(step, [x], (1.0,), (2.0,))


def test_an_lstm_in_elementary_gates(rng):
    lstm, read_out = LSTM(6, 5, form="gates", rng=0), Linear(5, 3, rng=1)
    nodes = [*lstm.parameters(), *read_out.parameters()]

    def step(X, y):
        _, h, _ = lstm(X)
        return mg.cross_entropy(read_out(h), y)

    data = [(rng.normal(size=(4, 7, 6)), rng.integers(0, 3, 4)) for _ in range(3)]
    same_as_eager(step, nodes, *data)
    names = [(rng.integers(0, 6, (4, 7)), rng.integers(0, 3, 4)) for _ in range(3)]
    fast = same_as_eager(step, nodes, *names)
    with pytest.raises(
        ValueError, match="OneHot was given least 5, most 10; expected integers from 0 to 5"
    ):
        fast(names[0][0] + 5, names[0][1])


def test_what_a_step_may_do_with_its_arguments(rng):
    """Operators, functions, methods and indices of arrays, masks and labels: all are replayed."""
    W = mg.TensorNode(rng.normal(size=(5, 3)))

    def step(X, y, rate):
        Z = (X - X.mean(axis=0)) / np.std(X) + np.concatenate([X[:, :2], X[:, 2:]], axis=1)
        h = Z @ W
        largest = np.argmax(X, axis=1) % 3
        h = np.where(h > 0.1, h, rate * h) + (X[:, :3] > 0).astype(float)
        picked = h[np.arange(len(y)), y] + h[np.arange(8), largest] * (y == 1)
        return np.mean(picked) + np.sum(W[y]) * rate**2 + np.sum(h @ [1.0, -2.0, 0.5])

    data = [(*batch, rate) for batch, rate in zip(batches(rng), (0.1, 0.2, -3.0))]
    same_as_eager(step, [W], *data)


def test_a_parameter_may_be_compared(rng):
    w = mg.TensorNode(rng.normal(size=5))
    step = lambda x: np.sum(np.where(w > 0.0, w * x, 0.1 * w)) + np.max(w) + mg.norm(w * x)
    fast = same_as_eager(step, [w], (2.0,), (-1.0,))
    w.value = -w.value
    same_as_eager(step, [w], (2.0,), compiled=fast)


def test_the_value_of_a_parameter_is_a_constant_that_is_read_anew(rng):
    w = mg.TensorNode(rng.normal(size=6))
    step = lambda x: np.sum(w * x * w.value) + np.sum(w * np.split(x, 2)[1][0] * np.std(w.value))
    fast = same_as_eager(step, [w], (rng.normal(size=6),), (rng.normal(size=6),))
    w.value = -3.0 * w.value
    same_as_eager(step, [w], (rng.normal(size=6),), compiled=fast)


def test_a_gradient_that_is_there_when_the_step_is_recorded(rng):
    w = mg.TensorNode(rng.normal(size=3))
    w.grad = before = rng.normal(size=3)
    compile(lambda x: np.sum(w * x))(2.0)
    np.testing.assert_array_equal(w.grad, before + 2.0)
    w.grad = before
    with pytest.raises(AttributeError, match="register stands for another number"):
        compile(lambda x: np.sum(w * x * w.grad))(2.0)
    assert w.grad is before


def test_a_loss_of_parameters_alone_and_of_several_entries(rng):
    W, b = mg.TensorNode(rng.normal(size=(3, 2))), mg.TensorNode(0.5)
    same_as_eager(lambda: 0.5 * np.sum(W**2) + b, [W, b], (), ())
    same_as_eager(lambda x: W * x + W, [W], (2.0,), (3.0,))
    before = W.value.copy()
    value = compile(lambda: np.reshape(W, -1))()
    value += 1.0  # a copy, not a view of the parameter
    np.testing.assert_array_equal(W.value, before)


def test_gradients_add_up_as_after_backward_and_are_the_leafs_own(model, rng):
    (X, y), parameters = batches(rng, 1)[0], model.parameters()
    fast = compile(classify(model))
    fast(X, y)
    once = [p.grad.copy() for p in parameters]
    fast(X, y)
    for p, g in zip(parameters, once, strict=True):
        np.testing.assert_allclose(p.grad, 2.0 * g, rtol=1e-14)
    kept = [p.grad for p in parameters]
    for p in parameters:
        p.zero_grad()
    fast(-X, y)
    for g, p, first in zip(kept, parameters, once, strict=True):
        np.testing.assert_allclose(g, 2.0 * first, rtol=1e-14)
        assert not np.shares_memory(g, p.grad)


def test_several_threads_record_at_once(rng):
    models = [MLP([5, 4, 3], rng=seed) for seed in range(4)]
    data = batches(rng, 20)
    failures = []

    def train(model):
        try:
            for batch in data:
                same_as_eager(classify(model), model.parameters(), batch)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=train, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# Nothing stale.


def test_parameters_are_read_anew(model, rng):
    data = batches(rng)
    fast = same_as_eager(classify(model), model.parameters(), data[0])
    for p in model.parameters():
        p.value = p.value + 0.1
    same_as_eager(classify(model), model.parameters(), data[0], compiled=fast)
    model.parameters()[0].value[:] = 0.3  # in place, too
    same_as_eager(classify(model), model.parameters(), data[0], compiled=fast)


def test_arguments_changed_in_place_are_read_anew(model, rng):
    X, y = batches(rng, 1)[0]
    fast = same_as_eager(classify(model), model.parameters(), (X, y))
    X *= -2.0
    y[:] = (y + 1) % 3
    same_as_eager(classify(model), model.parameters(), (X, y), compiled=fast)


def test_what_was_recorded_in_strict_mode_is_replayed_outside_it(model, rng):
    data = batches(rng)
    fast = compile(classify(model))
    for _ in range(2):
        with mg.strict():
            same_as_eager(classify(model), model.parameters(), *data, compiled=fast)
        for p in model.parameters():
            p.value = p.value + 0.1
    data[-1][0][:] *= -2.0  # in place, and after the backward pass
    same_as_eager(classify(model), model.parameters(), *data, compiled=fast)


class Absolute(mg.Op):
    """What it notes depends on the number."""

    @staticmethod
    def forward(context, x):
        if x < 0.0:
            context["flipped"] = True
        return np.abs(x)

    @staticmethod
    def backward(context, gy):
        return -gy if "flipped" in context else gy


def test_notes_of_one_run_are_gone_in_the_next():
    x = mg.TensorNode(2.0)
    same_as_eager(lambda s: Absolute.do_forward(x * s), [x], (1.0,), (-1.0,), (3.0,))


def test_a_closed_over_array_changed_in_place_is_read_anew(rng):
    W, C = mg.TensorNode(rng.normal(size=3)), rng.normal(size=3)
    step = lambda: np.sum(W * C)
    fast = same_as_eager(step, [W], ())
    C += 1.0
    same_as_eager(step, [W], (), compiled=fast)


@pytest.mark.parametrize("change", ["array", "computed from it", "number"])
def test_another_closed_over_array_is_found_in_strict_mode(rng, change):
    W, held = mg.TensorNode(rng.normal(size=3)), {"C": rng.normal(size=3), "rate": 2.0}
    step = {
        "array": lambda: np.sum(W * held["C"]),
        "computed from it": lambda: np.sum(W * np.exp(held["C"])),
        "number": lambda: np.sum(W * held["rate"]),
    }[change]
    fast = compile(step)
    fast()
    held["C"], held["rate"] = held["C"] + 1.0, 3.0
    before = W.grad.copy()
    with (
        mg.strict(),
        pytest.raises(ValueError, match="let what is random or changes be an argument"),
    ):
        fast()
    np.testing.assert_array_equal(W.grad, before)


def test_labels_out_of_range_are_refused_in_a_replay_too(model, rng):
    X, y = batches(rng, 1)[0]
    fast = compile(classify(model))
    fast(X, y)
    before = [p.grad.copy() for p in model.parameters()]
    for wrong in (-1, 3):
        y[2] = wrong
        with pytest.raises(ValueError, match="labels must be integers from 0 to 2"):
            fast(X, y)
    for p, g in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.grad, g)


STAY = r"recorded \[.*now \[.*expected the same shapes and dtypes"
CHANGES = {
    "the last, smaller batch": (lambda X, y: (X[:3], y[:3]), ValueError, STAY),
    "another precision": (lambda X, y: (X.astype(np.float32), y), ValueError, STAY),
    "another number of dimensions": (lambda X, y: (X, y[:, None]), ValueError, STAY),
    "a number for an array": (lambda X, y: (X, 1), ValueError, STAY),
    "one argument fewer": (lambda X, y: (X,), ValueError, STAY),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_shapes_and_dtypes_are_refused(model, rng, change):
    X, y = batches(rng, 1)[0]
    fast = compile(classify(model))
    fast(X, y)
    with pytest.raises(CHANGES[change][1], match=CHANGES[change][2]):
        fast(*CHANGES[change][0](X, y))
    same_as_eager(classify(model), [], (X, y), compiled=fast)


def test_a_parameter_of_another_shape_is_refused(rng):
    w = mg.TensorNode(rng.normal(size=3))
    fast = compile(lambda x: np.sum(w * x))
    fast(2.0)
    w.value = np.ones(4)
    with pytest.raises(ValueError, match=STAY):
        fast(2.0)


def test_a_selection_of_another_length_is_refused(rng):
    W = mg.TensorNode(rng.normal(size=6))

    def step(X):
        chosen = (W * X)[X > 0]
        return np.sum(chosen) / len(chosen)  # the length is read, and would go stale

    X = np.array([1.0, -1.0, 2.0, 3.0, -1.0, 1.0])
    fast = same_as_eager(step, [W], (X,), (X[::-1].copy(),))
    with pytest.raises(ValueError, match="shape"):
        fast(np.abs(X))


W = mg.TensorNode(np.array([1.0, -2.0, 3.0]))
STALE = {
    "a branch": lambda x: np.sum(W * x) if np.sum(W * x) > 0 else np.sum(W),
    "a branch on an argument": lambda x: np.sum(W * x) if x[0] > 0 else np.sum(W),
    "a branch on a parameter": lambda x: np.sum(W * x) if W[0] > 0 else np.sum(W),
    "a loop": lambda x: [np.sum(W * x) for _ in range(int(x[0]))][0],
    "item": lambda x: np.sum(W * x) / np.sum(W * x).item(),
    "value": lambda x: np.sum(W * (W * x).value),
    "the gradient of a parameter": lambda x: np.sum(W * x + 0.0 * W.grad),
    "a plain array": lambda x: np.sum(W * np.asarray(x)),
    "a float": lambda x: W[0] * float(x[0]),
    "a copy": lambda x: np.sum(W * x * copy.deepcopy(W)),
    "a change in place": lambda x: [x.sort(), np.sum(W * x)][1],
    "a list": lambda x: np.sum(W * np.array(x.tolist())),
    "detach": lambda x: np.sum(W * x * W.detach()),
    "no_grad": lambda x: np.sum(W * x * without(W)),
    "grad": lambda x: np.sum(mg.grad(lambda w: np.sum(w * w * x))(W)),
    "a checkpoint": lambda x: np.sum(mg.checkpoint(lambda w: w * x)(W)),
    "backward": lambda x: np.sum(W * x).backward(),
    "zero_grad": lambda x: [W.zero_grad(), np.sum(W * x)][1],
    "a new leaf": lambda x: np.sum(W * mg.TensorNode(x)),
    "an array made by hand": lambda x: np.sum(W * np.array([x[0], x[1], 1.0])),
}


def without(w):
    with mg.no_grad():
        return w * 2.0


@pytest.mark.parametrize("what", STALE)
def test_what_would_go_stale_is_refused(what):
    x = np.array([3.0, 1.0, 2.0])
    W.zero_grad()
    value = W.value
    with pytest.raises((TypeError, AttributeError), match="register stands for another number"):
        compile(STALE[what])(x)
    assert W._grad is None
    assert W.value is value


@pytest.mark.parametrize("new", [lambda value: value * 0.5, lambda value: np.ones(3)])
def test_a_step_that_moves_a_parameter_is_refused(new):
    w = mg.TensorNode(np.ones(3))

    def step(x):
        loss = np.sum(w * x)
        w.value = new(w.value)
        return loss

    with pytest.raises(TypeError, match="changes a parameter"):
        compile(step)(1.0)
    assert type(w.value) is np.ndarray


def test_printing_shows_no_number(capsys):
    def step(x):
        y = np.sum(W * x)
        print(y)
        return y

    compile(step)(1.0)
    *lines, plain = capsys.readouterr().out.splitlines()  # the last run is without registers
    assert len(lines) == 3 and plain.startswith("TensorNode")
    assert all(line.startswith("register") and "2." not in line for line in lines)


def test_running_state_is_refused_and_not_touched(rng):
    layer = BatchNorm(3)
    with pytest.raises(TypeError, match="register stands for another number"):
        compile(lambda x: np.sum(layer(W * x)))(rng.normal(size=(4, 3)))
    assert type(layer.mean) is np.ndarray


def test_random_draws_are_refused(rng):
    class Noise(mg.Op):
        @staticmethod
        def forward(context, x):
            return x + rng.normal(size=x.shape)

        @staticmethod
        def backward(context, gy):
            return gy

    counter = iter(range(100))
    for step in (
        lambda x: np.sum(W * x * (rng.random(3) < rng.random(3))),
        lambda x: np.sum(W * x) * next(counter),
        lambda x: np.sum(Noise.do_forward(W * x)),
        lambda x: np.sum(W * x) + np.sum((W - W) * rng.random(3)),  # seen in the gradient alone
    ):
        W.zero_grad()
        with pytest.raises(ValueError, match=r"another '\w+'; expected the same: .*random"):
            compile(step)(1.0)
        assert W._grad is None


def test_a_choice_made_anew_in_every_run_is_refused_even_between_equal_numbers():
    pair, turns = mg.TensorNode(np.ones(2)), iter(range(100))
    for step in (
        lambda x, y: np.sum(W * (x, y)[next(turns) % 2]),
        lambda x, y: [np.sum(W * x), np.sum(W * y)][next(turns) % 2],
        lambda x, y: np.sum(Halves.do_forward(pair * x)[next(turns) % 2] * y),
    ):
        with pytest.raises(ValueError, match="recording again"):
            compile(step)(1.0, 1.0)


def test_a_node_computed_outside_is_refused():
    outside = W * 2.0
    with pytest.raises(TypeError, match="computed outside"):
        compile(lambda x: np.sum(outside * x))(1.0)


def test_registers_do_not_survive_the_recording(rng):
    kept = []

    def step(x):
        kept.append(W * x)
        return np.sum(kept[-1])

    compile(step)(1.0)
    for register in kept[:-1]:  # the last run is without registers
        with pytest.raises(TypeError, match="register"):
            register * 2.0


@pytest.mark.parametrize("of", ["argument", "parameter"])
def test_registers_of_an_earlier_recording_are_refused(of):
    kept = []

    def step(x):
        kept.append(x * 2.0 if of == "argument" else W * x)
        return np.sum(W * kept[0])

    with pytest.raises(TypeError, match="computed outside"):
        compile(step)(1.0)


@pytest.mark.parametrize("given", ["text", None, [1.0, 2.0], mg.TensorNode(1.0)])
def test_arguments_are_arrays_and_numbers(given):
    with pytest.raises(TypeError, match="given arguments .*expected arrays and numbers"):
        compile(lambda x: np.sum(W * 2.0))(given)


@pytest.mark.parametrize("step", [lambda x: None, lambda x: 2.0 * x, lambda x: 3.0])
def test_a_step_that_returns_no_loss_is_refused(step):
    with pytest.raises(TypeError, match="given loss .*expected a node"):
        compile(step)(1.0)


def test_an_error_of_the_step_leaves_everything_as_it_was(model, rng):
    (X, y), fast = batches(rng, 1)[0], compile(classify(model))
    with pytest.raises(ValueError, match="Linear|Affine|input of shape"):
        fast(X[:, :4], y)
    same_as_eager(classify(model), model.parameters(), (X, y), compiled=fast)


def test_a_first_call_within_no_grad(model, rng):
    (X, y), fast = batches(rng, 1)[0], compile(classify(model))
    with mg.no_grad():
        loss = fast(X, y)
    assert loss == pytest.approx(classify(model)(X, y).value)
    assert not any(np.any(p.grad) for p in model.parameters())
    same_as_eager(classify(model), model.parameters(), (X, y), compiled=fast)


@pytest.mark.parametrize(
    "factor",
    [
        lambda k: k if isinstance(k, int | float) else 100.0,
        lambda k: 1.0 if np.isscalar(k) else 2.0,
        lambda k: {2.0: 1.0}.get(k, 9.0),
        lambda k: float(len(str(k))),
    ],
    ids=["isinstance", "isscalar", "get", "str"],
)
def test_a_branch_on_what_an_argument_is_goes_no_wrong_way(factor):
    """A register is neither a number nor an array, so the recording may take another way."""
    with pytest.raises((TypeError, ValueError), match="another 'result'.*type|register"):
        compile(lambda x, k: np.sum(W * x) * factor(k))(np.ones(3), 2.0)


@pytest.mark.parametrize("seed", range(20))
def test_dropout_in_a_step_is_refused_by_name(seed):
    """Two masks of a few entries are easily the same: no comparison would be certain."""
    dropout = Dropout(0.5, rng=seed)
    with pytest.raises(TypeError, match="Dropout.*outside mg.compile; a mask can be handed in"):
        compile(lambda x: np.sum(dropout(W * x)))(np.ones(3))
    dropout.eval()
    assert compile(lambda x: np.sum(dropout(W * x)))(np.ones(3)) == np.sum(W.value)


def test_it_is_freed_by_counting_references_alone(model, rng):
    fast = compile(classify(model))
    gc.collect()
    gc.disable()
    try:
        fast(*batches(rng, 1)[0])
        watched = [weakref.ref(fast), weakref.ref(fast.recording), weakref.ref(fast.recording.loss)]
        assert not [x for x in gc.get_objects() if type(x) is Recording and x is not watched[1]()]
        del fast
        assert [ref() for ref in watched] == [None, None, None]
    finally:
        gc.enable()


def test_linear_keeps_the_shape_rules(rng):
    layer = Linear(5, 3, rng=0)
    same_as_eager(
        lambda X: np.sum(np.tanh(layer(X))), layer.parameters(), (rng.normal(size=(2, 5)),)
    )


@np.errstate(divide="ignore")
def test_debug_mode_names_the_op_in_a_replay_too():
    w = mg.TensorNode(2.0)
    fast = compile(lambda x: np.log(w * x))
    fast(1.0)
    with mg.debug(), pytest.raises(FloatingPointError, match=r"OpNode \d+: Log.*output 0 is -inf"):
        fast(0.0)
    w.zero_grad()
    with mg.debug(), pytest.raises(FloatingPointError, match="Sqrt.*gradient of input 0 is inf"):
        compile(lambda x: np.sqrt(w * x))(0.0)
    assert w.grad == 0.0
