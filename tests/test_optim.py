"""SGD with momentum: numbers worked by hand, PyTorch's where it is installed, and its refusals."""

import math
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad.optim import (
    SGD,
    Adam,
    Optimiser,
    clip_by_norm,
    clip_by_value,
    cosine,
    linear,
    step_decay,
)


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


# Settings of ours, PyTorch's optimiser, and its settings.
PEERS = {
    "plain": (lambda p: SGD(p, 0.05), "SGD", {"lr": 0.05}),
    "momentum": (lambda p: SGD(p, 0.05, 0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    "nesterov": (
        lambda p: SGD(p, 0.01, 0.9, nesterov=True),
        "SGD",
        {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    ),
    "coupled decay": (
        lambda p: SGD(p, 0.05, 0.8, decay=0.3),
        "SGD",
        {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.3},
    ),
    "nesterov with decay": (
        lambda p: SGD(p, 0.01, 0.8, nesterov=True, decay=0.3),
        "SGD",
        {"lr": 0.01, "momentum": 0.8, "weight_decay": 0.3, "nesterov": True},
    ),
    "Adam": (lambda p: Adam(p), "Adam", {}),
    "Adam with other settings": (
        lambda p: Adam(p, 0.1, beta1=0.5, beta2=0.9, epsilon=1e-3),
        "Adam",
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3},
    ),
    "AdamW": (
        lambda p: Adam(p, 0.1, decay=0.2),
        "AdamW",
        {"lr": 0.1, "weight_decay": 0.2},
    ),
}


def twenty_steps_beside_pytorch(ours_of, name, settings, clip=None, dtype=np.float64):
    """The parameters, ours and PyTorch's, after twenty steps on Σ (w − target)⁴."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(dtype) for shape in ((3, 2), (2,), ())]
    targets = [rng.normal(size=start.shape).astype(dtype) for start in starts]
    ours = [mg.TensorNode(start) for start in starts]
    theirs = [torch.tensor(start, requires_grad=True) for start in starts]
    optimisers = ours_of(ours), getattr(torch.optim, name)(theirs, **settings)
    for _ in range(20):
        for nodes, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad()
            losses = [
                (((node - (target if nodes is ours else torch.tensor(target))) ** 4).sum())
                for node, target in zip(nodes, targets, strict=True)
            ]
            sum(losses[1:], losses[0]).backward()
            if clip is not None:
                clip(nodes, torch if nodes is theirs else None)
            optimiser.step()
    return [node.value for node in ours], [peer.detach().numpy() for peer in theirs]


@pytest.mark.parametrize("case", PEERS)
def test_against_pytorch(case):
    ours, theirs = twenty_steps_beside_pytorch(*PEERS[case])
    for mine, peer in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(peer, abs=1e-12)


def test_clipping_by_value_against_pytorch():
    def clip(nodes, torch):
        (torch.nn.utils.clip_grad_value_ if torch else clip_by_value)(nodes, 0.3)

    ours, theirs = twenty_steps_beside_pytorch(*PEERS["momentum"], clip=clip)
    for mine, peer in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(peer, abs=1e-12)


def test_clipping_by_norm_against_pytorch():
    """PyTorch divides by the norm + 1e-6; with the limit that makes up for it, the same numbers."""
    norms = {}

    def clip(nodes, torch):
        if torch:
            norm = torch.sqrt(sum((node.grad**2).sum() for node in nodes)).item()
            norms.setdefault("theirs", []).append(
                torch.nn.utils.clip_grad_norm_(nodes, 0.5 * (norm + 1e-6) / norm).item()
            )
        else:
            norms.setdefault("ours", []).append(clip_by_norm(nodes, 0.5))

    ours, theirs = twenty_steps_beside_pytorch(*PEERS["plain"], clip=clip)
    assert norms["ours"] == pytest.approx(norms["theirs"], abs=1e-10)
    assert max(norms["ours"]) > 5.0  # it did cut
    for mine, peer in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(peer, abs=1e-12)


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


@pytest.mark.parametrize("shape", [(3,), ()])
@pytest.mark.parametrize(
    "make",
    [
        lambda p, n: SGD(p, n(0.1), n(0.9), nesterov=True, decay=n(0.1)),
        lambda p, n: SGD(p, lambda step: n(0.1)),
        lambda p, n: Adam(p, n(0.1), n(0.9), n(0.99), n(1e-8), n(0.1)),
    ],
)
def test_float32_stays_float32_whatever_kind_of_number_a_setting_is(make, shape):
    w = mg.TensorNode(np.ones(shape, np.float32))
    optimiser = make([w], np.float64)
    optimiser.momentum = optimiser.decay = np.float64(0.5)  # nor when it is changed later
    for clip in clip_by_value, clip_by_norm:
        np.sum(w * w).backward()
        clip([w], np.float64(0.1))
        assert w.grad.dtype == np.float32
        optimiser.step()
    assert w.value.dtype == np.float32
    assert all(a.dtype == np.float32 for n, a in optimiser.state_dict().items() if n != "steps")


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
@pytest.mark.parametrize("make", [lambda p: SGD(p, 0.1, 0.9), Adam])
def test_a_gradient_that_is_not_finite_is_named_and_nothing_moves(make, bad):
    first, second = mg.TensorNode(np.ones(2)), mg.TensorNode(np.ones((2, 3)))
    optimiser = make([first, second])
    (np.sum(first) + np.sum(second)).backward()
    optimiser.step()
    before, there = optimiser.state_dict(), first.value
    spoilt = np.ones((2, 3))
    spoilt[1, 1] = bad
    (np.sum(first) + np.sum(second * spoilt)).backward()
    gradient = first.grad.tolist()
    for act in (
        optimiser.step,
        lambda: clip_by_value([first, second], 0.1),
        lambda: clip_by_norm([first, second], 0.1),
    ):
        with pytest.raises(ValueError, match=r"parameter 1, gradient \(2, 3\)"):
            act()
    assert first.value is there and first.grad.tolist() == gradient
    for name, array in optimiser.state_dict().items():
        assert np.array_equal(array, before[name]), name


@pytest.mark.parametrize("rate", [lambda step: math.nan, lambda step: -1.0, lambda step: None])
def test_a_schedule_that_gives_no_rate_is_refused_and_nothing_moves(rate):
    w = mg.TensorNode(1.0)
    optimiser = SGD([w], lambda step: rate(step) if step else 0.1)
    for position in range(2):
        (w * w).backward()
        if position:
            with pytest.raises(ValueError, match="rate (nan|-1.0|None)"):
                optimiser.step()
        else:
            optimiser.step()
    assert w.value == pytest.approx(0.8) and optimiser.steps == 1


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
        (lambda: SGD([], 0.1), ValueError, r"parameters \[\]"),
        (lambda: SGD([np.ones(3)], 0.1), TypeError, "parameter 0"),
        (lambda: SGD([mg.TensorNode(1.0) * 2.0], 0.1), TypeError, "leaf"),
        (lambda: SGD([mg.TensorNode(1.0)], -0.1), ValueError, "rate -0.1"),
        (lambda: SGD([mg.TensorNode(1.0)], np.nan), ValueError, "rate nan"),
        (
            lambda: SGD([mg.TensorNode(1.0)], np.float64(-0.25)),
            ValueError,
            r"-0\.25.*0 <= rate < inf",
        ),
        (lambda: SGD([mg.TensorNode(1.0)], 0.1, 1.0), ValueError, "momentum 1.0"),
        (lambda: SGD([mg.TensorNode(1.0)], "0.1"), ValueError, "rate '0.1'"),
        (lambda: SGD([mg.TensorNode(1.0)], 0.1, decay=-0.1), ValueError, "decay -0.1"),
        (lambda: Adam([mg.TensorNode(1.0)], beta2=1.0), ValueError, "beta2 1.0"),
        (lambda: Adam([mg.TensorNode(1.0)], beta1=(0.9, 0.99)), ValueError, "beta1 "),
        (lambda: SGD([mg.TensorNode(1.0)], 0.1).step(), ValueError, r"loss.backward\(\)"),
        (lambda: clip_by_norm([mg.TensorNode(1.0)], 1.0), ValueError, r"loss.backward\(\)"),
        (lambda: clip_by_norm([], 1.0), ValueError, "grad None"),
        (lambda: clip_by_norm([mg.TensorNode(1.0)], np.nan), ValueError, "limit nan"),
        (lambda: clip_by_value([mg.TensorNode(1.0)], -1.0), ValueError, "limit -1.0"),
    ],
)
def test_bad_input_gets_an_error_that_teaches(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()


def quadratic(optimiser, w, curvatures, close=1e-3, most=2000):
    """Steps on Σ cᵢ wᵢ² / 2, whose minimum is 0, until |w| has come down to the share `close`."""
    far = np.linalg.norm(w.value)
    for count in range(1, most):
        optimiser.zero_grad()
        (np.sum(curvatures * w * w) * 0.5).backward()
        optimiser.step()
        if np.linalg.norm(w.value) <= close * far:
            return count


def test_a_long_valley_takes_as_many_steps_as_the_mathematics_says():
    """Curvatures 1 and κ = 100, from (1, 1).

    Plain, with the best rate 2 / (1 + κ), each entry shrinks by (κ − 1) / (κ + 1) = 0.980 a step:
    the 346th is the first that leaves less than a thousandth. With momentum, and the best settings
    of that, each entry follows w(n + 1) = (1 + μ − αc) w(n) − μ w(n − 1), both roots of which have
    the size √μ = (√κ − 1) / (√κ + 1) = 0.818; at c = 1 and at c = κ they are a double root.
    """
    curvatures, kappa = np.array([1.0, 100.0]), 100.0
    w = mg.TensorNode(np.ones(2))
    plain = quadratic(SGD([w], 2.0 / (1.0 + kappa)), w, curvatures)
    assert plain == math.ceil(math.log(1e-3) / math.log((kappa - 1.0) / (kappa + 1.0))) == 346
    root = (kappa**0.5 - 1.0) / (kappa**0.5 + 1.0)
    w = mg.TensorNode(np.ones(2))
    with_momentum = quadratic(SGD([w], (2.0 / (1.0 + kappa**0.5)) ** 2, root**2), w, curvatures)

    # A double root r, |r| = √μ, from w(0) = 1 and w(1) = 1 − αc: w(n) = (1 + n (w(1) / r − 1)) rⁿ
    def entry(n, c, r):
        return (1.0 + n * ((1.0 - (2.0 / (1.0 + kappa**0.5)) ** 2 * c) / r - 1.0)) * r**n

    exact = (
        n
        for n in range(1, 200)
        if math.hypot(entry(n, 1, root), entry(n, 100, -root)) <= 1e-3 * 2**0.5
    )
    assert with_momentum == next(exact)
    assert with_momentum < plain / 5
    # Best in the long run is not best over so few steps: found by trying, ten times fewer.
    w = mg.TensorNode(np.ones(2))
    assert quadratic(SGD([w], 0.028, 0.72), w, curvatures) == 35


def test_clipping_the_gradient_3_2():
    def clipped(clip):
        w = mg.TensorNode(np.zeros(2))
        np.sum(w * np.array([3.0, 2.0])).backward()
        return clip([w], 1.0), w.grad

    _, by_value = clipped(clip_by_value)
    norm, by_norm = clipped(clip_by_norm)
    angle = lambda g: math.degrees(math.atan2(3.0, 2.0) - math.atan2(g[0], g[1]))
    assert by_value.tolist() == [1.0, 1.0] and angle(by_value) == pytest.approx(11.31, abs=0.01)
    assert norm == pytest.approx(13**0.5)
    assert by_norm == pytest.approx(np.array([3.0, 2.0]) / 13**0.5)
    assert angle(by_norm) == pytest.approx(0.0, abs=1e-12)


def test_clipping_leaves_small_gradients_and_shares_one_factor():
    x, y, unused = mg.TensorNode(np.zeros(2)), mg.TensorNode(0.0), mg.TensorNode(np.zeros((0, 3)))
    (np.sum(x * np.array([2.0, 3.0])) + 6.0 * y).backward()
    assert clip_by_norm([x, y, unused, x], 7.5) == pytest.approx(7.0)  # shared, and counted once
    assert x.grad.tolist() == [2.0, 3.0] and y.grad == 6.0
    assert clip_by_norm([x, y, unused, x], 3.5) == pytest.approx(7.0)
    assert x.grad.tolist() == [1.0, 1.5] and y.grad == 3.0
    assert clip_by_norm([x, y], 0.0) == pytest.approx(3.5) and y.grad == 0.0


@pytest.mark.parametrize("dtype, size", [(np.float32, 1e25), (np.float64, 1e200), (float, 1e-200)])
def test_the_norm_neither_overflows_nor_underflows(dtype, size):
    w = mg.TensorNode(np.zeros(2, dtype))
    np.sum(w * np.array([3 * size, 4 * size], dtype)).backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clip_by_norm([w], min(size, 1.0)) == pytest.approx(5 * size, rel=1e-6)
    assert w.grad == pytest.approx(np.array([0.6, 0.8]) * min(size, 1.0), rel=1e-6)


def test_the_first_step_of_adam_has_the_size_of_the_rate():
    w = mg.TensorNode(np.zeros(3))
    np.sum(w * np.array([1e-3, -1.0, 1e3])).backward()
    Adam([w], 0.1).step()
    assert w.value == pytest.approx([-0.1, 0.1, -0.1], rel=1e-4)


def test_decoupled_decay_shrinks_by_one_factor_whatever_the_gradient():
    plain, decayed = (mg.TensorNode(np.array([2.0, 2.0])) for _ in range(2))
    for w, decay in (plain, 0.0), (decayed, 0.5):
        np.sum(w * np.array([1e-3, 1e3])).backward()
        Adam([w], 0.1, decay=decay).step()
    assert plain.value - decayed.value == pytest.approx([0.1, 0.1])  # 0.1 · 0.5 · 2


def test_schedules():
    assert [linear(0.4, 4)(n) for n in (0, 1, 4, 9)] == pytest.approx([0.4, 0.3, 0.0, 0.0])
    assert linear(0.4, 4, last=0.2)(2) == pytest.approx(0.3)
    assert [step_decay(1.0, 10)(n) for n in (0, 9, 10, 25)] == pytest.approx([1, 1, 0.1, 0.01])
    wave = [cosine(1.0, 12, warmup=4, last=0.1)(n) for n in (0, 1, 3, 4, 8, 12, 99)]
    assert wave == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.55, 0.1, 0.1])
    assert cosine(1.0, 4)(2) == pytest.approx(0.5) and cosine(1.0, 4)(0) == 1.0


@pytest.mark.parametrize("make", [lambda p, rate: SGD(p, rate), lambda p, rate: Adam(p, rate)])
def test_any_optimiser_takes_its_rate_from_a_function_of_the_step(make):
    seen, path = [], {}
    for name, rate in ("number", 0.1), ("function", lambda n: seen.append(n) or 0.1 * 0.5**n):
        w = mg.TensorNode(0.0)
        optimiser, path[name] = make([w], rate), [0.0]
        seen.clear()
        for _ in range(3):
            optimiser.zero_grad()
            (w * 1.0).backward()
            optimiser.step()
            path[name].append(w.item())
    assert seen == [0, 1, 2]
    assert np.diff(path["number"]) == pytest.approx([-0.1] * 3, rel=1e-6)
    assert np.diff(path["function"]) == pytest.approx([-0.1, -0.05, -0.025], rel=1e-6)


@pytest.mark.parametrize("make", [lambda p: SGD(p, 0.01, 0.9), lambda p: Adam(p, cosine(0.1, 9))])
def test_a_restored_optimiser_goes_on_as_if_nothing_had_been(make):
    def steps(optimiser, w, count):
        for _ in range(count):
            optimiser.zero_grad()
            np.sum(w**4).backward()
            optimiser.step()

    start = np.random.default_rng(0).normal(size=(3, 2))
    straight, halved = mg.TensorNode(start), mg.TensorNode(start)
    steps(make([straight]), straight, 7)
    first = make([halved])
    steps(first, halved, 3)
    state = first.state_dict()
    there = mg.TensorNode(halved.value)
    second = make([there])
    second.load_state_dict(state)
    steps(second, there, 4)
    assert np.array_equal(there.value, straight.value)
    assert int(state["steps"]) == 3  # a copy: the steps after it have not changed it
    with pytest.raises(ValueError, match="steps: nothing; expected"):
        second.load_state_dict({})
    other = make([mg.TensorNode(np.ones(5))])
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        other.load_state_dict(state)
    assert other.steps == 0


def test_an_optimiser_of_ones_own():
    class Sign(Optimiser):
        def direction(self, i, w, g):
            return np.sign(g)

    w = mg.TensorNode(np.array([3.0, -2.0]))
    optimiser = Sign([w], 0.5)
    np.sum(w * w).backward()
    optimiser.step()
    assert w.value.tolist() == [2.5, -1.5]
    assert "parameter 0 is 1.0" in str(pytest.raises(TypeError, Sign, [1.0], 0.5).value)


@pytest.mark.parametrize("schedule", [lambda: linear(0.1, 0), lambda: step_decay(0.1, 0)])
def test_a_schedule_of_no_steps_is_refused(schedule):
    with pytest.raises(ValueError, match="1 step or more"):
        schedule()


def test_a_warmup_leaves_steps_to_come_down_in():
    with pytest.raises(ValueError, match="0 <= warmup < steps"):
        cosine(0.1, steps=5, warmup=5)
