"""The gradcheck microscope in headless Chromium: numbers as NumPy has them, every mistake found by
random weights, the arrow keys, the curve of a cell, link, themes, phone."""

import re

import numpy as np
import pytest
import traitlets

from minigrad import ops
from minigrad.solutions import Normalize, ReLU
from minigrad.widgets.page import GradcheckMicroscope

DEMO = "demo.html?widget=gradcheck_microscope"
POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
WEIGHTS = [[0.5, -1, 2, 0.3], [1.5, 0.8, -0.6, 1], [-0.7, 1.2, 0.4, -1.1], [0.9, -0.2, 1.3, 0.6]]


class Soft(ops.Op):
    @staticmethod
    def forward(context, x):
        context["y"] = y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return y

    @staticmethod
    def backward(context, g):
        y = context["y"]
        return y * (g - np.sum(g * y, axis=1, keepdims=True))


def total(x):
    return x.sum(axis=1, keepdims=True)


# op: (its forward, {mistake: its backward}), written anew.
CASES = {
    "normalize": (
        lambda x: x / total(x),
        {
            "right": lambda g, x: g / total(x) - total(g * x) / total(x) ** 2,
            "sign": lambda g, x: g / total(x) + total(g * x) / total(x) ** 2,
            "square": lambda g, x: g / total(x) - total(g * x) / total(x),
            "index": lambda g, x: g / total(x) - total(g) * x / total(x) ** 2,
            "zeros": lambda g, x: 0 * g,
            "seven": lambda g, x: -7 * (g / total(x) - total(g * x) / total(x) ** 2),
        },
    ),
    "softmax": (
        lambda x: Soft.forward({}, x),
        {
            "right": lambda g, x: Soft.backward({"y": Soft.forward({}, x)}, g),
            "alone": lambda g, x: Soft.forward({}, x) * g,
            "outside": lambda g, x: g - total(g * Soft.forward({}, x)),
            "zeros": lambda g, x: 0 * g,
            "seven": lambda g, x: -7 * Soft.backward({"y": Soft.forward({}, x)}, g),
        },
    ),
    "relu": (
        lambda x: np.maximum(x, 0),
        {
            "right": lambda g, x: g * (x > 0),
            "unmasked": lambda g, x: g,
            "wrongmask": lambda g, x: g * (g > 0),
            "leaning": lambda g, x: g * np.where(x > 0, 1, -1),
            "forgotten": lambda g, x: 1.0 * (x > 0),
        },
    ),
    "sine": (
        np.sin,
        {
            "right": lambda g, x: g * np.cos(x),
            "sign": lambda g, x: -g * np.cos(x),
            "output": lambda g, x: g * np.cos(np.sin(x)),
            "forgotten": lambda g, x: np.cos(x),
            "zeros": lambda g, x: 0 * g,
        },
    ),
    "matmul": (
        lambda x: x @ np.array(WEIGHTS),
        {
            "right": lambda g, x: g @ np.array(WEIGHTS).T,
            "transpose": lambda g, x: g @ np.array(WEIGHTS),
            "forgotten": lambda g, x: np.ones((3, 4)) @ np.array(WEIGHTS).T,
            "seven": lambda g, x: -7 * g @ np.array(WEIGHTS).T,
        },
    ),
    "cube": (
        lambda x: x**3,
        {
            "right": lambda g, x: g * 3 * x**2,
            "two": lambda g, x: g * 2 * x**2,
            "bit": lambda g, x: g * (3 * x**2 + 0.0004),
            "zeros": lambda g, x: 0 * g,
        },
    ),
}
ALL = [(op, mistake) for op, (_, backwards) in CASES.items() for mistake in backwards]
# What a check with ones lets pass: the mistakes that cancel, and the factor of 1 that is missing.
BLIND = {
    ("normalize", "zeros"),
    ("normalize", "seven"),
    ("softmax", "outside"),
    ("softmax", "zeros"),
    ("softmax", "seven"),
    ("sine", "forgotten"),
    ("matmul", "forgotten"),
}


def number(text):
    """What "3.2 × 10⁻⁸", "10⁻⁸", "−0.5" or "1.2e−8" say."""
    text = text.translate(POWERS)
    match = re.fullmatch(r"(?:(-?[\d.]+) × )?10(-\d+)", text)
    return float(match[1] or 1) * 10 ** int(match[2]) if match else float(text)


def says(page, words):
    from playwright.sync_api import expect

    expect(page.locator(".mg-summary").first).to_contain_text(words)


def outcome(page):
    return page.locator(".mg-gm").get_attribute("data-outcome")


def choose(page, **menus):
    for name, option in menus.items():
        page.get_by_role("combobox", name=name).select_option(option)


def field(page, name):
    return page.get_by_role("spinbutton", name=f"{name}, as a power of ten, as a number")


def rows(page):
    """The table in columns: x, g, backward, quotient, distance, and whether each agrees."""
    page.get_by_role("switch", name="Show as table").check()
    lines = page.locator(".mg-table tbody tr").all()
    cells = [line.locator("td").all_inner_texts() for line in lines]
    page.get_by_role("switch", name="Show as table").uncheck()
    columns = [np.array([number(row[i]) for row in cells]).reshape(3, 4) for i in range(5)]
    return (*columns, np.array([row[5].startswith("✓") for row in cells]).reshape(3, 4))


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(query="", fragment="", **options):
        page = open_page(f"{package_site}/{DEMO}&{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-outcome").wait_for()
        return page

    return open_demo


def test_every_backward_is_as_numpy_has_it(demo):
    """The claimed gradient, the quotient and their distance, of every op and mistake."""
    page = demo("cotangent=random")
    for op, mistake in ALL:
        choose(page, Op=op, Backward=mistake)
        x, g, claimed, quotient, distance, agrees = rows(page)
        forward, backwards = CASES[op]
        assert claimed == pytest.approx(backwards[mistake](g, x), rel=2e-5, abs=3e-6), mistake
        right = backwards["right"](g, x)
        kink = (x == 0) if op == "relu" else np.zeros_like(x, bool)
        assert quotient[~kink] == pytest.approx(right[~kink], rel=2e-5, abs=3e-6)
        # the sizes that are shown have two figures, the numbers beside them six decimals
        plain = np.abs(claimed - quotient)
        size = np.maximum(np.maximum(np.abs(claimed), np.abs(quotient)), 1e-3)
        clear = plain > 1e-3
        assert distance[clear] == pytest.approx((plain / size)[clear], rel=0.06)
        assert np.array_equal(agrees, distance <= 1e-5)


def test_the_formulas_above_are_minigrads():
    """The right ones, so that the test itself is right."""
    rng = np.random.default_rng(0)
    x, g = rng.uniform(0.5, 2, (3, 4)), rng.standard_normal((3, 4))
    for name, op in {"normalize": Normalize, "relu": ReLU, "sine": ops.Sin}.items():
        context = {}
        op.forward(context, x)
        assert CASES[name][1]["right"](g, x) == pytest.approx(op.backward(context, g))


@pytest.mark.parametrize("kind", ["ones", "random"])
def test_ones_let_pass_what_random_weights_find(demo, kind):
    page = demo(f"cotangent={kind}")
    for op, mistake in ALL:
        choose(page, Op=op, Backward=mistake)
        if mistake == "right":  # the entry on the kink is called wrong, whatever the weights
            assert outcome(page) == ("false" if op == "relu" else "right")
        elif kind == "ones" and (op, mistake) in BLIND:
            assert outcome(page) == "missed"
        elif kind == "ones" and (op, mistake) == ("relu", "forgotten"):
            assert outcome(page) == "chance"  # the kink, where the mistake is not
        else:
            assert outcome(page) == "found", (op, mistake)


def test_it_opens_on_the_check_that_sees_nothing(demo):
    page = demo()
    assert page.locator(".mg-outcome").inner_text() == "✓ passes, though wrong"
    says(page, "all 12 entries agree, so the check passes. The backward is wrong.")
    choose(page, Cotangent="random")
    assert page.locator(".mg-outcome").inner_text() == "✗ fails, rightly"
    says(page, "No h brings them together: a mistake, not rounding.")
    before = rows(page)[1]
    page.get_by_role("button", name="Draw again").click()
    after = rows(page)[1]
    assert np.abs(before - after).max() > 0.1
    assert outcome(page) == "found"


def test_the_weights_are_normal_numbers(demo):
    page = demo("cotangent=random")
    drawn = []
    for _ in range(25):
        drawn.append(rows(page)[1])
        page.get_by_role("button", name="Draw again").click()
    drawn = np.array(drawn)
    assert abs(drawn.mean()) < 0.2 and 0.85 < drawn.std() < 1.15
    assert np.mean(np.abs(drawn) > 2) < 0.1


def test_float32_is_numpys_and_a_false_alarm(demo):
    page = demo("op=normalize&mistake=right&cotangent=random&dtype=float32")
    assert outcome(page) == "false"
    says(page, "A false alarm")
    field(page, "h").fill("-2")
    x, g, claimed, quotient, _, _ = rows(page)
    x32 = x.astype(np.float32)
    step = np.float32(0.01)
    for k in np.ndindex(3, 4):
        left, right = x32.copy(), x32.copy()
        left[k], right[k] = x32[k] - step, x32[k] + step
        s = [a / a.sum(axis=1, keepdims=True) for a in (left, right)]
        expected = np.sum(g * (s[1] - s[0])) / 0.02
        assert quotient[k] == pytest.approx(expected, abs=3e-5)


def test_decimals_let_small_gradients_pass(demo):
    page = demo("op=cube&mistake=bit&cotangent=random")
    assert outcome(page) == "found"
    agrees = rows(page)[5]
    assert agrees[2, 3] and not agrees[0, 0], "in proportion, it is large where x is small"
    choose(page, Distance="absolute")
    field(page, "tolerance").fill("-2.5")
    assert outcome(page) == "missed"


def test_the_arrow_keys_walk_through_the_cells(demo):
    page = demo("op=relu&mistake=right&cotangent=random")
    cells = page.get_by_role("gridcell")
    assert cells.count() == 12
    cells.first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    chosen = page.locator("[role=gridcell][aria-selected=true]")
    assert "row 3, column 3: distance 1, differs" in chosen.text_content()
    assert "row 3, column 3" in page.evaluate("document.activeElement.textContent")
    says(page, "No h helps: the entry lies on the kink")
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert "row 3, column 4" in chosen.text_content(), "the edge holds"
    assert page.locator(".mg-gm-about").inner_text() == "Row 3, column 4, at every h"
    assert page.locator("[role=gridcell][tabindex='0']").count() == 1


def test_the_curve_of_a_cell(demo):
    """A kink makes a step: below 0.0004 the entry agrees, above it does not."""
    page = demo("op=relu&mistake=right&cotangent=random")
    page.get_by_role("gridcell").nth(4).click()
    dots = re.findall(r"M([\d.]+),([\d.]+)h0", page.locator(".mg-gm-dots").get_attribute("d"))
    assert len(dots) > 50
    k = np.array([float(a) for a, _ in dots]) / 300 * 14 - 14
    height = np.array([float(b) for _, b in dots])
    tolerance = float(re.match(r"M0,([\d.]+)", page.locator(".mg-gm-line").get_attribute("d"))[1])
    assert np.all(height[(k > -10.5) & (k < -3.5)] > tolerance)
    assert np.all(height[k > -3] < tolerance)
    field(page, "h").fill("-2")
    assert "differs" in page.get_by_role("gridcell").nth(4).text_content()
    says(page, "elsewhere it is the step that is wrong")


def test_the_mouse_drags_h(demo):
    page = demo()
    box = page.locator(".mg-ground").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 30)
    assert float(field(page, "h").input_value()) == pytest.approx(-7, abs=0.26)


def test_a_link_brings_the_same_state_and_reset_goes_back(demo):
    there = "#gradcheck=sine&gradcheck.backward=output&gradcheck.g=random3&gradcheck.entry=7"
    page = demo(fragment=there)
    assert outcome(page) == "found"
    assert page.locator(".mg-gm-code").inner_text() == "g * cos(y)"
    weights = rows(page)[1]
    field(page, "h").fill("-4")
    page.wait_for_timeout(250)
    assert "gradcheck=sine" in page.url and "gradcheck.h=-4" in page.url
    page.get_by_role("button", name="Reset").click()
    assert outcome(page) == "missed"
    page = demo(fragment=there)
    assert np.array_equal(rows(page)[1], weights)
    page = demo(fragment="#gradcheck=nothing&gradcheck.h=x&gradcheck.entry=99")
    assert outcome(page) == "missed"


def test_the_model_follows_and_leads(demo):
    page = demo()
    choose(page, Cotangent="random")
    assert page.evaluate("model.get('cotangent')") == "random"
    page.evaluate("model.set('op', 'relu')")
    assert page.locator(".mg-gm-code").inner_text() == "g * (x > 0)", "it has no zeros: right"


@pytest.mark.parametrize("query", ["", "op=relu&mistake=unmasked&cotangent=random"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(demo, axe, theme, query):
    page = demo(f"{query}&theme={theme}", scheme=theme)
    assert axe(page) == []
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []


def test_it_fits_a_phone(demo):
    page = demo("op=relu&mistake=leaning&cotangent=random", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="Show as table").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_python_refuses_what_it_cannot_show():
    assert GradcheckMicroscope("relu", mistake="unmasked").op == "relu"
    for wrong in ({"op": "tanh"}, {"cotangent": "twos"}, {"entry": 12}, {"h": 0}):
        with pytest.raises(traitlets.TraitError):
            GradcheckMicroscope(**wrong)
