"""The built site, page by page, with every other host blocked."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
LISTED = [(part, chapter["file"]) for part in TOC["parts"] for chapter in part["chapters"]]
CHAPTERS = [name for part, name in LISTED if part["caption"].startswith("Part ")]
PAGES = [f"{name}.html" for name in [TOC["root"], *(name for _, name in LISTED)]]
PAGES += ["search.html", "genindex.html"]

# All that a widget shows, as one string: its text and drawing, its fields, the pixels of its
# canvases.
SHOWN = """place => [place.innerHTML,
    ...[...place.querySelectorAll('input, select')].map(field => field.value + field.checked),
    ...[...place.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())].join('|')"""


def changes(page, place, before):
    """Whether the widget comes to show something else within two seconds."""
    for _ in range(20):
        if place.evaluate(SHOWN) != before:
            return True
        page.wait_for_timeout(100)
    return False


# Colours do not depend on the width, nor the layout on the colours: two of the four are enough.
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("path", PAGES)
def test_page_is_accessible_and_fits(open_page, axe, site, path, width, scheme):
    page = open_page(f"{site}/{path}", width, scheme)
    scrolls = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert not scrolls, "the page scrolls sideways"
    assert axe(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_page_has_its_parts(open_page, site, path):
    page = open_page(f"{site}/{path}")
    assert page.locator("mjx-merror").all_inner_texts() == []
    assert page.locator("link[rel='icon'], link[rel='shortcut icon']").count() == 1
    if path.startswith("book/"):
        assert len(page.locator("meta[name='description']").get_attribute("content")) > 20
    for picture in page.locator("article img").all():
        words = picture.get_attribute("alt") or ""
        assert words and not re.search(r"[/\\]|\.(png|svg)$", words), (
            f"a picture without a description (its alt is {words!r}): in a code cell, write "
            "mystnb: {image: {alt: ...}} into the cell's options"
        )


@pytest.mark.parametrize("path", PAGES)
def test_nothing_that_does_nothing(open_page, site, path):
    page = open_page(f"{site}/{path}")
    controls = page.locator("article :is(input, select, textarea)")
    dead = controls.evaluate_all(
        """all => all.filter(e => !e.closest('.widget-place, .sd-tab-set, .page-answers') &&
                !e.closest('.museum-finder, .museum-card'))
            .map(e => e.outerHTML)"""
    )
    assert dead == []
    for run in page.locator(".recorded-run").all():
        assert run.locator("a[href*='run-it-yourself']").count() == 1
    if page.locator(".recorded-run").count():
        page.locator("a[href*='run-it-yourself']").last.click()
        page.wait_for_selector("#run-it-yourself")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_widgets_move_by_keyboard_and_mouse(open_page, site, chapter):
    page = open_page(f"{site}/{chapter}.html")
    for number in range(page.locator(".widget-place").count()):
        place = page.locator(".widget-place").nth(number)
        assert place.get_attribute("data-state") == "ready"
        place.scroll_into_view_if_needed()

        sliders = "input[type=range], [role=slider], [role=spinbutton]"
        slider, keys = place.locator(sliders).filter(visible=True), ["ArrowLeft", "ArrowLeft"]
        if not slider.count():  # a widget in which the reader writes
            slider, keys = place.locator("input[type=text]"), ["End", "Backspace"]
        before = place.evaluate(SHOWN)
        slider.first.focus()
        for key in keys:
            page.keyboard.press(key)
        assert changes(page, place, before), "the first slider does not follow the keyboard"

        moved, active = False, "button:visible:enabled:not([aria-disabled=true])"
        for button in place.locator(active).all()[:4]:
            before = place.evaluate(SHOWN)
            button.click()
            moved = moved or changes(page, place, before)
        assert moved, "no button changes anything when it is clicked"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_can_be_taken_away(open_page, site, chapter):
    page = open_page(f"{site}/{chapter}.html")
    links = page.locator(".dropdown-download-buttons a").evaluate_all("a => a.map(e => e.href)")
    assert [link.rsplit(".", 1)[1] for link in links] == ["ipynb", "md"]
    text = page.evaluate("url => fetch(url).then(answer => answer.text())", links[0])
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            leftover = re.search(r"^\s*(`{3}|:{3})\{\w|\{[a-z:]+\}`", cell.source, re.M)
            assert not leftover, f"only the book understands this: {leftover[0]} in {cell.source}"
        assert not re.match(r"exercise\(", cell.source), "an exercise is not written out"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_phone_shows_all_that_is_wide(open_page, site, chapter):
    """Printed lines wrap; all else that is wide scrolls, by keyboard too, and has a name."""
    page = open_page(f"{site}/{chapter}.html", width=390)
    page.wait_for_timeout(500)  # the boxes are marked when MathJax is done
    wide = page.locator(".bd-article *").evaluate_all(
        """all => all.filter(e => !e.closest('.widget-place, mjx-container > *')
            && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1
            && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
          .map(e => [e.matches('.cell_output pre'), e.tabIndex, e.ariaLabel, e.outerHTML])"""
    )
    for printed, stop, name, element in wide:
        assert not printed and stop == 0 and name, element[:200]
    for image in page.locator(".bd-article .wide-figure img").all():
        shown, drawn = image.evaluate("e => [e.clientWidth, e.naturalWidth]")
        assert shown >= min(drawn, 680)


def test_paper_is_white_and_hides_nothing(open_page, site):
    page = open_page(f"{site}/{CHAPTERS[0]}.html", scheme="dark")
    look = """kind => (kind && dispatchEvent(new Event(kind)), [
        document.documentElement.dataset.theme,
        document.querySelectorAll('.bd-article details:not([open])').length])"""
    theme, folded = page.evaluate(look, None)
    assert theme == "dark" and folded > 0
    assert page.evaluate(look, "beforeprint") == ["light", 0]
    assert page.evaluate(look, "afterprint") == ["dark", folded]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_quantity_has_one_colour(open_page, site, scheme):
    """Formulas on the page and numbers in the widgets take the same colours."""
    page = open_page(f"{site}/{CHAPTERS[0]}.html", scheme=scheme)
    if not page.locator(".mg-widget").count():
        pytest.skip("no page widget in the first chapter")
    colours = page.evaluate(
        """() => ['primal', 'tangent', 'adjoint'].map(name => [document.body,
            document.querySelector('.mg-widget')].map(home => {
              const probe = home.appendChild(document.createElement('span'));
              probe.style.color = `var(--mg-${name})`;
              const colour = getComputedStyle(probe).color;
              probe.remove();
              return colour; }))"""
    )
    assert all(page_colour == widget_colour for page_colour, widget_colour in colours), colours


def test_search_finds_a_word(open_page, site):
    page = open_page(f"{site}/search.html?q=gradients")
    page.wait_for_selector("#search-results li a", timeout=60_000)


def test_exceptions_have_reasons():
    exceptions = json.loads((Path(__file__).parent / "axe_exceptions.json").read_text())
    for exception in exceptions:
        assert set(exception) == {"rule", "selector", "reason"} and len(exception["reason"]) > 20
