"""The memory timeline in headless Chromium: its schedules, checkpoints by mouse and keyboard, the
moment, table, link, themes, phone."""

import math

import pytest
import traitlets

from minigrad.widgets.page import MemoryTimeline

DEMO = "demo.html?widget=memory_timeline"


def run_chain(length, kept):
    """Pull a chain back with real containers: the peak of checkpoints and notes together, and the
    steps that are run again. `kept` None stores all."""
    if kept is None:
        return length, 0
    checkpoints, peak, again = sorted({0, *kept}), 0, 0
    while checkpoints:
        start, notes = checkpoints[-1], [checkpoints[-1]]
        while notes[-1] < length - 1:
            notes.append(notes[-1] + 1)
            again += 1
        peak = max(peak, len(checkpoints) + len(notes))
        length = start
        checkpoints.pop()
    return peak, again


def halve(a, b, held=1, first=True):
    """Peak and repeated steps of halving, by recursion on numbers alone."""
    if b - a == 1:
        return held + 1, 0
    middle = a + math.ceil((b - a) / 2)
    right, more = halve(middle, b, held + 1, first)
    left, most = halve(a, middle, held, False)
    return max(right, left), more + most + (0 if first else middle - a)


def says(page, words):
    from playwright.sync_api import expect

    expect(page.locator(".mg-summary").first).to_contain_text(words)


def readings(page):
    """The peak, the steps run again, the forward steps in all."""
    return [int(text) for text in page.locator(".mg-quantity dd").all_inner_texts()]


def field(page, name):
    return page.get_by_role("spinbutton", name=f"{name}, as a number", exact=True)


def plan(page, key):
    page.get_by_role("combobox", name="Plan").select_option(key)


def places(page):
    handles = page.locator(".mg-memory-handle")
    return sorted(int(h.get_attribute("aria-valuenow")) for h in handles.all())


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(fragment="", query="&plan=every", **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-quantities").wait_for()
        return page

    return open_demo


def test_a_hundred_steps(demo):
    page = demo(query="&")
    assert readings(page) == [100, 0, 100]
    plan(page, "every")
    assert readings(page) == [20, 90, 190]
    says(page, "10 checkpoints and 10 notes")
    plan(page, "sqrt")
    assert readings(page) == [20, 90, 190]


@pytest.mark.parametrize("length", [4, 10, 37, 64, 100, 128])
def test_the_plans_are_those_of_real_containers(demo, length):
    page = demo()
    field(page, "steps of the chain, L").fill(str(length))
    for k in (1, 3, 7, 10, 50):
        field(page, "distance of the checkpoints, k").fill(str(k))
        peak, again = run_chain(length, range(0, length, k))
        assert readings(page) == [peak, again, length + again]
    plan(page, "recursive")
    peak, again = halve(0, length)
    assert readings(page) == [peak, again, length + again]
    plan(page, "sqrt")
    assert readings(page)[:2] == list(
        run_chain(length, range(0, length, math.isqrt(length - 1) + 1))
    )


def test_the_keyboard_moves_checkpoints(demo):
    page = demo()
    assert places(page) == list(range(10, 100, 10))
    handle = page.locator(".mg-memory-handle").nth(2)
    handle.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowUp")
    assert places(page) == [10, 20, 23, *range(40, 100, 10)]
    assert page.evaluate("document.activeElement.getAttribute('aria-valuenow')") == "23"
    assert page.get_by_role("combobox", name="Plan").input_value() == "own"
    kept = places(page)
    assert readings(page)[:2] == list(run_chain(100, kept))
    page.keyboard.press("Delete")
    assert places(page) == [10, 20, *range(40, 100, 10)]
    page.get_by_role("button", name="Add a checkpoint").press("Enter")
    assert places(page) == [10, 20, 30, *range(40, 100, 10)]
    assert readings(page) == [20, 90, 190]
    for _ in range(12):
        page.get_by_role("button", name="Remove a checkpoint").press("Enter")
    assert places(page) == [] and readings(page) == [101, 99, 199]
    page.get_by_role("button", name="Reset").press("Enter")
    assert readings(page) == [20, 90, 190]


def test_a_checkpoint_steps_over_its_neighbour_and_stays_inside(demo):
    page = demo(fragment="#memory=own&memory.at=10,11")
    page.locator(".mg-memory-handle").first.focus()
    page.keyboard.press("ArrowUp")
    assert places(page) == [11, 12]
    page.keyboard.press("End")
    assert places(page) == [11, 99]
    page.keyboard.press("ArrowUp")
    assert places(page) == [11, 99]
    page.keyboard.press("Home")
    assert places(page) == [1, 11]


def test_the_mouse_drags_a_checkpoint(demo):
    page = demo()
    picture = page.locator(".mg-picture").bounding_box()
    box = page.locator(".mg-memory-handle").nth(4).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    state = picture["height"] / 310 * 184 / 100  # the height of one state, in pixels
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 17 * state, steps=9)  # over the checkpoint at 60
    page.mouse.up()
    assert places(page) == [10, 20, 30, 40, 60, 67, 70, 80, 90]
    assert readings(page)[:2] == list(run_chain(100, places(page)))


def test_the_moment_tells_what_happens(demo):
    page = demo()
    moment = page.get_by_role("slider", name="moment")
    moment.focus()
    page.keyboard.press("End")
    says(
        page,
        "Moment 290 of 290: step 1 goes backward. After it, 0 checkpoints and 0 notes are alive.",
    )
    moment.fill("101")
    says(
        page,
        "Moment 101 of 290: step 91 runs again. After it, 10 checkpoints and 2 notes are alive.",
    )
    moment.fill("109")
    says(page, "step 99 runs again. After it, 10 checkpoints and 10 notes are alive.")
    moment.fill("50")
    says(page, "step 50 runs forward. After it, 6 checkpoints and 0 notes are alive.")


def test_the_bars_are_the_states_that_are_alive(demo):
    """Bars that cross a moment, read off the drawing, are as many as the sentence says."""
    page = demo()
    x = 44 + (462 - 44) * 108.5 / 290
    for kind, expected in {"kept": 10, "notes": 9}.items():
        path = page.locator(f".mg-memory-{kind} path").get_attribute("d")
        bars = [bar.split("H") for bar in path.split("M")[1:]]
        crossing = sum(float(a.split(",")[0]) < x < float(b) for a, b in bars)
        assert crossing == expected


def test_the_table_has_all_plans(demo):
    page = demo()
    page.get_by_role("switch", name="Show as table").check()
    rows = page.locator(".mg-memory-tables tbody tr")
    assert rows.count() == 5 and not page.locator(".mg-picture").is_visible()
    assert rows.nth(0).locator("td").all_inner_texts() == ["100", "0", "100", "200"]
    assert rows.nth(1).locator("td").all_inner_texts() == ["20", "90", "190", "290"]
    peak, again = halve(0, 100)
    assert rows.nth(3).locator("td").all_inner_texts()[:2] == [str(peak), str(again)]


def test_a_link_brings_the_same_state(demo):
    page = demo(fragment="#memory=own&memory.length=50&memory.at=25,40,90")
    assert places(page) == [25, 40], "90 lies beyond the chain"
    page.locator(".mg-memory-handle").first.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(250)
    assert "memory=own" in page.url and "memory.at=24,40" in page.url
    page = demo(fragment="#memory=nonsense&memory.length=1000000&memory.every=x")
    assert readings(page) == [20, 90, 190]


def test_the_model_follows_and_leads(demo):
    page = demo()
    page.locator(".mg-memory-handle").first.focus()
    page.keyboard.press("ArrowUp")
    assert page.evaluate("model.get('checkpoints')") == [11, *range(20, 100, 10)]
    page.evaluate("model.set('plan', 'all')")
    assert readings(page) == [100, 0, 100]


@pytest.mark.parametrize("query", ["&plan=every", "&plan=recursive"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(demo, axe, theme, query):
    page = demo(query=f"{query}&theme={theme}", scheme=theme)
    assert axe(page) == []
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []


def test_it_fits_a_phone_and_keeps_still(demo):
    page = demo(width=390, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    still = "getComputedStyle(document.querySelector('.mg-memory-walk path')).transitionDuration"
    assert page.evaluate(still) == "0s"
    page.get_by_role("switch", name="Show as table").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_python_refuses_what_it_cannot_show():
    assert MemoryTimeline(plan="own", checkpoints=[50]).checkpoints == [50]
    for wrong in ({"plan": "none"}, {"length": 3}, {"every": 0}, {"checkpoints": [200]}):
        with pytest.raises(traitlets.TraitError):
            MemoryTimeline(**wrong)
