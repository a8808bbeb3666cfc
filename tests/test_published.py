"""The published results: the file says what it claims, and its scripts do what they say."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.published import __main__ as published
from benchmarks.published import digits, entities, table

pytestmark = pytest.mark.relaxed  # it measures time

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def folder():
    """The folder of the real data; nothing is downloaded in a test."""
    for place in os.environ.get("MINIGRAD_DATA"), SHARED:
        if place and Path(place, "dbpedia", "autolab.train").exists():
            return str(place)
    pytest.skip("NOT TESTED on real data: set MINIGRAD_DATA to a folder with dbpedia/ and mnist/")


@pytest.fixture(scope="module")
def document():
    return table.read()


# ---- The file ----


def test_every_target_is_reached_in_the_mean_and_by_nine_seeds_of_ten(document):
    found = {result["key"]: result for result in document["results"]}
    targets = {
        "entities-mlp-10": (0.94, 12),
        "entities-mlp-20": (0.94, 12),
        "entities-lstm-10": (0.92, 100),
        "entities-lstm-40": (0.92, 100),
        "mnist-784-100-10": (0.966, None),
        "mnist-784-3136-10": (0.972, None),
    }
    assert {key: (each["target"], each["cpu_limit"]) for key, each in found.items()} == targets
    for key, result in found.items():
        assert len(result["values"]) == len(result["cpu_seconds"]) == len(result["seeds"])
        assert len(result["seeds"]) >= (10 if key in ("entities-mlp-10", "entities-lstm-10") else 3)
        sign = 1 if key.startswith("mnist") else -1
        good = sign * np.array(result["values"]) >= sign * result["target"]
        good &= np.array(result["cpu_seconds"]) <= (result["cpu_limit"] or np.inf)
        assert np.array_equal(good, table.reached(result))
        assert good.mean() >= 0.9 and sign * np.mean(result["values"]) >= sign * result["target"]
        assert len(set(result["values"])) > 1 and len(set(result["seeds"])) == len(result["seeds"])
    assert not document["quick"]


def test_the_file_belongs_to_the_recipes_of_the_code(document):
    for result in document["results"]:
        recipe = dict(result["recipe"])
        network = recipe.pop("network", None)
        if network:
            assert recipe in entities.ladder(network).values()
        else:
            assert recipe in digits.RECIPES.values()
    for network, steps in document["steps"].items():
        assert [(step["step"], step["change"]) for step in steps] == entities.STEPS[network]


def test_the_handouts_size_is_kept_where_that_is_said():
    for network, step in entities.SAME_SIZE.items():
        recipe = entities.ladder(network)[step]
        assert [recipe[name] for name in ("length", "hidden", "batch")] == [10, 50, 64]


def test_rows(document):
    rows = table.rows(document)
    assert len({tuple(row) for row in rows}) == 1 and len(rows) == 6 + 3
    first, values = rows[0], document["results"][0]["values"]
    assert first["minigrad"] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
    assert first["target"] == "≤ 0.94 within 12 s" and first["reached"].endswith("of 10 seeds")
    assert len(table.text(rows).splitlines()) == 10
    assert [row["change"] for row in table.steps(document, "lstm")][0] == "the handout"


def test_a_missing_or_foreign_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="make published"):
        table.read(tmp_path / "published.json")
    (tmp_path / "other.json").write_text('{"format": "minigrad-benchmarks", "version": 1}')
    with pytest.raises(ValueError, match="other.json is no minigrad-published"):
        table.read(tmp_path / "other.json")


def test_reached_asks_for_value_and_time():
    result = {"values": [0.9, 0.9, 0.95], "cpu_seconds": [5, 20, 5], "target": 0.94, "lower": True}
    assert table.reached({**result, "cpu_limit": 12}).tolist() == [True, False, False]
    assert table.reached({**result, "cpu_limit": None}).tolist() == [True, True, False]
    assert table.reached({**result, "cpu_limit": 12, "lower": False}).tolist() == [
        False,
        False,
        True,
    ]


# ---- The models ----


def test_naive_bayes_by_hand():
    """Two names, groups of one character, one added to each count."""
    with np.errstate(divide="ignore"):  # three of the classes have no name
        model = entities.NaiveBayes(["ab", "bb"], np.array([0, 1]), n=1, alpha=1.0)
    # groups: ^ a b $; counts in class 0 with 1 added: 2 2 2 2, in class 1: 2 1 3 2, else 1 1 1 1
    expected = [np.log([p, q]).sum() for p, q in [(2 / 8, 2 / 8), (1 / 8, 3 / 8), (1 / 4, 1 / 4)]]
    ends = np.log([(2 / 8) ** 2, (2 / 8) ** 2, (1 / 4) ** 2])
    assert np.allclose(model.sums(["ab"])[0, :3], expected + ends)
    assert np.allclose(np.exp(model.prior), [0.5, 0.5, 0, 0, 0])
    model.n = 2
    assert model.groups("ab") == ["^", "a", "b", "$", "^a", "ab", "b$"]


@pytest.mark.parametrize("network", entities.STEPS)
def test_the_classifier_reads_what_it_should(network):
    """Every character counts; dropout is for training; a ReLU leaves no score below 0."""
    recipe = entities.ladder(network)[entities.SAME_SIZE[network]]
    x = np.random.default_rng(1).integers(0, 30, (4, 10))
    model = entities.Classifier(30, network, recipe, np.random.default_rng(0))
    assert not np.array_equal(model(x).value, model(x).value)
    model.eval()
    scores = model(x).value
    assert scores.dtype == np.float32 and scores.shape == (4, 5) and scores.min() < 0
    for t in range(10):
        changed = x.copy()
        changed[2, t] = (changed[2, t] + 1) % 30
        moved = np.abs(model(changed).value - scores).max(axis=1)
        assert moved[2] > 0 and not moved[[0, 1, 3]].any()
    handout = entities.Classifier(30, network, entities.HANDOUT, np.random.default_rng(0))
    assert handout(x).value.min() == 0.0
    if network == "lstm":
        assert not handout.hidden.input.bias.value.any()
        assert np.array_equal(model.hidden.input.bias.value[100:150], np.ones(50))


@pytest.mark.parametrize(("network", "loss", "limit"), [("mlp", 0.93, 12), ("lstm", 0.91, 100)])
def test_one_seed_on_the_validation_titles(folder, network, loss, limit):
    recipe = entities.ladder(network)[entities.SAME_SIZE[network]]
    result = entities.experiment(folder)(seed=100, network=network, **recipe)
    assert result["valid"] < loss and result["cpu_seconds"] < limit
    assert "test" not in result  # those titles are for the end


def test_the_small_network_on_mnist(folder):
    recipe = {**digits.RECIPES["784-100-10"], "epochs": 3}
    result = digits.experiment(folder)(seed=100, **recipe)
    assert result["valid_accuracy"] >= 0.966


def test_the_baselines_of_the_file(folder, document):
    found, kept = entities.baselines(folder), document["baselines"]
    assert [each["name"] for each in found] == [each["name"] for each in kept]
    for new, old in zip(found, kept):
        assert new["settings"] == old["settings"]
        assert np.isclose(new["cross_entropy"], old["cross_entropy"], rtol=1e-4)
        assert np.isclose(new["accuracy"], old["accuracy"], rtol=1e-4)


def test_the_command_from_end_to_end(folder, tmp_path, capsys, monkeypatch):
    """One seed and one epoch of a ladder of two steps, into a file that can be read again."""
    two = {network: steps[:2] for network, steps in entities.STEPS.items()}
    monkeypatch.setattr(entities, "STEPS", two)
    monkeypatch.setattr(entities, "SAME_SIZE", dict.fromkeys(two, "the handout"))
    monkeypatch.setattr(entities, "baselines", lambda folder: [])
    published.main(
        ["--quick", "--folder", folder, "--jobs", "1", "--output", str(tmp_path / "p.json")]
    )
    document = table.read(tmp_path / "p.json")
    assert document["quick"] and len(document["results"]) == 6
    assert [len(steps) for steps in document["steps"].values()] == [2, 2]
    said = capsys.readouterr().out
    assert table.text(table.rows(document)).splitlines()[0] in said and "the handout" in said
