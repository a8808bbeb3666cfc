"""Pictures for the chapters, in matplotlib: computation graphs, learning curves with their spread.

Colours are Okabe and Ito's, which colour-blind readers can tell apart, and nothing is told by
colour alone.
"""

import matplotlib.pyplot as plt
import numpy as np

COLOURS = {
    "primal": "#0072B2",
    "tangent": "#D55E00",
    "adjoint": "#009E73",
    "grey": "#595959",
    "other": ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
}
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))


def draw_trace(trace, show="primal"):
    """The graph of a `Trace`: inputs on the left, each step to the right of what it uses.

    `show`: the number written into each node: "primal", "tangent" or "adjoint".
    Raises ValueError if the trace does not hold it.
    """
    from minigrad.display import number

    if any(getattr(row, show, None) is None for row in trace.rows):
        raise ValueError(f"this trace has no {show}: ask for it by seed=(...) or adjoints=True")
    depth, place, height = {}, {}, {}
    for row in trace.rows:
        depth[row.name] = 1 + max((depth[name] for name in row.inputs), default=-1)
    for row in trace.rows:  # a column for each depth, filled downwards
        column = depth[row.name]
        height[column] = height.get(column, 0) + 1
    taken = dict.fromkeys(height, 0)
    for row in trace.rows:
        column = depth[row.name]
        place[row.name] = (column, (height[column] - 1) / 2 - taken[column])
        taken[column] += 1
    figure, axes = plt.subplots(figsize=(1.55 * len(height), 1.1 * max(height.values())))
    boxes = {}
    for row in trace.rows:
        text = f"{row.name}\n{row.expression}\n{number(getattr(row, show))}"
        box = dict(boxstyle="round,pad=0.35", facecolor="white", edgecolor=COLOURS[show])
        shown = axes.text(*place[row.name], text, ha="center", va="center", fontsize=9, bbox=box)
        boxes[row.name] = shown.get_bbox_patch()
    for row in trace.rows:  # an arrow starts and ends at the edge of a box
        for name in row.inputs:
            ends = dict(patchA=boxes[name], patchB=boxes[row.name], shrinkA=1, shrinkB=2)
            bend = 0.35 if _passes_a_node(place[name], place[row.name], place.values()) else 0.0
            path = dict(connectionstyle=f"arc3,rad={bend}", **ends)
            arrow = dict(arrowstyle="-|>", color=COLOURS["grey"], **path)
            axes.annotate("", place[row.name], place[name], arrowprops=arrow)
    axes.set_xlim(-0.55, len(height) - 0.45)
    axes.set_ylim(-max(height.values()) / 2, max(height.values()) / 2)
    axes.axis("off")
    figure.tight_layout()
    return figure


def _passes_a_node(start, end, places):
    """Whether a straight arrow would run through a node that it has nothing to do with."""
    (x0, y0), (x1, y1) = start, end
    between = [(x, y) for x, y in places if x0 < x < x1]
    return any(abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 0.4 for x, y in between)


def learning_curves(curves, xlabel="epoch", ylabel="loss", axes=None):
    """Mean curves with a band of one standard deviation.

    `curves`: {label: array (seeds, steps)}. Each has a colour, a dash and a label of its own.
    """
    axes = plt.subplots(figsize=(6, 3.6))[1] if axes is None else axes
    for (label, runs), colour, dash in zip(curves.items(), COLOURS["other"], DASHES):
        runs = np.atleast_2d(runs)
        mean, sd, steps = runs.mean(axis=0), runs.std(axis=0), np.arange(1, runs.shape[1] + 1)
        axes.plot(steps, mean, color=colour, linestyle=dash, label=label)
        axes.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.figure.tight_layout()
    return axes


def show_images(images, titles=None, columns=10):
    """Small grey images (n, rows, cols) in a grid, dark ink on white, with a title under each."""
    rows = -(-len(images) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(0.8 * columns, 0.95 * rows), squeeze=False)
    for i, axes in enumerate(grid.flat):
        axes.axis("off")
        if i < len(images):
            axes.imshow(images[i], cmap="gray_r")
            if titles is not None:
                axes.set_title(titles[i], fontsize=9, y=-0.35)
    figure.tight_layout()
    return figure
