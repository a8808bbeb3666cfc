"""What traces, checks and networks look like: in a terminal, in a notebook, on the book's page.

Nothing is computed here. `trace`, `checker` and `train` find numbers; this module finds words for
them, sets them in tables, and says nothing by colour alone.
"""

import contextlib
import html
import json
import traceback

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
    """How a row of a trace reads: `expression`, what it computes, and `rule`, its tangent.

    `op` is the name of what it runs, `inputs` the names of the rows that it uses.
    """

    op = property(lambda self: self.record.op.__name__ if self.record else "")
    inputs = property(lambda self: tuple(a.name for a in self.arguments if isinstance(a, Line)))

    @property
    def expression(self):
        return self._read(0) if self.record else self.label

    @property
    def rule(self):
        if self.record:
            return self._read(1)
        return "" if self.tangent is None else "the seed"

    def __repr__(self):
        return f"{self.name} = {self.expression} = {number(self.primal)}"

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


# Gradient checks ----------------------------------------------------------------------------------

# What stops a check before any number can be compared, or once all of them agree.
REFUSALS = {
    "impure-forward": "{name}: two runs on the same inputs gave different values. Hand random "
    "draws and running state in as inputs or constants.",
    "no-floats": "{name}: {error}.",
    "in-place": "{name} changed {what} in place, but others still need it. Make a new array, with "
    "np.where(mask, x, 0) say, or copy it.",
    "not-written": "{name}: {what} is not written yet.",
    "raises": "{name}: {what} raised {error}{line}",
    "number-of-gradients": "{name}.backward returned {found} gradients for {expected} inputs: "
    "return one for each, in the same order.",
    "missing-return": "{where} is {found}. Is a return missing?",
    "dtype": "{where} is {found}: return floats of the input's dtype, float64 here.",
    "kink": "{where}: every entry lies at a kink, or the curve turns back and forth within a step: "
    "nothing can be compared. Try other inputs.",
    "rounding": "{where}: what a small step changes is lost in the rounding of so large an output, "
    "and nothing can be compared. Leave out what is added to it, or try other inputs.",
    "second-call-differs": "{name}.backward gives something else when it is called a second time. "
    "It must not change what forward kept, nor add to an old result, nor draw at random.",
    "stale-context": "{name}.backward answers for the latest run of forward, not for its own. Keep "
    "what it needs in the context, not in the class or in a variable outside.",
    "second-order": "{name}: the gradients are right, but their own derivatives are not. What "
    "forward keeps for backward must be computed by NumPy functions of its inputs.",
}

# What is wrong with a gradient: (the kind of mistake, the mistake itself and its repair).
_FACTOR = "A factor: one is missing, or there is one too many."
_SHAPE = "The shape: compare it with that of the input, axis by axis."
_SEED = "The incoming gradient: what does each term do with it?"
_TERM = "The terms: compare them, and their signs, with your derivation."
_VALUE = "A value: one stands where another belongs."
_SUM = "A sum: which axes does it run over, and what stands inside it?"
_PLACE = "The places: which entry of the output does an entry of the input reach?"
_MASK = "Some entries only: what sets them apart from the others?"
DIAGNOSES = {
    "nan": (
        "Numbers that are none: some are NaN or infinite.",
        "there is a NaN or an infinity. Look for a division by zero, 0/0, log 0",
    ),
    "zero-everywhere": (
        "A gradient that never arrives.",
        "it is zero everywhere: this input is forgotten",
    ),
    "ignores-the-incoming-gradient": (
        _SEED,
        "it stays the same when the incoming gradient is doubled. The chain rule: incoming "
        "gradient times local derivative",
    ),
    "wrong-order": (
        "The order: which of the returned gradients belongs to which input?",
        "wrong order: what is returned for input {detail} is the gradient of input {input}",
    ),
    "sign": ("The sign.", "the sign is wrong: times -1 it is right"),
    "transposed": (_SHAPE, "it is the transpose of the right one"),
    "constant-factor": (_FACTOR, "a constant factor: it is {detail} times the right one"),
    "shape": (_SHAPE, "a gradient has an entry for each entry of its input, in the same place"),
    "misplaced": (_PLACE, "the numbers are right, but they stand in other entries"),
    "reshape": (_SHAPE, "the numbers are right. Reshape them to {detail}"),
    "not-linear": (
        _SEED,
        "a gradient doubles with the incoming gradient: each term holds it once",
    ),
    "float32-noise": (
        "The numbers themselves: how many digits do they have?",
        "forward returns float32, in whose rounding a small step is lost. Keep the input's dtype",
    ),
    "wrong-where-negative": (_MASK, "it is wrong only where the input is negative"),
    "wrong-where-positive": (_MASK, "it is wrong only where the input is positive"),
    "forgotten-entries": (_MASK, "the wrong entries are all zero: they are forgotten"),
    "only-right-for-ones": (
        _PLACE,
        "it is right only where the incoming gradient is all ones. Ask of one entry of the "
        "incoming gradient at a time: which entries of the input does it reach",
    ),
    # Found by changing one op, or one value, in the list of the backward:
    "sign-of-a-term": (_TERM, "{detail}"),
    "extra-term": (_TERM, "{detail}"),
    "wrong-function": ("A function: another one belongs there.", "{detail}"),
    "wrong-side": (_MASK, "{detail}"),
    "transposed-operand": (
        "A product of matrices: write the shapes under it.",
        "{detail}",
    ),
    "wrong-axis": (_SUM, "{detail}"),
    "missing-sum": (_SUM, "{detail}"),
    "extra-sum": (_SUM, "{detail}"),
    "index-swap": (_SUM, "{detail}"),
    "extra-factor": (_FACTOR, "{detail}"),
    "missing-factor": (_FACTOR, "{detail}"),
    "output-for-input": (_VALUE, "{detail}"),
    "input-for-output": (_VALUE, "{detail}"),
    "wrong-operand": (_VALUE, "{detail}"),
}
REPEATED = "the input was repeated along an axis, so its gradient is the sum over that axis"
NO_INPUT = ", all zero: it depends on no input"
UNKNOWN = "No usual mistake fits. Work out this one entry by hand, and compare."
UNDEFINED = "The function is not defined, or infinite, close to this entry. Try other inputs."


def raised(error):
    """What an exception says, and the line of code that raised it."""
    line = traceback.extract_tb(error.__traceback__)[-1].line
    return {"error": f"{type(error).__name__}: {error}", "line": line}


class Names:
    """How the values on the way to a gradient are called; `names`, {id(node): name}, starts it."""

    def name(self, value):
        """What a value is called: context['x'], or multiply(context['x'], ...)."""
        if id(value) in self.names:
            return self.names[id(value)]
        if getattr(value, "source", None) is None:
            return f"{value:.4g}" if np.ndim(value) == 0 else "an array"
        op, inputs = value.source.op, value.source.inputs
        return f"{op.__name__.lower()}({', '.join(map(self.name, inputs))})"


class Verdict:
    """How the report of a gradient check reads: in a terminal, and as HTML."""

    @property
    def message(self):
        """What was found, and the likely cause, without the numbers of other entries."""
        return "\n".join(filter(None, [self._found(), self._cause()]))

    def __repr__(self):
        table = text_table(self._worst(5)) if np.sum(self.facts.get("wrong", 0)) > 1 else ""
        return "\n".join(filter(None, [self._found(), table, self._cause()]))

    def _repr_html_(self):
        # The word carries the verdict; the colour of the edge (Okabe-Ito) only repeats it.
        colour, verdict = ("#009E73", "Right") if self.right else ("#D55E00", "Wrong")
        found = html.escape(self._found()).replace("\n", "<br>")
        parts = [CHECK_STYLE, f"<p><strong>{verdict}.</strong> {found}</p>", _ladder(self._hints())]
        if self.mistake == "outside-the-domain":
            parts[-1] = f"<p>{UNDEFINED}</p>"
        if self._several():
            tables = _html_worst(self._worst(8)) + self._heat_map()
            parts.append(f'<div class="mg-tables">{tables}</div>')
        style = f"border-left: 0.3em solid {colour}; padding: 0.3em 0.8em"
        return f'<div class="gradcheck" style="{style}">{"".join(parts)}</div>'

    def _said(self, template):
        """A sentence with the facts of this check put in."""
        line = self.facts.get("line")
        where = f"{self.name}{'.backward' * self.facts['is_op']}, gradient of input {self.input}"
        facts = self.facts | {"line": f"\n  in: {line}" * bool(line)}
        return template.format(name=self.name, where=where, input=self.input, **facts)

    def _several(self):
        """Whether there is more to show than one wrong number."""
        return self.entry is not None and self.facts["wrong"].size > 1

    def _found(self):
        """The verdict in one sentence, and the worst entry in another."""
        if self.right:
            return self._agreement()
        if self.mistake in REFUSALS:
            return self._said(REFUSALS[self.mistake])
        if self.entry is None:
            return self._said("{where} has shape {found}, but the input has shape {expected}.")
        k, place, wrong = self.entry, list(self.entry) or "", self.facts["wrong"]
        return self._said("{where}: ") + (
            f"{wrong.sum()} of {wrong.size} entries wrong. Where the input{place} is "
            f"{self.facts['at']:.6g}, it says {self.analytic[self.input][k]:.6g}, but finite "
            f"differences give {self.numeric[self.input][k]:.6g}."
        )

    def _agreement(self):
        entries, kinks, reason = (self.facts[key] for key in ("entries", "kinks", "reason"))
        n = sum(slopes is not None for slopes in self.numeric)
        whose = "gradient of its input agrees" if n == 1 else f"gradients of its {n} inputs agree"
        counted = f"{entries} {'entries' if entries > 1 else 'entry'}"
        remark = ", and so do the second derivatives"
        if not self.second_order:
            remark = f"; second derivatives cannot be had ({reason})" if reason else NO_INPUT
        if kinks:
            remark += f". At kinks ({kinks} here) any slope between those of the two sides is right"
        return f"{self.name}: the {whose} with finite differences ({counted}){remark}."

    def _cause(self):
        """The diagnosis: the last of the hints."""
        if self.right or self.mistake in REFUSALS:
            return ""
        if self.mistake == "outside-the-domain":
            return UNDEFINED
        if self.mistake not in DIAGNOSES:
            return UNKNOWN
        return f"Likely cause: {self._said(DIAGNOSES[self.mistake][1])}."

    def _hints(self):
        """From a nudge to the answer: [(what the hint is about, what it says), ...]."""
        if self.right or self.mistake in REFUSALS or self.mistake == "outside-the-domain":
            return []
        hints = [("where to look", self._where())]
        if self.mistake not in DIAGNOSES:
            return [*hints, ("what to do", UNKNOWN)]
        kind = DIAGNOSES[self.mistake][0]
        return [*hints, ("what kind of mistake", kind), ("the likely cause", self._cause())]

    def _where(self):
        """The first hint: which entries are wrong, and nothing about why."""
        if self.entry is None:
            return self._said("At the shapes of the numbers on the way to {where}.")
        wrong = self.facts["wrong"]
        if wrong.all():
            return self._said("{where}: no entry is right, so it is the formula itself.")
        for axis, line in enumerate(("row", "column") if wrong.ndim == 2 else ()):
            hit = np.flatnonzero(wrong.any(axis=1 - axis))
            if len(hit) == 1:
                return self._said("{where}: ") + f"only {line} {hit[0]} holds wrong entries."
        right = [int(n) for n in np.argwhere(~wrong)[0]]
        return self._said("{where}: ") + (
            f"some entries are right. What is different between {list(self.entry)}, which is "
            f"wrong, and {right}, which is not?"
        )

    def _error(self):
        """How far each entry is off, in the input that was reported."""
        return np.abs(self.analytic[self.input] - self.numeric[self.input])

    def _worst(self, most):
        """The wrong entries that are furthest off, the worst first: {heading: cells}."""
        error, wrong = self._error(), self.facts["wrong"]
        places = [tuple(int(n) for n in k) for k in np.argwhere(wrong)]
        places.sort(key=lambda k: -np.nan_to_num(error[k], nan=np.inf))
        got, slopes = self.analytic[self.input], self.numeric[self.input]
        return {
            "entry": [str(list(k)) for k in places[:most]],
            "analytic": [f"{got[k]:.6g}" for k in places[:most]],
            "numeric": [f"{slopes[k]:.6g}" for k in places[:most]],
            "error": [f"{error[k]:.2g}" for k in places[:most]],
        }

    def _heat_map(self):
        """The error of every entry as a table, of the entries near the worst if there are many."""
        error, wrong, worst = self._error(), self.facts["wrong"], self.entry
        shape, largest = error.shape, np.max(error[np.isfinite(error)], initial=0.0)
        ranges = [
            range(max(0, min(k - SIDE // 2, n - SIDE)), n)[:SIDE]
            for k, n in zip(worst[-2:], shape[-2:])
        ]
        rows, columns = ranges if len(ranges) == 2 else ([None], *ranges)
        head = "".join(f'<th scope="col">{column}</th>' for column in columns)
        body = ""
        for row in rows:
            places = [(*worst[:-2], *([row] if row is not None else []), c) for c in columns]
            cells = "".join(_heat(error[k], wrong[k], largest, k == worst) for k in places)
            name = "error" if row is None else row
            body += f'<tr><th scope="row">{name}</th>{cells}</tr>'
        about = "The error of each entry; wrong ones are bold, the worst has a frame"
        if error.size > len(rows) * len(columns):
            part = [*map(str, worst[:-2]), *(f"{r[0]} to {r[-1]}" for r in ranges)]
            about += f". Shown are those near it, [{', '.join(part)}] of shape {shape}"
        return _html_table(f"{about}.", f"<td></td>{head}", body)


# Tables keep to the page's own colours, light or dark; long ones scroll in a box of their own.
CHECK_STYLE = """<style>
.gradcheck p { margin: 0.3em 0; }
.gradcheck summary { cursor: pointer; }
.gradcheck details details { margin-left: 1.2em; }
.gradcheck .mg-tables { display: flex; flex-wrap: wrap; gap: 0 2.5em; margin-top: 0.6em; }
.gradcheck .mg-scroll { overflow-x: auto; max-width: 100%; }
.gradcheck table { border-collapse: collapse; margin: 0 0 0.6em; width: auto; min-width: 17em; }
.gradcheck table { font-size: 0.9em; }
.gradcheck caption { caption-side: top; text-align: left; padding: 0 0 0.3em; }
.gradcheck caption span { display: inline-block; position: sticky; left: 0; max-width: 74vw; }
.gradcheck table :is(th, td) { padding: 0.15em 0.35em; text-align: right; white-space: nowrap; }
.gradcheck table :is(th, td) { font-variant-numeric: tabular-nums; }
</style>"""
SIDE = 10  # of the largest heat-map
DECADES = 4  # from no colour to full colour


def _heat(error, wrong, largest, worst):
    """One cell: its number, and behind it a colour that goes with the logarithm of the number."""
    near = 1.0  # to the largest: 1 there, 0 where the error is DECADES smaller
    if error < largest:
        near = max(0.0, 1.0 + np.log10(max(error, 1e-300) / largest) / DECADES)
    text = (f"<strong>{error:.2g}</strong>" if wrong else f"{error:.0e}").replace("-", "−")
    frame = " outline: 2px solid; outline-offset: -2px;" if worst else ""
    return f'<td style="background: rgba(213, 94, 0, {0.5 * near:.2f});{frame}">{text}</td>'


def _ladder(hints):
    """Hints folded one inside the other, the first one open: readers stop where they like."""
    folded = ""
    for i, (about, text) in reversed(list(enumerate(hints, 1))):
        summary = f"<summary>Hint {i} of {len(hints)}: {about}</summary>"
        opened = " open" if i == 1 else ""
        folded = f"<details{opened}>{summary}<p>{html.escape(text)}</p>{folded}</details>"
    return folded


def _html_worst(columns):
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = ""
    for entry, *numbers in zip(*columns.values()):
        cells = "".join(f"<td>{text.replace('-', '−')}</td>" for text in numbers)
        body += f'<tr><th scope="row">{entry}</th>{cells}</tr>'
    return _html_table("The largest errors, |analytic − numeric|.", head, body)


def _html_table(caption, head, body):
    return (
        f'<div class="mg-scroll"><table><caption><span>{caption}</span></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


# Networks and their training ----------------------------------------------------------------------


def module(module):
    """A module and its parameters, a line for each."""
    lines = [f"{name:<20} {node.shape}" for name, node in module.named_parameters()]
    total = sum(node.size for node in module.parameters())
    return "\n  ".join([f"{type(module).__name__}, {total:,} parameters", *lines])


def epochs(history, total, shown):
    """The numbers of the epochs that are not in the `history` yet; if `shown`, with a bar.

    It tells what each epoch has added to the history; a line for each, where tqdm is missing.
    """
    start, bar = len(history.get("loss", ())), None
    if shown:
        with contextlib.suppress(ImportError):  # of tqdm, or in a notebook of ipywidgets
            from tqdm.auto import tqdm

            bar = tqdm(initial=start, total=total, unit=" epochs")
    with contextlib.closing(bar) if bar else contextlib.nullcontext():
        for epoch in range(start, total):
            yield epoch
            last = {name: values[-1] for name, values in history.items() if name not in UNTOLD}
            told = [f"{name} {value:.3g}" for name, value in last.items() if value is not None]
            if bar:
                bar.set_postfix_str(", ".join(told), refresh=False)
                bar.update()
            elif shown:
                print(f"epoch {epoch + 1}: {', '.join(told)}")


UNTOLD = {"rate", "seconds", "best"}


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
