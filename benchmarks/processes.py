"""What needs a process of its own: memory that a graph holds, memory of a step, time to import.

`python -m benchmarks.processes graph minigrad 100000` measures one thing and prints one number.
"""

import gc
import importlib
import importlib.util
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np

from benchmarks import peers, threads
from benchmarks.harness import quartiles

ROOT = Path(__file__).resolve().parents[1]


def graph_minigrad(steps):
    import minigrad as mg

    return _chain(mg.TensorNode, steps)


def graph_torch(steps):
    torch = peers.import_torch()
    leaf = lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True)
    return _chain(leaf, steps)


def graph_micrograd(steps):
    from micrograd.engine import Value

    return _chain(Value, steps)


def _chain(leaf, steps):
    y, w, b = leaf(2.0), leaf(0.999), leaf(0.001)
    for _ in range(steps // 2):
        y = y * w
        y = y + b
    return y


def peakmem_graph(contender, steps):
    """Bytes by which the process grows for each op of a graph that is held."""
    import psutil

    build = globals()[f"graph_{contender}"]
    build(1000)  # what is only needed once is there now
    gc.collect()
    before = psutil.Process().memory_info().rss
    held = build(int(steps))
    after = psutil.Process().memory_info().rss
    assert held is not None
    return (after - before) / int(steps)


def peakmem_step(contender, workload):
    """Megabytes that a training step needs at its height, above what is kept between steps.

    Counted are Python's and NumPy's own allocations; those of PyTorch and JAX can't be seen.
    """
    from benchmarks import networks

    network = getattr(networks, workload)()
    network.setup()
    step = network.step(contender)
    for _ in range(3):
        step()
    gc.collect()
    tracemalloc.start()
    step()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    step()
    return (tracemalloc.get_traced_memory()[1] - before) / 1e6


def time_import(package):
    """CPU seconds from nothing to `import package`, Python's own start included."""
    import resource

    if package != "python" and importlib.util.find_spec(package) is None:
        raise ImportError(f"No module named {package!r}")
    code = "pass" if package == "python" else f"import {package}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_a_child(*arguments):
    """Run this file in a process of its own; raises ImportError with the child's words."""
    command = [sys.executable, "-m", "benchmarks.processes", *map(str, arguments)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        raise ImportError(run.stderr.strip().splitlines()[-1].split(": ", 1)[-1])
    return float(run.stdout)


class Processes:
    """A workload whose samples come from processes. Absolute numbers, no ratios but in imports."""

    absolute, baseline, aims, quick = True, None, {}, {}

    def measure(self, rounds, progress=lambda: None):
        samples, missing = {}, {}
        for _ in range(rounds):
            for contender in self.who:
                if contender not in missing:
                    try:
                        samples.setdefault(contender, []).append(self.sample(contender))
                    except (ImportError, AttributeError) as error:
                        missing[contender] = str(error).split(" (")[0]
            progress()
        samples = {who: taken for who, taken in samples.items() if taken and who not in missing}
        return {
            "key": self.key,
            "title": self.title,
            "unit": self.unit,
            "baseline": self.baseline,
            "absolute": self.absolute,
            "aims": self.aims,
            "results": [],
            "entries": [self.entry(who, samples) for who in samples],
            "missing": missing,
        }

    def entry(self, contender, samples):
        values, base = np.array(samples[contender]), samples.get(self.baseline)
        median, aim = float(np.median(values)), self.aims.get(contender)
        return {
            "contender": contender,
            "median": median,
            "quartiles": quartiles(values),
            "ratio": None if base is None else median / float(np.median(base)),
            "ratio_quartiles": None if base is None else quartiles(values / np.array(base)),
            "aim": aim,
            "met": None if aim is None else bool(median <= aim),
        }


class GraphMemory(Processes):
    key, title, unit = "memory-op", "Memory of a graph of 100,000 scalar ops", "bytes an op"
    who, aims, steps = ("minigrad", "micrograd", "torch"), {"minigrad": 600.0}, 100_000
    quick = {"steps": 10_000}

    def sample(self, contender):
        return in_a_child("graph", contender, self.steps)


class StepMemoryMLP(Processes):
    key, title = "memory-mlp", "Memory of a step, MLP 784-800-800-800-800-10"
    unit, workload = "MB", "MLP800"
    who, aims = ("hand", "plain", "minigrad", "autograd"), {"minigrad": 10.0}

    def sample(self, contender):
        return in_a_child("step", contender, self.workload)


class StepMemoryCharacters(StepMemoryMLP):
    key, title, workload = "memory-characters", "Memory of a step, character model", "Characters"
    who = ("hand", "plain", "minigrad", "minigrad_gates", "autograd_gates")
    aims = {"minigrad": 11.0, "minigrad_gates": 22.0}


class ImportTime(Processes):
    key, title, unit, baseline = "import", "Import, from the start of Python", "s", "numpy"
    who = ("python", "numpy", "minigrad", "micrograd", "autograd", "jax", "torch")

    def sample(self, contender):
        return time_import(contender)


if __name__ == "__main__":
    what, contender, *arguments = sys.argv[1:]
    with threads.one_thread():
        print(globals()[f"peakmem_{what}"](contender, *arguments))
