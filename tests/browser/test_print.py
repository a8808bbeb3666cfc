"""The whole book as one PDF."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
SITE = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
PRINT = [sys.executable, ROOT / "tools" / "print_book.py"]


@pytest.fixture(scope="module")
def book(browser, site, tmp_path_factory):
    """The printed book. It is printed by a process of its own; `browser` and `site` say whether
    there is anything to print with, and to print."""
    file = tmp_path_factory.mktemp("print") / "book.pdf"
    subprocess.run([*PRINT, SITE, file], check=True, capture_output=True)
    return pytest.importorskip("pypdf").PdfReader(file)


@pytest.mark.slow
def test_every_page_is_in_the_outline(book):
    parts = [entry.title for entry in book.outline if not isinstance(entry, list)]
    assert parts[1:] == [part["caption"] for part in TOC["parts"]]
    inside = [entry for entry in book.outline if isinstance(entry, list)]
    *counts, last = [len(part["chapters"]) for part in TOC["parts"]]
    assert [len(entries) for entries in inside] == [*counts, last + 1]
    assert inside[-1][-1].title == "Index"  # which is in no list of files


@pytest.mark.slow
def test_a_still_shows_the_numbers_of_its_widget(book):
    """The first widget: f(2, 5) and the change along its arrow."""
    start = book.get_destination_page_number(book.outline[2][0])
    text = "".join(page.extract_text() for page in book.pages[start : start + 3])
    assert "11.652071" in text and "+2.723144" in text


@pytest.mark.slow
def test_links_between_chapters_stay_within_the_file(book):
    inside = 0
    for page in book.pages:
        for annotation in page.get("/Annots", ()):
            action = annotation.get_object().get("/A", {})
            address = action.get("/URI", "")
            assert "127.0.0.1" not in address or "." in address.rsplit("/", 1)[-1]
            inside += action.get("/S") == "/GoTo"
    assert inside > 20


@pytest.mark.slow
def test_what_waits_for_a_bet_is_printed(book):
    """The fifth chapter's widget hides its numbers until the reader has placed a bet."""
    start = book.get_destination_page_number(book.outline[2][4])
    assert "1.711547960798" in book.pages[start].extract_text()


CHAPTERS = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
ALIVE = [name for name in CHAPTERS if "page-widget" in (ROOT / f"{name}.md").read_text()]
# A name of a node that can be pressed on the screen is a word on paper.
CONTROLS = (
    "button.mg-button:not(.mg-xray-go), input:is([type=range], [type=checkbox], [type=radio])"
)


@pytest.mark.parametrize("name", ALIVE)
def test_on_paper_a_widget_is_a_still(open_page, site, name):
    """Nothing to press, nothing cut off, in light colours though the page is read in the dark."""
    page = open_page(f"{site}/{name}.html", width=877, scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    for widget in page.locator(".widget-place .mg-widget").all():
        assert widget.locator(CONTROLS).filter(visible=True).count() == 0
        fields = widget.locator("select, input").filter(visible=True)
        frames = fields.evaluate_all("all => all.map(e => getComputedStyle(e).borderWidth)")
        assert set(frames) <= {"0px"}
        assert widget.evaluate("e => getComputedStyle(e).colorScheme") == "light"
        assert widget.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        assert (
            widget.locator("svg, canvas, .mg-blame-stage, .mg-swell-bars")
            .filter(visible=True)
            .count()
        )
    page.emulate_media(media="screen")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


def test_what_is_missing_is_told(tmp_path):
    run = subprocess.run([*PRINT, tmp_path], capture_output=True, text=True)
    assert run.returncode != 0 and "make book" in run.stderr
    (tmp_path / "index.html").touch()
    environment = {**os.environ, "CHROMIUM": "no-such-browser"}
    run = subprocess.run([*PRINT, tmp_path], capture_output=True, text=True, env=environment)
    assert run.returncode != 0 and "apt install chromium" in run.stderr
