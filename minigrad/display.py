"""What traces and gradient checks look like: in a terminal, in a notebook, on the book's page.

Nothing is computed here. `trace` and `checker` find numbers; this module finds words for them, sets
them in tables, and says nothing by colour alone.
"""

import html
import json

import numpy as np

# Traces -------------------------------------------------------------------------------------------

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


class Line:
    """How a row of a trace reads: `expression`, what it computes, and `rule`, its tangent."""

    @property
    def expression(self):
        return self._read(0) if self.record else self.label

    @property
    def rule(self):
        if self.record:
            return self._read(1)
        return "" if self.tangent is None else "the seed"

    def _read(self, which):
        """The line of LINES, with the names of the rows put in."""
        texts = [a.name if isinstance(a, Line) else number(a) for a in self.arguments]
        dots = [dotted(a.name) if isinstance(a, Line) else "0" for a in self.arguments]
        lines = LINES.get(self.op, ("{op}({all})", ""))
        letters = {f"t{k}": dot for k, dot in enumerate(dots)}
        return lines[which].format(*texts, **letters, y=self.name, op=self.op, all=", ".join(texts))


class Table:
    """How a trace shows itself: `rows`, as text, as HTML, as a drawing, as JSON."""

    has_tangents = property(lambda self: any(row.tangent is not None for row in self.rows))
    has_adjoints = property(lambda self: any(row.adjoint is not None for row in self.rows))

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
        return text_table(self.columns())

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
        """The list as JSON, which the page's engine reads (widgets/engine.js).

        {"format": "wengert-list", "version": 1, "inputs": [{"id", "name", "value"}, ...],
         "steps": [{"id", "op", "inputs", "constants", "value"}, ...], "outputs": [id]}

        An input of a step is the id of an earlier line, or {"constant": value}. A value is a
        number, or {"shape": [...], "data": [...]} row by row; "NaN", "Infinity" and "-Infinity"
        are strings.
        """
        ids = {row.name: i for i, row in enumerate(self.rows)}
        inputs, steps, outputs = [], [], []
        for row in self.rows:
            line, value = {"id": ids[row.name]}, {"value": _value(row.primal)}
            outputs += [ids[row.name]] * (row.node is self.output)
            if row.record is None:
                inputs.append(line | {"name": row.label} | value)
                continue
            used = [
                ids[a.name] if isinstance(a, Line) else {"constant": _value(a)}
                for a in row.arguments
            ]
            constants = {name: _constant(value) for name, value in row.record.constants.items()}
            line |= {"op": row.op.lower(), "inputs": used, "constants": constants}
            steps.append(line | value)
        whole = {"format": "wengert-list", "version": 1, "inputs": inputs, "steps": steps}
        return json.dumps(whole | {"outputs": outputs})


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


# Numbers and names --------------------------------------------------------------------------------


def number(x):
    """A number as the tables show it: six digits, a true minus sign."""
    if x is None:
        return ""
    if np.ndim(x):
        return np.array2string(np.asarray(x), precision=4, threshold=12).replace("\n", "")
    text = f"{float(x):.6f}".rstrip("0").rstrip(".") if 1e-4 <= abs(x) < 1e6 else f"{float(x):.6g}"
    return text.replace("-", "−")


def variable(i):
    """v₋₁, v₀, v₁: the name of a line."""
    return "v" + str(i).translate(str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉"))


def dotted(name):
    """v̇₁, the tangent of v₁."""
    return name[0] + "\N{COMBINING DOT ABOVE}" + name[1:]


def plain(name):
    """v₋₁ -> v-1, so that a row can be asked for from the keyboard."""
    return name.translate(str.maketrans("₋₀₁₂₃₄₅₆₇₈₉", "-0123456789"))


def text_table(columns):
    """{heading: cells} in columns of even width, for a terminal."""
    columns = [[head, *cells] for head, cells in columns.items()]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*[[cell.ljust(w) for cell in column] for column, w in zip(columns, widths)])
    return "\n".join("  ".join(line).rstrip() for line in lines)
