"""What traces and reports look like: every number in its cell, and nothing told by colour alone."""

import html.parser
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import display
from minigrad.solutions import Normalize, ReLU
from minigrad.trace import trace

X = np.array([[0.5, 1.5, 1.25], [2.0, 0.75, 1.75]])


def of(right, backward, name="Mine"):
    """A right forward with another backward."""
    return type(name, (right,), {"backward": staticmethod(backward)})


SQUARE_FORGOTTEN = of(
    Normalize, lambda c, g: g / c["sum"] - np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"]
)


class Page(html.parser.HTMLParser):
    """What stands in a piece of HTML: tables with their captions and rows, text, and faults."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.text, self.tags = [], [], "", []
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag != "br":
            self.open.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            assert tag == "td" or attributes.get("scope") in ("row", "col")
            self.tables[-1]["rows"][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif {"td", "th"} & set(self.open):
            self.tables[-1]["rows"][-1][-1] += data


def page(shown):
    return Page(shown._repr_html_())


# Traces.


def survey(x1, x2):
    """The example of Baydin et al. (2018), table 2: y = 5.5 and 1.7163 are theirs."""
    return np.log(x1) + x1 * x2 - np.sin(x2)


def test_a_trace_is_the_same_table_in_a_terminal_and_on_a_page():
    shown = trace(survey, x1=2.0, x2=5.0, seed=(1, 0), adjoints=True)
    (table,) = page(shown).tables
    head, *rows = table["rows"]
    assert head == ["", "computed as", "primal", "tangent rule", "tangent", "shares", "adjoint"]
    assert [row[-1] for row in rows][:2] == ["5.5", "1.716338"]
    for row, line in zip(rows, str(shown).splitlines()[1:], strict=True):
        assert "".join(row).replace(" ", "") == line.replace(" ", "")


def test_an_op_without_a_line_of_its_own_is_written_as_a_call():
    shown = trace(lambda x: np.sum(x, axis=0), x=np.ones(3), seed=(np.ones(3),))
    assert shown.rows[-1].expression == "Sum(v₀)" and shown.rows[-1].rule == ""


# Not those of matrices and of words; the rule of a power is that of a constant exponent.
FORMULAS = {"Add": 2, "Subtract": 2, "Multiply": 2, "Divide": 2} | dict.fromkeys(
    set(display.LINES) - {"Add", "Subtract", "Multiply", "Divide", "MatMul", "Maximum"}, 1
)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_what_a_line_says_is_what_its_op_computes(name):
    """Read as a formula, each line gives the primal, and each rule the tangent, of its row."""
    n, constants = FORMULAS[name], (1.3,) * (name == "Power")
    f = lambda *x: getattr(mg, name).do_forward(*x, *constants)
    shown = trace(f, *(0.7, 1.3)[:n], seed=(0.4, -0.9)[:n])
    row = shown.rows[-1]
    known = {display.dotted(one.name): one.tangent for one in shown.rows}
    known |= {one.name: one.primal for one in shown.rows}
    functions = dict(ln=np.log, exp=np.exp, sin=np.sin, cos=np.cos, tan=np.tan, tanh=np.tanh)
    functions |= dict(sqrt=np.sqrt, sign=np.sign, σ=lambda x: 1 / (1 + np.exp(-x)))

    def read(formula):
        for letter in sorted(known, key=len, reverse=True):
            formula = formula.replace(letter, f"({known[letter]!r})".replace("np.float64", ""))
        formula = re.sub(r"\|(.*?)\|", r"abs(\1)", formula).replace("2 (", "2 * (")
        for sign, python in {"×": "*", "−": "-", "^": "**", "²": "**2", "√": "sqrt"}.items():
            formula = formula.replace(sign, python)
        return eval(formula, functions)

    assert read(row.expression) == pytest.approx(row.primal, rel=1e-12)
    assert read(row.rule) == pytest.approx(row.tangent, rel=1e-12)


def test_a_name_with_signs_of_html_is_escaped():
    shown = trace(lambda x: x * 2.0, **{"<b>": 1.0})
    assert page(shown).tables[0]["rows"][1][1] == "<b>"


@pytest.mark.parametrize(
    "x, text",
    [
        (None, ""),
        (2.0, "2"),
        (-0.28366218546, "−0.283662"),
        (1e-9, "1e−09"),
        (1e7, "1e+07"),
        (np.nan, "nan"),
        (np.array([1.0, 0.25]), "[1.   0.25]"),
    ],
)
def test_numbers(x, text):
    assert display.number(x) == text


# Gradient checks.


def test_the_terminal_shows_at_most_five_entries_the_worst_first():
    report = mg.gradcheck(SQUARE_FORGOTTEN, X)
    verdict, head, *rows, cause = str(report).splitlines()
    assert verdict.startswith("Mine.backward, gradient of input 0: 6 of 6 entries wrong.")
    assert head.split() == ["entry", "analytic", "numeric", "error"]
    assert len(rows) == 5
    assert cause.startswith("Likely cause: in ") and "divide by context['sum']" in cause
    errors = np.abs(report.analytic[0] - report.numeric[0])
    assert rows[0].startswith(str(list(report.entry)))
    assert float(rows[0].split()[-1]) == pytest.approx(errors.max(), rel=0.05)
    shown = [float(row.split()[-1]) for row in rows]
    assert shown == sorted(shown, reverse=True)


def test_a_message_is_the_report_without_its_table():
    report = mg.gradcheck(SQUARE_FORGOTTEN, X)
    assert report.message.splitlines() == [str(report).splitlines()[i] for i in (0, -1)]


def test_one_number_needs_no_table():
    report = mg.gradcheck(of(mg.Exp, lambda c, g: -g * c["y"]), 2.0)
    assert len(str(report).splitlines()) == 2
    assert not page(report).tables


def test_a_right_report_is_one_sentence():
    shown = page(mg.gradcheck(ReLU, X))
    assert shown.text.startswith("Right. ReLU: the gradient of its input agrees")
    assert not shown.tables and not [tag for tag, _ in shown.tags if tag == "details"]


def test_the_page_shows_both_numbers_and_the_error_of_every_entry():
    report = mg.gradcheck(SQUARE_FORGOTTEN, X)
    worst, heat = page(report).tables
    assert worst["caption"].startswith("The largest errors")
    assert worst["rows"][0] == ["entry", "analytic", "numeric", "error"]
    k = report.entry
    first = [float(cell.replace("−", "-")) for cell in worst["rows"][1][1:3]]
    assert first == pytest.approx([report.analytic[0][k], report.numeric[0][k]], rel=1e-5)
    assert heat["rows"][0] == ["", "0", "1", "2"]
    assert [row[0] for row in heat["rows"][1:]] == ["0", "1"]
    errors = np.abs(report.analytic[0] - report.numeric[0])
    cells = [[float(cell) for cell in row[1:]] for row in heat["rows"][1:]]
    np.testing.assert_allclose(cells, errors, rtol=0.06)


def test_nothing_is_told_by_colour_alone_and_the_page_keeps_its_colours():
    """Wrong entries are bold, the worst is framed; grounds let the page's own shine through."""
    mask = np.arange(6).reshape(2, 3) == 4
    report = mg.gradcheck(of(mg.Sin, lambda c, g: g * np.cos(c["x"]) * (1 + mask)), X)
    text = report._repr_html_()
    assert page(report).text.startswith("Wrong. ")
    cells = re.findall(r'<td style="([^"]*)">(.*?)</td>', text)
    assert len(cells) == 6
    assert [k for k, (_, cell) in enumerate(cells) if "<strong>" in cell] == [4]
    assert [k for k, (style, _) in enumerate(cells) if "outline" in style] == [4]
    alphas = [float(a) for a in re.findall(r"rgba\(213, 94, 0, ([\d.]+)\)", text)]
    assert max(alphas) == alphas[4] == 0.5 and sum(alphas) == 0.5
    assert len(re.findall("background", text)) == len(re.findall("background: rgba", text)) == 6
    assert not re.search(r"[;{\"] *color:", text)
    assert "<script" not in text and "http" not in text


def test_colours_go_with_the_logarithm_of_the_error():
    scale = np.array([1.0, 0.1, 0.01, 1e-9])
    report = mg.gradcheck(
        of(mg.Multiply, lambda c, g: (g * c["y"] + scale, g)), X[0, 0] + 0 * scale, np.ones(4)
    )
    alphas = [float(a) for a in re.findall(r"rgba\(213, 94, 0, ([\d.]+)\)", report._repr_html_())]
    assert alphas == pytest.approx([0.5, 0.375, 0.25, 0.0], abs=0.01)


@pytest.mark.parametrize("worst", [(0, 0), (39, 24), (20, 12)])
def test_of_many_entries_those_near_the_worst_are_shown(worst):
    far = np.zeros((40, 25))
    far[worst] = 1.0
    report = mg.gradcheck(of(mg.Sin, lambda c, g: g * np.cos(c["x"]) + far), np.ones((40, 25)))
    assert report.entry == worst
    heat = page(report).tables[1]
    columns = [int(n) for n in heat["rows"][0][1:]]
    rows = [int(row[0]) for row in heat["rows"][1:]]
    assert len(rows) == len(columns) == display.SIDE <= 12
    assert worst[0] in rows and worst[1] in columns
    assert heat["rows"][1 + rows.index(worst[0])][1 + columns.index(worst[1])] == "1"
    assert f"{rows[0]} to {rows[-1]}, {columns[0]} to {columns[-1]}" in heat["caption"]


@pytest.mark.parametrize("shape, rows", [((4,), 1), ((2, 3, 4), 3)])
def test_vectors_and_stacks_have_heat_maps_too(shape, rows):
    last = np.arange(np.prod(shape)).reshape(shape) == np.prod(shape) - 1
    wrong = of(mg.Sin, lambda c, g: g * np.cos(c["x"]) + last)
    report = mg.gradcheck(wrong, np.ones(shape))
    heat = page(report).tables[1]
    assert len(heat["rows"]) == 1 + rows and len(heat["rows"][0]) == 5
    assert heat["rows"][-1][-1] == "1"
    assert ("of shape" in heat["caption"]) == (len(shape) == 3)


def test_infinite_errors_have_cells_like_others():
    report = mg.gradcheck(of(mg.Log, lambda c, g: g / (c["x"] * (c["x"] > 1))), X)
    with np.errstate(all="raise"):
        heat = page(report).tables[1]
    assert report.mistake == "nan"
    assert [row[1:].count("inf") for row in heat["rows"]] == [0, 1, 1]


def test_hints_lead_from_a_place_to_a_kind_to_the_repair():
    report = mg.gradcheck(SQUARE_FORGOTTEN, X)
    text = report._repr_html_()
    assert re.findall(r"<summary>(.*?)</summary>", text) == [
        "Hint 1 of 3: where to look",
        "Hint 2 of 3: what kind of mistake",
        "Hint 3 of 3: the likely cause",
    ]
    opened = [attributes for tag, attributes in page(report).tags if tag == "details"]
    assert ["open" in attributes for attributes in opened] == [True, False, False]
    first, second, third = re.findall(r"</summary><p>(.*?)</p>", text)
    assert "no entry is right" in first
    assert second == "A factor: one is missing, or there is one too many."
    assert "divide by context[&#x27;sum&#x27;]" in third
    # One inside the other: whoever stops at the first sees nothing of the others.
    assert text.index(third) < text.index("</details>")


def test_the_first_hint_says_which_entries_are_wrong():
    def hint(spoiled):
        mask = np.zeros((3, 4))
        mask[spoiled] = 1.0
        wrong = of(mg.Sin, lambda c, g: g * np.cos(c["x"]) + mask)
        return re.search(
            r"</summary><p>(.*?)</p>", mg.gradcheck(wrong, np.ones((3, 4)))._repr_html_()
        )[1]

    assert "only row 1 holds wrong entries" in hint((1, slice(0, 2)))
    assert "only column 2 holds wrong entries" in hint((slice(0, 2), 2))
    between = r"between \[(0, 0|1, 1)\], which is wrong, and \[0, 1\]"  # both are 1 off
    assert re.search(between, hint(([0, 1], [0, 1])))
    shape = mg.gradcheck(of(mg.Transpose, lambda c, g: g), X)._repr_html_()
    assert "At the shapes of the numbers on the way to" in shape


def test_an_unknown_mistake_has_a_first_step_too():
    report = mg.gradcheck(of(Normalize, lambda c, g: g / c["sum"]), X)
    assert report.mistake is None
    assert "Hint 2 of 2: what to do" in page(report).text
    assert "Work out this one entry by hand" in page(report).text


def test_what_the_reader_wrote_is_escaped():
    wrong = of(mg.Sin, lambda c, g: g * c["<script>alert(1)</script>"])
    shown = page(mg.gradcheck(wrong, X))
    assert "<script>alert(1)</script>" in shown.text
    assert "script" not in [tag for tag, _ in shown.tags]


def test_every_diagnosis_can_be_said():
    """A kind that gives nothing away, and a sentence whose facts a report can fill in."""
    for name, (kind, sentence) in display.DIAGNOSES.items():
        assert kind.endswith((".", "?")) and "{" not in kind, name
        facts = dict(detail="DETAIL", input=0)
        assert "{" not in sentence.format(**facts), name
