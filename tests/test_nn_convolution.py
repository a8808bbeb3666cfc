"""Conv2d and MaxPool2d: against PyTorch, by hand, and to the second derivative."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Conv2d, MaxPool2d
from minigrad.nn.convolution import Overlap, Windows

SETTINGS = [
    # size, stride, padding, image
    (3, 1, 0, (6, 7)),
    (3, 1, 1, (5, 5)),
    (3, 2, 0, (8, 7)),  # the last column is not reached
    (2, 3, 2, (5, 9)),
    (1, 1, 0, (3, 2)),
    (5, 1, 2, (3, 3)),  # the window is larger than the image without its zeros
]


@pytest.mark.parametrize("size, stride, padding, image", SETTINGS)
def test_a_convolution_is_pytorchs(size, stride, padding, image, rng):
    torch = pytest.importorskip("torch")
    layer = Conv2d(3, 4, size, stride, padding, rng=0)
    layer.bias.value = rng.standard_normal((4, 1))
    x = mg.TensorNode(rng.standard_normal((2, 3, *image)))
    y = layer(x)
    cotangent = rng.standard_normal(y.shape)
    y.backward(cotangent)
    leaves = [x, layer.weight, layer.bias]
    tx, tw, tb = (torch.tensor(leaf.value, requires_grad=True) for leaf in leaves)
    ty = torch.nn.functional.conv2d(tx, tw, tb.ravel(), stride=stride, padding=padding)
    ty.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(y.value, ty.detach().numpy(), rtol=1e-10, atol=1e-12)
    for leaf, peer in zip(leaves, (tx, tw, tb), strict=True):
        np.testing.assert_allclose(leaf.grad, peer.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "size, stride, image", [(2, None, (4, 6)), (2, None, (5, 7)), (3, 2, (7, 8))]
)
def test_the_largest_of_each_window_is_pytorchs(size, stride, image, rng):
    torch = pytest.importorskip("torch")
    x = mg.TensorNode(rng.standard_normal((2, 3, *image)))
    y = MaxPool2d(size, stride)(x)
    cotangent = rng.standard_normal(y.shape)
    y.backward(cotangent)
    tx = torch.tensor(x.value, requires_grad=True)
    ty = torch.nn.functional.max_pool2d(tx, size, stride)
    ty.backward(torch.tensor(cotangent))
    assert np.array_equal(y.value, ty.detach().numpy())
    np.testing.assert_allclose(x.grad, tx.grad.numpy(), rtol=1e-10)


def test_a_convolution_by_hand():
    """[1 2 3] seen through a window of two: 10·1 + 1·2, 10·2 + 1·3, plus the bias."""
    layer = Conv2d(1, 1, 2, rng=0)
    layer.weight.value = np.array([[[[10.0, 1.0], [0.0, 0.0]]]])
    layer.bias.value = np.array([[0.5]])
    image = np.array([[[[1.0, 2.0, 3.0], [9.0, 9.0, 9.0]]]])
    assert layer(image).value.tolist() == [[[[12.5, 23.5]]]]


def test_numbers_that_tie_share():
    x = mg.TensorNode(np.array([[[[1.0, 1.0], [0.0, 1.0]]]]))
    MaxPool2d(2)(x).backward()
    assert x.grad == pytest.approx(np.array([[[[1, 1], [0, 1]]]]) / 3)


def test_windows_one_way_and_the_other_are_each_others_adjoint(rng):
    for size, stride, padding, image in SETTINGS:
        constants = {"size": size, "stride": stride, "padding": padding}
        x = rng.standard_normal((2, 3, *image))
        y = Windows.do_forward(x, **constants)
        w = rng.standard_normal(y.shape)
        back = Overlap.do_forward(w, shape=x.shape, **constants)
        assert np.vdot(w, y) == pytest.approx(np.vdot(back, x))


def test_gradcheck(rng):
    layer = Conv2d(2, 3, 2, 2, 1, rng=0)
    x = rng.standard_normal((2, 2, 3, 4))
    assert mg.gradcheck(lambda x: layer(x), x)
    assert mg.gradcheck(lambda x: Windows.do_forward(x, size=2, stride=2, padding=1), x)
    y = rng.standard_normal((2, 2, 2, 2, 3, 1))
    back = dict(size=2, stride=2, padding=1, shape=(1, 2, 3, 5))
    assert mg.gradcheck(lambda y: Overlap.do_forward(y, **back), y)
    assert mg.gradcheck(lambda x: MaxPool2d(2)(x), x)


def test_second_derivatives_of_a_small_network_are_pytorchs(rng):
    torch = pytest.importorskip("torch")
    conv, pool = Conv2d(2, 3, 2, padding=1, rng=0), MaxPool2d(2)
    x, v = rng.standard_normal((2, 2, 2, 5, 4))
    found = mg.hvp(lambda x: np.sum(pool(np.tanh(conv(x))) ** 3), x, v)
    tx, tv = torch.tensor(x, requires_grad=True), torch.tensor(v)
    weight, bias = (torch.tensor(p.value) for p in (conv.weight, conv.bias))
    functional = torch.nn.functional
    y = functional.max_pool2d(torch.tanh(functional.conv2d(tx, weight, bias[:, 0], padding=1)), 2)
    (g,) = torch.autograd.grad((y**3).sum(), tx, create_graph=True)
    (expected,) = torch.autograd.grad((g * tv).sum(), tx)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10, atol=1e-10)


def test_float32_stays_float32_and_the_seed_decides(rng):
    x = rng.standard_normal((2, 3, 6, 6)).astype(np.float32)
    one, same, other = (Conv2d(3, 4, 3, rng=seed, dtype=np.float32) for seed in (0, 0, 1))
    y = MaxPool2d(2)(one(x))
    y.backward()
    assert y.dtype == one.weight.grad.dtype == one.bias.grad.dtype == np.float32
    assert np.array_equal(one.weight.value, same.weight.value)
    assert not np.array_equal(one.weight.value, other.weight.value)


def test_the_first_weights_know_how_many_pixels_a_window_sees():
    weight = Conv2d(16, 32, 5, rng=0).weight.value
    assert weight.var() == pytest.approx(2 / (16 * 25), rel=0.05)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: Conv2d(3, 4, 3)(np.ones((2, 6, 6, 3))), ["(2, 6, 6, 3)", "(n, 3, H, W)"]),
        (lambda: Conv2d(3, 4, 3)(np.ones((3, 6, 6))), ["(3, 6, 6)", "(n, 3, H, W)"]),
        (
            lambda: Conv2d(3, 4, 5, padding=1)(np.ones((2, 3, 2, 9))),
            ["(2, 3, 2, 9)", "cannot be larger"],
        ),
        (lambda: Conv2d(3, 4, 0), ["n_in 0", "at least 1"]),
        (lambda: Conv2d(3, 4, 3, stride=0)(np.ones((1, 3, 4, 4))), ["step cannot be zero"]),
        (lambda: Conv2d(3, 4, 3, padding=-1)(np.ones((1, 3, 5, 5))), ["negative"]),
        (lambda: Conv2d(3, 0, 3), ["n_out 0"]),
        (lambda: MaxPool2d(4)(np.ones((2, 3, 3, 9))), ["(2, 3, 3, 9)", "cannot be larger"]),
        (lambda: MaxPool2d(2)(np.ones((6, 6))), ["(6, 6)", "(n, c, H, W)"]),
    ],
)
def test_bad_input_gets_an_error_that_teaches(wrong, words):
    with pytest.raises(ValueError) as caught:
        wrong()
    for word in words:
        assert word in str(caught.value)
