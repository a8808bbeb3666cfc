"""Evaluation traces: the Wengert list as a table that can be read, drawn, and sent to the page.

    >>> def f(x1, x2):
    ...     v1, v2, v3 = np.log(x1), x1 * x2, np.sin(x2)
    ...     v4 = v1 + v2
    ...     return v4 - v3
    >>> trace(f, x1=2.0, x2=5.0, seed=(1, 0), adjoints=True)

The n inputs are called v₁₋ₙ … v₀ and the steps v₁, v₂, … as in the literature: Griewank and
Walther, "Evaluating Derivatives" (2008). What a trace looks like is up to `display`.
"""

import inspect

import numpy as np

from minigrad import display
from minigrad.core import TensorNode, pull_back, wengert_list
from minigrad.dual import Dual


class Row(display.Line):
    """One line of a trace.

    `name`               v₁, say
    `node`               whose value it shows, the `primal`; the `record` says which op made it
    `label`              of an input: what f calls it
    `arguments`          of the op: rows, and the values of whatever else it was given
    `tangent, adjoint`   None until they are asked for
    `shares`             what its users send back: [(a user's name, share), ...]
    """

    def __init__(self, name, node, label="", arguments=()):
        self.name, self.node, self.label, self.arguments = name, node, label, arguments
        self.tangent, self.adjoint, self.shares = None, None, []

    primal = property(lambda self: self.node.value)
    record = property(lambda self: self.node.source)


class Trace(display.Table):
    """The rows of one run; `trace["v3"]` is one. Shows itself as a table or, drawn, as a graph."""

    def __init__(self, output, leaves):
        self.output, self.of_node = output, {}
        for i, (name, node) in enumerate(leaves.items(), 1 - len(leaves)):
            self.of_node[id(node)] = Row(display.variable(i), node, name)
        for i, record in enumerate(wengert_list(output), 1):
            if len(record.outputs) > 1:
                raise TypeError(
                    f"{record.op.__name__} has {len(record.outputs)} outputs, and a line of a "
                    "trace holds one. Write it as several ops of one output to trace it."
                )
            arguments = [self.of_node.get(id(x), getattr(x, "value", x)) for x in record.inputs]
            (node,) = record.outputs
            self.of_node[id(node)] = Row(display.variable(i), node, "", arguments)
        self.rows = list(self.of_node.values())

    def __getitem__(self, name):
        found = {display.plain(row.name): row for row in self.rows}
        if display.plain(name) not in found:
            raise KeyError(f"no row {name!r} in this trace; it has {', '.join(found)}")
        return found[display.plain(name)]

    def push(self, seed):
        """Forward mode: walk the rows with a tangent for each input, and note theirs."""
        for row, tangent in zip(self.rows, seed, strict=False):
            row.tangent = Dual(row.primal, tangent).tangent
        for row in self.rows[len(seed) :]:
            duals = [Dual(a.primal, a.tangent) if isinstance(a, Row) else a for a in row.arguments]
            y = row.record.op.forward({}, *duals, **row.record.constants)
            row.tangent = y.tangent if isinstance(y, Dual) else np.zeros_like(y)

    def pull(self):
        """Reverse mode: note the adjoint of each row, and the shares that it is the sum of."""

        def watch(record, node, share):
            if id(node) in self.of_node:  # else f uses this node without being handed it
                (user,) = record.outputs
                self.of_node[id(node)].shares.append((self.of_node[id(user)].name, share))

        nodes, seed = [row.node for row in self.rows], np.ones_like(self.output.value)
        bars = pull_back([self.output], [seed], wrt=nodes, watch=watch)
        for row, bar in zip(self.rows, bars, strict=True):
            row.adjoint = 0.0 if bar is None else bar


def trace(f, *values, seed=None, adjoints=False, **named):
    """Run `f` once and write down every step.

    `values`, `named`    the inputs, floats or float arrays; a name that f does not know is a label
    `seed`               a tangent for each input: adds the tangents, ẏ = J · seed
    `adjoints`           True adds the adjoints ∂f/∂v, and the shares that they are sums of
    Raises TypeError if f's result does not depend on its inputs, or an op on the way to it has
    several outputs, ValueError for a seed that does not fit.
    """
    known = list(inspect.signature(f).parameters)
    names = [*known[: len(values)], *(f"x{i + 1}" for i in range(len(known), len(values))), *named]
    leaves = {name: TensorNode(x) for name, x in zip(names, [*values, *named.values()])}
    if seed is not None and len(seed) != len(leaves):
        raise ValueError(f"a seed of {len(seed)} numbers for {len(leaves)} inputs: one for each")
    # f(x2=5.0, x1=2.0) means what it means in Python; names that f does not know are labels only
    keywords = {name: leaves[name] for name in named if set(named) <= set(known)}
    output = f(*[leaves[name] for name in leaves if name not in keywords], **keywords)
    if not isinstance(output, TensorNode) or output.source is None:
        raise TypeError(
            f"nothing was recorded: f returned {output!r}, which no op computed from its inputs. "
            "Use NumPy's functions (np.sin, not math.sin) and return the result."
        )
    traced = Trace(output, leaves)
    if seed is not None:
        traced.push(seed)
    if adjoints:
        traced.pull()
    return traced


def to_json(output, leaves=None):
    """The Wengert list behind a node as JSON, which the page's engine reads: `display.Table`.

    `leaves` {name: node} are the inputs; leaves that are not among them are called x1, x2, ...
    """
    names = {node: name for name, node in (leaves or {}).items()}
    for node in [n for r in wengert_list(output) for n in r.nodes() if n.source is None]:
        names.setdefault(node, f"x{len(names) + 1}")
    return Trace(output, {name: node for node, name in names.items()}).to_json()
