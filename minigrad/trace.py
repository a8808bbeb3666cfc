"""Evaluation traces: the Wengert list as a table that can be read, drawn, and sent to the page.

    >>> def f(x1, x2):
    ...     v1, v2, v3 = np.log(x1), x1 * x2, np.sin(x2)
    ...     v4 = v1 + v2
    ...     return v4 - v3
    >>> trace(f, x1=2.0, x2=5.0, seed=(1, 0), adjoints=True)

The n inputs are called v₁₋ₙ … v₀ and the steps v₁, v₂, … as in the literature: Griewank and
Walther, "Evaluating Derivatives" (2008).
"""

import html
import inspect
import json
from dataclasses import dataclass, field

import numpy as np

from minigrad.core import TensorNode, pull_back, wengert_list
from minigrad.dual import Dual

# op -> how its line reads, and its tangent's. {0}: an input, {t0}: its tangent, {y}: itself
LINES = {
    "Add": ("{0} + {1}", "{t0} + {t1}"),
    "Subtract": ("{0} − {1}", "{t0} − {t1}"),
    "Multiply": ("{0} × {1}", "{t0} × {1} + {0} × {t1}"),
    "Divide": ("{0} / {1}", "({t0} − {y} × {t1}) / {1}"),
    "Negate": ("−{0}", "−{t0}"),
    "Power": ("{0} ^ {1}", "{1} × {0} ^ ({1} − 1) × {t0}"),
    "MatMul": ("{0} @ {1}", "{t0} @ {1} + {0} @ {t1}"),
    "Log": ("ln {0}", "{t0} / {0}"),
    "Exp": ("exp {0}", "{y} × {t0}"),
    "Sin": ("sin {0}", "cos {0} × {t0}"),
    "Cos": ("cos {0}", "−sin {0} × {t0}"),
    "Tan": ("tan {0}", "(1 + {y}²) × {t0}"),
    "Tanh": ("tanh {0}", "(1 − {y}²) × {t0}"),
    "Sigmoid": ("σ({0})", "{y} × (1 − {y}) × {t0}"),
    "Sqrt": ("√{0}", "{t0} / (2 {y})"),
    "Abs": ("|{0}|", "sign {0} × {t0}"),
    "Maximum": ("max({0}, {1})", "the tangent of the larger"),
}


@dataclass
class Row:
    """One line of a trace. `shares` is what its users send back: [(a user's name, share), ...]."""

    name: str
    expression: str
    primal: object
    op: str = ""
    inputs: tuple = ()
    rule: str = ""
    tangent: object = None
    adjoint: object = None
    shares: list = field(default_factory=list)


class Trace:
    """The rows of one run; `trace["v3"]` is one. Shows itself as a table or, drawn, as a graph."""

    def __init__(self, rows, leaves, output):
        self.rows, self.leaves, self.output = rows, leaves, output
        self.has_tangents = any(row.tangent is not None for row in rows)
        self.has_adjoints = any(row.adjoint is not None for row in rows)

    def __getitem__(self, name):
        found = {plain(row.name): row for row in self.rows}
        if plain(name) not in found:
            raise KeyError(f"no row {name!r} in this trace; it has {', '.join(found)}")
        return found[plain(name)]

    def __len__(self):
        return len(self.rows)

    def columns(self):
        """The table as {heading: cells}, cells as text."""
        table = {
            "": [row.name for row in self.rows],
            "computed as": [row.expression for row in self.rows],
            "primal": [number(row.primal) for row in self.rows],
        }
        if self.has_tangents:
            table["tangent rule"] = [row.rule for row in self.rows]
            table["tangent"] = [number(row.tangent) for row in self.rows]
        if self.has_adjoints:
            table["shares"] = [self._sum(row) for row in self.rows]
            table["adjoint"] = [number(row.adjoint) for row in self.rows]
        return table

    def _sum(self, row):
        if not row.shares:
            return "the seed" if row is self.rows[-1] else ""
        return " + ".join(f"{number(share)} (from {user})" for user, share in row.shares)

    def __repr__(self):
        columns = [[head, *cells] for head, cells in self.columns().items()]
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*[[c.ljust(w) for c in column] for column, w in zip(columns, widths)])
        return "\n".join("  ".join(line).rstrip() for line in lines)

    def _repr_html_(self):
        table = self.columns()
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table)
        body = ""
        for cells in zip(*table.values()):
            first, *others = map(html.escape, cells)
            styled = zip(list(table)[1:], others)
            tds = "".join(f'<td class="mg-{name.split()[0]}">{cell}</td>' for name, cell in styled)
            body += f'<tr><th scope="row">{first}</th>{tds}</tr>'
        return (
            f'<table class="mg-trace"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )

    def draw(self, show="primal"):
        """The graph as a matplotlib figure; `show` which number: primal, tangent or adjoint."""
        from minigrad.drawing import draw_trace

        return draw_trace(self, show)

    def to_json(self):
        """The list as the page reads it: see `to_json`."""
        return to_json(self.output, self.leaves)


def trace(f, *values, seed=None, adjoints=False, **named):
    """Run `f` once and write down every step.

    `values`, `named`    the inputs, floats or float arrays; a name that f does not know is a label
    `seed`               a tangent for each input: adds the tangents, ẏ = J · seed
    `adjoints`           True adds the adjoints ∂f/∂v, and the shares that they are sums of
    Raises TypeError if f's result does not depend on its inputs, ValueError for a seed that does
    not fit.
    """
    known = list(inspect.signature(f).parameters)
    names = known[: len(values)]
    names += [f"x{i + 1}" for i in range(len(names), len(values))]
    # f(x2=5.0, x1=2.0) means what it means in Python; names that f does not know are labels only
    by_position = len(values) if set(named) <= set(known) else len(values) + len(named)
    names, values = [*names, *named], [*values, *named.values()]
    if seed is not None and len(seed) != len(values):
        raise ValueError(f"a seed of {len(seed)} numbers for {len(values)} inputs: one for each")
    leaves = dict(zip(names, map(TensorNode, values)))
    nodes = list(leaves.values())
    output = f(*nodes[:by_position], **dict(list(leaves.items())[by_position:]))
    if not isinstance(output, TensorNode) or output.source is None:
        raise TypeError(
            f"nothing was recorded: f returned {output!r}, which no op computed from its inputs. "
            "Use NumPy's functions (np.sin, not math.sin) and return the result."
        )
    records = wengert_list(output)
    rows, of_node = [], {}

    for i, (name, node) in enumerate(leaves.items()):
        of_node[id(node)] = Row(f"v{subscript(i + 1 - len(leaves))}", name, node.value)
    for i, record in enumerate(records):
        node = _output(record)
        inputs = [of_node.get(id(x)) for x in record.inputs]
        texts = [row.name if row else number(x) for row, x in zip(inputs, record.inputs)]
        dots = [dotted(row.name) if row else "0" for row in inputs]
        of_node[id(node)] = row = Row(f"v{subscript(i + 1)}", "", node.value, record.op.__name__)
        line, rule = LINES.get(row.op, (f"{row.op}({', '.join(texts)})", ""))
        letters = {f"t{k}": dot for k, dot in enumerate(dots)} | {"y": row.name}
        row.expression, row.rule = line.format(*texts, **letters), rule.format(*texts, **letters)
        row.inputs = tuple(x.name for x in inputs if x)
    rows = list(of_node.values())

    if seed is not None:
        duals = {id(node): Dual(node.value, s) for node, s in zip(leaves.values(), seed)}
        for record in records:
            inputs = [duals.get(id(x), x) for x in record.inputs]
            duals[id(_output(record))] = record.op.forward({}, *inputs, **record.constants)
        for key, dual in duals.items():
            of_node[key].tangent = dual.tangent
        for row in rows[: len(leaves)]:
            row.rule = "the seed"
    if adjoints:

        def watch(record, node, share):
            if id(node) in of_node:  # else it is a node that f uses without being handed it
                of_node[id(node)].shares.append((of_node[id(_output(record))].name, share))

        nodes += [_output(record) for record in records]
        bars = pull_back([output], [np.ones_like(output.value)], wrt=nodes, watch=watch)
        for row, bar in zip(rows, bars, strict=True):
            row.adjoint = 0.0 if bar is None else bar
    return Trace(rows, leaves, output)


def _output(record):
    """The output of an op, which must have one: a line of the table holds one value."""
    if len(record.outputs) > 1:
        raise TypeError(
            f"{record.op.__name__} has {len(record.outputs)} outputs, and a line of a trace holds "
            "one. Write it as several ops, each with one output, to trace it."
        )
    return record.outputs[0]


def to_json(output, leaves=None):
    """The Wengert list behind a node as JSON, which the page's engine reads (widgets/engine.js).

    {"format": "wengert-list", "version": 1, "inputs": [{"id", "name", "value"}, ...],
     "steps": [{"id", "op", "inputs", "constants", "value"}, ...], "outputs": [id]}

    An input of a step is the id of an earlier line, or {"constant": value}. A value is a number, or
    {"shape": [...], "data": [...]} row by row; "NaN", "Infinity" and "-Infinity" are strings.
    """
    leaves = dict(leaves or {})
    for record in wengert_list(output):
        for node in record.nodes():
            if node.source is None and not any(node is known for known in leaves.values()):
                leaves[f"x{len(leaves) + 1}"] = node
    ids = {id(node): i for i, node in enumerate(leaves.values())}
    inputs = [
        {"id": i, "name": name, "value": _value(node.value)}
        for i, (name, node) in enumerate(leaves.items())
    ]
    steps = []
    for record in wengert_list(output):
        node = _output(record)
        ids[id(node)] = len(ids)
        used = [ids[id(x)] if id(x) in ids else {"constant": _value(x)} for x in record.inputs]
        step = {"id": ids[id(node)], "op": record.op.__name__.lower(), "inputs": used}
        constants = {name: _constant(value) for name, value in record.constants.items()}
        steps.append(step | {"constants": constants, "value": _value(node.value)})
    whole = {"format": "wengert-list", "version": 1, "inputs": inputs, "steps": steps}
    return json.dumps(whole | {"outputs": [ids[id(output)]]})


NOT_IN_JSON = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _value(x):
    entries = [float(v) if np.isfinite(v) else NOT_IN_JSON[str(v)] for v in np.ravel(x)]
    return entries[0] if np.ndim(x) == 0 else {"shape": list(np.shape(x)), "data": entries}


def _constant(value):
    if isinstance(value, slice):
        ends = (value.start, value.stop, value.step)
        return {"slice": [None if end is None else int(end) for end in ends]}
    if isinstance(value, np.ndarray):
        return {"take": value.tolist()}
    if isinstance(value, tuple | list):
        return [_constant(item) for item in value]
    return value.item() if isinstance(value, np.number) else value


def number(x):
    """A number as the tables show it: six digits, a true minus sign."""
    if x is None:
        return ""
    if isinstance(x, TensorNode):
        x = x.value
    if np.ndim(x):
        return np.array2string(np.asarray(x), precision=4, threshold=12).replace("\n", "")
    text = f"{float(x):.6f}".rstrip("0").rstrip(".") if 1e-4 <= abs(x) < 1e6 else f"{float(x):.6g}"
    return text.replace("-", "−")


def subscript(i):
    return str(i).translate(str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉"))


def dotted(name):
    return name[0] + "\N{COMBINING DOT ABOVE}" + name[1:]


def plain(name):
    """v₋₁ -> v-1, so that a row can be asked for from the keyboard."""
    return name.translate(str.maketrans("₋₀₁₂₃₄₅₆₇₈₉", "-0123456789"))
