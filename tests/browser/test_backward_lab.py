"""The backward lab: its verdicts against gradcheck and its slopes against difference quotients in
NumPy (in Node); the reader's line, buttons, weights, hints, link, themes, phone (in Chromium)."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import traitlets

import minigrad as mg
from minigrad import display
from minigrad.widgets.page import BackwardLab

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "minigrad" / "widgets" / "backward_lab"
DEMO = "demo.html?widget=backward_lab"
RIGHT = {
    "relu": ["g * step(x)"],
    "normalize": ["g / s - np.sum(g * x, axis=1, keepdims=True) / s**2"],
    "divide": ["g / b", "-g * y / b"],
    "layernorm": ["(g - mean(g, 1) - y * mean(g * y, -1)) / sd"],
}

# The language of the editor, in NumPy. It is evaluated by Python, so that no line of the page's
# parser stands on both sides of the comparison.
LANGUAGE = dict(
    np=np,
    sum=lambda a, axis=None: np.sum(a, axis=axis, keepdims=True),
    mean=lambda a, axis=None: np.mean(a, axis=axis, keepdims=True),
    step=lambda a: (a > 0) * 1.0,
    where=np.where,
    maximum=np.maximum,
    sqrt=np.sqrt,
)

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node 20 or newer")


def node(program):
    """What a module prints, as JSON. It may use CASES, check, namesIn and read."""
    names = {"ops": "CASES", "witness": "check, namesIn", "expressions": "read, value, written"}
    imports = "".join(
        f"import {{{what}}} from '{(HERE / (file + '.js')).as_uri()}';"
        for file, what in names.items()
    )
    command = ["node", "--no-warnings", "--input-type=module", "-e", imports + program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cases():
    return node("console.log(JSON.stringify(CASES));")


@pytest.fixture(scope="module")
def verdicts():
    """{op: {mistake: what the page finds}}, the right lines under "right"."""
    return node(
        f"const right = {json.dumps(RIGHT)};"
        """const found = {};
        const said = (op, lines, weights) => {
          const trees = lines.map((line) => read(line, namesIn(op)));
          const { trial, inputs } = check(op, trees, weights, 0);
          for (const one of inputs) one.got &&= [...one.got];
          return { g: [...trial.g.data], inputs };
        };
        for (const [op, { mistakes }] of Object.entries(CASES)) {
          found[op] = {};
          const all = { right: { lines: right[op] }, ...mistakes };
          for (const [key, { lines }] of Object.entries(all)) {
            found[op][key] = {};
            for (const w of ["random", "ones", "first"]) found[op][key][w] = said(op, lines, w);
          }
        }
        console.log(JSON.stringify(found));"""
    )


def in_numpy(case, lines):
    """The op as a class of minigrad, its backward the reader's lines."""

    class Lab(mg.Op):
        @staticmethod
        def forward(context, *xs):
            context |= dict(zip(case["inputs"], xs))
            for name, line in case["forward"].items():
                context[name] = eval(line, LANGUAGE, dict(context))
            return context["y"]

        @staticmethod
        def backward(context, g):
            names = {name: context[name] for name in [*case["inputs"], *case["forward"]]}
            return tuple(eval(line, LANGUAGE, names | {"g": g}) for line in lines)

    return Lab


def arrays(case, kink=0.0):
    """The inputs; a 0 is replaced by `kink`."""
    return [
        np.reshape([x or kink for x in data], case["shape"]) for data in case["inputs"].values()
    ]


@needs_node
@pytest.mark.parametrize("op", RIGHT)
def test_the_page_names_each_mistake_as_gradcheck_does(op, cases, verdicts):
    """Without the entry at ReLU's kink, which gradcheck does not look beyond."""
    case = cases[op]
    for key, found in verdicts[op].items():
        lines = RIGHT[op] if key == "right" else case["mistakes"][key]["lines"]
        report = mg.gradcheck(in_numpy(case, lines), *arrays(case, kink=0.7))
        page = found["random"]["inputs"]
        assert all(one["truly"] for one in page) == report.right, (key, report)
        if not report.right:
            one = page[report.input]
            assert one["mistake"] == report.mistake, (key, one, report)
            assert one["mistake"] is None or one["mistake"] in display.DIAGNOSES


@needs_node
@pytest.mark.parametrize("op", RIGHT)
@pytest.mark.parametrize("weights", ["random", "ones", "first"])
def test_gradients_and_slopes_are_those_of_numpy(op, weights, cases, verdicts):
    case, h = cases[op], 1e-6
    xs = arrays(case)
    for key, found in verdicts[op].items():
        lines = RIGHT[op] if key == "right" else case["mistakes"][key]["lines"]
        lab, kept = in_numpy(case, lines), {}
        g = np.reshape(found[weights]["g"], lab.forward(kept, *xs).shape)
        got = lab.backward(kept, g)
        for i, one in enumerate(found[weights]["inputs"]):
            np.testing.assert_allclose(one["got"], np.ravel(got[i]), rtol=1e-12, atol=1e-12)
            steps = h * np.eye(xs[i].size).reshape(-1, *xs[i].shape)
            ends = [
                [lab.forward({}, *xs[:i], xs[i] + s, *xs[i + 1 :]) for s in (-e, e)] for e in steps
            ]
            slopes = [np.sum(g * (high - low)) / (2 * h) for low, high in ends]
            np.testing.assert_allclose(one["slopes"], slopes, rtol=1e-6, atol=1e-7)


@needs_node
def test_the_plain_sum_sees_nothing_of_these(verdicts):
    """The mistakes that pass with ones, and fail with random weights."""
    passes = lambda found: all(all(one["right"]) for one in found["inputs"])
    unseen = {
        op: {k for k, v in found.items() if passes(v["ones"]) and not passes(v["random"])}
        for op, found in verdicts.items()
    }
    assert unseen["relu"] == {"forgotten"}
    assert unseen["normalize"] == {"zeros", "seven"}
    assert {"deviation", "factor"} <= unseen["layernorm"]


@needs_node
def test_what_is_read_is_what_python_reads(cases):
    """Precedence, signs, comparisons, sums; and each tree written out again is the same tree."""
    lines = """
        -x**2 * s / y - 3 + x
        x - (s - y) - g
        x / (s / y) / 2
        x / s * y
        2**-1**2 * x
        -(x + s)**2
        (x > s / 5) * g + (x <= 1) - (2 >= x) * (x < y)
        sum(x * (g - 1), 0) + mean(x, axis=-1) - sum(x)
        where(x > 1.5e0, .5, step(g)) * maximum(x, 2.) ** 0.5
        np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    """.strip().splitlines()
    lines = [line.strip() for line in lines]
    rng = np.random.default_rng(0)
    known = {name: rng.uniform(0.5, 2.0, (2, 3)) for name in "xsyg"}
    given = {name: {"shape": [2, 3], "data": np.ravel(a).tolist()} for name, a in known.items()}
    found = node(
        f"const known = {json.dumps(given)}; const lines = {json.dumps(lines)};"
        """console.log(JSON.stringify(lines.map((line) => {
          const tree = read(line, ["x", "s", "y", "g"]);
          const again = read(written(tree), ["x", "s", "y", "g"]);
          const same = JSON.stringify(tree) === JSON.stringify(again);
          return { value: [...value(tree, known).data], same, text: written(tree) };
        })));"""
    )
    language = LANGUAGE | {"np": type("np", (), {"sum": LANGUAGE["sum"], "sqrt": np.sqrt})}
    language["np"].sum = staticmethod(lambda a, axis, keepdims: np.sum(a, axis, keepdims=keepdims))
    for line, one in zip(lines, found, strict=True):
        expected = np.ravel(eval(line, language, known) * 1.0)
        np.testing.assert_allclose(one["value"], expected, rtol=1e-12, err_msg=line)
        assert one["same"], (line, one["text"])


@needs_node
@pytest.mark.parametrize(
    "line, words",
    [
        ("", "Write an expression of x, g"),
        ("g x", "A product needs its sign"),
        ("g * q", '"q" is not known here'),
        ("x^2", "Write powers with **"),
        ("g @ x", "* multiplies entry by entry"),
        ("(g * x", "closing parenthesis"),
        ("g * x)", "closes nothing"),
        ("g *", "stops too early"),
        ("* g", 'A value is missing before "*"'),
        ("sum(g, 2)", "The axis is 1"),
        ("sum(g, axis=1, keepdims=False)", "keepdims=True"),
        ("where(g)", "where takes 3 values; here is one"),
        ("g = 1", 'without "="'),
        ("g[0]", "round parentheses"),
        ("1,5 * g", "write a point"),
        ("sum g", "in parentheses: sum(x)"),
    ],
)
def test_a_slip_of_the_pen_is_explained(line, words):
    program = f"try {{ read({json.dumps(line)}, ['x', 'g']); console.log('\"read\"'); }}"
    said = node(program + "catch (e) { console.log(JSON.stringify(e.message)); }")
    assert words in said


# ---- In the page ---------------------------------------------------------------------------------


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(fragment="", query="&", words=True, **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-outcome").wait_for()
        if words:
            said = BackwardLab().words
            page.evaluate("words => model.set('words', words)", said)
        return page

    return open_demo


def outcome(page):
    return page.locator(".mg-lab").get_attribute("data-outcome")


def expect_outcome(page, expected):
    from playwright.sync_api import expect

    expect(page.locator(".mg-lab")).to_have_attribute("data-outcome", expected)


def write(page, line, name="x"):
    """Type a line, and press Enter, which runs it at once."""
    field = page.get_by_role("textbox", name=f"gradient of {name} =")
    field.fill(line)
    field.press("Enter")


def says(page, words):
    from playwright.sync_api import expect

    expect(page.locator(".mg-summary").first).to_contain_text(words)


def test_a_reader_writes_relu(demo):
    page = demo()
    expect_outcome(page, "wrong")
    says(page, "6 of 12 entries wrong")
    page.get_by_role("combobox", name="Weights").select_option("ones")
    expect_outcome(page, "missed")
    page.get_by_role("combobox", name="Weights").select_option("random")
    field = page.get_by_role("textbox", name="gradient of x =")
    field.fill("")
    page.keyboard.type("g * step(x)")  # no Enter: it runs by itself
    expect_outcome(page, "right")
    says(page, "agrees with finite differences (12 entries). At kinks (1 here)")
    assert page.locator(".mg-lab-hints details").count() == 0


def test_hints_open_one_at_a_time_in_the_words_of_gradcheck(demo):
    page = demo(query="&op=normalize")
    page.get_by_role("button", name="x outside the sum").press("Enter")
    kind, cause = display.DIAGNOSES["index-swap"]
    detail = "in sum(g, 1) * x, x belongs inside the sum, and it is right"
    texts = [
        "No entry is right, so it is the formula itself.",
        kind,
        f"Likely cause: {cause.format(detail=detail)}.",
    ]
    for n, text in enumerate(texts, 1):
        line = page.get_by_text(text, exact=True)
        assert not line.is_visible()
        summary = page.locator("summary", has_text=f"Hint {n} of 3")
        summary.focus()
        summary.press("Enter")
        assert line.is_visible()
    page.get_by_role("button", name="Draw again").click()
    assert page.get_by_text(texts[2], exact=True).is_visible(), "open hints stay open"


def test_every_button_loads_a_mistake(demo):
    for op, count in {"relu": 7, "normalize": 11, "divide": 6, "layernorm": 9}.items():
        page = demo(query=f"&op={op}")
        buttons = page.locator(".mg-lab-presets button")
        assert buttons.count() == count
        for n in range(count):
            buttons.nth(n).click()
            assert buttons.nth(n).get_attribute("aria-pressed") == "true"
            expected = "right" if buttons.nth(n).inner_text() == "slope 1 at the kink" else "wrong"
            assert outcome(page) == expected


def test_division_has_two_lines(demo):
    page = demo(query="&op=divide")
    page.get_by_role("button", name="wrong order").click()
    says(page, "gradient of a: 6 of 6 entries wrong")
    assert page.locator(".mg-lab-grid").count() == 2
    assert (
        "what is returned for input b is the gradient of input a"
        in page.locator(".mg-lab-hints").text_content()
    )
    for name, line in zip("ab", RIGHT["divide"]):
        write(page, line, name)
    expect_outcome(page, "right")


def test_a_wrong_shape_is_told(demo):
    page = demo(query="&op=normalize")
    write(page, "sum(g * x, 1) / s**2")
    says(page, "its shape is (3, 1), but the input has shape (3, 3)")
    expect_outcome(page, "wrong")
    write(page, "0")
    says(page, "that of a single number")


def test_a_line_that_cannot_be_read_keeps_what_was_found(demo):
    page = demo()
    before = page.locator(".mg-lab-grid").text_content()
    write(page, "g *")
    expect_outcome(page, "unread")
    assert "stops too early" in page.locator(".mg-lab-error").inner_text()
    assert page.get_by_role("textbox").get_attribute("aria-invalid") == "true"
    assert page.locator(".mg-lab-grid").text_content() == before
    page.get_by_role("combobox", name="Op").select_option("divide")
    expect_outcome(page, "wrong")
    page.get_by_role("combobox", name="Op").select_option("relu")
    expect_outcome(page, "unread")
    page.get_by_role("button", name="Reset").click()
    expect_outcome(page, "wrong")


def test_one_output_alone_shows_a_row_of_the_jacobian(demo):
    page = demo(query="&op=normalize&weights=first")
    quotients = page.locator(".mg-lab-quotient").all_inner_texts()
    assert quotients[:3] == ["0.1389", "−0.0278", "−0.0278"], "5/36, −1/36, −1/36"
    assert set(quotients[3:]) == {"0"}


def test_the_table_has_every_entry(demo):
    page = demo(query="&op=divide")
    page.get_by_role("switch", name="Show as table").check()
    rows = page.locator(".mg-table tbody tr")
    assert rows.count() == 12 and not page.locator(".mg-picture").is_visible()
    assert rows.nth(6).locator("th").inner_text() == "b[0, 0]"
    assert rows.nth(6).locator("td").last.inner_text() == "✗ differs"


def test_a_check_takes_less_than_a_second(demo):
    page = demo(query="&op=layernorm")
    milliseconds = page.evaluate(
        """() => { const buttons = [...document.querySelectorAll('.mg-lab-presets button')];
        return Math.min(...[0, 1, 2].map(() => { const t = performance.now();
          buttons.find(b => b.textContent === 'm constant').click();
          return performance.now() - t; })); }"""
    )
    assert milliseconds < 1000


def test_a_link_brings_the_same_state(demo):
    page = demo(fragment="#lab=divide&lab.a=g / b&lab.b=-g * a / b&lab.weights=ones")
    says(page, "gradient of b: 6 of 6 entries wrong")
    assert page.get_by_role("combobox", name="Weights").input_value() == "ones"
    write(page, "-g * a / b**2", "b")
    page.get_by_role("combobox", name="Op").select_option("normalize")
    write(page, "g / s + 1")
    page.wait_for_timeout(250)
    address = page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))")
    assert address["lab"] == "normalize" and address["lab.x"] == "g / s + 1"
    assert "lab.a" not in address
    page = demo(fragment="#lab=nonsense&lab.x=<img src=x>")
    expect_outcome(page, "wrong")
    page = demo(fragment="#lab=relu&lab.x=<img src=x>&lab.weights=many")
    expect_outcome(page, "unread")


def test_the_model_follows_and_leads(demo):
    page = demo()
    write(page, "g * step(x)")
    assert page.evaluate("model.get('lines')") == ["g * step(x)"]
    page.evaluate("model.set('op', 'normalize')")
    says(page, "Normalize.backward")
    page.evaluate("model.set('lines', ['g / s - sum(g * x, 1) / s**2'])")
    expect_outcome(page, "right")


@pytest.mark.parametrize("query", ["&op=normalize", "&op=divide&weights=ones"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(demo, axe, theme, query):
    page = demo(query=f"{query}&theme={theme}", scheme=theme)
    assert axe(page) == []
    page.locator("summary").first.click()
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []
    write(page, "g *", "a" if "divide" in query else "x")
    assert axe(page) == []


@pytest.mark.parametrize("op", ["layernorm", "divide"])
def test_it_fits_a_phone(demo, op):
    page = demo(width=390, reduced_motion="reduce", query=f"&op={op}")
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= 390
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    assert page.evaluate(wide) <= 390
    page.get_by_role("switch", name="Show as table").check()
    assert page.evaluate(wide) <= 390


def test_python_refuses_what_it_cannot_show():
    assert BackwardLab("divide", ("g / b", "g")).lines == ["g / b", "g"]
    for wrong in ({"op": "cube"}, {"weights": "many"}, {"lines": (1, 2)}):
        with pytest.raises(traitlets.TraitError):
            BackwardLab(**wrong)
