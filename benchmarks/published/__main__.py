"""`make published`, or `python -m benchmarks.published`: reach what others published.

python -m benchmarks.published                 everything, in fifteen minutes of CPU time
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
MANY, SOME = range(10), range(5)
FEW = {"mlp": range(5), "lstm": range(3), "digits": range(3)}  # where a run takes its time


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
    less = {"epochs": 1} if options.quick else {}

    def runs(experiment, setting, seeds):
        """{name: the values of all seeds} for one setting."""
        seeds = seeds[:1] if options.quick else seeds
        result = sweep(
            experiment(options.folder), [setting | less], seeds, jobs=options.jobs, **kept
        )
        rows = result.dicts()
        return {name: [row[name] for row in rows] for name in rows[0]}

    return {
        "format": table.FORMAT,
        "version": table.VERSION,
        "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": options.quick,
        "machine": {"processor": machine.processor(), "cores": os.cpu_count(), "threads": 1},
        "versions": {"python": platform.python_version(), "numpy": machine.versions()["numpy"]},
        "results": [*entity_results(runs), *digit_results(runs, options.quick)],
        "steps": {network: entity_steps(runs, network) for network in entities.STEPS},
        "baselines": entities.baselines(options.folder),
    }


def entity_results(runs):
    """Both networks, in the handout's size and in the one that does best, on the test titles."""
    for network, target, limit in ("mlp", 0.94, 12), ("lstm", 0.92, 100):
        ladder = entities.ladder(network)
        for step, seeds in zip(reported(network), (MANY, FEW[network])):
            recipe = {"network": network, **ladder[step]}
            found = runs(entities.experiment, recipe | {"final": True}, seeds)
            yield {
                "key": f"entities-{network}-{recipe['length']}",
                "task": "what a name names",
                "network": f"{network.upper()}, {recipe['length']} characters, "
                f"{recipe['hidden']} units",
                "measure": "test cross-entropy",
                "target": target,
                "lower": True,
                "cpu_limit": limit,
                "published": "full marks of the course's checker",
                "recipe": recipe,
                "seeds": found["seed"],
                "values": found["test"],
                "accuracy": found["test_accuracy"],
                "cpu_seconds": found["cpu_seconds"],
            }


def reported(network):
    """The steps whose networks meet the test titles."""
    return entities.SAME_SIZE[network], entities.STEPS[network][-1][0]


def entity_steps(runs, network):
    """What each change to the handout's recipe does, on the validation titles."""
    steps = []
    for (name, change), recipe in zip(entities.STEPS[network], entities.ladder(network).values()):
        final = {"final": True} if name in reported(network) else {}  # that run has been made
        found = runs(entities.experiment, {"network": network, **recipe, **final}, FEW[network])
        columns = ("valid", "valid_accuracy", "best_epoch", "cpu_seconds")
        steps.append({"step": name, "change": change, "parameters": found["parameters"][0]})
        steps[-1] |= {column: found[column] for column in columns}
    return steps


def digit_results(runs, quick):
    nielsen = "Nielsen, Neural networks and deep learning"
    vugrad = "vugrad, 0.972 to 0.974 after 20 epochs"
    for name, measure, target, published, seeds in (
        ("784-100-10", "test_accuracy", 0.966, nielsen, SOME),
        ("784-3136-10", "valid_accuracy", 0.972, vugrad, FEW["digits"]),
    ):
        recipe = digits.RECIPES[name] | ({"hidden": 30} if quick else {})
        found = runs(digits.experiment, recipe, seeds)
        yield {
            "key": f"mnist-{name}",
            "task": "MNIST",
            "network": f"{name}, sigmoid, {recipe['epochs']} epochs",
            "measure": measure.replace("_", " ").replace("valid ", "validation "),
            "target": target,
            "lower": False,
            "cpu_limit": None,
            "published": published,
            "recipe": recipe,
            "seeds": found["seed"],
            "values": found[measure],
            "accuracy": found["test_accuracy"],
            "cpu_seconds": found["cpu_seconds"],
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
