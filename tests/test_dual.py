"""Dual numbers by themselves, without the walk backwards that `jvp` can fall back on."""

import numpy as np
import pytest

import minigrad as mg


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return mg.Dual(rng.normal(size=(2, 3)), rng.normal(size=(2, 3)))


@pytest.mark.parametrize("choose, where", [(np.max, np.argmax), (np.min, np.argmin)])
def test_the_axis_of_an_extreme_by_name_or_by_position(x, choose, where):
    expected = np.take_along_axis(x.tangent, where(x.primal, 0, keepdims=True), 0)
    np.testing.assert_array_equal(choose(x, 0).tangent, expected[0])
    np.testing.assert_array_equal(choose(x, axis=0, keepdims=True).tangent, expected)


def test_constants_beside_a_dual_stand_still():
    stacked = np.stack([mg.Dual(1.0, 5.0), 3.0])
    np.testing.assert_array_equal(stacked.tangent, [5, 0])
    joined = np.concatenate([mg.Dual(np.ones(2), np.ones(2)), [3.0], np.array([4.0])])
    np.testing.assert_array_equal(joined.tangent, [1, 1, 0, 0])


@pytest.mark.parametrize(
    "f",
    [
        np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum,
        lambda x, y: np.where(np.array([True, False]), x, y),
        lambda x, y: np.reshape(x, (1, 2)) @ np.reshape(y, (2, 1)),
    ],
)  # fmt: skip
def test_a_constant_is_a_dual_that_stands_still(f):
    x, y = np.array([2.0, 3.0]), np.array([5.0, 0.5])
    direction = np.array([1.0, -2.0])
    for constant in (y, y[0]):
        if np.ndim(constant) or isinstance(f, np.ufunc):
            left, right = mg.Dual(x, direction), mg.Dual(constant)
            np.testing.assert_array_equal(f(left, constant).tangent, f(left, right).tangent)
            np.testing.assert_array_equal(f(constant, left).tangent, f(right, left).tangent)


@pytest.mark.parametrize("at", [np.inf, -np.inf])
@pytest.mark.parametrize(
    "f, slope",
    [
        (lambda z: z * 2.0, 2.0),
        (lambda z: np.ones(()) * 2.0 * z, 2.0),
        (lambda z: z / 2.0, 0.5),
        (lambda z: 3.0 - z, -1.0),
        (lambda z: z - 3.0, 1.0),
        (lambda z: 1.0 / z, 0.0),
    ],
)
def test_a_constant_stands_still_even_beside_infinity(f, slope, at):
    with np.errstate(invalid="ignore"):
        assert mg.jvp(f, (at,), (1.0,))[1] == slope
        assert mg.grad(f)(at) == slope
        many = mg.jvp(f, (np.full(3, at),), (np.ones(3),))[1]
    np.testing.assert_array_equal(many, np.full(3, slope))


def test_a_dual_is_as_true_and_as_long_as_its_primal(x):
    assert not mg.Dual(0.0, 1.0)
    assert mg.Dual(2.0, 0.0)
    assert len(x) == 2
    assert [row.shape for row in x] == [(3,), (3,)]


def test_axes_move_with_their_tangents(x):
    np.testing.assert_array_equal(np.moveaxis(x, 0, 1).tangent, x.tangent.T)
    np.testing.assert_array_equal(x.mT.tangent, x.tangent.T)
    np.testing.assert_array_equal((-x).tangent, -x.tangent)
    np.testing.assert_array_equal((+x).tangent, x.tangent)


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2.0), np.int64(2)], ids=repr)
def test_a_number_leaves_float32_as_it_is(number):
    y = number * mg.Dual(np.ones(3, np.float32), np.ones(3, np.float32)) ** number
    assert y.primal.dtype == y.tangent.dtype == np.float32


def test_a_function_without_a_rule_is_named(x):
    with pytest.raises(TypeError, match="no rule for np.cumsum"):
        np.cumsum(x)
