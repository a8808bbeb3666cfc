"""The live MLP in a browser: run, paused, stepped, reset, by mouse and by keyboard."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import serve

from minigrad.widgets.page import LiveMLP, bundle, packed_digits

WIDGETS = Path(__file__).resolve().parents[2] / "minigrad" / "widgets"
SECONDS = 120  # at most, for a run that takes a few seconds on a quiet machine


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The address of a folder with the widgets, the digits, and the text that Jupyter is given."""
    folder = tmp_path_factory.mktemp("site") / "widgets"
    shutil.copytree(WIDGETS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "digits.json").write_text(json.dumps(packed_digits()))
    shutil.copytree(folder, folder / "bundled")
    (folder / "bundled/live_mlp/live_mlp.js").write_text(LiveMLP._esm, encoding="utf-8")
    for address in serve(folder):
        yield f"{address}/demo.html?widget=live_mlp"


DIGITS = "&data=digits&digits=digits.json&hidden=[16]&activation=relu"


def part(page, name):
    return page.locator(f"[data-part={name}]")


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def steps(page):
    return int(part(page, "steps").inner_text())


def figures(page):
    return page.locator(".figures b").all_inner_texts()


def picture(page, name):
    return part(page, name).evaluate("canvas => canvas.toDataURL()")


def wait_for_accuracy(page, least):
    page.wait_for_function(
        f"() => parseFloat(document.querySelector('[data-part=test]').textContent) > {100 * least}",
        timeout=1000 * SECONDS,
    )


def press(page, name, how):
    if how == "mouse":
        button(page, name).click()
    else:
        button(page, name).focus()
        page.keyboard.press("Enter")


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
@pytest.mark.parametrize("query, least", [("", 0.95), (DIGITS, 0.9)], ids=["moons", "digits"])
def test_run_learns_and_pause_stops(open_page, demo, query, least, how):
    page = open_page(demo + query)
    before = picture(page, "surface"), picture(page, "net"), picture(page, "lossCurve")
    press(page, "Run", how)
    wait_for_accuracy(page, least)
    press(page, "Pause", how)
    stopped = figures(page)
    after = picture(page, "surface"), picture(page, "net"), picture(page, "lossCurve")
    assert all(a != b for a, b in zip(after, before, strict=True))
    page.wait_for_timeout(500)
    assert figures(page) == stopped


def test_step_advances_by_one_and_reset_returns_to_the_same_numbers(open_page, demo):
    page = open_page(demo)
    start, seen = figures(page), []
    for k in range(3):
        press(page, "Step", ["mouse", "keyboard"][k % 2])
        assert steps(page) == k + 1
        seen.append((figures(page), picture(page, "surface")))
    assert seen[0] != seen[1] != seen[2]
    button(page, "Reset").click()
    assert figures(page) == start
    for k in range(3):
        button(page, "Step").click()
        assert (figures(page), picture(page, "surface")) == seen[k]


def test_a_run_and_single_steps_go_the_same_way(open_page, demo):
    page = open_page(demo)
    part(page, "speed").select_option("slow")
    button(page, "Run").click()
    page.wait_for_function("() => document.querySelector('[data-part=steps]').textContent > 3")
    button(page, "Pause").click()
    count, ran = steps(page), figures(page)
    button(page, "Reset").click()
    for _ in range(count):
        button(page, "Step").click()
    assert figures(page) == ran


def test_looking_does_not_change_the_run(open_page, demo):
    page = open_page(demo)
    for _ in range(12):
        button(page, "Step").click()
    undisturbed = figures(page)
    button(page, "Reset").click()
    for k in range(12):
        part(page, "unit").select_option(f"1-{k % 8}")
        page.get_by_role("radio", name=["gradients", "weights"][k % 2]).check()
        part(page, "speed").select_option(["slow", "fast"][k % 2])
        button(page, "Step").click()
    assert figures(page) == undisturbed


def test_controls_change_the_network(open_page, demo):
    page = open_page(demo)

    def units():
        return part(page, "unit").locator("option").count()

    assert units() == 8 + 8 + 2
    page.get_by_label("Units in hidden layer 2").fill("5")
    page.keyboard.press("Tab")
    assert units() == 8 + 5 + 2
    page.get_by_label("Hidden layers", exact=True).select_option("3")
    assert units() == 8 + 5 + 5 + 2
    page.get_by_label("Units in hidden layer 1").fill("99")
    page.keyboard.press("Tab")
    assert units() == 32 + 5 + 5 + 2, "the widest layer has 32 units"

    for label, choice in [("Activation", "relu"), ("Data", "spirals"), ("Seed", "7")]:
        before = picture(page, "surface")
        field = page.get_by_label(label, exact=True)
        field.fill(choice) if label == "Seed" else field.select_option(choice)
        page.keyboard.press("Tab")
        assert picture(page, "surface") != before, label

    rate = page.get_by_role("slider", name=re.compile("Learning rate"))
    assert rate.get_attribute("aria-valuetext") == "0.3"
    rate.focus()
    page.keyboard.press("ArrowRight")
    assert part(page, "rateValue").inner_text() == "0.5"

    def after_one_step():
        button(page, "Reset").click()
        button(page, "Step").click()
        return part(page, "loss").inner_text(), part(page, "epoch").inner_text()

    first = after_one_step()
    page.keyboard.press("Tab")
    rate.focus()
    page.keyboard.press("End")
    assert after_one_step() != first
    page.get_by_label("Batch size").select_option("0")
    assert after_one_step()[1] == "1.0", "with all examples in the batch a step is an epoch"


def test_edges_and_units_can_be_looked_at(open_page, demo):
    page = open_page(demo)
    weights = picture(page, "net")
    page.get_by_role("radio", name="gradients").check()
    assert picture(page, "net") != weights
    response = picture(page, "response")
    box = part(page, "net").bounding_box()
    part(page, "net").click(position={"x": box["width"] - 35, "y": box["height"] / 2 + 28})
    assert part(page, "unit").input_value() == "2-1"
    assert "always passes" in part(page, "unitFacts").inner_text()
    part(page, "unit").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert part(page, "unit").input_value() == "1-7"
    assert "training examples" in part(page, "unitFacts").inner_text()
    assert picture(page, "response") != response
    weights = part(page, "incoming").get_attribute("aria-label")
    assert re.fullmatch(r"Incoming weights: (−?[\d.]+, ){7}−?[\d.]+\.", weights)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_rate_that_is_too_high_stops_with_a_message(open_page, demo, activation):
    page = open_page(f"{demo}&rate=30&activation={activation}")
    assert part(page, "notice").inner_text() == ""
    button(page, "Run").click()
    page.wait_for_function("() => document.querySelector('[data-part=notice]').textContent")
    assert button(page, "Run").count() == 1, "the run has stopped"
    assert "Lower the rate to about 3 and press Reset" in part(page, "notice").inner_text()
    button(page, "Reset").click()
    assert part(page, "notice").inner_text() == ""


def test_nan_stops_for_good_until_reset(open_page, demo):
    page = open_page(f"{demo}&rate=100&activation=relu&hidden=[32,32,32]&data=spirals")
    part(page, "speed").select_option("fast")
    for _ in range(2):
        button(page, "Run").click()
        page.wait_for_function(
            "() => document.querySelector('[data-part=run]').textContent == 'Run'"
        )
    assert "became NaN" in part(page, "notice").inner_text()
    stopped = steps(page)
    button(page, "Step").click()
    assert steps(page) == stopped
    button(page, "Reset").click()
    assert steps(page) == 0 and part(page, "notice").inner_text() == ""


def test_relu_on_the_logits_kills_classes(open_page, demo):
    """From seed 5 the first batches kill one class for good. From others, such as 1, all live."""
    page = open_page(f"{demo}{DIGITS}&seed=5")
    page.get_by_label("ReLU on the logits").focus()
    page.keyboard.press("Space")
    part(page, "speed").select_option("fast")
    button(page, "Run").click()
    page.wait_for_function(
        "() => document.querySelector('[data-part=notice]').textContent.includes('dead')",
        timeout=1000 * SECONDS,
    )
    button(page, "Pause").click()
    assert part(page, "notice").inner_text().startswith("Logit 1 is dead")
    page.get_by_label("ReLU on the logits").uncheck()
    assert part(page, "notice").inner_text() == ""


COUNT = """([selector, milliseconds]) => new Promise(done => {
    let changes = 0;
    const watch = new MutationObserver(() => changes++);
    const place = document.querySelector(selector);
    watch.observe(place, {childList: true, subtree: true, characterData: true});
    setTimeout(() => { watch.disconnect(); done(changes); }, milliseconds);
})"""


def test_reduced_motion_shows_a_still_a_second(open_page, demo):
    page = open_page(demo, reduced_motion="reduce")
    button(page, "Run").click()
    assert 1 <= page.evaluate(COUNT, ["[data-part=steps]", 3500]) <= 4
    wait_for_accuracy(page, 0.95)


def test_the_summary_is_one_sentence_and_speaks_slowly(open_page, demo):
    page = open_page(demo)
    spoken = page.locator("[aria-live=polite].mg-summary")
    assert re.fullmatch(r"Paused, step 0, .* on test data\.", spoken.inner_text())
    button(page, "Run").click()
    page.locator("[aria-live=polite].mg-summary", has_text="Running, step ").wait_for()
    assert spoken.inner_text().startswith("Running, step ")
    assert page.evaluate(COUNT, [".mg-summary", 5000]) <= 2


def test_it_rests_while_nobody_can_see_it(open_page, demo):
    page = open_page(demo)
    page.evaluate("document.body.style.paddingBottom = '3000px'")
    button(page, "Run").click()
    page.wait_for_function("() => document.querySelector('[data-part=steps]').textContent > 0")
    page.evaluate("scrollTo(0, 2800)")
    still = lambda: steps(page) == (page.wait_for_timeout(600), steps(page))[1]
    assert any(still() for _ in range(20))  # it may finish the step that it is at
    away = steps(page)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function(
        f"() => document.querySelector('[data-part=steps]').textContent > {away}"
    )


def test_the_link_holds_the_settings(open_page, demo):
    page = open_page(demo + DIGITS)
    page.get_by_label("Data", exact=True).select_option("spirals")
    page.get_by_label("Batch size").select_option("8")
    page.get_by_label("ReLU on the logits").check()
    part(page, "unit").select_option("1-1")
    button(page, "Step").click()
    shown = figures(page), picture(page, "surface"), part(page, "unitFacts").inner_text()
    page.wait_for_timeout(300)
    again = open_page(page.url)
    assert part(again, "data").input_value() == "spirals"
    button(again, "Step").click()
    assert (
        figures(again),
        picture(again, "surface"),
        part(again, "unitFacts").inner_text(),
    ) == shown

    nonsense = "#mlp.data=cats&mlp.hidden=8-900&mlp.rate=-1&mlp.batch=x&mlp.unit=9-9&mlp.seed=1e9"
    assert figures(open_page(demo + nonsense)) == figures(open_page(demo))


@pytest.mark.parametrize("query", ["", DIGITS], ids=["moons", "digits"])
def test_everything_as_a_table(open_page, demo, query):
    page = open_page(demo + query)
    for _ in range(7):
        button(page, "Step").click()
    page.get_by_label("Show as table").focus()
    page.keyboard.press("Space")
    assert not part(page, "panels").is_visible()
    tables = page.locator("table")
    assert tables.count() == 3
    last = tables.nth(0).locator("tr").last.locator("th, td").all_inner_texts()
    seen = dict(zip(["step", "epoch", "loss", "train", "test"], figures(page), strict=True))
    assert [last[0], last[3], last[4]] == [seen["step"], seen["train"], seen["test"]]
    assert abs(float(last[1]) - float(seen["loss"])) < 1e-3
    assert tables.nth(2).locator("tbody tr").count() == part(page, "unit").locator("option").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_and_is_accessible(open_page, demo, axe, width, scheme):
    page = open_page(f"{demo}{DIGITS}&rate=100", width, scheme)
    for _ in range(4):
        button(page, "Step").click()
    for table in [False, True]:
        page.get_by_label("Show as table").set_checked(table)
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert axe(page) == []


def test_the_colours_follow_the_page(open_page, demo):
    page = open_page(demo)
    light = picture(page, "net")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    drawn = lambda: (page.wait_for_timeout(300), picture(page, "net"))[1]
    assert any(drawn() != light for _ in range(20))


def test_jupyter_gets_the_same_widget_in_one_text(open_page, demo):
    assert LiveMLP._esm.endswith(bundle(WIDGETS / "live_mlp" / "live_mlp.js"))
    one, other = open_page(demo), open_page(demo.replace("demo.html", "bundled/demo.html"))
    button(one, "Step").click()
    button(other, "Step").click()
    assert figures(one) == figures(other)
    assert picture(one, "surface") == picture(other, "surface")


def test_jupyterlab_leaves_the_keys_to_the_controls(open_page, demo):
    """Its shortcuts pass over what carries the mark, and nothing else; the focus puts it on."""
    focusable = ".live-mlp :is(input, select, button, [tabindex]):not(:disabled)"
    controls = open_page(demo).locator(focusable).filter(visible=True)
    marks = controls.evaluate_all("all => all.map(e => (e.focus(), e.dataset.lmSuppressShortcuts))")
    assert len(marks) > 15 and set(marks) == {"true"}
