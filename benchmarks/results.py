"""The results file: written whole or not at all, checked when read, printed as a table."""

import datetime
import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path

FORMAT, VERSION = "minigrad-benchmarks", 1
CURVES = {
    "size": ("n", "function_ms", "ratios"),
    "depth": ("depth", "function_ms", "ratios"),
    "memory": ("depth", "everything kept", "checkpoints"),
    "accuracy": ("target", "seeds", "epochs", "missing", "runs"),
}
PATH = Path(__file__).resolve().parent / "results" / "performance.json"
PACKAGES = ("numpy", "torch", "jax", "autograd", "micrograd")

NAMES = {
    "hand": "by hand, tuned",
    "plain": "by hand, plain",
    "function": "the function alone",
    "torch": "PyTorch",
    "torch_gates": "PyTorch, gates",
    "jax": "JAX",
    "autograd": "autograd",
    "autograd_gates": "autograd, gates",
    "minigrad_replayed": "minigrad, replayed",
    "minigrad_step": "minigrad, step op",
    "minigrad_gates": "minigrad, gates",
    "minigrad_gates_replayed": "minigrad, gates, replayed",
    "numpy": "NumPy",
    "python": "Python alone",
    "differences": "central differences",
}


def name(contender):
    """A contender in words."""
    return NAMES.get(contender, contender)


def document(workloads, curves, rounds, quick):
    """Everything that was measured, and where; nothing that tells one machine from its sisters."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": quick,
        "rounds": rounds,
        "seed": 1964,
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "threads": 1,
        },
        "versions": {"python": platform.python_version()} | versions(),
        "workloads": workloads,
        "curves": curves,
    }


def versions():
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor():
    """What the system calls its processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*: (.+)$", text, re.M)
    return found[1].strip() if found else platform.processor() or platform.machine()


def write(results, path):
    """Write to a file beside it, then rename: an interrupted run leaves the old results."""
    check(results)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_rounded(results), indent=1) + "\n")
    part.replace(path)


def _rounded(value):
    """Five digits say all that a time has to say."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(inside) for key, inside in value.items()}
    return [_rounded(inside) for inside in value] if isinstance(value, list) else value


def read(path=PATH):
    """The results of the last full run. Raises FileNotFoundError or ValueError, saying what is
    to be done."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"there are no results in {path.name} yet: `make bench` writes them"
        )
    results = json.loads(path.read_text())
    check(results)
    return results


def check(results):
    """Raises ValueError, naming the place, where the results are not what `read` promises."""

    def expect(condition, place):
        if not condition:
            raise ValueError(f"benchmark results: {place} is missing or of the wrong kind")

    expect(results.get("format") == FORMAT and results.get("version") == VERSION, "format")
    kinds = {"recorded": str, "quick": bool, "rounds": int, "seed": int, "machine": dict}
    kinds |= {"versions": dict, "workloads": list, "curves": dict}
    for key, kind in kinds.items():
        expect(isinstance(results.get(key), kind), key)
    for curve, keys in CURVES.items() if results["curves"] else ():  # a part may go without
        for key in keys:
            expect(key in results["curves"].get(curve, {}), f"curves.{curve}.{key}")
    for workload in results["workloads"]:
        for key in ("key", "title", "unit", "baseline", "absolute", "aims", "entries", "missing"):
            expect(key in workload, f"{workload.get('key')}.{key}")
        for entry in workload["entries"]:
            place = f"{workload['key']}.{entry.get('contender')}"
            expect(isinstance(entry.get("median"), float) and entry["median"] >= 0, place)
            low, high = entry.get("quartiles") or (1, 0)
            expect(low <= high, f"{place}.quartiles")
            if entry["aim"] is not None:
                reached = entry["median"] if workload["absolute"] else entry["ratio"]
                expect(entry["met"] == (reached <= entry["aim"]), f"{place}.met")


def aims(results):
    """[(workload, contender, aim, entry)]; the entry is None for one who could not take part."""
    return [
        (workload, who, aim, find(workload, who))
        for workload in results["workloads"]
        for who, aim in workload["aims"].items()
    ]


def find(workload, contender):
    """What a contender did on a workload, or None."""
    found = [entry for entry in workload["entries"] if entry["contender"] == contender]
    return found[0] if found else None


def met(results):
    """How many aims are met; whoever did not take part has met none."""
    return sum(entry is not None and entry["met"] for *_, entry in aims(results))


def table(results):
    """The table that a terminal shows."""
    lines = []
    for workload in results["workloads"]:
        lines += ["", f"{workload['title']}  ({workload['unit']})"]
        for entry in workload["entries"]:
            line = f"  {name(entry['contender']):<27}{entry['median']:>10.4g}"
            if entry["ratio"] is not None:
                low, high = entry["ratio_quartiles"]
                line += f"   x {entry['ratio']:<7.3g} ({low:.3g} to {high:.3g})"
            if entry["aim"] is not None:
                line = f"{line:<66} aim {entry['aim']:g}: {'met' if entry['met'] else 'MISSED'}"
            lines.append(line)
        for contender, reason in workload["missing"].items():
            lines.append(f"  {name(contender):<27} not available: {reason}")
    return "\n".join([*lines, "", f"{met(results)} of {len(aims(results))} aims met."])
