"""BatchNorm, LayerNorm, Dropout, Residual, Attention."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.interop import load, save
from minigrad.nn import Attention, BatchNorm, Dropout, LayerNorm, Linear, Module, Residual


def randomised(model, rng):
    for parameter in model.parameters():
        parameter.value = rng.standard_normal(parameter.shape)
    return model


def same_as(peer_module, model, xs, torch, peer, rng):
    """Values and all gradients of a module are those of PyTorch's, at the inputs xs."""
    nodes, tensors = [mg.TensorNode(x) for x in xs], [torch.tensor(x) for x in xs]
    y, ty = model(*nodes), peer(*[t.requires_grad_() for t in tensors])
    cotangent = rng.standard_normal(y.shape)
    y.backward(cotangent)
    ty.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(y.value, ty.detach().numpy(), rtol=1e-10, atol=1e-12)
    leaves = [*nodes, *model.parameters()]
    peers = [*tensors, *(peer_module.parameters() if peer_module else ())]
    for leaf, other in zip(leaves, peers, strict=True):
        np.testing.assert_allclose(leaf.grad, other.grad.numpy(), rtol=1e-10, atol=1e-11)


def copied(model, peer, torch):
    with torch.no_grad():
        for node, tensor in zip(model.parameters(), peer.parameters(), strict=True):
            tensor.copy_(torch.tensor(node.value))
    return peer


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)])
def test_batchnorm_is_pytorchs_in_training_and_in_use(shape, rng):
    torch = pytest.importorskip("torch")
    model = randomised(BatchNorm(3), rng)
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    peer = copied(model, kind(3).double(), torch)
    for _ in range(3):
        same_as(peer, model, [3.0 + 2.0 * rng.standard_normal(shape)], torch, peer, rng)
        model.zero_grad()
        peer.zero_grad()
    np.testing.assert_allclose(model.mean, peer.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(model.variance, peer.running_var.numpy(), rtol=1e-12)
    model.eval(), peer.eval()
    same_as(peer, model, [rng.standard_normal(shape)], torch, peer, rng)


def test_batchnorm_gives_each_feature_mean_0_and_variance_1_and_then_keeps_its_state(rng):
    model, x = BatchNorm(3, momentum=1.0, epsilon=0.0), 5.0 + 7.0 * rng.standard_normal((50, 3))
    y = model(x).value
    assert y.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert y.var(axis=0) == pytest.approx(np.ones(3))
    state = model.eval().state_dict()
    one = model(x[:1]).value
    assert one == pytest.approx((x[:1] - x.mean(axis=0)) / x.std(axis=0, ddof=1))
    assert all(np.array_equal(array, model.state_dict()[name]) for name, array in state.items())


def test_the_state_of_batchnorm_goes_through_a_file(tmp_path, rng):
    model, other = BatchNorm(3), BatchNorm(3)
    model(rng.standard_normal((9, 3)))
    assert list(model.state_dict()) == ["weight", "bias", "mean", "variance"]
    other.load_state_dict(load(save(model, tmp_path / "a.safetensors")))
    assert np.array_equal(model.mean, other.mean) and other.mean.any()
    assert [name for name, _ in model.named_parameters()] == ["weight", "bias"]


def test_an_evaluation_before_backward_does_not_disturb_it(rng):
    """The running state is replaced, not changed in place: recorded lists hold the old one."""
    model, x = BatchNorm(3), rng.standard_normal((9, 3))
    y = model.eval()(x)
    model.train()(x)
    y.backward()  # strict mode would complain


def test_the_buffers_follow_a_batch_once_also_where_the_layer_runs_twice(rng):
    """In a checkpoint the first run is without a record; `jvp` tries dual numbers first."""
    x, v = rng.standard_normal((2, 9, 3))
    gradient = lambda f: mg.grad(lambda x: np.sum(f(x) ** 3))(x)
    tangent = lambda f: mg.jvp(lambda x: f(x) ** 3, (x,), (v,))[1]
    once = BatchNorm(3)
    once(x)
    for derivative, wrap in (gradient, mg.checkpoint), (tangent, lambda f: f):
        model = BatchNorm(3)
        found = derivative(wrap(model))
        np.testing.assert_allclose(found, derivative(BatchNorm(3)), rtol=1e-12)
        with mg.no_grad():
            model(x)
        assert np.array_equal(model.mean, once.mean) and once.mean.any()
        assert np.array_equal(model.variance, once.variance)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (5,)])
def test_layernorm_is_pytorchs(shape, rng):
    torch = pytest.importorskip("torch")
    model = randomised(LayerNorm(5), rng)
    peer = copied(model, torch.nn.LayerNorm(5).double(), torch)
    same_as(peer, model, [rng.standard_normal(shape)], torch, peer, rng)


def test_gradcheck_to_the_second_order(rng):
    x = rng.standard_normal((4, 3))
    assert mg.gradcheck(lambda x: BatchNorm(3)(x), x)
    assert mg.gradcheck(lambda x: LayerNorm(3)(x), x)
    assert mg.gradcheck(lambda q, k, v: Attention()(q, k, v), x, x[::-1] * 0.5, x[:, :2] + 1.0)
    torch = pytest.importorskip("torch")
    v, tx = rng.standard_normal((4, 3)), torch.tensor(x, requires_grad=True)
    peer = torch.nn.BatchNorm1d(3).double()
    (g,) = torch.autograd.grad((peer(tx) ** 3).sum(), tx, create_graph=True)
    (expected,) = torch.autograd.grad((g * torch.tensor(v)).sum(), tx)
    found = mg.hvp(lambda x: np.sum(BatchNorm(3)(x) ** 3), x, v)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-10)


def test_dropout_drops_its_share_and_keeps_the_mean():
    x = mg.TensorNode(np.full((200, 100), 3.0))
    y = Dropout(0.25, rng=0)(x)
    assert set(np.unique(y.value)) == {0.0, 4.0}
    assert np.mean(y.value == 0.0) == pytest.approx(0.25, abs=0.01)
    y.backward()
    assert np.array_equal(x.grad, y.value / 3.0)


def test_dropout_is_nothing_in_use_or_at_rate_0():
    x = mg.TensorNode(np.ones((3, 4)))
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_the_seed_of_dropout_decides():
    x = np.ones((5, 50))
    one, same, other = Dropout(0.5, 0), Dropout(0.5, 0), Dropout(0.5, 1)
    first = one(x)
    assert np.array_equal(first, same(x)) and not np.array_equal(first, other(x))
    second = one(x)
    assert np.array_equal(second, same(x)) and not np.array_equal(first, second)


def test_higher_derivatives_go_through_one_draw(rng):
    """Ops are pure: a second derivative runs the ops again, and the mask is among their inputs."""
    x, v = rng.standard_normal((2, 4, 5))

    def f(x):
        return np.sum(Dropout(0.5, rng=3)(x) ** 3)

    mask = Dropout(0.5, rng=3).mask((4, 5), float)
    np.testing.assert_allclose(mg.hvp(f, x, v), 6.0 * x * v * mask**3, rtol=1e-12)


def test_a_checkpoint_takes_a_mask_as_an_input(rng):
    dropout, x = Dropout(0.5, rng=0), rng.standard_normal((4, 5))
    mask = dropout.mask(x.shape, x.dtype)
    f = mg.checkpoint(lambda x, mask: np.sin(x * mask))
    found = mg.grad(lambda x: f(x, mask).sum())(x)
    np.testing.assert_allclose(found, np.cos(x * mask) * mask, rtol=1e-12)


def test_a_checkpoint_that_would_draw_again_is_refused():
    dropout, x = Dropout(0.5, rng=0), mg.TensorNode(np.ones((4, 5)))
    y = mg.checkpoint(lambda x: dropout(x) * 2.0)(x)
    with pytest.raises(ValueError, match=r"another value when run again.*dropout\.mask"):
        y.backward()


def test_a_residual_block_passes_the_gradient_on(rng):
    block = Residual(Linear(3, 3, rng=0))
    block.f.weight.value = np.zeros((3, 3))
    x = mg.TensorNode(rng.standard_normal((2, 3)))
    y = block(x)
    assert np.array_equal(y.value, x.value)
    y.backward()
    assert np.array_equal(x.grad, np.ones((2, 3)))
    assert [name for name, _ in block.named_parameters()] == ["f.weight", "f.bias"]


def test_fifty_blocks_deep_the_gradient_is_alive(rng):
    class Deep(Module):
        def __init__(self, wrap):
            self.blocks = [wrap(Linear(8, 8, rng=seed, init="glorot")) for seed in range(50)]

        def forward(self, x):
            for block in self.blocks:
                x = np.tanh(block(x)) if isinstance(block, Linear) else block(x)
            return x

    x = {name: mg.TensorNode(rng.standard_normal((4, 8))) for name in ("plain", "residual")}
    Deep(lambda layer: layer)(x["plain"]).sum().backward()
    Deep(lambda layer: Residual(layer))(x["residual"]).sum().backward()
    assert np.abs(x["plain"].grad).max() < 0.1 < np.abs(x["residual"].grad).max()


def test_attention_is_pytorchs(rng):
    torch = pytest.importorskip("torch")
    q, k, v = (rng.standard_normal(shape) for shape in [(2, 4, 3), (2, 5, 3), (2, 5, 6)])
    peer = torch.nn.functional.scaled_dot_product_attention
    same_as(None, Attention(3**-0.5), [q, k, v], torch, peer, rng)
    unscaled = lambda q, k, v: peer(q, k, v, scale=1.0)
    same_as(None, Attention(), [q, k, v], torch, unscaled, rng)


def test_attention_by_loops_and_without_overflow(rng):
    Q, D = rng.standard_normal((4, 3)), rng.standard_normal((5, 3))
    expected = np.zeros((4, 3))
    for i, query in enumerate(Q):
        scores = [sum(query * document) for document in D]
        weights = [np.exp(s) / sum(np.exp(scores)) for s in scores]
        expected[i] = sum(w * document for w, document in zip(weights, D, strict=True))
    np.testing.assert_allclose(Attention()(Q, D), expected, rtol=1e-12)
    sharp = Attention(scale=1e6)(mg.TensorNode(Q), D)
    np.testing.assert_allclose(sharp.value, D[np.argmax(Q @ D.T, axis=1)], rtol=1e-12)
    sharp.backward()


@pytest.mark.parametrize("make", [BatchNorm, LayerNorm])
def test_float32_stays_float32(make, rng):
    model, x = make(3, dtype=np.float32), rng.standard_normal((4, 3)).astype(np.float32)
    for _ in range(2):
        y = model(x)
        y.backward()
        assert y.dtype == model.weight.grad.dtype == np.float32
        assert {array.dtype for array in model.state_dict().values()} == {np.dtype("f4")}
        model.eval()
    assert Dropout(0.3, rng=0)(x).dtype == np.float32
    assert Attention(np.float64(0.5))(mg.TensorNode(x), x).dtype == np.float32


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: BatchNorm(3)(np.ones((4, 5))), ["(4, 5)", "(batch, 3)"]),
        (lambda: BatchNorm(3)(np.ones((4, 3, 2))), ["(4, 3, 2)", "(batch, 3, H, W)"]),
        (lambda: BatchNorm(3)(np.ones((1, 3))), ["(1, 3)", "in training two numbers a feature"]),
        (lambda: LayerNorm(3)(np.ones((3, 4))), ["(3, 4)", "(…, 3)"]),
        (lambda: Dropout(1.0), ["rate 1.0", "rate < 1"]),
        (lambda: Dropout(-0.1), ["rate -0.1"]),
        (lambda: Residual(Linear(3, 4, rng=0))(np.ones((2, 3))), ["(2, 4)", "(2, 3)"]),
        (
            lambda: Attention()(np.ones((2, 3)), np.ones((4, 5))),
            ["queries (2, 3)", "keys (4, 5)", "(…, m, d)"],
        ),
        (lambda: Attention()(*np.ones((2, 2, 3)), np.ones((4, 3))), ["values (4, 3)"]),
    ],
)
def test_bad_input_gets_an_error_that_teaches(wrong, words):
    with pytest.raises(ValueError) as caught:
        wrong()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("x", [np.arange(4), np.arange(4, dtype=np.uint8)], ids=repr)
def test_dropout_of_what_is_no_array_of_floats_is_refused(x):
    """In integers 1 / (1 - rate) would be cut off, and the mean would not stay."""
    with pytest.raises(TypeError, match="Dropout was given dtype 'u?int.*floats"):
        Dropout(0.3, rng=0)(x)
