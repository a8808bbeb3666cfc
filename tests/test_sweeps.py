"""Sweeps: nothing lost, nothing counted twice, whatever is interrupted, killed or damaged."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minigrad.sweeps import BACKENDS, Sweep, sweep
from minigrad.train import over_seeds

GRID = {"rate": [0.1, 0.5], "width": [2, 3, 5]}


def experiment(log=None, pause=0.0):
    """A run function that notes each start and end in a folder; as a closure, like a notebook's."""

    def run(seed, rate, width):
        if log:
            (log / f"{rate} {width} {seed} {time.time_ns()} {os.getpid()}").touch()
        rng = np.random.default_rng(seed)
        w = rng.normal(size=(60 * width, 60))
        time.sleep(pause)
        return {"norm": rate * np.linalg.norm(w @ w.T), "curve": w[:4, 0], "seed_back": seed}

    return run


def starts(log):
    return len(list(log.iterdir()))


def files(folder):
    return sorted(folder.rglob("*.npz"))


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        with distributed.Client(cluster) as client:
            yield client


def same(one, other):
    """Equal to the last bit, in the same order."""
    assert len(one.runs) == len(other.runs)
    for a, b in zip(one.runs, other.runs, strict=True):
        assert (a.setting, a.seed) == (b.setting, b.seed)
        assert a.result.keys() == b.result.keys()
        for name in a.result:
            assert type(a.result[name]) is type(b.result[name])
            assert np.array_equal(a.result[name], b.result[name])
    return True


# ---- What a sweep gives ----


def test_each_setting_with_each_seed_once():
    result = sweep(lambda seed, a, b: 100 * a + 10 * b + seed, {"a": [1, 2], "b": [3, 4]}, range(3))
    assert [run.result["result"] for run in result.runs] == [
        *(130, 131, 132, 140, 141, 142),
        *(230, 231, 232, 240, 241, 242),
    ]
    assert result.failures == []


def test_the_table_is_that_of_over_seeds():
    run = experiment()
    result = sweep(run, GRID, range(4), backend="inline", progress=False)
    row = result.table()[4]
    assert (row["rate"], row["width"]) == (0.5, 3)
    with threadpool_limits(1):  # as in a sweep: with two the last bits differ
        expected = over_seeds(lambda seed: run(seed, 0.5, 3)["norm"], range(4))
    assert (row["norm"].mean, row["norm"].sd) == (expected.mean, expected.sd)
    curves = np.stack([run(seed, 0.5, 3)["curve"] for seed in range(4)])
    assert np.array_equal(row["curve"].mean, curves.mean(axis=0))
    assert np.array_equal(row["curve"].sd, curves.std(axis=0, ddof=1))
    lines = repr(result).splitlines()
    assert lines[0].split() == ["rate", "width", "norm", "seed_back"]  # a curve is no cell
    assert lines[5].startswith("0.5   3      ") and str(expected) in lines[5]
    assert len(lines) == 7


def test_settings_as_a_list_and_rows_for_a_data_frame():
    settings = [{"rate": 1.0}, {"rate": 2.0, "width": 3}]
    result = sweep(lambda seed, rate, width=1: rate * width, settings, [7], backend="inline")
    assert result.dicts() == [
        {"rate": 1.0, "seed": 7, "result": 1.0},
        {"rate": 2.0, "width": 3, "seed": 7, "result": 6.0},
    ]
    assert np.isnan(result.table()[0]["result"].sd)  # one run has no spread


def test_processes_give_the_numbers_of_inline_and_run_beside_each_other(log):
    inline = sweep(experiment(), GRID, range(3), backend="inline", progress=False)
    processes = sweep(experiment(log), GRID, range(3), jobs=2)
    assert same(inline, processes)
    pids = {file.name.split()[-1] for file in log.iterdir()}
    assert str(os.getpid()) not in pids and 1 <= len(pids) <= 2


def threads(seed):
    """How many threads BLAS has at the start of a run; the run leaves four behind."""
    from threadpoolctl import threadpool_info, threadpool_limits

    found = max(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
    threadpool_limits(4)
    return found


def test_one_thread_for_linear_algebra(client):
    with threadpool_limits(2):
        for backend in BACKENDS:
            result = sweep(threads, {}, range(4), backend=backend, jobs=2, progress=False)
            assert [run.result for run in result.runs] == [{"result": 1}] * 4, backend
        assert threads(0) == 2  # of the process that called, nothing has changed


# ---- On disk ----


def test_what_is_there_is_not_computed_again(tmp_path, log):
    run = experiment(log)
    first = sweep(
        run, {"rate": [0.1], "width": [2, 3]}, range(2), tmp_path / "runs", backend="inline"
    )
    assert (starts(log), len(files(tmp_path / "runs"))) == (4, 4)
    again = sweep(run, GRID, range(3), tmp_path / "runs", backend="inline")
    assert (starts(log), len(files(tmp_path / "runs"))) == (18, 18)
    first_again = [kept for kept in again.runs if kept.setting in ({"rate": 0.1, "width": 2},)]
    assert same(Sweep(first_again[:2]), Sweep(first.runs[:2]))
    assert same(again, sweep(run, GRID, range(3), tmp_path / "runs", backend="inline"))
    assert starts(log) == 18  # nothing was missing


SCRIPT = """
import sys, time
from pathlib import Path
from minigrad.sweeps import sweep
folder = Path(sys.argv[1])

def run(seed, rate):
    (folder / "log" / f"{rate} {seed} {time.time_ns()}").touch()
    time.sleep(0.1)
    return rate + seed

result = sweep(run, {"rate": [1, 2]}, range(10), folder / "runs", jobs=2, progress=False)
print([run.result["result"] for run in result.runs])
"""


def test_interrupted_from_the_keyboard_and_taken_up_again(tmp_path, log):
    command = [sys.executable, "-c", SCRIPT, tmp_path]  # run is a function of __main__
    running = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while len(files(tmp_path)) < 4:
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)  # what Ctrl-C sends
    _, err = running.communicate(timeout=20)
    assert running.returncode != 0 and b"KeyboardInterrupt" in err
    kept, started = len(files(tmp_path)), starts(log)
    assert 4 <= kept < 20 and not list(tmp_path.rglob("*.part"))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert starts(log) == started + 20 - kept
    assert done.stdout.strip() == str([*range(1, 11), *range(2, 12)])
    assert len(files(tmp_path)) == 20


def test_a_damaged_file_is_computed_again(tmp_path, log):
    run, where = experiment(log), tmp_path / "runs"
    first = sweep(run, GRID, [0], where, backend="inline")
    whole, flipped, empty, foreign, *rest = files(where)
    whole.write_bytes(whole.read_bytes()[:-40])
    damaged = bytearray(flipped.read_bytes())
    damaged[len(damaged) // 2] ^= 1  # one bit of an array: the zip's checksum knows
    flipped.write_bytes(damaged)
    empty.write_bytes(b"")
    foreign.write_bytes(rest[0].read_bytes())  # whole, but of another run
    with pytest.warns(RuntimeWarning, match="is run again") as said:
        again = sweep(run, GRID, [0], where, backend="inline")
    assert len(said) == 4 and starts(log) == 6 + 4
    assert {str(path) for path in (whole, flipped, empty, foreign)} == {
        str(warning.message).split(": ")[0] for warning in said
    }
    assert same(again, first)
    assert said[0].filename == __file__
    assert same(sweep(run, GRID, [0], where, backend="inline"), first) and starts(log) == 10


def test_no_pickle_is_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "opened"),)

    run = lambda seed: seed
    sweep(run, {}, [0], tmp_path, backend="inline")
    (path,) = files(tmp_path)
    np.savez(path, about=np.array([Trap()], object))
    with pytest.warns(RuntimeWarning, match="allow_pickle"):
        sweep(run, {}, [0], tmp_path, backend="inline")
    assert not (tmp_path / "opened").exists()


def test_functions_and_versions_do_not_mix(tmp_path):
    def results(run, **options):
        return (
            sweep(run, {}, [5], tmp_path, backend="inline", progress=False, **options)
            .table()[0]["result"]
            .mean
        )

    def power(n):
        def run(seed):
            return seed**n

        return run

    assert results(power(2)) == 25
    assert results(power(3)) == 125  # another value closed over
    assert results(lambda seed: seed + 1) == 6
    assert results(lambda seed: seed + 2) == 7  # another constant
    assert results(lambda seed, more=3: seed + more) == 8
    assert results(lambda seed, more=4: seed + more) == 9  # another default
    assert results(lambda seed: (lambda: seed - 1)()) == 4
    assert results(lambda seed: (lambda: seed - 2)()) == 3  # in a function within
    assert results(power(2)) == 25 and len(files(tmp_path)) == 8

    calls = []

    def run(seed):
        calls.append(seed)
        return len(calls)

    assert [results(run, version=version) for version in (1, 1, 2, "1b")] == [1, 1, 2, 3]


def test_a_fingerprint_is_the_same_in_every_process_and_on_every_line():
    text = "def run(seed, kind='b'):\n    return [1.5, 'x', seed in {'a', 'b', 'c', 'd', 'e'}]\n"
    script = "from minigrad.sweeps import fingerprint\n{}print(fingerprint(run))".format
    prints = {
        subprocess.check_output(
            [sys.executable, "-c", script(blank + text)], env={**os.environ, "PYTHONHASHSEED": hash}
        )
        for blank, hash in [("", "1"), ("\n\n", "2"), ("# a comment\n", "3")]
    }
    assert len(prints) == 1


# ---- What goes wrong ----


@pytest.mark.parametrize("backend", ["inline", "processes"])
def test_a_run_that_raises_is_left_out_reported_and_tried_again(tmp_path, backend):
    luck = tmp_path / "luck"

    def run(seed, rate):
        if rate == 2 and seed in (1, 3) and not luck.exists():
            raise ZeroDivisionError(f"rate {rate} is cursed")
        return rate

    where = {"folder": tmp_path / "runs", "backend": backend, "jobs": 2}
    with pytest.warns(RuntimeWarning, match="2 of 8 runs failed") as said:
        result = sweep(run, {"rate": [1, 2]}, range(4), **where)
    (message,) = [str(warning.message) for warning in said]
    for part in '{"rate": 2} seed 1\n{"rate": 2} seed 3\n', "in run\n", "rate 2 is cursed":
        assert message.count(part) == 1
    assert [(run.setting, run.seed) for run in result.failures] == [
        ({"rate": 2}, 1),
        ({"rate": 2}, 3),
    ]
    assert [len(row["result"].values) for row in result.table()] == [4, 2]
    assert "ZeroDivisionError" in repr(result)
    luck.touch()
    assert len(sweep(run, {"rate": [1, 2]}, range(4), **where).runs) == 8


def test_the_spread_of_a_curve_can_be_printed():
    row = sweep(experiment(), GRID, range(3), backend="inline").table()[0]
    assert str(row["curve"]) == "means and standard deviations (4,) (3 runs)"
    assert str(row["seed_back"]) == "1 ± 1 (3 runs)"


def test_all_runs_fail(tmp_path):
    with pytest.raises(RuntimeError, match=r"2 of 2 runs failed(.|\n)*NameError: name 'missing'"):
        sweep(lambda seed: missing, {}, [1, 2], tmp_path, backend="inline")  # noqa: F821
    assert not files(tmp_path)


@pytest.mark.parametrize("backend", ["inline", "processes"])
def test_a_run_that_exits_or_changes_its_setting_disturbs_no_other(backend, tmp_path):
    def run(seed, widths):
        widths.append(10)
        if seed == 1:
            sys.exit("enough")
        return len(widths)

    def go():
        with pytest.warns(RuntimeWarning, match="1 of 3 runs failed(.|\n)*seed 1(.|\n)*enough"):
            return sweep(run, {"widths": [[64]]}, range(3), tmp_path, 2, backend)

    first, again = go(), go()
    assert same(first, again) and [r.result["result"] for r in again.runs] == [2, 2]
    assert first.table()[0]["widths"] == [64] and len(first.table()) == 1
    assert len(files(tmp_path)) == 2


def test_a_process_that_is_killed_once(tmp_path, log):
    steady = experiment(log)

    def run(seed, rate, width):
        if seed == 1 and width == 3 and starts(log) and not (tmp_path / f"died {rate}").exists():
            (tmp_path / f"died {rate}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return steady(seed, rate, width)

    result = sweep(run, GRID, range(3), tmp_path / "runs", jobs=2)
    assert (tmp_path / "died 0.5").exists()
    assert same(result, sweep(experiment(), GRID, range(3), backend="inline"))
    assert len(files(tmp_path / "runs")) == 18


@pytest.mark.parametrize("fatal", [0, 2, 11])
def test_a_run_that_is_killed_each_time_takes_no_other_with_it(fatal, tmp_path):
    def run(seed):
        if seed == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)  # some are under way beside it, others have not begun
        return seed

    with pytest.warns(RuntimeWarning, match="1 of 12 runs failed(.|\n)*died three times"):
        result = sweep(run, {}, range(12), tmp_path, jobs=2)
    assert [run.seed for run in result.failures] == [fatal]
    assert [run.seed for run in result.runs] == [seed for seed in range(12) if seed != fatal]
    assert len(files(tmp_path)) == 11


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"backend": "cluster"}, ValueError, "'processes', 'dask', 'inline'"),
        ({"settings": {"rate": 0.1}}, TypeError, r"'rate' is 0.1; expected a list, \[0.1\]"),
        ({"settings": {"kind": "relu"}}, TypeError, r"expected a list, \['relu'\]"),
        ({"settings": [{"f": np.tanh}]}, TypeError, "given by its name"),
        ({"settings": [{"X": np.ones(2)}]}, TypeError, "expected numbers, strings"),
        ({"settings": {"rate": [0.1, 0.2, 0.1]}}, ValueError, "0.1} seed 0: .* counts twice"),
        ({"seeds": [1, 2, 1]}, ValueError, "seed 1: .* counts twice"),
        ({"settings": {"seed": [1]}}, ValueError, "each setting and seed once"),
        ({"settings": {"rate": []}}, ValueError, "nothing to run"),
        ({"seeds": []}, ValueError, "nothing to run"),
        ({"seeds": 5}, TypeError, r"seeds=5; expected several numbers, such as range\(10\)"),
        ({"run": np.sin, "folder": "unused"}, TypeError, "cannot be told .* version=..."),
        ({"run": lambda **_: None}, RuntimeError, "'result': None; expected a number"),
        ({"run": lambda **_: {"rate": 1}}, RuntimeError, "under names that no setting has"),
        ({"run": lambda **_: {"word": "hello"}}, RuntimeError, "'word': 'hello'"),
    ],
)
def test_bad_input(change, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = {"run": lambda seed, rate: rate, "settings": {"rate": [1]}, "seeds": range(2)}
    with pytest.raises(error, match=f"(?s){words}"):
        sweep(**{"backend": "inline", "progress": False, **good, **change})
    assert list(tmp_path.iterdir()) == []


def test_curves_of_different_lengths():
    result = sweep(lambda seed: {"curve": np.ones(seed)}, {}, [1, 2], backend="inline")
    with pytest.raises(ValueError, match="'curve' differ in shape from seed to seed"):
        result.table()


def test_numpy_numbers_are_settings_and_seeds(tmp_path):
    run = lambda seed, n: n + seed
    sweep(run, {"n": np.arange(2)}, np.arange(2), tmp_path, backend="inline")
    sweep(run, {"n": [0, 1]}, [0, 1], tmp_path, backend="inline")
    assert len(files(tmp_path)) == 4


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        sweep(lambda seed: seed, {}, [0], tmp_path, backend="inline")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# ---- A Dask cluster ----


def test_dask_with_no_other_change(client, tmp_path):
    inline = sweep(experiment(), GRID, range(3), backend="inline", progress=False)
    assert same(inline, sweep(experiment(), GRID, range(3), backend="dask"))
    where = {"folder": tmp_path, "backend": "dask", "client": client, "version": 1}
    first = sweep(experiment(), GRID, range(3), **where)
    assert same(inline, first) and len(files(tmp_path)) == 18
    with pytest.warns(RuntimeWarning, match="1 of 3 runs failed(.|\n)*ZeroDivisionError"):
        assert len(sweep(lambda seed: 1 / seed, {}, range(3), backend="dask").runs) == 2


def test_a_worker_killed_mid_run_loses_nothing_and_counts_nothing_twice(client, tmp_path, log):
    victims = list(client.run(os.getpid).values())
    killed = []

    def kill_one():
        while len(files(tmp_path)) < 5:
            time.sleep(0.005)
        latest = max(log.iterdir(), key=lambda file: int(file.name.split()[3]))
        killed.append(int(latest.name.split()[4]))  # which has begun a run a moment ago
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    result = sweep(experiment(log, pause=0.1), GRID, range(4), tmp_path / "runs", backend="dask")
    killer.join()
    assert killed[0] in victims and killed[0] not in client.run(os.getpid).values()
    assert starts(log) > 24  # what the killed worker was at began again elsewhere,
    assert len(result.runs) == len(files(tmp_path)) == 24  # and counts once
    assert same(result, sweep(experiment(), GRID, range(4), backend="inline", progress=False))


def test_a_run_that_kills_each_worker_it_is_given(client, tmp_path):
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))

    def run(seed):
        if seed == 3:
            time.sleep(0.3)  # the others are done by then
            os.kill(os.getpid(), signal.SIGKILL)
        return seed

    with pytest.warns(RuntimeWarning, match="1 of 4 runs failed(.|\n)*seed 3(.|\n)*KilledWorker"):
        result = sweep(run, {}, range(4), tmp_path, backend="dask")
    assert [run.seed for run in result.runs] == [0, 1, 2] and len(files(tmp_path)) == 3


def test_dask_without_a_cluster():
    pytest.importorskip("distributed")
    script = "from minigrad.sweeps import sweep; sweep(lambda seed: 1, {}, backend='dask')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "no cluster is there. Start one, dask.distributed.Client()" in done.stderr


@pytest.mark.parametrize(
    ("missing", "backend", "remedy"),
    [
        ("joblib", "processes", "pip install joblib threadpoolctl tqdm"),
        ("distributed", "dask", r"pip install 'dask\[distributed\]'"),
    ],
)
def test_a_package_that_is_missing_is_said_with_the_remedy(missing, backend, remedy, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=f"{missing}.*{remedy}"):
        sweep(lambda seed: seed, {}, backend=backend, progress=False)
