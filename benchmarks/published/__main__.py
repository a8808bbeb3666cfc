"""`make published`, or `python -m benchmarks.published`: reach what others published.

python -m benchmarks.published                 everything, a quarter of an hour of CPU time
python -m benchmarks.published --folder FILES  with the data from this folder, not from the network
python -m benchmarks.published --quick         one seed, one epoch, small networks; writes nothing
python -m benchmarks.published --output FILE   into another file, also with --quick

What has been computed is kept in _build/published until the code changes: an interrupted run goes
on where it was.
"""

import argparse
import datetime
import hashlib
import os
import platform
from pathlib import Path

import minigrad
from benchmarks import results as machine
from benchmarks.published import digits, entities, table
from minigrad.sweeps import sweep

ROOT = Path(__file__).resolve().parents[2]
SEEDS, FEW = range(10), range(5)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.published", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--folder", help="where the data is, else it is fetched")
    parser.add_argument("--jobs", type=int, help="runs at a time (default: one for each core)")
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch")
    parser.add_argument("--output", metavar="FILE", help="where to write the results")
    return parser.parse_args(arguments)


def code():
    """A hash of all code that a result can depend on, to tell old results by."""
    files = sorted(
        [*Path(minigrad.__file__).parent.rglob("*.py"), *Path(__file__).parent.glob("*.py")]
    )
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def measure(options):
    """The document of results."""
    kept = {"folder": None if options.quick else ROOT / "_build" / "published", "version": code()}
    few, many = (range(1), range(1)) if options.quick else (FEW, SEEDS)
    less = {"epochs": 1} if options.quick else {}

    def runs(experiment, setting, seeds):
        """{name: values of all seeds} for one setting."""
        run = experiment(options.folder)
        rows = sweep(run, [setting | less], seeds, jobs=options.jobs, **kept).dicts()
        return {name: [row[name] for row in rows] for name in rows[0]}

    results, steps = [], {}
    for network, target, limit in ("mlp", 0.94, 12), ("lstm", 0.92, 100):
        ladder, steps[network] = entities.ladder(network), []
        for name, recipe in ladder.items():
            found = runs(entities.experiment, {"network": network, **recipe}, few)
            steps[network].append({"step": name, "change": dict(entities.STEPS[network])[name]})
            for key in "valid", "valid_accuracy", "epochs", "cpu_seconds":
                steps[network][-1][key] = found[key]
            steps[network][-1]["parameters"] = found["parameters"][0]
        for name, seeds in (entities.SAME_SIZE[network], many), (name, few):
            recipe = {"network": network, **ladder[name]}
            found = runs(entities.experiment, {"final": True, **recipe}, seeds)
            size = f"{recipe['length']} characters, {recipe['hidden']} units"
            results.append(
                {
                    "key": f"entities-{network}-{recipe['length']}",
                    "task": "what a name names",
                    "network": f"{network.upper()}, {size}",
                    "measure": "test cross-entropy",
                    "target": target,
                    "lower": True,
                    "cpu_limit": limit,
                    "published": "full marks of the course's checker",
                    "recipe": recipe,
                    "seeds": list(seeds),
                    "values": found["test"],
                    "accuracy": found["test_accuracy"],
                    "cpu_seconds": found["cpu_seconds"],
                }
            )
    for name, value, target, published in (
        ("784-100-10", "test_accuracy", 0.966, "Nielsen, Neural networks and deep learning"),
        ("784-3136-10", "valid_accuracy", 0.972, "vugrad, 0.972 to 0.974 after 20 epochs"),
    ):
        recipe = digits.RECIPES[name] | ({"hidden": 30} if options.quick else {})
        found = runs(digits.experiment, recipe, few)
        results.append(
            {
                "key": f"mnist-{name}",
                "task": "MNIST",
                "network": f"{name}, sigmoid, {recipe['epochs']} epochs",
                "measure": value.replace("_", " ").replace("valid ", "validation "),
                "target": target,
                "lower": False,
                "cpu_limit": None,
                "published": published,
                "recipe": recipe,
                "seeds": list(few),
                "values": found[value],
                "accuracy": found["test_accuracy"],
                "cpu_seconds": found["cpu_seconds"],
            }
        )
    return {
        "format": table.FORMAT,
        "version": table.VERSION,
        "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": options.quick,
        "machine": {"processor": machine.processor(), "cores": os.cpu_count(), "threads": 1},
        "versions": {
            "python": platform.python_version(),
            "numpy": machine.versions()["numpy"],
        },
        "results": results,
        "steps": steps,
        "baselines": entities.baselines(options.folder),
    }


def main(arguments=None):
    options = parse(arguments)
    document = measure(options)
    print(table.text(table.rows(document)))
    for network in document["steps"]:
        print(f"\n{network.upper()}: what each change does, on top of those above it")
        print(table.text(table.steps(document, network)))
    path = options.output or (None if options.quick else table.PATH)
    if path:
        table.write(document, path)


if __name__ == "__main__":
    main()
