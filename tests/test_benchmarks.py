"""The benchmark compares like with like, writes all or nothing, and says who is missing.

No time is judged here: a test that times something fails on a busy day.
"""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import curves, hand, harness, networks, pictures, processes, results, scalars

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import set_up  # noqa: E402

pytestmark = pytest.mark.relaxed  # the peers share arrays that minigrad's strict mode would copy
TIMED = [*command.workloads()[0]]


@pytest.fixture(autouse=True)
def short_samples(monkeypatch):
    monkeypatch.setattr(harness, "SAMPLE", 0.0)


def quick(kind):
    workload = kind()
    vars(workload).update(workload.quick)
    return workload


@pytest.mark.slow
@pytest.mark.parametrize("kind", TIMED, ids=lambda kind: kind.key)
def test_everybody_computes_the_same(kind):
    workload = quick(kind)
    measured = harness.measure(workload, rounds=1)
    found = {entry["contender"] for entry in measured["entries"]}
    assert {workload.baseline, workload.reference, "minigrad"} <= found
    assert found | set(measured["missing"]) == set(harness.contenders(kind))
    assert all(entry["median"] > 0 for entry in measured["entries"])


@pytest.mark.parametrize("kind", [networks.MLPSmall, networks.LSTMSmall, networks.ConvNet])
def test_the_hand_written_gradient_is_the_slope(kind):
    """Along its own gradient, each parameter's slope is the gradient's length: by differences."""
    workload = kind()
    workload.setup()
    X, y = workload.batches[0]
    gradients = gradients_of(workload, X, y)
    assert [g.shape for g in gradients] == [w.shape for w in workload.parameters]
    for place, g in enumerate(gradients):
        length, h, losses = np.linalg.norm(g), 0.03, []
        for sign in (-1, 1):
            moved = list(workload.parameters)
            moved[place] = moved[place] + sign * h * g / length
            losses.append(loss_of(workload, moved, X, y))
        assert (losses[1] - losses[0]) / (2 * h) == pytest.approx(length, rel=0.02), place


def loss_of(workload, parameters, X, y):
    workload.parameters, kept = [np.array(w) for w in parameters], workload.parameters
    try:
        return float(workload.by_hand(workload.tuned)(X, y))
    finally:
        workload.parameters = kept


def gradients_of(workload, X, y):
    """What the tuned network computes, in the order and shape of the workload's parameters."""
    network = workload.by_hand(workload.tuned)
    network(X, y)
    gradients = network.sgd.gradients
    if isinstance(network, hand.TunedLSTM):
        gA, gB, gV = gradients
        back = np.argsort([3, 0, 1, 2])
        blocks = lambda g: np.concatenate([np.split(g, 4, axis=0)[j] for j in back]).T
        gA, gB = blocks(gA), blocks(gB)
        gradients = [gA, gB[:-1], gB[-1], gV[:-1], gV[-1]]
    return gradients


def test_different_computations_are_void(monkeypatch, capsys):
    class Wrong(networks.MLPSmall):
        def prepare_torch(self):
            return lambda: 2.0

    workload = Wrong()
    with pytest.raises(harness.Disagreement, match="torch does not compute what hand does"):
        harness.measure(workload, rounds=1)
    monkeypatch.setattr(command, "workloads", lambda: ([Wrong], []))
    assert command.main(["--quick", "--only", "mlp-small"]) == 1
    assert "Void" in capsys.readouterr().err


def test_a_missing_peer_is_left_out_and_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python does for a package not there
    measured = harness.measure(networks.MLPSmall(), rounds=1)
    assert "torch" in measured["missing"]
    assert "torch" not in {entry["contender"] for entry in measured["entries"]}


def test_methods_are_named_as_asv_finds_them():
    workload = networks.MLPSmall()
    workload.setup()
    workload.time_hand()
    names = {name for name in dir(networks.MLPSmall) if name.startswith("time_")}
    assert {"time_hand", "time_plain", "time_minigrad", "time_torch"} <= names
    assert not hasattr(networks.ConvNet, "prepare_plain") or not networks.ConvNet.prepare_plain


def test_a_slow_first_call_does_not_make_samples_of_one_call(monkeypatch):
    times = iter([0.03, 0.001, 0.002])
    monkeypatch.setattr(harness, "_sample", lambda step, number: next(times))
    assert harness.calls(None, 0.03) == 30


def test_a_ratio_is_that_of_the_medians():
    class Work:
        baseline, scale, absolute, aims = "hand", 1e3, False, {"minigrad": 2.0}

    samples = {"hand": [1.0, 1.0, 4.0], "minigrad": [2.0, 3.0, 2.0]}
    found = harness.entry(Work, "minigrad", samples)
    assert found["median"] == 2000.0 and found["ratio"] == 2.0 and found["met"] is True
    assert found["ratio_quartiles"] == [1.25, 2.5]  # of 2, 3 and 0.5
    Work.aims = {"minigrad": 1.99}
    assert harness.entry(Work, "minigrad", samples)["met"] is False


# ---- The command and its file ----


@pytest.fixture
def small_run(monkeypatch):
    """The command with one workload and without the curves' long runs."""
    monkeypatch.setattr(command, "workloads", lambda: ([networks.MLPSmall, scalars.Book], []))
    return command


def test_a_quick_run_writes_what_it_promises(small_run, tmp_path, capsys):
    path = tmp_path / "out.json"
    assert small_run.main(["--quick", "--output", str(path)]) == 0
    found = results.read(path)
    assert found["quick"] and found["rounds"] == 1
    assert [work["key"] for work in found["workloads"]] == ["mlp-small", "book"]
    assert set(found["curves"]) == {"size", "depth", "memory", "accuracy"}
    assert set(found["curves"]["accuracy"]["runs"]) >= {"hand", "minigrad"}
    assert not list(tmp_path.glob("*.part"))
    assert "by hand, tuned" in capsys.readouterr().out


def test_a_part_does_not_replace_the_whole(small_run, monkeypatch, tmp_path):
    monkeypatch.setattr(results, "PATH", tmp_path / "performance.json")
    assert small_run.main(["--only", "book", "--rounds", "1"]) == 0
    assert not results.PATH.exists()


def test_an_interrupted_run_writes_nothing(small_run, monkeypatch, tmp_path, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(harness, "measure", interrupted)
    path = tmp_path / "out.json"
    path.write_text("the old results")
    assert small_run.main(["--quick", "--output", str(path)]) == 130
    assert path.read_text() == "the old results"
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--only", "no-such-thing"], ["--rounds", "0"]])
def test_bad_options_are_explained(options, capsys):
    with pytest.raises(SystemExit):
        command.parse(options)
    said = capsys.readouterr().err
    assert "no such workload; there are mlp-400" in said or "at least one round" in said


def committed():
    if not results.PATH.exists():
        pytest.skip("make bench has not been run")
    return results.read()


def test_the_committed_results_are_whole():
    found = committed()
    assert not found["quick"] and found["rounds"] >= 5
    known = [kind.key for group in command.workloads() for kind in group]
    assert [work["key"] for work in found["workloads"]] == known
    text = results.PATH.read_text()
    assert "/home" not in text and "/work" not in text and "/usr" not in text


def test_a_damaged_file_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="make bench"):
        results.read(tmp_path / "none.json")
    good = committed()
    judged = next(w for w in good["workloads"] if any(e["aim"] for e in w["entries"]))
    place = good["workloads"].index(judged)
    lies = next(i for i, entry in enumerate(judged["entries"]) if entry["aim"])
    for damage, named in (
        (lambda r: r.pop("machine"), "machine"),
        (lambda r: r.update(format="other"), "format"),
        (lambda r: r["workloads"][0].pop("unit"), "unit"),
        (lambda r: r["workloads"][0]["entries"][0].update(median=-1.0), "hand"),
        (
            lambda r: r["workloads"][place]["entries"][lies].update(
                met=not judged["entries"][lies]["met"]
            ),
            "met",
        ),
    ):
        bad = copy.deepcopy(good)
        damage(bad)
        path = tmp_path / "bad.json"
        path.write_text(json.dumps(bad))
        with pytest.raises(ValueError, match=named):
            results.read(path)


def test_the_page_has_every_number_also_of_those_who_are_absent():
    found = committed()
    whole = pictures.numbers(found)
    lstm = next(work for work in found["workloads"] if work["key"] == "chain")
    gone = next(entry for entry in lstm["entries"] if entry["contender"] == "torch")
    lstm["entries"].remove(gone)
    lstm["missing"]["torch"] = "No module named 'torch'"
    partly = pictures.numbers(found)
    assert whole.keys() == partly.keys()
    assert np.isnan(partly["chain-torch-median"])
    assert "PyTorch, chain: No module named" in pictures.absent(found)


def test_an_aim_of_somebody_absent_is_not_met():
    work = {"key": "a", "title": "A", "unit": "s", "baseline": "hand", "absolute": False}
    work |= {"aims": {"minigrad": 1.1}, "entries": [], "missing": {"minigrad": "not there"}}
    assert results.met({"workloads": [work]}) == 0
    assert "not there" in repr(pictures.aims_table({"workloads": [work]}))


def test_tables_name_rows_and_columns_for_those_who_listen():
    table = pictures.Table(["", "time"], {"A & B": [["minigrad", "3 ms"]]})
    shown = table._repr_html_()
    assert '<th scope="col">time</th>' in shown and "A &amp; B</th>" in shown
    assert 'scope="row"' in shown and 'scope="rowgroup"' in shown
    assert repr(table).splitlines()[-1].split() == ["minigrad", "3", "ms"]


# ---- Curves ----


def test_checkpoints_and_peers_give_the_same_gradients():
    deep = curves.Deep(4, width=8, n=5)
    assert all(np.array_equal(a, b) for a, b in zip(deep.gradient(), deep.gradient(2)))


def test_differences_are_the_gradient():
    work = scalars.SumOfTerms()
    work.n = 5
    work.setup()
    expected = np.log(work.x) * np.cos(work.x) + np.sin(work.x) / work.x + 2 * work.x
    assert curves.central_differences(work.f, work.x) == pytest.approx(expected, abs=1e-8)


# ---- Processes of their own ----


def test_memory_is_measured_in_a_child():
    pytest.importorskip("psutil")
    assert 50 < processes.in_a_child("graph", "minigrad", 20_000) < 5000
    kept = processes.in_a_child("step", "hand", "MLPSmall")
    plain = processes.in_a_child("step", "plain", "MLPSmall")
    assert 0 < kept < plain  # new arrays for each line are seen


def test_who_cannot_be_measured_in_a_child_is_named():
    class Some(processes.Processes):
        key, title, unit, who = "some", "Some memory", "bytes an op", ("nobody", "minigrad")

        def sample(self, contender):
            if contender == "nobody":
                return processes.in_a_child("import", "nobody")
            return 3.0

    measured = Some().measure(rounds=2)
    assert [entry["contender"] for entry in measured["entries"]] == ["minigrad"]
    assert set(measured["missing"]) == {"nobody"}


def test_a_package_that_is_not_there_has_no_import_time():
    with pytest.raises(ImportError, match="no_such_package"):
        processes.time_import("no_such_package")


# ---- Set-up ----


def test_a_peer_that_cannot_be_installed_is_left_out(monkeypatch, tmp_path, capsys):
    tried = []

    def run(*arguments, **options):
        tried.append(arguments[-1])
        return int("jax" in arguments[-1])

    monkeypatch.setattr(set_up, "works", lambda *command: "numpy" in command[-1])
    monkeypatch.setattr(set_up, "run", run)
    monkeypatch.setattr(set_up, "VENV", tmp_path)
    set_up.install_bench_packages()
    said = capsys.readouterr().out
    assert "jax can't be installed here" in said and "torch can't" not in said
    assert [peer.split(">")[0] for peer in tried] == [
        peer.split(">")[0] for peer in set_up.bench_peers()
    ]
    assert (tmp_path / ".bench-packages").exists()


def test_one_thread_is_asked_for_before_anything_is_loaded():
    code = (
        "from benchmarks import threads; import os, sys; "
        "print(os.environ['OMP_NUM_THREADS'], 'numpy' in sys.modules)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "7"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.stdout.split() == ["1", "False"], run.stderr
