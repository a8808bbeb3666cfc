"""The swell meter: what it shows is what sympy and minigrad count."""

import re

import pytest
import sympy as sp

CHAPTER = "book/derivatives/symbols-exact-and-swollen.html"


@pytest.fixture
def meter(open_page, site):
    def open_meter(hash="", width=1280, scheme="light", **options):
        page = open_page(f"{site}/{CHAPTER}{hash}", width, scheme, **options)
        place = page.locator(".widget-swell_meter")
        place.scroll_into_view_if_needed()
        return page, place

    return open_meter


def logistic(n):
    level = x = sp.symbols("x")
    for _ in range(n - 1):
        level = 4 * level * (1 - level)
    return sp.count_ops(level), sp.count_ops(sp.diff(level, x))


def shown(place):
    rows = place.locator(".mg-swell-row")
    return [words.replace(",", "") for words in rows.locator(".mg-swell-count").all_inner_texts()]


def test_the_slider_moves_n_by_keyboard_and_the_counts_are_sympys(meter):
    page, place = meter()
    slider = place.locator("input[type=range]")
    slider.focus()
    for key, n in [("Home", 1), ("ArrowRight", 2), ("ArrowRight", 3), ("End", 8)]:
        page.keyboard.press(key)
        assert place.locator("output").inner_text() == f"n = {n}"
        f, raw = logistic(n)
        assert shown(place)[:2] == [str(f), str(raw)]
    assert shown(place)[4] == "54" and shown(place)[2] == "not tried"


def test_a_bar_opens_what_it_stands_for(meter):
    page, place = meter("#swell=logistic&swell.n=4")
    text = place.locator(".mg-swell-text")
    marks = text.locator("mark").all_inner_texts()
    times = int(re.search(r"written (\d+) times", place.inner_text())[1])
    assert len(set(marks)) == 1 and len(marks) == times > 2
    row = place.get_by_role("button", name=re.compile("program in reverse"))
    row.focus()
    page.keyboard.press("Enter")
    assert row.get_attribute("aria-pressed") == "true"
    lines = text.inner_text().strip().splitlines()
    assert len([line for line in lines if line[0] in "va"]) == int(shown(place)[4])
    assert lines[-1].startswith("df/dx1 = a")


def test_families_table_reset_and_address(meter):
    page, place = meter()
    place.get_by_label("Family").select_option("product of n variables")
    place.locator("input[type=range]").press("End")
    assert shown(place)[:2] == ["19", "360"]
    page.wait_for_function("() => location.hash.includes('swell=product')")
    assert "swell.n=20" in page.url
    place.get_by_role("switch", name="Show as table").click()
    table = place.get_by_role("table")
    assert table.locator("tbody tr").count() == 8
    assert "360" in table.locator("tbody tr").last.inner_text()
    place.get_by_role("button", name="Reset").click()
    assert place.locator("output").inner_text() == "n = 5" and not table.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_axe_is_content(meter, axe, scheme):
    page, place = meter(width=390, scheme=scheme, reduced_motion="reduce")
    assert axe(page, ".widget-swell_meter") == []
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    bar = place.locator(".mg-swell-raw")
    assert bar.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"
