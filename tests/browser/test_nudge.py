"""The nudge in headless Chromium: numbers, mouse, keyboard, steps downhill, table, link, themes,
phone."""

import math
import re

import numpy as np
import pytest
import traitlets

from minigrad.widgets.page import Nudge

DEMO = "demo.html?widget=nudge"
X = np.array([[0.52, 1.12], [0.88, -1.08], [0.52, 0.06], [0.74, -2.49]])
T = np.array([1, 1, 0, 1])


def f(x1, x2):
    return math.log(x1) + x1 * x2 - math.sin(x2)


def loss(w):
    p = 1 / (1 + np.exp(-X @ w))
    return -np.sum(np.log(np.where(T == 1, p, 1 - p)))


def slope_of_loss(w):
    """In closed form: the model's probability less the answer, times the row."""
    return X.T @ (1 / (1 + np.exp(-X @ w)) - T)


def number(text):
    return float(text.replace("−", "-").replace("+", ""))


def readings(page):
    """Actual change, predicted change, difference."""
    return [number(text) for text in page.locator(".mg-quantity dd").all_inner_texts()]


def says(page, words):
    """Wait for a summary that contains these words; it may be a moment late."""
    from playwright.sync_api import expect

    expect(page.locator(".mg-summary").first).to_contain_text(words)


def height(page):
    return number(page.locator(".mg-place").inner_text().split("=")[1])


def field(page, name):
    return page.get_by_role("spinbutton", name=f"{name}, as a number", exact=True)


def point(page, names=("x1", "x2")):
    return [float(field(page, name).input_value()) for name in names]


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(fragment="", query="", **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-quantities").wait_for()
        return page

    return open_demo


def test_the_echo_is_measured_and_predicted(demo):
    page = demo()
    assert height(page) == pytest.approx(11.652071, abs=1e-6)
    actual, predicted, difference = readings(page)
    assert actual == pytest.approx(f(2.5, 5) - f(2, 5), abs=1e-6)
    assert predicted == 2.75
    assert difference == pytest.approx(actual - 2.75, abs=2e-6)
    field(page, "nudge of x1").fill("0.01")
    assert readings(page)[:2] == [0.054988, 0.055]
    field(page, "nudge of x1").fill("0")
    field(page, "nudge of x2").fill("1")
    assert readings(page)[1] == 1.716338
    assert "5.5 × 0 + 1.716338 × 1" in re.sub(r"\s+", " ", page.locator(".mg-sum").inner_text())
    says(page, "the slopes predict 1.716338")


def test_half_the_nudge_leaves_a_quarter_of_the_error(demo):
    page = demo()
    before = readings(page)[2]
    for _ in range(4):
        page.get_by_role("button", name="Halve the nudge").click()
        after = readings(page)[2]
        assert before / after == pytest.approx(4, rel=0.15)
        before = after
    assert float(field(page, "nudge of x1").input_value()) == 0.03125
    page.get_by_role("switch", name="Show as table").check()
    rows = page.locator(".mg-nudge-tables table").first.locator("tbody tr")
    parts = [number(row.locator("td").last.inner_text()) for row in rows.all()]
    assert len(parts) == 4 and parts[0] / parts[3] == pytest.approx(64, rel=0.02)
    assert not page.locator(".mg-pictures").is_visible()


def test_dragging_the_point_and_the_tip(demo):
    page = demo()
    box = page.locator(".mg-ground").bounding_box()
    tip = page.locator(".mg-tip").bounding_box()
    page.mouse.move(tip["x"] + tip["width"] / 2, tip["y"] + tip["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25, steps=4)
    page.mouse.up()
    assert point(page) == [2, 5], "the tip moves, the point stays"
    nudge = point(page, ("nudge of x1", "nudge of x2"))
    assert nudge == pytest.approx([1.2, 1.5], abs=0.05)
    assert readings(page)[0] == pytest.approx(f(2 + nudge[0], 5 + nudge[1]) - f(2, 5), abs=1e-5)
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
    at = point(page)
    assert at == pytest.approx([4.7, 5], abs=0.05)
    assert point(page, ("nudge of x1", "nudge of x2")) == nudge
    assert height(page) == pytest.approx(f(*at), abs=1e-5)


def test_the_keyboard_does_everything(demo):
    page = demo()
    page.get_by_role("slider", name="x1", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert point(page)[0] == pytest.approx(2.01)
    page.get_by_role("slider", name="nudge of x2", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    assert point(page, ("nudge of x2",)) == [-0.01]
    page.get_by_role("button", name="Move to the tip").focus()
    page.keyboard.press("Enter")
    assert point(page) == pytest.approx([2.51, 4.99])
    page.get_by_role("button", name="Reset").focus()
    page.keyboard.press("Enter")
    assert point(page) == [2, 5]
    assert readings(page)[1] == 2.75


def test_where_there_is_no_logarithm_the_summary_says_so(demo):
    page = demo()
    field(page, "nudge of x1").fill("-3")
    says(page, "where the logarithm does not exist")
    assert "NaN" in page.locator(".mg-quantity dd").first.inner_text()
    field(page, "x1").fill("-1")
    says(page, "there is no f")


def test_steps_downhill_lower_the_loss(demo):
    page = demo(query="&surface=loss")
    w = np.array([-1.0, 2.0])
    assert height(page) == pytest.approx(loss(w), abs=1e-6)
    for _ in range(3):
        predicted = readings(page)[1]
        assert predicted == pytest.approx(-0.5 * np.sum(slope_of_loss(w) ** 2), abs=1e-5)
        page.get_by_role("button", name="One step downhill").click()
        w = w - 0.5 * slope_of_loss(w)
        assert height(page) == pytest.approx(loss(w), abs=1e-6)
    says(page, "After 3 steps L is")
    assert page.locator(".mg-stops circle").count() == 3
    page.get_by_role("switch", name="Show as table").check()
    path = page.locator(".mg-nudge-tables table").last.locator("tbody tr td:last-child")
    heights = [number(text) for text in path.all_inner_texts()]
    assert len(heights) == 4 and heights == sorted(heights, reverse=True)
    page.get_by_role("button", name="Reset").click()
    field(page, "learning rate").fill("4")
    page.get_by_role("button", name="One step downhill").click()
    assert height(page) > heights[0], "a long step overshoots"


def test_the_surface_can_be_switched(demo):
    page = demo()
    assert not page.get_by_role("button", name="One step downhill").is_visible()
    page.get_by_role("combobox", name="Surface").select_option("loss")
    assert page.get_by_role("button", name="One step downhill").is_visible()
    assert point(page, ("w1", "w2")) == [-1, 2]
    assert page.locator(".mg-nudge-plane").get_attribute("aria-label").startswith("Contours of L")


def test_a_link_brings_the_same_state(demo):
    page = demo(fragment="#nudge=formula&nudge.at=3,1&nudge.by=0,0.1")
    assert readings(page)[:2] == [0.250264, 0.24597]
    field(page, "x1").fill("2.5")
    page.wait_for_timeout(250)
    assert "nudge.at=2.5,1&nudge.by=0,0.1" in page.url
    page = demo(fragment="#nudge=elsewhere&nudge.at=1,2")
    assert point(page) == [2, 5], "a surface that there isn't: the usual start"


@pytest.mark.parametrize("surface", ["formula", "loss"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(demo, axe, theme, surface):
    page = demo(query=f"&theme={theme}&surface={surface}", scheme=theme)
    assert axe(page) == []
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []


@pytest.mark.parametrize("surface", ["formula", "loss"])
def test_it_fits_a_phone(demo, surface):
    page = demo(query=f"&surface={surface}", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="Show as table").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_python_refuses_what_it_cannot_show():
    assert Nudge(at=(2, 5)).at == [2.0, 5.0]
    with pytest.raises(ValueError, match="at has 3 numbers; it takes two"):
        Nudge(at=(1, 2, 3))
    with pytest.raises(traitlets.TraitError):
        Nudge("hill")
    with pytest.raises(traitlets.TraitError):
        Nudge(rate=0)
