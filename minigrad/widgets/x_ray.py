"""What the graph x-ray shows: small programs, and all that minigrad wrote down while they ran.

The list and its values come from `minigrad.trace`. What a list does not have is added here: the
names that the program gave its nodes, the notes in each context, the line that made each record.
"""

import inspect
import json
import sys

import numpy as np

from minigrad.core import Op, TensorNode, wengert_list
from minigrad.trace import to_json


def exponential(a, k, unused):
    b = np.exp(a)
    if unused:
        metric = b * b
    loss = b + k
    return locals()


def product(x1, x2, unused):
    u = np.log(x1)
    p = x1 * x2
    s = np.sin(x2)
    if unused:
        metric = p / 10.0
    y = u + p - s
    return locals()


def network(X, W, v, t, unused):
    h = np.tanh(X @ W)
    if unused:
        size = np.mean(h * h)
    error = h @ v - t
    loss = np.mean(error * error)
    return locals()


# key -> the program, what the menu calls it, its inputs, the names of its two ends
PROGRAMS = {
    "exponential": (exponential, "exp(a) + k", {"a": 1.0, "k": 1.0}, ("loss", "metric")),
    "product": (product, "ln x1 + x1 x2 − sin x2", {"x1": 2.0, "x2": 5.0}, ("y", "metric")),
    "network": (
        network,
        "a small network",
        {
            "X": np.array([[0.5, 1.0], [1.0, -1.0], [0.0, 0.5], [0.5, -2.0]]),
            "W": np.array([[0.5, -0.5, 1.0], [0.25, 1.0, 0.5]]),
            "v": np.array([1.0, -1.0, 0.5]),
            "t": np.array([1.0, 1.0, 0.0, 1.0]),
        },
        ("loss", "size"),
    ),
}


def run(program, leaves, unused):
    """The names {name: node} of a run, and {number of a record: line of the program, from 0}.

    While the program runs, Python's own profiler tells us of every call that ends. A call of
    `do_forward` that was made from here wrote one record: that of the line that we are at.
    """
    code, lines = program.__code__, {}

    def ended(frame, event, made):
        if event != "return" or frame.f_code is not Op.do_forward.__func__.__code__:
            return
        while frame.f_code is not code:
            frame = frame.f_back
        lines[made.source.number] = frame.f_lineno - code.co_firstlineno

    before = sys.getprofile()
    sys.setprofile(ended)
    try:
        names = program(**leaves, unused=unused)
    finally:
        sys.setprofile(before)
    return {name: x for name, x in names.items() if isinstance(x, TensorNode)}, lines


def x_ray(program, inputs, ends, unused):
    """The list of one program as JSON in Python's dicts, with a name, a line, a context a step.

    {..., "unused": id of the end that the loss does not need, or None, "source": [lines]}
    """
    leaves = {name: TensorNode(value) for name, value in inputs.items()}
    names, line_of = run(program, leaves, unused)
    # One list of both ends: that of an op on both, less this op.
    both = np.stack([names[end] for end in ends if end in names])
    whole = json.loads(to_json(both, leaves))
    joint = whole["steps"].pop()
    whole["outputs"], dead = joint["inputs"][:1], joint["inputs"][1:]
    called = {id(node): name for name, node in names.items()}
    nodes = {line["id"]: leaves[line["name"]] for line in whole["inputs"]}
    for step, record in zip(whole["steps"], wengert_list(both)[:-1], strict=True):
        nodes[step["id"]] = record.outputs[0]
        step["class"] = record.op.__name__
        step["name"] = called.get(id(record.outputs[0]))
        step["line"] = line_of[record.number]
        step["context"] = [note(*item, nodes) for item in record.context.items()]
    source = [text for text in inspect.getsource(program).splitlines() if "locals()" not in text]
    return whole | {"unused": dead[0] if dead else None, "source": source}


def note(key, kept, nodes):
    """One note of a context: its bytes, and the id of the node whose own array it is, if any."""
    owner = [i for i, node in nodes.items() if node.value is kept]
    return {"key": key, "bytes": int(getattr(kept, "nbytes", 0)), "of": owner[0] if owner else None}


def recorded():
    """{program: {"title", "trunk": its list, "branch": its list with the unused branch}}."""
    return {
        key: {
            "title": title,
            "trunk": x_ray(program, inputs, ends, False),
            "branch": x_ray(program, inputs, ends, True),
        }
        for key, (program, title, inputs, ends) in PROGRAMS.items()
    }


if __name__ == "__main__":  # for the demo, which has no Python
    from pathlib import Path

    demo = Path(__file__).parent / "graph_xray" / "recorded.json"
    demo.write_text(json.dumps(recorded()) + "\n")
