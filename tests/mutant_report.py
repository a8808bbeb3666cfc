"""Who is taken for whom: `python tests/mutant_report.py` prints what gradcheck says of all mutants.

A mutant is an op whose backward was broken on purpose; its true cause is written down beside it in
`test_mutants`. The report is Markdown.
"""

import collections

import numpy as np
from ops_table import TABLE
from test_mutants import examine, share_named

import minigrad as mg


def report(examined):
    """The lines of the report on a list of `Examined` mutants."""
    particular = [one for one in examined if "(input" not in one.name]
    yield "# The mutants of all ops, and what gradcheck says of them\n"
    yield (
        f"{len(examined)} backwards of {len({one.op for one in examined})} ops were broken on "
        f"purpose. gradcheck refuses {sum(not one.report for one in examined)} of them, and its "
        f"first diagnosis names the true cause of {share_named(examined):.1%}; of the "
        f"{len(particular)} formulas that are wrong as people write them wrong, of "
        f"{share_named(particular):.1%}.\n"
    )
    yield "| the true cause | mutants | named | taken for |"
    yield "| --- | ---: | ---: | --- |"
    by_cause = collections.defaultdict(list)
    for one in examined:
        by_cause[", ".join(sorted(one.causes))].append(one)
    for cause, some in sorted(by_cause.items(), key=lambda item: (-len(item[1]), item[0])):
        others = collections.Counter(str(one.report.mistake) for one in some if not one.named)
        taken = ", ".join(f"{name} ({n})" for name, n in others.most_common())
        yield f"| {cause} | {len(some)} | {sum(one.named for one in some)} | {taken} |"
    yield "\nNot named:\n"
    yield from (f"* {one}" for one in examined if not one.named)


if __name__ == "__main__":
    rng = np.random.default_rng(1964)
    with mg.strict():
        print(*report([one for row in TABLE for one in examine(row, rng)]), sep="\n")
