"""Tables and pictures of the results, for the book's performance page. Nothing is measured here.

Every picture has its table, and tells contenders apart by marker or dash as well as by colour.
"""

import html

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.results import aims, met, name
from minigrad.drawing import COLOURS, DASHES

PEERS = ("hand", "plain", "minigrad", "torch", "jax", "autograd", "differences")
COLOUR = dict(zip(PEERS[1:], (COLOURS["grey"], *COLOURS["other"])))
COLOUR["hand"] = "#000000"
MARKER = dict(zip(PEERS, "D|osPX^"))
DASH = dict(zip(PEERS, (*DASHES, (0, (1, 3)))))
NONE = "–"


class Table:
    """Rows under headings, in groups: text in a terminal, a table on the page.

    `groups` is {title: rows}; a row is a list of cells, whose first names it. A group whose title
    is empty has none.
    """

    def __init__(self, headings, groups):
        self.headings, self.groups = headings, groups

    @classmethod
    def of(cls, rows):
        """A table of dicts that have the same keys: the headings."""
        return cls(list(rows[0]), {"": [list(row.values()) for row in rows]})

    def __repr__(self):
        rows = [self.headings, *(row for rows in self.groups.values() for row in rows)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        line = lambda row: "  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip()
        lines = [line(self.headings)]
        for title, rows in self.groups.items():
            lines += [*(["", title] if title else []), *map(line, rows)]
        return "\n".join(lines)

    def _repr_html_(self):
        head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in self.headings)
        bodies = ""
        for title, rows in self.groups.items():
            body = ""
            if title:
                span = (
                    f'colspan="{len(self.headings)}" scope="rowgroup" style="white-space: normal"'
                )
                body = f"<tr><th {span}>{html.escape(title)}</th></tr>"
            for first, *others in rows:
                cells = "".join(f"<td>{html.escape(text)}</td>" for text in others)
                name = f'<th scope="row" style="font-weight: normal">{html.escape(first)}</th>'
                body += f"<tr>{name}{cells}</tr>"
            bodies += f"<tbody>{body}</tbody>"
        return f'<table class="mg-trace"><thead><tr>{head}</tr></thead>{bodies}</table>'


# ---- Reading the results ----


def workload(results, key):
    """One workload by its key."""
    return next(workload for workload in results["workloads"] if workload["key"] == key)


def networks(results):
    """The workloads that are training steps."""
    return [w for w in results["workloads"] if w["unit"] == "ms a step"]


def numbers(results):
    """{name: number} for the prose: every median and ratio as key-contender, and a few totals.

    NaN stands for those who could not take part.
    """
    found = {}
    for work in results["workloads"]:
        absent = [{"contender": who, "median": np.nan, "ratio": np.nan} for who in work["missing"]]
        for one in [*work["entries"], *absent]:
            place = f"{work['key']}-{one['contender']}".replace("_", "-")
            found[f"{place}-median"] = one["median"]
            found[f"{place}-ratio"] = np.nan if one["ratio"] is None else one["ratio"]
    found["aims"], found["met"] = len(aims(results)), met(results)
    found["rounds"], found["cores"] = results["rounds"], results["machine"]["cores"]
    size, memory = results["curves"]["size"], results["curves"]["memory"]
    found["largest-n"] = size["n"][-1]
    for who, ratios in size["ratios"].items():
        found[f"size-{who}-last"], found[f"size-{who}-n"] = ratios[-1], size["n"][len(ratios) - 1]
    found["deepest"] = memory["depth"][-1]
    found["memory-all"] = memory["everything kept"][-1]
    found["memory-checkpoints"] = memory["checkpoints"][-1]
    found["target"] = 100 * results["curves"]["accuracy"]["target"]
    for key in ("epochs", "seeds"):
        found[key] = results["curves"]["accuracy"][key]
    return found


# ---- Tables ----


def spread(one):
    """Two cells: a ratio, and the quartiles of its rounds."""
    if one["ratio"] is None:
        return [NONE, NONE]
    low, high = one["ratio_quartiles"]
    return [f"{one['ratio']:.2f}", NONE if low == high == 1 else f"{low:.2f} to {high:.2f}"]


def aims_table(results):
    """Every aim, what was reached, and whether that is enough."""
    groups = {}
    for work, who, aim, one in aims(results):
        title, shown, closer = work["title"], "{:.2f}", "{:.3f}"  # 1.10 might be met or not
        if work["absolute"]:
            title, shown, closer = titled(work), "{:.3g}", "{:.4g}"
        row = [name(who), shown.format(aim), NONE, "not there"]
        if one is not None:
            reached = one["median"] if work["absolute"] else one["ratio"]
            row[2:] = closer.format(reached), "met" if one["met"] else "missed"
        groups.setdefault(title, []).append(row)
    return Table(["", "at most", "reached", "aim"], groups)


def titled(work):
    """What was done, and in which unit its numbers are."""
    return f"{work['title']} ({work['unit']})"


def absent(results):
    """Who did not take part, a line for each."""
    lines = [
        f"{name(who)}, {work['key']}: {why}"
        for work in results["workloads"]
        for who, why in work["missing"].items()
    ]
    return "\n".join(lines) or "Everybody took part."


def peers_table(results, *words):
    """Everybody's time, ratio and spread, on the workloads whose key begins with one of the words
    (the networks if there is none)."""
    works = [w for w in results["workloads"] if words and w["key"].startswith(words)]
    works = works or networks(results)
    compared = any(one["ratio"] is not None for work in works for one in work["entries"])
    groups = {
        titled(work): [
            [name(one["contender"]), f"{one['median']:.3g}", *(spread(one) if compared else ())]
            for one in work["entries"]
        ]
        for work in works
    }
    return Table(["", "median", *(("ratio", "quartiles") if compared else ())], groups)


def curve_table(results, curve, along):
    """A curve as a table, with a row for each size."""
    curve = results["curves"][curve]
    series = curve.get("ratios") or {who: values for who, values in curve.items() if who != along}
    sizes = curve[along]
    columns = [
        [f"{value:.3g}" for value in values] + [NONE] * (len(sizes) - len(values))
        for values in series.values()
    ]
    rows = [[f"{size:,}", *cells] for size, *cells in zip(sizes, *columns)]
    return Table([along, *map(name, series)], {"": rows})


def accuracy_table(results):
    """Seconds to the target for each contender."""
    curve = results["curves"]["accuracy"]
    rows = []
    for who, run in curve["runs"].items():
        seconds = [NONE, NONE]
        if run["to_target"] is not None:
            low, high = run["to_target_quartiles"]
            seconds = [f"{run['to_target']:.3f}", f"{low:.3f} to {high:.3f}"]
        rows.append([name(who), *seconds, f"{run['accuracy'][-1]:.1%}"])
    heads = ["", f"seconds to {curve['target']:.0%}", "quartiles", "accuracy in the end"]
    return Table(heads, {"": rows})


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
            style = dict(color=COLOUR[who], markersize=9, markeredgewidth=1.6)
            style |= dict(markerfacecolor="white") if "gates" in form else {}
            style |= dict(fillstyle="left") if "step" in form else {}
            marker = "*" if "replayed" in form else MARKER[who]
            axes.plot(one["ratio"], row, marker, zorder=4 if who == "minigrad" else 3, **style)
    for who in PEERS[1:6]:
        axes.plot([], [], MARKER[who], color=COLOUR[who], markersize=8, label=name(who))
    for label, marker, style in (
        ("in elementary ops", "o", dict(markerfacecolor="white")),
        ("an op for each step", "o", dict(fillstyle="left")),
        ("replayed", "*", {}),
    ):
        style |= dict(color=COLOUR["minigrad"], markersize=9)
        axes.plot([], [], marker, label=label, **style)
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 5, 10]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    titles = [work["title"].replace(", ", "\n", 1) for work in works]
    axes.set_yticks(range(len(works)), titles, fontsize=8)
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
    axes.set_ylim(0, 1.3 * max(map(max, curve["ratios"].values())))
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
        base, *replayed = who.split("_")
        style = dict(color=COLOUR[base], linestyle=DASH[base], marker=MARKER[base], markersize=4)
        style |= dict(linestyle=":", marker="*", markersize=6) if replayed else {}
        axes.plot(run["seconds"][1:], 100 * np.array(run["accuracy"][1:]), label=name(who), **style)
    axes.axhline(100 * curve["target"], color="black", linewidth=0.8)
    axes.set_xlabel("CPU seconds of training")
    axes.set_ylabel("test accuracy, %")
    axes.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    return figure
