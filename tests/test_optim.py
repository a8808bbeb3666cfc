"""SGD with momentum: numbers worked by hand, PyTorch's where it is installed, and its refusals."""

import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad.optim import SGD


def descend(start, rate, momentum, steps):
    """w after each step on w², whose gradient is 2w."""
    w, path = mg.TensorNode(start), []
    optimiser = SGD([w], rate, momentum)
    for _ in range(steps):
        optimiser.zero_grad()
        (w * w).backward()
        optimiser.step()
        path.append(w.value.item())
    return path


def test_plain_descent_by_hand():
    # w - 0.1 · 2w = 0.8 w
    assert descend(1.0, 0.1, 0.0, 3) == pytest.approx([0.8, 0.64, 0.512])


def test_momentum_by_hand():
    # b: 2;  0.5·2 + 1.6 = 2.6;  0.5·2.6 + 1.08 = 2.38.   w: 1 − 0.2;  0.8 − 0.26;  0.54 − 0.238
    assert descend(1.0, 0.1, 0.5, 3) == pytest.approx([0.8, 0.54, 0.302])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_against_pytorch(momentum):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape) for shape in ((3, 2), (2,), ())]
    targets = [rng.normal(size=start.shape) for start in starts]
    ours = [mg.TensorNode(start) for start in starts]
    theirs = [torch.tensor(start, requires_grad=True) for start in starts]
    optimisers = SGD(ours, 0.05, momentum), torch.optim.SGD(theirs, lr=0.05, momentum=momentum)
    for _ in range(20):
        for nodes, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad()
            losses = [
                (((node - (target if nodes is ours else torch.tensor(target))) ** 4).sum())
                for node, target in zip(nodes, targets, strict=True)
            ]
            sum(losses[1:], losses[0]).backward()
            optimiser.step()
    for node, peer in zip(ours, theirs, strict=True):
        assert node.value == pytest.approx(peer.detach().numpy(), abs=1e-12)


def test_a_parameter_given_twice_moves_once():
    w = mg.TensorNode(1.0)
    optimiser = SGD([w, w], 0.1)
    (w * w).backward()
    optimiser.step()
    assert w.value == pytest.approx(0.8)


def test_rate_and_momentum_may_change_between_steps():
    w = mg.TensorNode(1.0)
    optimiser = SGD([w], 0.1)
    for rate, momentum, expected in (0.1, 0.0, 0.8), (0.5, 0.5, -0.5):  # b = 0.5 · 2 + 1.6 = 2.6
        optimiser.rate, optimiser.momentum = rate, momentum
        optimiser.zero_grad()
        (w * w).backward()
        optimiser.step()
        assert w.value == pytest.approx(expected)


def test_float32_stays_float32_whatever_kind_of_number_the_rate_is():
    w = mg.TensorNode(np.ones(3, np.float32))
    optimiser = SGD([w], np.float64(0.1), np.float64(0.9))
    np.sum(w * w).backward()
    optimiser.step()
    assert w.value.dtype == np.float32


@pytest.mark.relaxed  # strict mode is right to ask whether the new value was meant
def test_a_list_recorded_before_the_step_keeps_its_own_point():
    w = mg.TensorNode(np.array([3.0]))
    loss = np.sum(w * w)
    loss.backward()
    optimiser = SGD([w], 0.1)
    optimiser.step()
    optimiser.zero_grad()
    loss.backward()
    assert w.grad.tolist() == [6.0]  # 2w at 3, where the list was recorded, not at 2.4


def test_a_gradient_is_not_the_optimisers_to_change():
    w = mg.TensorNode(np.array([3.0]))
    optimiser = SGD([w], 0.1, 0.9)
    for _ in range(2):  # without zero_grad: 6, then 6 + 2 · 2.4
        np.sum(w * w).backward()
        optimiser.step()
    assert w.grad == pytest.approx([10.8])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_named_and_nothing_moves(bad):
    first, second = mg.TensorNode(np.ones(2)), mg.TensorNode(np.ones((2, 3)))
    optimiser = SGD([first, second], 0.1)
    spoilt = np.ones((2, 3))
    spoilt[1, 1] = bad
    (np.sum(first) + np.sum(second * spoilt)).backward()
    with pytest.raises(ValueError, match=r"1 of the 6 entries.*parameter 1, shape \(2, 3\)"):
        optimiser.step()
    assert first.value.tolist() == [1.0, 1.0]


def test_a_large_gradient_is_no_error():
    w = mg.TensorNode(np.array([1.0], np.float32))
    (np.sum(w) * 1e25).backward()  # its square overflows float32, the gradient itself does not
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SGD([w], 1e-25).step()
    assert w.value == pytest.approx([0.0])


@pytest.mark.parametrize(
    "wrong, error, words",
    [
        (lambda: SGD([], 0.1), ValueError, "no parameters"),
        (lambda: SGD([np.ones(3)], 0.1), TypeError, "parameter 0"),
        (lambda: SGD([mg.TensorNode(1.0) * 2.0], 0.1), TypeError, "leaf"),
        (lambda: SGD([mg.TensorNode(1.0)], -0.1), ValueError, "rate=-0.1"),
        (lambda: SGD([mg.TensorNode(1.0)], np.nan), ValueError, "rate=nan"),
        (lambda: SGD([mg.TensorNode(1.0)], 0.1, 1.0), ValueError, "momentum=1.0"),
        (lambda: SGD([mg.TensorNode(1.0)], 0.1).step(), ValueError, r"loss.backward\(\)"),
    ],
)
def test_bad_input_gets_an_error_that_teaches(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
