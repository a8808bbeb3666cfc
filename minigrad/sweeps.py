"""Many settings, many seeds: experiments on all cores or a cluster, which can be interrupted.

    def run(seed, rate, width):
        ...
        return {"accuracy": 0.97, "losses": losses}

    result = sweep(run, {"rate": [0.1, 0.5], "width": [32, 64]}, range(10), folder="runs")
    result                      # mean ± standard deviation of each setting

Each run's result becomes one file. The same call again computes only what is not there yet.
"""

import copy
import hashlib
import itertools
import json
import os
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """What several runs gave: their mean, standard deviation (over n − 1), and every value."""

    mean: float
    sd: float
    values: np.ndarray

    def __str__(self):
        if np.ndim(self.mean):
            return f"means and standard deviations {self.mean.shape} ({len(self.values)} runs)"
        return f"{self.mean:.3g} ± {self.sd:.2g} ({len(self.values)} runs)"


def over_seeds(run, seeds=range(10)):
    """`run(seed)` for each seed, as a `Spread`: one run is an anecdote."""
    values = np.array([run(seed) for seed in seeds])
    if len(values) < 2:
        raise ValueError(f"over_seeds: {len(values)} seeds; a spread needs at least two")
    return Spread(values.mean(axis=0), values.std(axis=0, ddof=1), values)


class Run(NamedTuple):
    """A run: what it was given, and the numbers and arrays it gave, or else the traceback."""

    setting: dict
    seed: int
    result: dict
    seconds: float
    error: str = ""


class Sweep:
    """What a sweep gave: its `runs`, in the order of settings and seeds, and the `failures`."""

    def __init__(self, runs):
        self.runs = [run for run in runs if not run.error]
        self.failures = [run for run in runs if run.error]

    def dicts(self):
        """One flat dict for each run, of setting, seed and result: the rows of a data frame."""
        return [{**run.setting, "seed": run.seed, **run.result} for run in self.runs]

    def table(self):
        """One dict for each setting: its values, and the `Spread` of each result over the seeds.

        Arrays spread entry by entry; where their shapes differ from seed to seed, ValueError.
        """
        groups = {}
        for run in self.runs:
            groups.setdefault(_text(run.setting), []).append(run)
        return [
            {**runs[0].setting, **{name: _spread(name, runs) for name in runs[0].result}}
            for runs in groups.values()
        ]

    def report(self):
        """How many runs failed, which, and why; a traceback that several share is given once."""
        shared = {}
        for run in self.failures:
            shared.setdefault(run.error, []).append(_label(run.setting, run.seed))
        heading = f"{len(self.failures)} of {len(self.failures + self.runs)} runs failed"
        return "\n".join([heading, *("\n".join([*who, why]) for why, who in shared.items())])

    def __repr__(self):
        is_curve = lambda value: isinstance(value, Spread) and np.ndim(value.mean)
        rows = [{k: str(v) for k, v in row.items() if not is_curve(v)} for row in self.table()]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = [[name, *(row.get(name, "") for row in rows)] for name in names]
        columns = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
        lines = ["  ".join(line).rstrip() for line in zip(*columns)]
        return "\n".join(lines + [self.report()] * bool(self.failures))


def sweep(
    run, settings, seeds=range(10), folder=None, jobs=None, backend="processes", progress=True,
    version=None, client=None,
):  # fmt: skip
    """`run(seed=seed, **setting)` for every setting with every seed, as a `Sweep`.

    `settings` is a grid, a dict {name: list of values}, or a list of dicts. `run` returns a number
    or a dict of numbers and arrays. `backend` says where: "processes" of this machine, `jobs` at a
    time (None: one for each core); "dask", a Dask cluster, the one of `client` or the current one;
    "inline", here, one after the other. A run has one BLAS thread wherever it is, so that all three
    give the same numbers.

    With `folder`, the results are kept there, and what is there is not computed again. Each run has
    a file, written in one go as soon as the run is done, and always by the process that called:
    workers on other machines need no common disk. A damaged file is computed again, with a warning.
    A result belongs to the name of `run`, its code, its defaults and the values it closes over;
    those of another function are left alone. What `run` calls, and the globals it reads, are not
    looked at: when they change, give a `version`, any text, which then stands for all that.

    A run that raises is left out, told of in a warning at the end and in `failures`, and tried
    again by the next call. So is, after three attempts, one whose process was killed.

    Raises ValueError or TypeError for settings, seeds and backends that cannot be, and RuntimeError
    where every run failed.
    """
    *_, tqdm = _packages()
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r}; expected one of {', '.join(map(repr, BACKENDS))}")
    tasks, store = _tasks(settings, seeds), folder and _store(folder, run, version)
    done = {key: kept for key, task in tasks.items() if store and (kept := _load(store, key, task))}
    missing = {key: task for key, task in tasks.items() if key not in done}
    where = {"processes": jobs, "dask": client}.get(backend)
    outcomes = BACKENDS[backend](run, missing, where)
    bar = tqdm(total=len(tasks), initial=len(done), unit="run", disable=not progress)
    try:
        for key, outcome in outcomes:
            if store and not outcome.error:
                _save(store, key, outcome)
            done[key] = outcome
            bar.update()
    finally:
        bar.close()
        outcomes.close()  # also after an interrupt: what is under way elsewhere, stops
    result = Sweep([done[key] for key in tasks])
    if not result.runs:
        raise RuntimeError(f"sweep: {result.report()}")
    if result.failures:
        warnings.warn(f"sweep: {result.report()}", RuntimeWarning, stacklevel=2)
    return result


def _packages():
    """Imported when a sweep needs them: `train` has over_seeds from here, and needs none."""
    try:
        import joblib
        from threadpoolctl import threadpool_limits
        from tqdm.auto import tqdm
    except ImportError as error:
        advice = f"{error}: pip install joblib threadpoolctl tqdm"
        raise ImportError(advice, name=error.name) from None
    return joblib, threadpool_limits, tqdm


# ---- Tasks: {key: (setting, seed)}; the key names the file and depends on nothing else ----


def _tasks(settings, seeds):
    if isinstance(settings, dict):
        for name, values in settings.items():
            if isinstance(values, str) or not np.iterable(values):
                raise TypeError(f"settings: {name!r} is {values!r}; expected a list, [{values!r}]")
        grid = itertools.product(*settings.values())
        settings = [dict(zip(settings, values)) for values in grid]
    if not np.iterable(seeds):
        raise TypeError(f"seeds={seeds!r}; expected several numbers, such as range(10)")
    tasks = {}
    for setting, seed in itertools.product(settings, map(int, seeds)):
        label = _label(setting, seed)
        key = hashlib.sha256(label.encode()).hexdigest()[:16]
        if key in tasks or "seed" in setting:
            raise ValueError(f"{label}: expected each setting and seed once, or it counts twice")
        tasks[key] = setting, seed
    if not tasks:
        raise ValueError("nothing to run: no settings, or no seeds")
    return tasks


def _text(setting):
    """A setting as JSON, the same for equal settings."""
    try:
        return json.dumps(setting, sort_keys=True, default=lambda value: value.item())
    except (TypeError, ValueError, AttributeError) as error:
        raise TypeError(
            f"settings: {setting!r}; expected numbers, strings, and lists of them. A function can "
            "be given by its name, and looked up in run."
        ) from error


def _label(setting, seed):
    return f"{_text(setting)} seed {seed}"


def _attempt(run, key, setting, seed):
    """(key, Run). What `run` raises becomes part of the result, so that it stops no other run."""
    start = time.perf_counter()
    try:
        # A copy: a list that the run appends to belongs to the other seeds, too.
        result = _numbers(run(seed=seed, **copy.deepcopy(setting)), {*setting, "seed"})
    except (Exception, SystemExit):
        return key, Run(setting, seed, {}, time.perf_counter() - start, traceback.format_exc())
    return key, Run(setting, seed, result, time.perf_counter() - start)


def _attempt_in_a_worker(*task):
    """In a process that does nothing else, the limit to one BLAS thread may stay."""
    _, threadpool_limits, _ = _packages()
    threadpool_limits(1)
    return _attempt(*task)


def _numbers(result, taken=()):
    """What `run` returned, as {name: number or array}, the same now as when it is read again."""
    named = result if isinstance(result, dict) else {"result": result}
    arrays = {name: np.asarray(value) for name, value in named.items()}
    for name, array in arrays.items():
        if not isinstance(name, str) or name in taken or array.dtype.kind not in "biufc":
            raise TypeError(
                f"run returned {name!r}: {named[name]!r}; expected a number, or a dict of numbers "
                "and arrays, under names that no setting has"
            )
    return {name: array if array.ndim else array.item() for name, array in arrays.items()}


# ---- Where the runs take place: each yields (key, Run), in any order, each key once ----


def _inline(run, tasks, _):
    _, threadpool_limits, _ = _packages()
    for key, task in tasks.items():
        with threadpool_limits(1):
            outcome = _attempt(run, key, *task)
        yield outcome


def _processes(run, tasks, jobs):
    """A process that dies breaks the pool of all. What was under way then goes on alone.

    Only one of these runs need be to blame: alone, the others come to their end.
    """
    joblib, *_ = _packages()
    left, deaths, jobs = dict(tasks), Counter(), jobs or joblib.cpu_count()
    if jobs == 1:
        yield from _inline(run, tasks, None)
        return
    while left:
        group = [key for key in left if not deaths[key]] or [next(iter(left))]
        begun = []
        with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            pool = joblib.Parallel(batch_size=1, return_as="generator_unordered")
            try:
                for key, outcome in pool(_calls(run, tasks, group, begun)):
                    del left[key]
                    yield key, outcome
            except BrokenProcessPool:
                deaths.update(left.keys() & begun)
        for key in [key for key in left if deaths[key] == 3]:
            yield key, Run(*left.pop(key), {}, 0.0, "its process died three times")


def _calls(run, tasks, group, begun):
    """What joblib is to call, one by one; `begun` is told of each that it has asked for."""
    joblib, *_ = _packages()
    for key in group:
        begun.append(key)
        yield joblib.delayed(_attempt_in_a_worker)(run, key, *tasks[key])


def _dask(run, tasks, client):
    try:
        from distributed import as_completed, get_client
    except ImportError as error:
        raise ImportError(f"{error}: pip install 'dask[distributed]'", name=error.name) from None
    try:
        client = client or get_client()
    except ValueError as error:
        raise ValueError(
            'backend="dask": no cluster is there. Start one, dask.distributed.Client(), or hand '
            "one over, client=..."
        ) from error
    one = [
        client.submit(_attempt_in_a_worker, run, key, *task, pure=False)
        for key, task in tasks.items()
    ]
    keys = dict(zip(one, tasks))
    try:
        for future in as_completed(one):
            lost = future.exception()  # the cluster has tried it again on other workers, in vain
            key = keys[future]
            yield (key, Run(*tasks[key], {}, 0.0, repr(lost))) if lost else future.result()
    finally:
        client.cancel(one)


BACKENDS = {"processes": _processes, "dask": _dask, "inline": _inline}


# ---- Results on disk: a subfolder for each function and version, in it one file for each run ----


def _store(folder, run, version):
    name = getattr(run, "__name__", "run").strip("<>")
    identity = f"{name} {fingerprint(run) if version is None else version}"
    store = Path(folder) / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"
    store.mkdir(parents=True, exist_ok=True)
    return store


def _save(store, key, run):
    about = _text({"setting": run.setting, "seed": run.seed, "seconds": run.seconds})
    arrays = {f"result.{name}": value for name, value in run.result.items()}
    descriptor, part = tempfile.mkstemp(".part", key, store)
    try:
        with open(descriptor, "wb") as file:
            np.savez(file, about=about, **arrays)
        os.replace(part, store / f"{key}.npz")
    except BaseException:
        os.unlink(part)
        raise


def _load(store, key, task):
    """The run that is kept under this key, or None."""
    path, label = store / f"{key}.npz", _label(*task)
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if _label(about["setting"], about["seed"]) != label:
                raise ValueError("it holds another run")
            arrays = {name[7:]: file[name] for name in file if name.startswith("result.")}
        return Run(*task, _numbers(arrays), about["seconds"])
    except FileNotFoundError:
        return None
    except Exception as error:  # damaged bytes can make a reader stumble in any way
        warnings.warn(f"{path}: {error}; {label} is run again", RuntimeWarning, stacklevel=4)


def fingerprint(run):
    """What tells a function from another: a hash of its code, defaults and closed-over values.

    It is the same in each process, and wherever the function stands in its file. Raises TypeError
    for what is no plain function, and for one that holds what cannot be hashed.
    """
    joblib, *_ = _packages()
    try:
        held = [cell.cell_contents for cell in run.__closure__ or ()]
        held = [
            _code(value.__code__) if isinstance(value, FunctionType) else value for value in held
        ]
        return joblib.hash([_code(run.__code__), run.__defaults__, run.__kwdefaults__, held])
    except Exception as error:
        raise TypeError(
            f"{run!r} cannot be told from its like by its code ({error}): give it a version=..."
        ) from error


def _code(code):
    """What a function does, without the names of files and the numbers of lines."""
    constants = [
        _code(each)
        if isinstance(each, CodeType)
        else sorted(each, key=repr)  # the order of a set changes from process to process
        if isinstance(each, frozenset)
        else each
        for each in code.co_consts
    ]
    return repr([code.co_code, code.co_names, code.co_varnames, constants])


def _spread(name, runs):
    values = [run.result[name] for run in runs if name in run.result]
    if len({np.shape(value) for value in values}) > 1:
        raise ValueError(f"the arrays {name!r} differ in shape from seed to seed: see dicts()")
    values = np.array(values)
    sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.nan * values[0]
    return Spread(values.mean(axis=0), sd, values)
