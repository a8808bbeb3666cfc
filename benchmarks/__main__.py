"""`make bench`, or `python -m benchmarks`: run the workloads, print the table, write the results.

python -m benchmarks                 everything, into benchmarks/results/performance.json
python -m benchmarks --quick         everything once, to see that it runs; writes nothing
python -m benchmarks --only mlp      the workloads whose key has "mlp" in it; writes nothing
python -m benchmarks --output FILE   into another file, also with --quick or --only
"""

import argparse
import gc
import sys
import warnings

from benchmarks import threads

ROUNDS = 15


def workloads():
    """All workloads, in the order of the table."""
    from benchmarks import networks, processes, scalars

    names = ("MLP400", "MLP800", "MLPSmall", "LSTMSmall", "LSTMLarge", "Characters", "ConvNet")
    timed = [getattr(networks, name) for name in names]
    timed += [scalars.Chain, scalars.Book]
    timed += [scalars.SumOfTerms, scalars.Rosenbrock, scalars.Helmholtz]
    apart = [processes.GraphMemory, processes.StepMemoryMLP, processes.StepMemoryCharacters]
    return timed, [*apart, processes.ImportTime]


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--only", metavar="WORD", help="workloads whose key has this in it")
    parser.add_argument("--rounds", type=int, help=f"rounds of samples (default {ROUNDS})")
    parser.add_argument("--output", metavar="FILE", help="where to write the results")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least one round is needed")
    known = [workload.key for group in workloads() for workload in group] + ["curves"]
    if options.only and not any(options.only in key for key in known):
        parser.error(f"--only {options.only}: no such workload; there are {', '.join(known)}")
    return options


def run(options):
    """The document of results, with a progress bar on the way."""
    from tqdm import tqdm

    from benchmarks import harness, results

    wanted = lambda key: not options.only or options.only in key
    timed, apart = ([kind() for kind in group if wanted(kind.key)] for group in workloads())
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    few = min(rounds, 3)
    if options.quick:
        harness.SAMPLE = 0.0
        for workload in (*timed, *apart):
            vars(workload).update(workload.quick, aims={})  # too short to judge
    seeds = 1 if options.quick else 5
    total = rounds * len(timed) + few * len(apart) + (3 + seeds) * wanted("curves")
    measured, drawn = [], {}
    with tqdm(total=total, unit="round", leave=False) as bar:
        for workload in timed:
            bar.set_description(workload.key)
            measured.append(harness.measure(workload, rounds, bar.update))
            workload.__dict__.clear()
            gc.collect()
        for workload in apart:
            bar.set_description(workload.key)
            measured.append(workload.measure(few, bar.update))
        if wanted("curves"):
            bar.set_description("curves")
            drawn = curves(few, options.quick, seeds, bar.update)
    return results.document(measured, drawn, rounds, options.quick)


def curves(rounds, quick, seeds, progress):
    from benchmarks import curves

    drawn = {"size": curves.cost_against_size(rounds, quick)}
    progress()
    drawn["depth"] = curves.cost_against_depth(rounds, quick)
    progress()
    drawn["memory"] = curves.memory_against_depth(quick)
    progress()
    drawn["accuracy"] = curves.time_to_accuracy(seeds, 2 if quick else 20, progress=progress)
    return drawn


def main(arguments=None):
    """Exit status: 0, or 130 when interrupted, or 1 where the contenders disagree."""
    with threads.one_thread():
        warnings.simplefilter("ignore")  # the peers' own, about each other
        options = parse(arguments)
        from benchmarks import harness, results

        try:
            found = run(options)
        except KeyboardInterrupt:
            print("\nInterrupted: nothing was written.", file=sys.stderr)
            return 130
        except harness.Disagreement as error:
            print(f"\nVoid. {error}", file=sys.stderr)
            return 1
        print(results.table(found))
        part = options.quick or options.only
        path = options.output or (None if part else results.PATH)
        if path:
            results.write(found, path)
            print(f"Written to {path if options.output else path.relative_to(path.parents[2])}.")
        else:
            print("A part of the benchmark, so nothing was written (--output FILE writes it).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
