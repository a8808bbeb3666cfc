"""Widgets: those of the page, whose JavaScript computes, and those of the notebook, which drive
minigrad itself.

Each is imported when it is first asked for, so that the page's need no ipywidgets and the
notebook's no anywidget.
"""

from importlib import import_module

_HOME = {
    "BackwardLab": "page",
    "CostExplorer": "page",
    "GradcheckMicroscope": "page",
    "GraphXray": "page",
    "Nudge": "page",
    "TracePlayer": "page",
    "LiveMLP": "page",
    "SwellMeter": "page",
    "ShapeAndBlame": "page",
    "MemoryTimeline": "page",
    "Trainer": "trainer",
    "VCurve": "page",
}


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(
            f"minigrad.widgets has no {name!r}. It has: {', '.join(sorted(_HOME))}."
        )
    return getattr(import_module(f"minigrad.widgets.{_HOME[name]}"), name)


def __dir__():
    return sorted(_HOME)
