"""The digits and their split, minibatches, toys; and the loop that trains on them."""

import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad.data import circles, digits, minibatches, moons, spirals, xor
from minigrad.nn import MLP
from minigrad.solutions import ReLU
from minigrad.train import evaluate, fit, over_seeds


def test_digits_are_scaled_split_by_class_and_never_in_both_parts():
    pytest.importorskip("sklearn")
    (X, y), (X_test, y_test) = digits()
    assert X.shape[1:] == (64,) and len(X) + len(X_test) == len(y) + len(y_test) == 1797
    assert X.min() == 0.0 and X.max() == 1.0
    of_each = np.bincount(y) + np.bincount(y_test)
    assert of_each.min() == 174 and of_each.max() == 183  # as scikit-learn's description says
    assert np.bincount(y_test) == pytest.approx(0.2 * of_each, abs=0.5)
    images = np.concatenate([X, X_test])
    assert len(np.unique(images, axis=0)) == 1797  # so an image in both parts would show here


def test_the_seed_of_the_split_decides_it():
    pytest.importorskip("sklearn")
    (X, _), _ = digits(seed=3)
    assert np.array_equal(X, digits(seed=3)[0][0])
    assert not np.array_equal(X, digits(seed=4)[0][0])
    assert digits(dtype=np.float32)[0][0].dtype == np.float32


def test_missing_scikit_learn_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        digits()


def test_an_epoch_shows_each_example_once_with_its_own_label():
    X, y = np.arange(10.0)[:, None], np.arange(10)
    batches = minibatches(X, y, 4, rng=0)
    orders = []
    for _ in range(3):
        seen = list(batches)
        assert [len(labels) for _, labels in seen] == [4, 4, 2]
        assert len(batches) == 3
        assert all(np.array_equal(rows[:, 0], labels) for rows, labels in seen)
        orders.append(np.concatenate([labels for _, labels in seen]).tolist())
        assert sorted(orders[-1]) == list(range(10))
    assert orders[0] != orders[1] != orders[2]
    again = [labels for _, labels in minibatches(X, y, 4, rng=0)]
    assert np.concatenate(again).tolist() == orders[0]


def test_lists_are_as_good_as_arrays():
    batches = list(minibatches([[1.0], [2.0], [3.0]], [0, 1, 2], 2, rng=0))
    assert sorted(float(x) - y for X, labels in batches for (x,), y in zip(X, labels)) == [1.0] * 3


def test_the_size_of_a_batch_may_change_within_an_epoch():
    batches, sizes = minibatches(np.zeros((10, 1)), np.zeros(10), 4, rng=0), []
    for _, labels in batches:
        sizes.append(len(labels))
        batches.size = 3
    assert sizes == [4, 3, 3]


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_bad_batches_are_refused_at_once(size):
    with pytest.raises(ValueError, match="size="):
        minibatches(np.zeros((4, 1)), np.zeros(4), size)


def test_unequal_lengths_are_refused_at_once():
    with pytest.raises(ValueError, match="4 examples and 3 labels"):
        minibatches(np.zeros((4, 1)), np.zeros(3), 2)


@pytest.mark.parametrize("toy", [moons, circles, xor, spirals])
def test_toys_are_balanced_repeatable_and_not_linearly_separable(toy):
    X, y = toy(n=240, rng=1)
    assert X.shape == (240, 2) and y.shape == (240,) and y.dtype.kind == "i"
    assert len(set(np.bincount(y))) == 1
    assert np.array_equal(X, toy(n=240, rng=1)[0]) and not np.array_equal(X, toy(n=240, rng=2)[0])
    # The best straight lines, by least squares on indicators, leave errors that a curve does not.
    inputs, targets = np.column_stack([X, np.ones(240)]), np.eye(y.max() + 1)[y]
    scores = inputs @ np.linalg.lstsq(inputs, targets, rcond=None)[0]
    straight = np.mean(scores.argmax(axis=1) == y)
    nearest = np.linalg.norm(X[:, None] - X[None], axis=2) + 1e9 * np.eye(240)
    curved = np.mean(y[nearest.argmin(axis=1)] == y)
    assert straight < 0.92 and curved > 0.95


def test_fit_learns_the_moons_and_keeps_a_history():
    train, test = moons(200, rng=0), moons(200, rng=1)
    model = MLP([2, 16, 2], activation=ReLU, rng=0)
    history = fit(model, train, test, epochs=30, rng=0)
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ["loss", "accuracy", "test_loss", "test_accuracy", "rate", "seconds"], 30
    )
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    assert history["test_accuracy"][-1] > 0.95
    assert evaluate(model, mg.cross_entropy, *test)[1] == history["test_accuracy"][-1]


def test_fit_is_repeatable():
    runs = [fit(MLP([2, 8, 2], ReLU, rng=4), moons(100), epochs=3, rng=4)["loss"] for _ in range(2)]
    assert runs[0] == runs[1]


def test_evaluate_counts_by_hand_and_knows_regression():
    scores = mg.TensorNode(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]))
    loss, accuracy = evaluate(lambda X: scores, mg.cross_entropy, None, np.array([0, 1, 1]))
    assert accuracy == pytest.approx(2 / 3)
    by_hand = [np.log1p(np.exp(-1.0)), np.log1p(np.exp(-3.0)), np.log1p(np.exp(1.0))]
    assert loss == pytest.approx(np.mean(by_hand))
    line = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 2.0]])
    assert evaluate(lambda X: scores, mg.mean_squared_error, None, line) == (
        pytest.approx(2 / 3),
        None,
    )


def test_evaluate_records_nothing():
    recorded = []

    def spy(scores, labels):
        recorded.append(scores.source)
        return mg.cross_entropy(scores, labels)

    evaluate(MLP([2, 4, 2], rng=0), spy, *moons(10))
    assert recorded == [None]


def test_spread_over_seeds():
    spread = over_seeds(lambda seed: [2.0, 4.0, 9.0][seed], range(3))
    mean, sd, values = spread
    assert (mean, sd) == (5.0, pytest.approx(np.sqrt(13)))  # (9 + 1 + 16) / 2
    assert values.tolist() == [2.0, 4.0, 9.0]
    assert str(spread) == "5 ± 3.6 (3 runs)"
    with pytest.raises(ValueError, match="at least two"):
        over_seeds(float, [1])


def test_digits_reach_97_percent_beside_a_baseline():
    """One seed of the ten that the book runs, and softmax regression in the same loop."""
    pytest.importorskip("sklearn")
    train, test = digits(seed=1)
    reached = {
        sizes: fit(MLP(sizes, ReLU, rng=1), train, test, batch=16, rng=1)["test_accuracy"][-1]
        for sizes in ((64, 64, 10), (64, 10))
    }
    assert reached[64, 64, 10] >= 0.97
    assert 0.93 < reached[64, 10] < reached[64, 64, 10]
