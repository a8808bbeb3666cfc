"""The index: what the sections' comments become, and that no chapter has forgotten them."""

import re
import sys
from io import StringIO
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from book_index import MARK, entries  # noqa: E402

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [
    ROOT / f"{chapter['file']}.md"
    for part in TOC["parts"]
    for chapter in part["chapters"]
    if part["caption"].startswith("Part ")
]


def test_entries():
    text = "covers: S5\nindex: seed; trace, tangent; data, training, validation and test"
    assert entries(text) == ["seed", "trace; tangent", "data; training, validation and test"]
    assert entries("covers: S5") == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_can_be_found_by_its_words(path):
    text = path.read_text(encoding="utf-8")
    found = [e for line in re.findall(r"^% (index:.*)$", text, re.M) for e in entries(line)]
    assert len(found) >= 5
    assert len(set(found)) == len(found), "an entry stands twice in one chapter"
    for entry in found:
        assert entry and not re.search(r"^;|;$|[.$`]|  ", entry), entry


def test_marks_stand_under_a_heading():
    """A comment elsewhere would send the reader to the section's heading all the same."""
    for path in CHAPTERS:
        text = path.read_text(encoding="utf-8")
        under = re.findall(r"^##+ .+\n\n(?:% .+\n)*?% index:.+$", text, re.M)
        assert len(under) == len(MARK.findall(text.replace("% index", "index"))), path


def test_the_page_and_its_place(tmp_path):
    """Sphinx makes the page of the marks, and the table of contents ends with it."""
    from sphinx.application import Sphinx

    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
        "extensions = ['myst_parser', 'sphinx_external_toc', 'book_index']\n"
        "suppress_warnings = ['app']\n"  # another Sphinx may have run in this process
    )
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters: [{file: one}]\n", encoding="utf-8"
    )
    (tmp_path / "index.md").write_text("# Book\n")
    (tmp_path / "one.md").write_text(
        "# One\n\n## Seeds\n\n% index: seed; trace, tangent\n\nText.\n"
    )
    said, out = StringIO(), tmp_path / "out"
    Sphinx(tmp_path, tmp_path, out, out / "trees", "html", status=None, warning=said).build()
    assert said.getvalue() == ""
    page = (out / "genindex.html").read_text(encoding="utf-8")
    assert page.count('href="one.html#seeds"') == 2 and "tangent" in page
    assert 'href="genindex.html">Index' in (out / "index.html").read_text(encoding="utf-8")
