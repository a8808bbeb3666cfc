"""The V-curve in headless Chromium: errors as NumPy has them, the bet, mouse, keyboard, typing,
table, link, themes, phone."""

import math
import re

import numpy as np
import pytest
import traitlets

from minigrad.widgets.page import VCurve

DEMO = "demo.html?widget=v_curve"
SLOPE = 2 - math.cos(5)
POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")


def f(x):
    return np.log(2) + 2 * x - np.sin(x)


QUOTIENTS = {
    "forward": lambda f, x, h: (f(x + h) - f(x)) / h,
    "central": lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
    "fourth": lambda f, x, h: (
        (f(x - 2 * h) - 8 * f(x - h) + 8 * f(x + h) - f(x + 2 * h)) / (12 * h)
    ),
    "complex": lambda f, x, h: np.imag(f(x + 1j * h)) / h,
}


def number(text):
    """What "3.2 × 10⁻⁸", "−0.5" or "10⁻⁴" say."""
    text = text.translate(POWERS)
    match = re.fullmatch(r"(?:(-?[\d.]+) × )?10(-?\d+)", text)
    return float(match[1] or 1) * 10 ** int(match[2]) if match else float(text)


def readings(page):
    """The quotient, the true slope, the error."""
    return [number(text) for text in page.locator(".mg-quantity dd").all_inner_texts()]


def says(page, words):
    """Wait for a summary that contains these words; it may be a moment late."""
    from playwright.sync_api import expect

    expect(page.locator(".mg-summary").first).to_contain_text(words)


def exponent(page):
    return page.get_by_role("spinbutton", name="h, as a power of ten, as a number", exact=True)


def choose(page, **menus):
    for name, option in menus.items():
        page.get_by_role("combobox", name=name).select_option(option)


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(fragment="", query="&revealed", **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-quantities").wait_for()
        return page

    return open_demo


@pytest.mark.parametrize("formula", QUOTIENTS)
def test_the_errors_are_numpys(demo, formula):
    """Where the bend rules, to two figures; where rounding rules, by size: a sine's last bit may
    differ from machine to machine."""
    page = demo(query=f"&revealed&formula={formula}")
    for k in (-1, -2, -3, -6, -9, -13):
        exponent(page).fill(str(k))
        slope, truth, error = readings(page)
        assert truth == pytest.approx(SLOPE, abs=1e-12)
        expected = abs(QUOTIENTS[formula](f, 5.0, 10.0**k) - SLOPE)
        noise = 4 * 2**-52 * f(5.0) / 10.0**k if formula != "complex" else 1e-15
        assert error == pytest.approx(expected, rel=0.06, abs=noise)
        assert slope == pytest.approx(SLOPE, abs=1.06 * error + 1e-11)


@pytest.mark.parametrize("formula", ["forward", "central", "fourth"])
def test_float32_is_numpys_to_the_last_bit(demo, formula):
    page = demo(query=f"&revealed&dtype=float32&formula={formula}&expression=x2*x2*x1+-+0.1/x2")
    x, two = np.float32(5), np.float32(2)
    cube = lambda x: x * x * two - np.float32(0.1) / x
    for k in (-1, -2, -3, -4, -5):
        exponent(page).fill(str(k))
        h = np.float32(10.0**k)
        if formula == "fourth":  # NumPy's own order of things, all in float32
            values = [w * cube(x + j * h) for j, w in ((-2, 1), (-1, -8), (1, 8), (2, -1))]
            expected = (((values[0] + values[1]) + values[2]) + values[3]) / (12 * h)
        else:
            expected = QUOTIENTS[formula](cube, x, h)
        assert isinstance(expected, np.float32)
        assert readings(page)[0] == pytest.approx(float(expected), abs=6e-8)


def test_a_tiny_step_sees_the_steps_between_numbers(demo):
    page = demo()
    exponent(page).fill("-15")
    assert readings(page)[2] == pytest.approx(0.06, abs=1e-3)
    label = page.locator(".mg-picture").first.get_attribute("aria-label")
    assert "3.0 × 10⁻¹⁵ wide" in label
    path = page.locator(".mg-v-function").get_attribute("d")
    heights = {round(float(y)) for y in re.findall(r",([\d.]+)", path)}
    assert len(heights) <= 8, "a staircase of a few floats, not a line"
    exponent(page).fill("-17")
    assert readings(page)[0] == 0, "x + h is x"
    says(page, "gives 0, which is wrong by 1.716")


def test_the_bet_comes_before_the_error(demo):
    page = demo(query="&")
    hidden = page.locator(".mg-quantity dd").all_inner_texts()
    assert hidden == ["hidden"] * 3
    assert not page.locator(".mg-v-errors").is_visible()
    assert not page.locator(".mg-v-dot").is_visible()
    page.get_by_role("switch", name="Show as table").check()
    assert page.locator(".mg-v-tables").inner_text().startswith("The numbers appear when")
    page.get_by_role("switch", name="Show as table").uncheck()
    exponent(page).fill("-12")
    page.get_by_role("button", name="Place the bet").click()
    says(page, "You bet on h = 10⁻¹²; the error is smallest around h = ")
    says(page, "your bet costs a factor of")
    assert page.locator(".mg-v-dot").is_visible()
    page.get_by_role("button", name="Bet again").click()
    exponent(page).fill("-7.9")
    page.get_by_role("button", name="Place the bet").click()
    says(page, "nearly as good")
    choose(page, Formula="complex")
    page.get_by_role("button", name="Bet again").click()
    exponent(page).fill("-16")
    page.get_by_role("button", name="Place the bet").click()
    says(page, "as good as any h")


@pytest.mark.parametrize(
    "formula, dtype, low, high",
    [
        ("forward", "float64", -8.5, -7.2),
        ("central", "float64", -5.6, -4.4),
        ("fourth", "float64", -3.5, -2.2),
        ("forward", "float32", -4.2, -2.6),
        ("central", "float32", -2.6, -1.2),
    ],
)
def test_the_best_h_is_where_theory_has_it(demo, formula, dtype, low, high):
    page = demo(query=f"&formula={formula}&dtype={dtype}")
    exponent(page).fill("-16")
    page.get_by_role("button", name="Place the bet").click()
    text = page.locator(".mg-summary").first.inner_text()
    found = re.search(r"around h = ([^:;]+)", text)[1]
    assert low <= math.log10(number(found)) <= high


def test_theory_lies_on_the_errors(demo):
    """The line of the bend passes through the errors that are nothing but bend."""
    page = demo(query="&revealed&formula=central")
    line = page.locator(".mg-v-theory").get_attribute("d").split("M")[1]
    (x0, y0), (x1, y1) = [map(float, p.split(",")) for p in line.split("L")]
    dots = re.findall(r"M([\d.]+),([\d.]+)h0", page.locator(".mg-v-errors").get_attribute("d"))
    right = [(float(x), float(y)) for x, y in dots if 240 < float(x) < 295]
    assert len(right) > 40
    for x, y in right:
        assert y == pytest.approx(y0 + (y1 - y0) * (x - x0) / (x1 - x0), abs=1.0)
    page.get_by_role("switch", name="Theory").uncheck()
    assert page.locator(".mg-v-theory").get_attribute("d") == ""


def test_the_mouse_drags_h(demo):
    page = demo()
    box = page.locator(".mg-v-right .mg-ground").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 9, steps=4)
    page.mouse.up()
    assert float(exponent(page).input_value()) == pytest.approx(-8, abs=0.1)
    page.mouse.click(box["x"] + box["width"] - 1, box["y"] + 40)
    assert float(exponent(page).input_value()) == pytest.approx(0, abs=0.1)


def test_the_keyboard_does_everything(demo):
    page = demo(query="&")
    page.get_by_role("slider", name="h, as a power of ten").focus()
    page.keyboard.press("ArrowLeft")
    assert float(exponent(page).input_value()) == -4.05
    page.get_by_role("button", name="Place the bet").focus()
    page.keyboard.press("Enter")
    says(page, "You bet on h = 8.9 × 10⁻⁵")
    page.get_by_role("slider", name="x2", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert readings(page)[1] == pytest.approx(2 - math.cos(5.01), abs=1e-12)
    page.get_by_role("button", name="Reset").focus()
    page.keyboard.press("Enter")
    assert float(exponent(page).input_value()) == -4
    assert page.locator(".mg-quantity dd").first.inner_text() == "hidden"


def test_a_typed_function(demo):
    page = demo()
    field = page.get_by_role("textbox", name="f =")
    field.fill("exp(x1) / x1")
    assert page.locator(".mg-v-along select").count() == 0, "one input: nothing to choose"
    exponent(page).fill("-5")
    choose(page, Formula="complex")
    assert readings(page)[1] == pytest.approx(math.exp(2) / 4, abs=1e-11)
    assert readings(page)[2] < 1e-9
    field.fill("exp(x1) / y")
    assert '"y" is not known' in page.locator(".mg-mistake").inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    assert readings(page)[1] == pytest.approx(math.exp(2) / 4, abs=1e-11), "the last good one stays"
    field.fill("x1 * x3")
    choose(page, **{"slope along": "x3"})
    assert readings(page)[1] == 2
    page.get_by_role("slider", name="x3", exact=True).wait_for()
    field.fill("ln(x1 - 5)")
    says(page, "no slope")


def test_where_the_formula_leaves_the_domain(demo):
    page = demo(query="&revealed&expression=sqrt(x1)")
    field = page.get_by_role("spinbutton", name="x1, as a number", exact=True)
    field.fill("0.001")
    choose(page, Formula="central")
    exponent(page).fill("-2")
    says(page, "asks for a value that does not exist")
    exponent(page).fill("-5")
    assert readings(page)[0] == pytest.approx(0.5 / math.sqrt(0.001), rel=1e-4)


def test_a_kink_within_h(demo):
    """The central difference across the corner of a ReLU: 0.55, neither of the two slopes."""
    page = demo(query="&revealed&formula=central&expression=relu(x1)")
    page.get_by_role("spinbutton", name="x1, as a number", exact=True).fill("0.00001")
    exponent(page).fill("-4")
    slope, truth, error = readings(page)
    assert (slope, truth) == (pytest.approx(0.55, abs=1e-9), 1)
    exponent(page).fill("-6")
    assert readings(page)[2] < 1e-9


def test_the_table_has_all_formulas(demo):
    page = demo()
    page.get_by_role("switch", name="Show as table").check()
    rows = page.locator(".mg-v-tables tbody tr")
    assert rows.count() == 17
    assert not page.locator(".mg-v-pictures").is_visible()
    cells = rows.nth(12).locator("td").all_inner_texts()  # h = 10⁻⁴
    expected = [abs(q(f, 5.0, 1e-4) - SLOPE) for q in QUOTIENTS.values()]
    found = [number(text) for text in cells]
    assert found == pytest.approx(expected, rel=0.06, abs=2e-11)


def test_a_link_brings_the_same_state(demo):
    there = "#vcurve=exp(x1)&vcurve.at=1&vcurve.formula=central&vcurve.h=-5&vcurve.seen=1"
    page = demo(fragment=there, query="&")
    assert readings(page)[1] == pytest.approx(math.e, abs=1e-11)
    choose(page, Numbers="float32")
    page.wait_for_timeout(250)
    assert "vcurve=exp(x1)&vcurve.at=1" in page.url and "vcurve.numbers=float32" in page.url
    page = demo(fragment="#vcurve=exp(&vcurve.h=nonsense")
    assert page.get_by_role("textbox", name="f =").input_value() == "ln(x1) + x1*x2 - sin(x2)"
    assert float(exponent(page).input_value()) == -4


def test_the_model_follows_and_leads(demo):
    page = demo()
    exponent(page).fill("-6")
    assert page.evaluate("model.get('h')") == pytest.approx(1e-6)
    page.evaluate("model.set('formula', 'central')")
    assert page.locator(".mg-v-rule").inner_text().endswith("/ 2h")


@pytest.mark.parametrize("query", ["&", "&revealed&formula=fourth"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(demo, axe, theme, query):
    page = demo(query=f"{query}&theme={theme}", scheme=theme)
    assert axe(page) == []
    page.get_by_role("textbox", name="f =").fill("sin(")
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []


@pytest.mark.parametrize("query", ["&", "&revealed&formula=fourth&dtype=float32"])
def test_it_fits_a_phone(demo, query):
    page = demo(query=query, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="Show as table").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_python_refuses_what_it_cannot_show():
    assert VCurve(at=(2, 5)).at == [2.0, 5.0]
    with pytest.raises(ValueError, match="at has 5 numbers"):
        VCurve(at=(1, 2, 3, 4, 5))
    for wrong in ({"formula": "backward"}, {"h": 0}, {"dtype": "float16"}, {"along": "x5"}):
        with pytest.raises(traitlets.TraitError):
            VCurve(**wrong)
