"""Tables and pictures of the results, for the book's performance page. Nothing is measured here.

Every picture has its table, and tells contenders apart by marker or dash as well as by colour.
"""

import html

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.results import aims, name
from minigrad.drawing import COLOURS, DASHES

PEERS = ("hand", "plain", "minigrad", "torch", "jax", "autograd", "differences")
COLOUR = dict(zip(PEERS[1:], (COLOURS["grey"], *COLOURS["other"])))
COLOUR["hand"] = "#000000"
MARKER = dict(zip(PEERS, "D|osPX^"))
DASH = dict(zip(PEERS, (*DASHES, ":")))
NONE = "–"


class Table:
    """{heading: cells}: text in a terminal, a table on the page. The first column names the row."""

    def __init__(self, columns):
        self.columns = {head: [str(cell) for cell in cells] for head, cells in columns.items()}

    def __repr__(self):
        rows = [list(self.columns), *zip(*self.columns.values())]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows
        )

    def _repr_html_(self):
        head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in self.columns)
        body = ""
        for first, *others in zip(*self.columns.values()):
            cells = "".join(f"<td>{html.escape(text)}</td>" for text in others)
            body += f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>'
        return (
            f'<table class="mg-trace"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )


# ---- Reading the results ----


def workload(results, key):
    """One workload by its key."""
    return next(workload for workload in results["workloads"] if workload["key"] == key)


def entry(results, key, contender):
    """What one contender did on one workload; None where it did not take part."""
    found = [e for e in workload(results, key)["entries"] if e["contender"] == contender]
    return found[0] if found else None


def networks(results):
    """The workloads that are training steps."""
    return [w for w in results["workloads"] if w["unit"] == "ms a step"]


def numbers(results):
    """{name: number} for the prose: every median and ratio as key-contender, and a few totals."""
    found = {}
    for work in results["workloads"]:
        for one in work["entries"]:
            place = f"{work['key']}-{one['contender']}".replace("_", "-")
            found[f"{place}-median"] = one["median"]
            if one["ratio"] is not None:
                found[f"{place}-ratio"] = one["ratio"]
    judged = aims(results)
    found["aims"], found["met"] = len(judged), sum(e["met"] for _, e in judged)
    found["rounds"], found["cores"] = results["rounds"], results["machine"]["cores"]
    size, memory = results["curves"]["size"], results["curves"]["memory"]
    found["largest-n"] = size["n"][-1]
    for who, ratios in size["ratios"].items():
        found[f"size-{who}-last"], found[f"size-{who}-n"] = ratios[-1], size["n"][len(ratios) - 1]
    found["deepest"] = memory["depth"][-1]
    found["memory-all"] = memory["everything kept"][-1]
    found["memory-checkpoints"] = memory["checkpoints"][-1]
    found["target"] = 100 * results["curves"]["accuracy"]["target"]
    found["epochs"] = results["curves"]["accuracy"]["epochs"]
    return found


# ---- Tables ----


def ratio(one):
    """A ratio with the quartiles of its rounds."""
    if one is None or one["ratio"] is None:
        return NONE
    low, high = one["ratio_quartiles"]
    return f"{one['ratio']:.3g} ({low:.3g} to {high:.3g})"


def aims_table(results):
    """Every aim, what was reached, and whether that is enough."""
    rows = aims(results)
    reached = [
        f"{one['median']:.3g} {work['unit']}" if work["absolute"] else ratio(one)
        for work, one in rows
    ]
    aimed = [
        f"{one['aim']:g} {work['unit']}" if work["absolute"] else f"{one['aim']:.2f}"
        for work, one in rows
    ]
    return Table(
        {
            "work": [work["title"] for work, _ in rows],
            "who": [name(one["contender"]) for _, one in rows],
            "at most": aimed,
            "reached": reached,
            "aim": ["met" if one["met"] else "missed" for _, one in rows],
        }
    )


def missed(results):
    """A sentence that names what was missed, and one that names what could not take part."""
    late = [
        f"{work['title']} ({name(one['contender'])})"
        for work, one in aims(results)
        if not one["met"]
    ]
    absent = [
        f"{name(who)} on {work['title']}: {why}"
        for work in results["workloads"]
        for who, why in work["missing"].items()
    ]
    return "\n".join(
        [
            f"Missed: {'; '.join(late) or 'none'}.",
            f"Did not take part: {'; '.join(absent) or 'none'}.",
        ]
    )


def peers_table(results, works=None):
    """A row for each contender on each workload: time, ratio, spread."""
    rows = [(w, e) for w in works or networks(results) for e in w["entries"]]
    return Table(
        {
            "work": [work["title"] for work, _ in rows],
            "who": [name(one["contender"]) for _, one in rows],
            "time": [f"{one['median']:.3g} {work['unit']}" for work, one in rows],
            "ratio (quartiles)": [ratio(one) for _, one in rows],
        }
    )


def curve_table(curve, along, places=3):
    """A curve of the results as a table, with the sizes as rows."""
    series = curve.get("ratios") or {who: values for who, values in curve.items() if who != along}
    columns = {along: [f"{value:,}" for value in curve[along]]}
    for who, values in series.items():
        shown = [f"{value:.{places}g}" for value in values]
        columns[name(who)] = shown + [NONE] * (len(curve[along]) - len(shown))
    return Table(columns)


def accuracy_table(results):
    """Seconds to the target for each contender."""
    curve = results["curves"]["accuracy"]
    rows = curve["runs"].items()
    reached = [
        NONE if run["to_target"] is None
        else f"{run['to_target']:.3g} ({run['to_target_quartiles'][0]:.3g} to "
        f"{run['to_target_quartiles'][1]:.3g})"
        for _, run in rows
    ]  # fmt: skip
    return Table(
        {
            "who": [name(who) for who, _ in rows],
            f"seconds to {curve['target']:.0%}": reached,
            f"accuracy after {curve['epochs']} epochs": [
                f"{run['accuracy'][-1]:.1%}" for _, run in rows
            ],
        }
    )


# ---- Pictures ----


def _axes(width=6.4, height=3.6):
    figure, axes = plt.subplots(figsize=(width, height))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def draw_ratios(results):
    """A line for each workload, a mark for each contender; hand-written NumPy stands at 1."""
    works = networks(results)[::-1]
    figure, axes = _axes(7.2, 4.4)
    axes.axvline(1.0, color="black", linewidth=1)
    for row, work in enumerate(works):
        for one in work["entries"]:
            who, *form = one["contender"].split("_")
            if who == "hand":
                continue
            hollow = form == ["gates"]
            axes.plot(
                one["ratio"], row, MARKER[who] if "replayed" not in form else "*",
                color=COLOUR[who], markersize=9, markeredgewidth=1.6,
                markerfacecolor="white" if hollow else COLOUR[who], zorder=3,
            )  # fmt: skip
    for who in PEERS[1:6]:
        axes.plot([], [], MARKER[who], color=COLOUR[who], markersize=8, label=name(who))
    axes.plot([], [], "*", color=COLOUR["minigrad"], markersize=9, label="minigrad, replayed")
    axes.plot(
        [], [], "o", color=COLOURS["grey"], markerfacecolor="white", label="in elementary ops"
    )
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 5, 10]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(
        range(len(works)),
        [
            work["title"].split(", ", 1)[0] + "\n" + work["title"].split(", ", 1)[1]
            for work in works
        ],
        fontsize=8,
    )
    axes.set_ylim(-0.6, len(works) - 0.4)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_xlabel("time of a training step, hand-written NumPy = 1")
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.3, 1.0))
    figure.tight_layout()
    return figure


def _lines(axes, x, series):
    for who, values in series.items():
        style = dict(color=COLOUR[who], linestyle=DASH[who], marker=MARKER[who], markersize=6)
        axes.plot(x[: len(values)], values, label=name(who), **style)
    axes.legend(frameon=False, fontsize=9)


def draw_size(results):
    """Gradient over function against n, both axes logarithmic."""
    curve = results["curves"]["size"]
    figure, axes = _axes()
    axes.set_xscale("log")
    axes.set_yscale("log")
    _lines(axes, curve["n"], curve["ratios"])
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("n, the number of inputs")
    axes.set_ylabel("time, the function = 1")
    figure.tight_layout()
    return figure


def draw_depth(results):
    """Gradient over function against the number of layers."""
    curve = results["curves"]["depth"]
    figure, axes = _axes()
    axes.set_xscale("log", base=2)
    axes.set_xticks(curve["depth"], [str(depth) for depth in curve["depth"]])
    _lines(axes, curve["depth"], curve["ratios"])
    axes.set_ylim(0, None)
    axes.set_xlabel("layers")
    axes.set_ylabel("time, the function = 1")
    figure.tight_layout()
    return figure


def draw_memory(results):
    """Memory of a gradient against depth, everything kept and with checkpoints."""
    curve = results["curves"]["memory"]
    figure, axes = _axes()
    styles = {"everything kept": ("#0072B2", "-", "o"), "checkpoints": ("#D55E00", "--", "s")}
    for label, (colour, dash, marker) in styles.items():
        line = dict(color=colour, linestyle=dash, marker=marker, markersize=6)
        axes.plot(curve["depth"], curve[label], label=label, **line)
    axes.set_ylim(0, None)
    axes.set_xlabel("layers")
    axes.set_ylabel("memory at the height, MB")
    axes.legend(frameon=False)
    figure.tight_layout()
    return figure


def draw_accuracy(results):
    """Test accuracy against the seconds that training took."""
    curve = results["curves"]["accuracy"]
    figure, axes = _axes()
    for who, run in curve["runs"].items():
        style = dict(color=COLOUR[who], linestyle=DASH[who], marker=MARKER[who], markersize=4)
        axes.plot(run["seconds"][1:], 100 * np.array(run["accuracy"][1:]), label=name(who), **style)
    axes.axhline(100 * curve["target"], color="black", linewidth=0.8)
    axes.set_xlabel("CPU seconds of training")
    axes.set_ylabel("test accuracy, %")
    axes.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    return figure
