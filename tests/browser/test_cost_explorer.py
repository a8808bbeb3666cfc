"""The cost explorer in headless Chromium: its counts, the map, mouse, keyboard, table, link,
phone; and the ways that are timed for it."""

import numpy as np
import pytest
import traitlets

from minigrad.widgets import sweep_times
from minigrad.widgets.page import CostExplorer

DEMO = "demo.html?widget=cost_explorer"


class Counted:
    """A number that counts the multiplications it takes part in."""

    done = 0

    def __init__(self, value=1.0):
        self.value = value

    def __mul__(self, other):
        Counted.done += 1
        return Counted()

    __rmul__ = __mul__
    __add__ = __radd__ = __sub__ = __rsub__ = lambda self, other: Counted()

    def tanh(self):
        return Counted()


def numbers(*shape):
    return np.frompyfunc(lambda _: Counted(), 1, 1)(np.zeros(shape))


def counted(n, m, width):
    """Multiplications of the three ways, found by doing them on numbers that count."""
    W1, W2, x = numbers(width, n), numbers(m, width), numbers(n)
    slope = lambda t: 1.0 - t * t

    def forward():
        for _ in range(n):
            t, tangent = np.tanh(W1 @ x), W1 @ numbers(n)
            W2 @ t, W2 @ (slope(t) * tangent)

    def reverse():
        t = np.tanh(W1 @ x)
        W2 @ t
        for _ in range(m):
            W1.T @ (slope(t) * (W2.T @ numbers(m)))

    def nudges():
        for _ in range(n + 1):
            W2 @ np.tanh(W1 @ x)

    found = []
    for way in (forward, reverse, nudges):
        Counted.done = 0
        way()
        found.append(Counted.done)
    return found


def says(page, words):
    from playwright.sync_api import expect

    expect(page.locator(".mg-summary").first).to_contain_text(words)


def choose(page, **stops):
    """Move the sliders by keyboard to these stops."""
    names = {"n": "inputs n", "m": "outputs m", "width": "width of the hidden layer"}
    for name, place in stops.items():
        slider = page.get_by_role("slider", name=names[name])
        slider.focus()
        page.keyboard.press("Home")
        for _ in range(place):
            page.keyboard.press("ArrowRight")


def counts(page):
    texts = page.locator(".mg-cost-value").all_inner_texts()
    return [int(text.split()[0].replace(",", "")) for text in texts if text.endswith("×")]


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(fragment="", query="&", **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-cost-ways").wait_for()
        return page

    return open_demo


def test_the_multiplications_are_those_that_are_done(demo):
    page = demo()
    for i, n in enumerate((1, 4, 16)):
        for j, m in enumerate((1, 4, 16)):
            choose(page, n=i, m=j, width=0)
            assert counts(page) == counted(n, m, 16)
    choose(page, n=1, m=2, width=1)
    assert counts(page) == counted(4, 16, 128)


def test_the_map_names_the_cheaper_mode(demo):
    page = demo()
    letters = page.locator(".mg-cost-map g:not(.mg-cost-words) > text").all_text_contents()
    expected = []
    for n in (1, 4, 16, 64, 256):
        for m in (1, 4, 16, 64, 256):
            expected.append("=" if n == m == 1 else "F" if n < m else "R")
    assert letters == expected
    page.get_by_role("combobox", name="Map by").select_option("clock")
    letters = page.locator(".mg-cost-map g:not(.mg-cost-words) > text").all_text_contents()
    assert letters.count("?") == 22 and letters[4] == "F" and letters[20] == "R"


def test_a_click_on_the_map_chooses(demo):
    page = demo()
    page.locator(".mg-cost-map g:not(.mg-cost-words) > rect").nth(4).click()  # n = 1, m = 256
    assert page.get_by_role("slider", name="inputs n").get_attribute("aria-valuetext") == "1"
    assert page.get_by_role("slider", name="outputs m").get_attribute("aria-valuetext") == "256"
    says(page, "With 1 input and 256 outputs, forward mode needs")
    says(page, "The clock agrees: 0.05 ms in forward mode")


def test_the_sentence_says_when_the_clock_disagrees(demo):
    page = demo()
    page.evaluate("model.set('measured', [[16, 16, 128, 0.4, 0.5, 0.1]])")
    choose(page, n=2, m=2)
    says(page, "The clock says otherwise: reverse mode took 0.5 ms, forward mode 0.4 ms")
    choose(page, n=0, m=0)
    says(page, "both modes need 768 multiplications")


def test_without_times_the_counts_stay(demo):
    page = demo(query="&measured=[]")
    texts = page.locator(".mg-cost-value").all_inner_texts()
    assert texts.count("not measured") == 3 and counts(page)[1] == 66048


def test_the_table_has_all_sizes(demo):
    page = demo()
    page.get_by_role("switch", name="Show as table").check()
    rows = page.locator(".mg-cost-tables tbody tr")
    assert rows.count() == 25 and not page.locator(".mg-cost-pictures").is_visible()
    cells = page.locator(".mg-cost-chosen td").all_inner_texts()
    assert cells == ["1", "16,908,288", "15", "66,048", "0.08", "8,454,272", "2"]


def test_a_link_brings_the_same_state(demo):
    page = demo(fragment="#cost=4,64&cost.width=512&cost.by=clock")
    assert counts(page)[0] == 4 * 512 * (2 * 68 + 2)
    choose(page, n=0)
    page.wait_for_timeout(250)
    assert "cost=1,64&cost.width=512" in page.url
    page.get_by_role("button", name="Reset").click()
    assert counts(page)[1] == 66048
    page = demo(fragment="#cost=5,nonsense&cost.width=7")
    assert counts(page)[1] == 66048


def test_the_model_follows_and_leads(demo):
    page = demo()
    choose(page, n=1)
    assert page.evaluate("model.get('n')") == 4
    page.evaluate("model.set('m', 64)")
    says(page, "With 4 inputs and 64 outputs")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(demo, axe, theme):
    page = demo(query=f"&theme={theme}", scheme=theme)
    assert axe(page) == []
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []


def test_it_fits_a_phone(demo):
    page = demo(width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="Show as table").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_still_where_motion_is_reduced(demo):
    page = demo(reduced_motion="reduce")
    duration = "getComputedStyle(document.querySelector('.mg-cost-fill')).transitionDuration"
    assert page.evaluate(duration) == "0s"


@pytest.mark.parametrize("n, m", [(1, 4), (16, 4), (4, 16)])
def test_the_timed_ways_give_the_jacobian(n, m):
    """W₂ diag(1 - tanh²) W₁, by hand; the weights are found by asking the network."""
    f, x = sweep_times.network(n, m, 16)
    W1, W2 = [cell.cell_contents for cell in f.__closure__]
    expected = W2 @ np.diag(1 - np.tanh(W1 @ x) ** 2) @ W1
    assert sweep_times.by_forward(f, x) == pytest.approx(expected, abs=1e-14)
    assert sweep_times.by_reverse(f, x) == pytest.approx(expected, abs=1e-14)
    assert sweep_times.by_nudges(f, x) == pytest.approx(expected, abs=1e-6)


def test_times_are_measured_where_none_are_given(monkeypatch):
    monkeypatch.setattr(sweep_times, "SIZES", (1, 4))
    monkeypatch.setattr(sweep_times, "WIDTHS", (16,))
    sweep_times.sweep_times.cache_clear()
    measured = CostExplorer(n=4).measured
    sweep_times.sweep_times.cache_clear()
    assert [row[:3] for row in measured] == [[1, 1, 16], [1, 4, 16], [4, 1, 16], [4, 4, 16]]
    assert all(ms > 0 for row in measured for ms in row[3:])


def test_python_refuses_what_it_cannot_show():
    assert CostExplorer(n=4, measured=[]).m == 1
    for wrong in ({"n": 5}, {"m": 0}, {"width": 100}, {"by": "memory"}):
        with pytest.raises(traitlets.TraitError):
            CostExplorer(measured=[], **wrong)
