"""What the swell meter shows, counted by sympy and by minigrad when the page is built.

An operation is a +, −, ×, /, power or function of one line of arithmetic, as sympy's `count_ops`
counts them in a formula. A program's operations are the steps of its Wengert list.
"""

import numpy as np
import sympy as sp

from minigrad.core import TensorNode, pull_back, wengert_list
from minigrad.display import LINES, number

SHOWN = 1_200  # characters of an expression that travel to the page
PATIENCE = {"logistic": 5, "nested": 4, "product": 8}  # the largest size that is simplified


def logistic(x, n):
    """l₁ = x, lₙ₊₁ = 4 lₙ (1 − lₙ): each level uses the one before twice."""
    level = x
    for _ in range(n - 1):
        level = 4 * level * (1 - level)
    return level


def nested(x, n):
    """exp(exp(… exp(x))), n deep."""
    for _ in range(n):
        x = sp.exp(x) if isinstance(x, sp.Basic) else np.exp(x)
    return x


def product(xs):
    """x₁ x₂ ⋯ xₙ, which has n partial derivatives."""
    result = xs[0]
    for x in xs[1:]:
        result = result * x
    return result


FAMILIES = {
    "logistic": ("logistic map", range(1, 9)),
    "nested": ("nested exponentials", range(1, 9)),
    "product": ("product of n variables", (2, 3, 4, 5, 6, 8, 10, 20)),
}


def recorded():
    """All that the widget needs: {family: {"title", "rows": [{"n", "counts", "texts"}, ...]}}."""
    return {
        name: {"title": title, "rows": [row(name, n) for n in sizes]}
        for name, (title, sizes) in FAMILIES.items()
    }


def row(family, n):
    """The counts of one member of a family, and the beginnings of what was counted."""
    if family == "product":
        inputs = sp.symbols(f"x1:{n + 1}")
        f = product(inputs)
        steps, listing = program(lambda *xs: product(xs), [0.5 + 0.1 * k for k in range(n)])
    else:
        member = {"logistic": logistic, "nested": nested}[family]
        inputs = sp.symbols("x1:2")
        f = member(inputs[0], n)
        steps, listing = program(lambda x: member(x, n), [0.2 if family == "logistic" else -2.0])
    raw = [sp.diff(f, x) for x in inputs]
    parts, reduced = sp.cse([f, *raw])
    shared = [*(expression for _, expression in parts), *reduced]
    lines = [f"{name} = {expression}" for name, expression in parts]
    names = ["f", *(f"df/d{x}" for x in inputs)]
    lines += [f"{name} = {expression}" for name, expression in zip(names, reduced, strict=True)]
    counts = {"f": ops([f]), "raw": ops(raw), "simplified": None, "shared": ops(shared)}
    texts = {"f": str(f), "raw": equations(inputs, raw), "simplified": None}
    if n <= PATIENCE[family]:
        simplified = [sp.simplify(d) for d in raw]
        counts["simplified"] = ops(simplified)
        texts["simplified"] = equations(inputs, simplified)
    counts["program"], texts["program"] = steps, listing
    texts["shared"] = "\n".join(lines)
    terms = {kind: repeated(text, raw) for kind, text in texts.items() if kind in ("f", "raw")}
    cut = {kind: shorten(text) for kind, text in texts.items()}
    return {"n": n, "counts": counts, "texts": cut, "repeated": terms}


def ops(expressions):
    return int(sum(sp.count_ops(expression) for expression in expressions))


def equations(inputs, derivatives):
    return "\n".join(f"df/d{x} = {d}" for x, d in zip(inputs, derivatives, strict=True))


def shorten(text):
    if text is None:
        return None
    return {"text": text[:SHOWN], "left_out": max(0, len(text) - SHOWN)}


def repeated(text, expressions):
    """The part that takes up most room by being written again: {"term", "times"}, or None."""
    parts = {part for e in expressions for part in sp.preorder_traversal(e) if part.args}
    found = map(str, parts)
    worth = {term: (text.count(term) - 1) * len(term) for term in found}
    best = max(worth, key=worth.get, default=None)
    if best is None or worth[best] <= 0:
        return None
    return {"term": best, "times": text.count(best)}


def program(f, at):
    """Steps of value and gradient by reverse mode, counted and listed.

    The backward pass is run on nodes, so it writes its own lines. To do so it runs each op's
    forward again; a line that says the same as an earlier one is left out: that value is there.
    """
    xs, seed = [TensorNode(x) for x in at], TensorNode(1.0)
    with np.errstate(all="ignore"):  # only the steps count, not their values
        y = f(*xs)
        if y.source is None:  # f(x) = x
            return 0, "df/dx1 = 1"
        gradients = pull_back([y], [seed], wrt=xs, differentiable=True)
    names = {id(seed): "1"} | {id(x): f"x{k + 1}" for k, x in enumerate(xs)}
    lines, made, values = [], {}, len(wengert_list(y))
    for record in wengert_list(y, *gradients):
        told = [names.get(id(x)) or number(x) for x in record.inputs]
        text = LINES.get(record.op.__name__, ("{0}", ""))[0].format(*told)
        if "1" in told and record.op.__name__ == "Multiply":  # the seed
            text = next((name for name in told if name != "1"), "1")
        if text in names.values() or text.isdigit():
            made[text] = text
        if text not in made:
            kind, count = ("v", len(lines)) if len(lines) < values else ("a", len(lines) - values)
            made[text] = f"{kind}{count + 1}"
            lines.append(f"{made[text]} = {text}")
        names[id(record.outputs[0])] = made[text]
    ends = [f"df/dx{k + 1} = {names[id(gradient)]}" for k, gradient in enumerate(gradients)]
    return len(lines), "\n".join([*lines, *ends])
