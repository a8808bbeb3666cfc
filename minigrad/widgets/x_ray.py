"""What the graph x-ray shows: programs, and all that minigrad wrote down while they ran.

The list and its values come from `minigrad.trace`. What a list does not have is added here: the
names that the program gave its nodes, the notes in each context, the line that made each record,
and the calls of modules and functions in which records were made, so that they can be folded.
"""

# ruff: noqa: F841  (the branch that nobody needs)

import inspect
import json
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from minigrad.core import Op, TensorNode, wengert_list
from minigrad.nn import Module
from minigrad.trace import to_json

LIBRARIES = (str(Path(__file__).parents[1]), str(Path(np.__file__).parent))


def exponential(a, k, unused):
    b = np.exp(a)
    if unused:
        metric = b * b
    loss = b + k
    return loss


def product(x1, x2, unused):
    u = np.log(x1)
    p = x1 * x2
    s = np.sin(x2)
    if unused:
        metric = p / 10.0
    y = u + p - s
    return y


def network(X, W, v, t, unused):
    h = np.tanh(X @ W)
    if unused:
        size = np.mean(h * h)
    error = h @ v - t
    loss = np.mean(error * error)
    return loss


class Layer(Module):
    def __init__(self, weight, bias):
        self.weight, self.bias = TensorNode(weight), TensorNode(bias)

    def forward(self, x):
        return np.tanh(x @ self.weight + self.bias)


class Network(Module):
    def __init__(self, first, second):
        self.first, self.second = first, second

    def forward(self, x):
        return self.second(self.first(x))


def layers(model, X, t, unused):
    y = model(X)
    if unused:
        size = np.mean(y * y)
    error = y - t
    loss = np.mean(error * error)
    return loss


X = np.array([[0.5, 1.0], [1.0, -1.0], [0.0, 0.5], [0.5, -2.0]])
W = np.array([[0.5, -0.5, 1.0], [0.25, 1.0, 0.5]])

# key -> the program, what the menu calls it, its inputs
PROGRAMS = {
    "exponential": (exponential, "exp(a) + k", {"a": 1.0, "k": 1.0}),
    "product": (product, "ln x1 + x1 x2 − sin x2", {"x1": 2.0, "x2": 5.0}),
    "network": (
        network,
        "a small network",
        {"X": X, "W": W, "v": np.array([1.0, -1.0, 0.5]), "t": np.array([1.0, 1.0, 0.0, 1.0])},
    ),
    "layers": (
        layers,
        "two layers that fold",
        {
            "model": Network(
                Layer(W, np.array([0.1, 0.0, -0.1])),
                Layer(np.array([[1.0], [-1.0], [0.5]]), np.array([0.2])),
            ),
            "X": X,
            "t": np.array([[0.5], [0.5], [-0.5], [0.5]]),
        },
    ),
}


@dataclass(eq=False)
class Call:
    """One call of a module or of a function of the reader's, while a program ran."""

    name: str
    kind: str  # "module" or "function"
    of: object  # the module; of a function its code
    place: tuple  # (code, line) that called it
    inside: "Call | None"
    frame: FrameType | None  # until it returns

    def chain(self):
        """Itself, the call that it was made in, and so on outwards."""
        return [self, *(self.inside.chain() if self.inside else [])]


class Run:
    """One run of a program, watched through Python's own profiler.

    The profiler tells of every call that begins or ends. A call of `do_forward` that ends has
    written one record, and that record belongs to the line that the reader's code is at, and to the
    innermost `Call` that is open. What one call records comes in one piece, with nothing of
    anybody else's in between, so a call may be drawn as one step: the graph has no cycle then
    either.
    """

    def __init__(self, program, inputs):
        self.program, self.inputs = program, inputs
        self.names = {}  # name -> node, of the program's own variables
        self.calls, self.open, self.codes = [], [], []
        self.records = {}  # number of a record -> (its place, its innermost call or None)
        before = sys.getprofile()
        sys.setprofile(self.watch)
        try:
            self.end = program(**inputs)
        finally:
            sys.setprofile(before)
        if not isinstance(self.end, TensorNode):
            raise TypeError(
                f"{program.__name__} returned {type(self.end).__name__}; the x-ray needs a node, "
                "such as the loss, to begin the way back with."
            )

    def watch(self, frame, event, made):
        code = frame.f_code
        if code is Op.do_forward.__func__.__code__:
            record = getattr(made, "source", None) if event == "return" else None
            if record is not None:
                self.records[record.number] = self.place(frame), self.innermost()
        elif event == "call":
            if code is Module.__call__.__code__:
                module = frame.f_locals["self"]
                self.begin(frame, self.called(module), "module", module)
            elif self.is_readers(code) and code is not self.program.__code__:
                module = self.innermost() and self.innermost().of
                if code.co_name[0] != "<" and not runs(module, code):
                    self.begin(frame, code.co_name, "function", code)
        elif event == "return":
            if self.open and self.open[-1].frame is frame:
                self.open.pop().frame = None
            if self.is_readers(code) and code not in self.codes:
                self.codes.append(code)
            if code is self.program.__code__:
                found = frame.f_locals.items()
                self.names = {name: x for name, x in found if isinstance(x, TensorNode)}

    def begin(self, frame, name, kind, of):
        inside = self.innermost()
        again = [c for c in self.calls if c.inside is inside and c.name.split(" (")[0] == name]
        name = f"{name} ({len(again) + 1})" if again else name
        self.calls.append(Call(name, kind, of, self.place(frame.f_back), inside, frame))
        self.open.append(self.calls[-1])

    def innermost(self):
        return self.open[-1] if self.open else None

    def is_readers(self, code):
        """Whether a function was written by the reader: the program, or one of no library."""
        own = self.program.__code__
        if code.co_filename == own.co_filename and code.co_name[0] != "<":
            return True
        return code is own or not (code.co_name[0] == "<" or code.co_filename.startswith(LIBRARIES))

    def place(self, frame):
        """(code, line) where the reader's own code is, seen from a frame within it."""
        while not self.is_readers(frame.f_code):
            frame = frame.f_back
        return frame.f_code, frame.f_lineno

    def called(self, module):
        """A module's name: in a module whose call is open, else among the program's inputs."""
        holders = [call.of for call in reversed(self.open) if call.kind == "module"]
        for holder in [*holders, Names(**self.inputs)]:
            for name, found in holder.named(Module):
                if found is module and name:
                    return name
        return type(module).__name__.lower()

    def listing(self, calls):
        """The lines of all functions that made records, and {(code, line): its place there}."""
        places = [place for place, _ in self.records.values()] + [call.place for call in calls]
        text, found = [], {}
        for code in [code for code in self.codes if any(code is made for made, _ in places)]:
            lines, first = inspect.getsourcelines(code)
            holder = code.co_qualname.split(".")[-2:-1]
            text += [""] * bool(text) + [f"# {name}" for name in holder if name != "<locals>"]
            found |= {(code, first + i): len(text) + i for i in range(len(lines))}
            text += textwrap.dedent("".join(lines)).splitlines()
        return text, found


class Names(Module):
    """Things by their names: a module of which nothing is asked but what is in it."""

    def __init__(self, **things):
        vars(self).update(things)


def runs(module, code):
    """Whether this is the code of the module's own `forward`, which its call has announced."""
    return isinstance(module, Module) and code is getattr(module.forward, "__code__", None)


def leaf(value):
    """A float or an array of floats as a leaf; a module and other things as they are."""
    if isinstance(value, TensorNode):
        return TensorNode(value.value)
    floats = isinstance(value, float) or getattr(value, "dtype", np.dtype(int)).kind == "f"
    return TensorNode(value) if floats else value


def x_ray(program, inputs):
    """The list of one run of a program as JSON in Python's dicts: `display.Table.to_json`, and

        {..., "source": [lines], "unused": the id of an end that the loss does not need, or None,
         "groups": [{"id", "name", "kind": "module" or "function", "class", "inside", "line"}]}

    A step also has its "class", "name" (that of the program's variable, or None), "line" (from 0,
    in "source"), "context" [{"key", "bytes", "of"}], and "group".

    A group is one call that made records: of a module, or of a function that the program calls. It
    can be folded into one step. "inside" is the id of the group in which it was called, or None,
    "line" the line that called it, "class" the module's class or the function's name. A step's
    "group" is the id of the innermost group around it, or None. An input that is a parameter has a
    "group" too: that of the innermost module to whom it belongs and by whom alone it is used.

    `program`  a function of `inputs` that returns the loss
    `inputs`   {name: value}: floats and arrays of floats become leaves; a module's parameters are
               named after it, as in "model.first.weight"
    Raises TypeError where the program returns no node, and ValueError where it uses an op that the
    page's engine does not have.
    """
    given = {name: leaf(value) for name, value in inputs.items()}
    ran = Run(program, given)
    leaves = dict(Names(**given).named(TensorNode))
    whole, records, dead = written(ran, leaves)
    nodes = {line["id"]: leaves.get(line["name"]) for line in whole["inputs"]}
    numbers = [record.number for record in records]
    calls = [c for c in ran.calls if any(c in around(ran, number) for number in numbers)]
    source, lines = ran.listing(calls)
    called = {id(node): name for name, node in ran.names.items()}
    for step, record in zip(whole["steps"], records, strict=True):
        nodes[step["id"]] = record.outputs[0]
        step["class"] = record.op.__name__
        step["name"] = called.get(id(record.outputs[0]))
        step["line"] = lines[ran.records[record.number][0]]
        step["context"] = [note(*item, nodes) for item in record.context.items()]
        step["group"] = next((calls.index(c) for c in around(ran, record.number)), None)
    for line in whole["inputs"]:
        call = owner(ran, nodes[line["id"]], records)
        line["group"] = None if call is None else calls.index(call)
    groups = [
        {
            "id": i,
            "name": call.name,
            "kind": call.kind,
            "class": type(call.of).__name__ if call.kind == "module" else call.of.co_name,
            "inside": None if call.inside is None else calls.index(call.inside),
            "line": lines[call.place],
        }
        for i, call in enumerate(calls)
    ]
    return whole | {"unused": dead, "source": source, "groups": groups}


def written(ran, leaves):
    """The list of all that a program computed: as JSON, as records; the first end not needed."""
    needed = wengert_list(ran.end)
    found = [x for x in ran.names.values() if x.source is not None]
    used = {id(x) for record in wengert_list(ran.end, *found) for x in record.nodes()}
    ends = [x for x in found if id(x) not in used and x.source not in needed]
    # One list of all ends: that of a number made of them all, less the ops that made it.
    joint = np.stack([np.sum(x) for x in (ran.end, *ends)])
    whole, more = json.loads(to_json(joint, leaves)), len(ends) + 2
    unknown = {step["op"] for step in whole["steps"]} - page_ops()
    if unknown:
        raise ValueError(
            f"{ran.program.__name__} uses {', '.join(sorted(unknown))}, which the page's engine "
            "does not have. Write it in elementary ops to see through it."
        )
    sums = [step["inputs"][0] for step in whole["steps"][-more:-1]]
    whole["steps"], whole["outputs"] = whole["steps"][:-more], sums[:1]
    return whole, wengert_list(joint)[:-more], next(iter(sums[1:]), None)


def around(ran, number):
    """The calls around a record, from the innermost outwards."""
    call = ran.records[number][1]
    return [] if call is None else call.chain()


def owner(ran, node, records):
    """The innermost call of a module that has this leaf as a parameter and holds all its users."""
    users = [record.number for record in records if any(x is node for x in record.inputs)]
    for call in around(ran, users[0]) if users else []:
        held = call.kind == "module" and any(x is node for x in call.of.parameters())
        if held and all(call in around(ran, number) for number in users):
            return call
    return None


def page_ops():
    """The names of the ops of the page's engine, as its table has them."""
    table = (Path(__file__).parent / "engine.js").read_text(encoding="utf-8")
    table = table.split("export const OPS = {")[1].split("\n};")[0]
    return set(re.findall(r"^  (\w+): ", table, re.M))


def note(key, kept, nodes):
    """One note of a context: its bytes, and the id of the node whose own array it is, if any."""
    owner = [i for i, node in nodes.items() if node is not None and node.value is kept]
    return {"key": key, "bytes": int(getattr(kept, "nbytes", 0)), "of": owner[0] if owner else None}


def recorded():
    """{program: {"title", "trunk": its list, "branch": its list with the unused branch}}."""
    return {
        key: {
            "title": title,
            "trunk": x_ray(program, inputs | {"unused": False}),
            "branch": x_ray(program, inputs | {"unused": True}),
        }
        for key, (program, title, inputs) in PROGRAMS.items()
    }


if __name__ == "__main__":  # for the demo, which has no Python
    demo = Path(__file__).parent / "graph_xray" / "recorded.json"
    demo.write_text(json.dumps(recorded()) + "\n")
