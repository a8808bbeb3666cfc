"""Shape and blame: weights and adjoints against minigrad, mistakes, mouse, keyboard, phone."""

import re
from functools import partial

import numpy as np
import pytest
import traitlets

import minigrad as mg
from minigrad.widgets import blame
from minigrad.widgets.page import BLAMED, ShapeAndBlame

CHAPTER = "book/engine/backward-rules-by-index.html"
DEMO = "demo.html?widget=shape_and_blame"
COTANGENT = np.array([1, -1, 2, 0.5, 3, -2, 1, -1, 2])


def number(text):
    return float(text.replace("−", "-")) if text else 0.0


def rows(place):
    """The table of weights: one row for each output cell, and the adjoints under it."""
    lines = place.locator(".mg-table tbody tr, .mg-table tfoot tr").evaluate_all(
        "lines => lines.map(line => [...line.querySelectorAll('td')].map(td => td.textContent))"
    )
    return [[number(text) for text in line] for line in lines]


def joined(pullback, shape, cotangent):
    """The adjoints of all inputs, one after the other."""
    found = pullback(cotangent.reshape(shape))
    return np.concatenate([np.ravel(x) for x in (found if isinstance(found, tuple) else [found])])


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(fragment="", query="", **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-grid").first.wait_for()
        return page

    return open_demo


def cell(page, name, role="spinbutton"):
    if role == "button":
        name = re.compile("^" + re.escape(name) + " =")
        return page.get_by_role(role, name=name)
    return page.get_by_role(role, name=name, exact=True)


def test_weights_and_adjoints_are_minigrads(open_page, site):
    """Every op at every setting, by the table."""
    page = open_page(f"{site}/{CHAPTER}")
    place = page.locator(".widget-shape_and_blame")
    place.get_by_role("switch", name="Show as table").check()
    cases = [(name, i, *one) for name in BLAMED for i, one in enumerate(blame.OPS[name][1])]
    for name, i, shapes, constants in cases:
        place.get_by_role("combobox", name="Op").select_option(name)
        place.get_by_role("combobox", name="Shapes").select_option(str(i))
        *weights, foot = rows(place)
        inputs = blame.entries(name, shapes)
        y, pullback = mg.vjp(partial(blame.OPS[name][0].do_forward, **constants), *inputs)
        pulled = partial(joined, pullback, y.shape)
        assert foot[:-1] == pytest.approx(pulled(COTANGENT[: y.size]), abs=6e-5), (name, shapes)
        for k, unit in enumerate(np.eye(y.size)):
            expected = [*pulled(unit), COTANGENT[k]]
            assert weights[k] == pytest.approx(expected, abs=6e-5), (name, shapes, k)


def test_an_output_cell_shows_what_feeds_it_and_an_input_cell_its_sum(demo):
    page = demo()
    cell(page, "z[0, 1]", "button").hover()
    fed = page.locator(".mg-cell-value.mg-fed")
    weights = [number(text.split("×")[1]) for text in fed.all_inner_texts()]
    assert weights == [-1, 3, 1, 2, 3], "x[0, 0] has the weight 0"
    cell(page, "x[0, 1]").hover()
    assert page.locator(".mg-cell-cotangent.mg-fed").count() == 2
    working = page.locator(".mg-blame-sum").inner_text()
    assert working.endswith("= 1 × 2 + (−1) × (−1) = 3")
    assert (
        "x[0, 1] feeds 2 cells: z[0, 0], z[0, 1]" in page.locator(".mg-summary").first.inner_text()
    )


def test_dragging_and_keys_change_an_entry(demo):
    page = demo()
    box = cell(page, "x[0, 0]").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1], steps=3)
    page.mouse.up()
    assert cell(page, "x[0, 0]").get_attribute("aria-valuenow") == "2"
    assert page.locator(".mg-cell-output").first.inner_text().startswith("7.5")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("PageDown")
    assert cell(page, "x[0, 0]").get_attribute("aria-valuenow") == "2.1"
    assert cell(page, "x[0, 1]").get_attribute("aria-valuenow") == "1"
    page.wait_for_function("() => location.hash.includes('blame.at=2.1,1,3')")
    cell(page, "adjoint of z[0, 0]").focus()
    page.keyboard.press("PageUp")
    assert cell(page, "adjoint of z[0, 0]").get_attribute("aria-valuenow") == "2"
    cell(page, "z[0, 0]", "button").focus()
    page.keyboard.press("ArrowDown")
    assert cell(page, "z[1, 0]", "button").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Reset").click()
    assert cell(page, "x[0, 0]").get_attribute("aria-valuenow") == "1"


def test_mistakes_show_the_packages_words(demo):
    page = demo()
    page.get_by_role("switch", name="Drop the transpose").check()
    verdicts = page.locator(".mg-verdict")
    assert [text.split(":")[0] for text in verdicts.all_inner_texts()] == ["X", "Y"]
    assert (
        "Refused" in verdicts.first.inner_text()
        and "no array at all" in verdicts.first.inner_text()
    )
    assert "mismatch in its core dimension" in verdicts.first.inner_text()
    page.get_by_role("combobox", name="Shapes").select_option("1")
    assert "Unnoticed" in verdicts.first.inner_text()
    assert "6 of 6 entries wrong" in verdicts.first.inner_text()
    wrong = [number(t.split()[0]) for t in page.locator(".mg-cell-wrong").all_inner_texts()]
    x, y = blame.entries("matmul", [(2, 3), (3, 3)])
    assert wrong == list(np.ravel(COTANGENT[:6].reshape(2, 3) @ y))
    page.get_by_role("switch", name="Drop the transpose").uncheck()
    page.get_by_role("switch", name="Forget the sum").check()
    assert "There is no sum in this backward" in verdicts.inner_text()
    page.get_by_role("combobox", name="Op").select_option("log-softmax of each row")
    assert "Unnoticed" in verdicts.inner_text()
    p = mg.softmax(blame.entries("log_softmax", [(2, 3)])[0])
    g = COTANGENT[:6].reshape(2, 3)
    made = [number(t.split()[0]) for t in page.locator(".mg-written .mg-cell").all_inner_texts()]
    assert np.abs(np.array(made) - np.ravel(g - p * g)).max() < 6e-4
    assert page.locator(".mg-cell-wrong").count() == 5, "where the adjoint is the sum, 2, no harm"
    page.get_by_role("combobox", name="Op").select_option("add, x + y")
    page.get_by_role("combobox", name="Shapes").select_option("1")
    assert "No harm here" in verdicts.first.inner_text()
    assert "Mended by the engine" in verdicts.last.inner_text()
    assert "shape (3,) into one of shape (2, 3)" in verdicts.last.inner_text()
    page.get_by_role("switch", name="Drop the transpose").check()
    page.get_by_role("combobox", name="Op").select_option("transpose")
    assert "shape (3, 2), but the input has shape (2, 3)" in verdicts.first.inner_text()


def test_a_link_brings_the_same_state(demo):
    page = demo(
        fragment="#blame=add&blame.shapes=1&blame.wrong=forget&blame.at=9,2,3,4,5,6,1,1,1,1,1,1,1,1,1"
    )
    assert cell(page, "x[0, 0]").get_attribute("aria-valuenow") == "9"
    assert page.locator(".mg-cell-output").first.inner_text().startswith("10")
    assert page.get_by_role("switch", name="Forget the sum").is_checked()
    page = demo(fragment="#blame=elsewhere&blame.at=1,2")
    assert cell(page, "x[0, 0]").get_attribute("aria-valuenow") == "1"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_it_fits_a_phone(demo, axe, theme):
    page = demo(
        query=f"&theme={theme}",
        fragment="#blame=matmul&blame.shapes=1&blame.wrong=drop,forget",
        scheme=theme,
        width=390,
        reduced_motion="reduce",
    )
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_python_makes_the_mistakes_and_refuses_what_it_does_not_know():
    found = blame.recorded()
    assert list(found) == BLAMED
    verdicts = {
        (name, tuple(map(tuple, one["shapes"])), kind, slot): said["verdict"]
        for name, settings in found.items()
        for one in settings
        for kind in ("drop", "forget")
        for slot, said in one[kind].items()
    }
    assert verdicts["add", ((2, 3), (2, 1)), "forget", "1"] == "mended"
    assert verdicts["add", ((2, 3), (2, 3)), "forget", "1"] == "right"
    assert verdicts["matmul", ((2, 3), (3, 2)), "drop", "0"] == "refused"
    assert verdicts["matmul", ((2, 3), (3, 3)), "drop", "0"] == "unnoticed"
    assert verdicts["transpose", ((2, 2),), "drop", "0"] == "unnoticed"
    with pytest.raises(traitlets.TraitError):
        ShapeAndBlame("convolve")
    with pytest.raises(traitlets.TraitError):
        ShapeAndBlame("add", shapes=-1)
