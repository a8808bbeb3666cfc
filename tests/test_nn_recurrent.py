"""RNN and LSTM: against PyTorch, against differences, and the three forms against each other."""

import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad.interop import load, save
from minigrad.nn import LSTM, RNN
from minigrad.nn.recurrent import Remember, Split, Step, unroll

N, T, D, H = 3, 4, 5, 6
FORMS = ["gates", "step", "sequence"]
torch_order = np.r_[
    H : 3 * H, 0:H, 3 * H : 4 * H
]  # PyTorch has i, f, g, o where we have g, i, f, o


def weighted(values, seed=7):
    """One number that every entry of every value has its own part in."""
    rng = np.random.default_rng(seed)
    return sum((value * rng.standard_normal(value.shape)).sum() for value in values)


def state(parts, rng):
    return [mg.TensorNode(rng.standard_normal((N, H))) for _ in range(parts)]


def randomised(model, rng):
    for parameter in model.parameters():
        parameter.value = 0.5 * rng.standard_normal(parameter.shape)
    return model


def everything(model, x, start):
    """Values, and gradients of parameters, of the state, and of the input where it has some."""
    found = model(x, *start)
    weighted(found).backward()
    leaves = [*model.parameters(), *start, *([x] if isinstance(x, mg.TensorNode) else [])]
    return [node.value for node in found] + [leaf.grad for leaf in leaves]


def agree(found, expected, tolerance=1e-10):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["RNN", *FORMS])
def test_values_and_all_gradients_are_pytorchs(kind, rng):
    torch = pytest.importorskip("torch")
    rnn = kind == "RNN"
    model = randomised(RNN(D, H, rng=0) if rnn else LSTM(D, H, form=kind, rng=0), rng)
    peer = (torch.nn.RNN if rnn else torch.nn.LSTM)(D, H, batch_first=True).double()
    order = slice(None) if rnn else torch_order
    with torch.no_grad():
        peer.weight_ih_l0.copy_(torch.tensor(model.input.weight.value.T[order]))
        peer.weight_hh_l0.copy_(torch.tensor(model.recurrent.value.T[order]))
        peer.bias_ih_l0.copy_(torch.tensor(model.input.bias.value[order]))
        peer.bias_hh_l0.zero_()
    x, start = mg.TensorNode(rng.standard_normal((N, T, D))), state(1 if rnn else 2, rng)
    found = everything(model, x, start)

    tensors = [torch.tensor(node.value, requires_grad=True) for node in (x, *start)]
    begin = [t.unsqueeze(0) for t in tensors[1:]]
    outputs, last = peer(tensors[0], begin[0] if rnn else tuple(begin))
    last = [last[0]] if rnn else [part[0] for part in last]
    weights = np.random.default_rng(7)
    loss = sum((y * torch.tensor(weights.standard_normal(y.shape))).sum() for y in (outputs, *last))
    loss.backward()
    back = slice(None) if rnn else np.argsort(torch_order)
    gradients = [peer.weight_ih_l0.grad, peer.bias_ih_l0.grad, peer.weight_hh_l0.grad]
    gradients = [gradient.numpy()[back].T for gradient in gradients]
    expected = [y.detach().numpy() for y in (outputs, *last)]
    expected += gradients + [t.grad.numpy() for t in (*tensors[1:], tensors[0])]
    agree(found, expected)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("integers", [False, True])
def test_the_three_forms_agree(integers, dropout, rng):
    x = rng.integers(0, D, (N, T)) if integers else rng.standard_normal((N, T, D))
    start = [rng.standard_normal((N, H)) for _ in range(2)]
    found = []
    for form in FORMS:
        model = randomised(LSTM(D, H, form=form, rng=3, dropout=dropout), np.random.default_rng(4))
        nodes = [mg.TensorNode(part) for part in start]
        found.append(everything(model, x if integers else mg.TensorNode(x), nodes))
    agree(found[1], found[0])
    agree(found[2], found[0])


@pytest.mark.parametrize("masked", [False, True])
def test_second_and_third_derivatives_of_the_three_forms_agree(masked, rng):
    sizes = [(2, 3, 2), (2, 8), (8,), (2, 8), (2, 2), (2, 2)]  # x, W, b, U, h, c: three steps
    point = [rng.standard_normal(size) for size in sizes]
    ways = [[rng.standard_normal(size) for size in sizes] for _ in range(2)]
    mask = np.array([[2.0, 0.0], [2.0, 2.0]]) if masked else None
    found = []
    for run in mg.nn.recurrent.FORMS.values():

        def slope(i, *inputs, run=run):
            if i < 0:
                return weighted(run(*inputs, mask=mask))
            gradients = mg.vjp(lambda *xs: slope(i - 1, *xs), *inputs)[1](1.0)
            return sum((g * v).sum() for g, v in zip(gradients, ways[i], strict=True))

        found.append(mg.vjp(lambda *xs: slope(1, *xs), *point)[1](1.0))  # ∇(∇(∇φ · u) · v)
        found[-1] += mg.vjp(lambda *xs: slope(0, *xs), *point)[1](1.0)
    agree(found[1], found[0])
    agree(found[2], found[0])


def test_the_ops_pass_gradcheck(rng):
    sizes = [(2, 3, 2), (2, 8), (8,), (2, 8), (2, 2), (2, 2)]
    x, W, b, U, h, c = inputs = [rng.standard_normal(size) for size in sizes]
    z, mask = rng.standard_normal((2, 8)), 2.0 * (h > 0)
    assert mg.gradcheck(Remember, *inputs)
    assert mg.gradcheck(lambda *inputs: Remember.do_forward(*inputs, mask=mask), *inputs)
    assert mg.gradcheck(Step, z, U, h, c)
    assert mg.gradcheck(lambda x: Split.do_forward(x, width=2)[1], z)


def test_an_lstm_by_hand():
    """One number, two steps, in plain Python."""
    model = LSTM(1, 1, rng=0)
    g, i, f, o = 0.5, -0.3, 0.8, 0.2
    model.input.weight.value = np.array([[g, i, f, o]])
    model.recurrent.value = np.array([[0.1, 0.2, 0.3, 0.4]])
    model.input.bias.value = np.array([0.0, 0.1, 1.0, -0.1])
    s = lambda x: 1.0 / (1.0 + np.exp(-x))
    c = s(i * 2.0 + 0.1) * np.tanh(g * 2.0)
    h = s(o * 2.0 - 0.1) * np.tanh(c)
    c2 = s(f + 0.3 * h + 1.0) * c + s(i + 0.2 * h + 0.1) * np.tanh(g + 0.1 * h)
    h2 = s(o + 0.4 * h - 0.1) * np.tanh(c2)
    outputs, last_h, last_c = model(np.array([[[2.0], [1.0]]]))
    assert outputs.value.ravel() == pytest.approx([h, h2], abs=1e-15)
    assert (last_h.item(), last_c.item()) == (pytest.approx(h2), pytest.approx(c2))


def test_an_integer_is_a_row_with_one_one(rng):
    x = rng.integers(0, D, (N, T))
    for model in RNN(D, H, rng=0), LSTM(D, H, rng=0):
        start = state(model.parts, np.random.default_rng(1))
        found = everything(model, x, start)
        model.zero_grad()
        start = state(model.parts, np.random.default_rng(1))
        agree(found, everything(model, np.eye(D)[x], start))


def test_dropout_treats_an_integer_as_that_row(rng):
    x = rng.integers(0, D, (N, T))
    one, other = (LSTM(D, H, rng=5, dropout=0.5)(given)[0].value for given in (x, np.eye(D)[x]))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("make", [RNN, LSTM])
def test_in_two_parts_as_in_one(make, rng):
    model, x = make(D, H, rng=0), rng.standard_normal((N, T, D))
    whole, *last = model(x)
    first, *middle = model(x[:, :3])
    second, *end = model(x[:, 3:], *middle)
    agree([np.concatenate([first.value, second.value], 1)], [whole.value])
    agree([part.value for part in end], [part.value for part in last])
    assert np.array_equal(whole.value[:, -1], last[0].value)


def test_the_same_entries_are_dropped_at_every_step_and_none_in_use(rng):
    model = RNN(D, H, activation=lambda z: z, rng=0, dropout=0.5)
    model.recurrent.value = np.zeros((H, H))
    same = np.repeat(rng.standard_normal((N, 1, D)), T, axis=1)
    outputs = model(same)[0].value
    assert np.array_equal(outputs, np.repeat(outputs[:, :1], T, axis=1))  # as they were all alike
    assert not np.array_equal(outputs, model(same)[0].value)  # another draw
    model.eval()
    assert np.array_equal(model(same)[0].value, model(same)[0].value)
    assert model(same)[0].value == pytest.approx(same @ model.input.weight.value)


def test_dropout_reaches_the_state(rng):
    """With x = 0 and h₀ = 1 all there is in h₁ comes through U, from what was not dropped of h₀."""
    model = RNN(D, H, activation=lambda z: z, rng=0, dropout=0.5)
    model.recurrent.value = np.eye(H)
    h = model(np.zeros((200, 1, D)), np.ones((200, H)))[1].value
    assert set(np.unique(h)) == {0.0, 2.0}
    assert 0.4 < np.mean(h == 0.0) < 0.6


@pytest.mark.parametrize("form", FORMS)
def test_float32_stays_float32(form, rng):
    for x in rng.standard_normal((N, T, D)).astype(np.float32), rng.integers(0, D, (N, T)):
        model = LSTM(D, H, form=form, rng=0, dtype=np.float32, dropout=0.2)
        found = model(x)
        assert {y.dtype for y in found} == {np.dtype("f4")}
        weighted([y.mean() for y in found]).backward()
        assert {p.grad.dtype for p in model.parameters()} == {np.dtype("f4")}


def test_the_seed_decides_and_the_forget_gate_begins_open():
    one, same, other = (LSTM(D, H, rng=seed).state_dict() for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["recurrent"], other["recurrent"])
    assert one["input.bias"].tolist() == [0] * 2 * H + [1] * H + [0] * H


def test_through_a_file(tmp_path, rng):
    x, model, other = rng.integers(0, D, (N, T)), LSTM(D, H, rng=0), LSTM(D, H, rng=1, form="gates")
    other.load_state_dict(load(save(model, tmp_path / "lstm.npz")))
    agree([y.value for y in model(x)], [y.value for y in other(x)])


@pytest.mark.parametrize("form", FORMS)
def test_a_copy_computes_the_same(form, rng):
    x, model = rng.standard_normal((N, T, D)), LSTM(D, H, form=form, rng=0)
    agree([y.value for y in pickle.loads(pickle.dumps(model))(x)], [y.value for y in model(x)], 0)


def test_a_sequence_is_few_ops_and_gates_are_many(rng):
    counts = {}
    for form in FORMS:
        model = LSTM(D, H, form=form, rng=0)
        counts[form] = len(mg.wengert_list(weighted(model(rng.standard_normal((N, T, D))))))
    assert counts["sequence"] < counts["step"] < counts["gates"] / 2


def test_a_cell_of_your_own_can_be_unrolled(rng):
    """One that counts: the state after each step is the sum of all z so far."""
    x, zeros = rng.standard_normal((2, 3, 2)), np.zeros((2, 2))
    hs, h = unroll(lambda z, U, h: [h + z], mg.TensorNode(x), np.eye(2), np.ones(2), zeros, zeros)
    assert hs.value == pytest.approx(np.cumsum(x + 1.0, axis=1))
    assert np.array_equal(h.value, hs.value[:, -1])


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: LSTM(5, 6)(np.ones((3, 5))), ["LSTM", "(3, 5)", "(n, T, 5)"]),
        (lambda: RNN(5, 6)(np.ones((3, 4, 6))), ["RNN", "(3, 4, 6)", "(n, T, 5)"]),
        (lambda: RNN(5, 6)(np.ones((3, 0, 5))), ["(3, 0, 5)"]),
        (lambda: LSTM(5, 6)(np.full((3, 4), 5)), ["most 5", "from 0 to 4"]),
        (lambda: LSTM(5, 6)(np.full((3, 4), -1)), ["least -1", "from 0 to 4"]),
        (lambda: LSTM(5, 6)(np.ones((3, 4, 5), int)), ["'int64', x (3, 4, 5)"]),
        (lambda: LSTM(5, 6)(np.ones((3, 4, 5)), np.ones((3, 6))), ["[(3, 6)]", "2 of (3, 6)"]),
        (lambda: RNN(5, 6)(np.ones((3, 4, 5)), np.ones((4, 6))), ["[(4, 6)]", "1 of (3, 6)"]),
        (lambda: LSTM(5, 6, form="fast"), ["'fast'", "'sequence'"]),
        (lambda: LSTM(5, 0), ["n_out 0"]),
        (lambda: LSTM(5, 6, dropout=1.0), ["rate 1.0", "rate < 1"]),
        (lambda: RNN(5, 6, init="xavier"), ["'xavier'", "'glorot'"]),
    ],
)
def test_bad_input_gets_an_error_that_teaches(wrong, words):
    with pytest.raises(ValueError) as caught:
        wrong()
    for word in words:
        assert word in str(caught.value)


def test_a_list_of_integers_is_a_batch(rng):
    rnn = RNN(5, 3, rng=0)
    np.testing.assert_array_equal(rnn([[0, 4]])[1].value, rnn(np.array([[0, 4]]))[1].value)
