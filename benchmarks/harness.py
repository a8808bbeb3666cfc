"""How it is measured: CPU time, in rounds, as ratios; and only once everybody agrees.

A workload is a class in the manner of airspeed velocity (asv): `setup` draws the data, `time_hand`,
`time_minigrad`, `time_torch` ... take one step each. What stands behind `time_torch` is written in
`prepare_torch`, which builds everything and returns the step, a function without arguments. Three
rules make the ratios mean something:

* Before any clock runs, the first steps of all contenders are compared with those of the
  hand-written one. Where they differ, the benchmark is void: it would time different computations.
* A round takes a sample of each contender, one after the other, and every round begins with
  another one. If the machine is disturbed for a second, it is for all.
* Samples are CPU time of this process, so that a neighbour on the machine costs little; the
  contender's ratio is that of the medians, its spread the quartiles of the ratios in each round.
"""

import gc
import time

import numpy as np

SEED = 1964
ORDER = ("function", "hand", "plain", "minigrad", "torch", "jax", "autograd", "micrograd")
SAMPLE = 0.03  # seconds that a sample should last, at the least one step


class Disagreement(Exception):
    """Two contenders did not compute the same."""


class Workload:
    """What everybody has to compute. Subclasses define `setup` and a `prepare_...` for each.

    `key`, `title`   what --only and the table call it
    `unit`, `scale`  how a second is shown: ("ms a step", 1e3)
    `aims`           {contender: the largest ratio, or time in `unit` where `absolute`, to aim at}
    `baseline`       whose time is 1 in the ratios; `reference` is who is right
    `quick`          attributes that a quick run changes: smaller sizes
    `checked`        how many steps are compared before the clock runs, to which relative error
    """

    unit, scale, absolute = "ms a step", 1e3, False
    baseline, reference, aims, quick = "hand", "hand", {}, {}
    checked, tolerance = 3, 5e-5  # five digits

    def __init_subclass__(cls):
        for contender in contenders(cls):
            setattr(cls, f"time_{contender}", lambda self, who=contender: self.step(who)())

    def setup(self):
        raise NotImplementedError

    def step(self, contender):
        """The contender's step, prepared when it is first asked for."""
        steps = self.__dict__.setdefault("_steps", {})
        if contender not in steps:
            steps[contender] = getattr(self, f"prepare_{contender}")()
        return steps[contender]


def contenders(workload):
    """Who takes part: by hand first, then minigrad, then its peers."""
    names = [name for cls in reversed(workload.__mro__) for name in vars(cls)]
    found = [
        name.removeprefix("prepare_")
        for name in dict.fromkeys(names)
        if name.startswith("prepare_") and getattr(workload, name)
    ]
    return sorted(found, key=lambda who: ORDER.index(who.split("_")[0]))


def prepare(workload):
    """({contender: step}, {contender: why it cannot take part}).

    A contender whose package, or whose part of minigrad, is not there is left out.
    """
    workload.setup()
    steps, missing = {}, {}
    for contender in contenders(type(workload)):
        try:
            steps[contender] = workload.step(contender)
        except ImportError as error:
            missing[contender] = str(error).split(" (")[0]  # without the path of the file
    return steps, missing


def agree(workload, steps):
    """Sizes of the reference's first results; raises Disagreement where somebody's differ."""
    expected = [np.array(steps[workload.reference]()) for _ in range(workload.checked)]
    for contender, step in steps.items():
        if contender in (workload.reference, workload.baseline):
            continue
        for number, right in enumerate(expected):
            got = np.asarray(step())
            scale = np.max(np.abs(right))
            if got.shape != right.shape or not np.max(np.abs(got - right)) <= (
                workload.tolerance * scale
            ):
                raise Disagreement(
                    f"{workload.title}: {contender} does not compute what {workload.reference} "
                    f"does. Step {number}: {_brief(got)}, expected {_brief(right)}. Times of "
                    "different computations cannot be compared, so nothing was timed."
                )
    return [float(np.linalg.norm(right)) for right in expected]


def measure(workload, rounds, progress=lambda: None):
    """One workload, timed: the dictionary that goes into the JSON file."""
    steps, missing = prepare(workload)
    results = agree(workload, steps)
    gc.collect()
    gc.freeze()  # what the peers brought along need not be searched for garbage in every sample
    try:
        numbers = {who: calls(step, SAMPLE) for who, step in steps.items()}
        samples = {who: [] for who in steps}
        names = list(steps)
        for number in range(rounds):
            turn = number % len(names)
            for who in names[turn:] + names[:turn]:
                steps[who]()  # the caches are warm again, as in a loop
                samples[who].append(_sample(steps[who], numbers[who]))
            progress()
    finally:
        gc.unfreeze()
    return {
        "key": workload.key,
        "title": workload.title,
        "unit": workload.unit,
        "baseline": workload.baseline,
        "absolute": workload.absolute,
        "aims": workload.aims,
        "results": results,
        "entries": [entry(workload, who, samples) for who in names],
        "missing": missing,
    }


def entry(workload, contender, samples):
    """Median, ratio to the baseline's, quartiles of both, the aim and whether it was met."""
    times = np.array(samples[contender])
    base = np.array(samples[workload.baseline])
    ratio = float(np.median(times) / np.median(base))
    aim = workload.aims.get(contender)
    reached = float(np.median(times) * workload.scale) if workload.absolute else ratio
    return {
        "contender": contender,
        "median": float(np.median(times) * workload.scale),
        "quartiles": quartiles(times * workload.scale),
        "ratio": ratio,
        "ratio_quartiles": quartiles(times / base),
        "aim": aim,
        "met": None if aim is None else bool(reached <= aim),
    }


def quartiles(values):
    return [float(value) for value in np.percentile(values, (25, 75))]


def calls(step, seconds):
    """How many calls take so long; the least of three tells, for the first may be a slow one."""
    return max(1, round(seconds / min(_sample(step, 1) for _ in range(3))))


def _sample(step, number):
    start = time.process_time()
    for _ in range(number):
        step()
    return max(time.process_time() - start, 1e-9) / number


def _brief(array):
    return f"{array.item():.8g}" if array.size == 1 else f"shape {array.shape}, {array.ravel()[:3]}"
