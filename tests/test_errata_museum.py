"""The museum of mistakes: each card's claim holds, each error has a card, broken ones are told."""

import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
MUSEUM = ROOT / "book" / "errata-museum"
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from museum_cards import CardError, agree, collection, read, shown  # noqa: E402
from source_coverage import read_sources  # noqa: E402

FILES = sorted(MUSEUM.glob("*.md"))
START = (MUSEUM / "start.py").read_text(encoding="utf-8")
PAGE = (ROOT / "book" / "errata-museum.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_claim_holds(path):
    """`run` raises where it does not; the text must take its numbers from the check."""
    card = read(path).run(START)
    for part in ("mistake", "question", "fix"):
        assert "{{" not in card.told(part)
    assert card.typed() == []
    assert card.outcome("right") == "agrees" and card.outcome("wrong") != "agrees"
    code = [line for line in card.check.splitlines() if line.strip()]
    assert len(code) <= 9 and max(map(len, code)) <= 78


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_witness_is_independent(path):
    """`truth` is no copy of `right`, and does not use it."""
    check = read(path).check
    truth = re.search(r"^truth = (.*)$", check, re.M)
    if truth:  # else several names in one line
        right = re.search(r"^right = (.*)$", check, re.M)
        assert not re.search(r"\bright\b", truth[1])
        assert right is None or truth[1] != right[1]


def test_checks_are_quick_and_together():
    start = time.process_time()
    cards = collection(MUSEUM)
    assert time.process_time() - start < 10
    assert len(cards) == len(FILES)
    assert [card.difficulty for card in cards] == sorted(card.difficulty for card in cards)


def test_every_error_has_a_card():
    errors = {code for code in read_sources(ROOT)["items"] if code[1] == "E"}
    on_cards = [code for path in FILES for code in read(path).covers]
    assert set(on_cards) == errors
    assert len(errors) == 60


def test_every_card_has_a_room_and_every_room_cards():
    rooms = re.findall(r"^```\{museum-room\} (\w+)$", PAGE, re.M)
    assert len(rooms) == len(set(rooms))
    assert {read(path).topic for path in FILES} == set(rooms)


def test_titles_are_different():
    titles = [read(path).title for path in FILES]
    assert len(titles) == len(set(titles))


CARD = """---
title: A card
covers: [SE1]
topic: forward
kind: number
difficulty: 1
compares: a number
witness: arithmetic
---
Two and two are {{ wrong }}.
+++ question
Are they?
+++ fix
They are {{ right }}.
+++ check
```python
wrong = 5
right = 4
truth = 2 + 2
```
"""


def card(tmp_path, *changes):
    text = CARD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "a-card.md"
    path.write_text(text, encoding="utf-8")
    return read(path).run(START)


def test_a_card(tmp_path):
    made = card(tmp_path)
    assert made.told("mistake") == "Two and two are 5." and made.told("fix") == "They are 4."
    assert made.outcome("wrong") == "off by 1" and made.outcome("right") == "agrees"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("right = 4", "right = 4.5", "`right` does not agree with `truth`, arithmetic: 4.5"),
        ("wrong = 5", "wrong = 4", "`wrong` agrees with `truth`, 4: no mistake is shown"),
        ("truth = 2 + 2", "truth = 2 + two", "the check raises NameError"),
        ("truth = 2 + 2", "pass", "the check must define 'truth'"),
        ("witness: arithmetic\n", "", "lacks \\['witness'\\]"),
        ("kind: number", "kind: joke", "kind is one of"),
        ("difficulty: 1", "difficulty: 4", "difficulty is 1, 2 or 3"),
        ("+++ fix", "+++ answer", "its parts are"),
        ("```python", "```", "one block of ```python"),
    ],
)
def test_a_broken_card_says_what_is_wrong(tmp_path, old, new, message):
    with pytest.raises(CardError, match=message) as caught:
        card(tmp_path, (old, new))
    assert "a-card.md" in str(caught.value)


def test_a_number_that_cannot_be_computed_is_told(tmp_path):
    made = card(tmp_path, ("{{ right }}", "{{ rihgt }}"))
    with pytest.raises(CardError, match="rihgt"):
        made.told("fix")


def test_a_typed_number_is_found(tmp_path):
    made = card(tmp_path, ("They are", "They are 4.0,"))
    assert [(number) for _, number, _ in made.typed()] == ["4.0"]
    excused = ("Two and two", "% typed 4.0: the example\n\nTwo and two")
    assert card(tmp_path, ("They are", "They are 4.0,"), excused).typed() == []


def test_agreement():
    nan = np.array([np.nan, 1.0])
    assert agree(nan, nan.copy(), 1e-6) and not agree(np.zeros(2), nan, 1e-6)
    assert agree(1e9 + 1, 1e9, 1e-6) and not agree(1e9 + 1e4, 1e9, 1e-6)
    assert not agree(np.zeros(3), np.zeros((1, 3)), 1e-6)
    assert not agree("TypeError", 6.0, 1e-6) and agree("a", "a", 1e-6)
    assert not agree(True, False, 1e-6) and not agree((), (10, 10), 1e-6)
    assert not agree(1.0, True, 1e-6)


def test_values_for_the_eye():
    assert shown(-0.0) == "0" and shown(300_000_000) == "300,000,000"
    assert shown(np.float64(11.652071455)) == "11.65207"
    assert shown(["v₂", "v₄"]) == "v₂, v₄" and shown(True) == "True" and shown([]) == "[]"


def broken_museum(tmp_path, change):
    """A book of one page, whose museum has two cards, one of them changed; Sphinx's warnings."""
    from io import StringIO

    from sphinx.application import Sphinx

    book = tmp_path / "book"
    (book / "errata-museum").mkdir(parents=True)
    (book / "errata-museum" / "start.py").write_text(START)
    (book / "errata-museum" / "good.md").write_text(CARD)
    (book / "errata-museum" / "changed.md").write_text(change(CARD).replace("[SE1]", "[SE2]"))
    (book / "errata-museum.md").write_text("# Museum\n\n## Room\n\n```{museum-room} forward\n```\n")
    (book / "sources.yml").write_text(
        "documents: {S: slides}\nitems: {SE1: one, SE2: two}\nchapters: {}\n"
    )
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
        "extensions = ['myst_parser', 'source_coverage', 'errata_museum']\n"
        "suppress_warnings = ['app']\n"  # another Sphinx may have run in this process
        "root_doc = 'book/errata-museum'\nexclude_patterns = ['book/errata-museum/*', 'out']\n"
    )
    warnings = StringIO()
    out = tmp_path / "out"
    app = Sphinx(tmp_path, tmp_path, out, out / "doctrees", "html", status=None, warning=warnings)
    app.build()
    page = out / "book" / "errata-museum.html"
    return warnings.getvalue(), page.read_text(encoding="utf-8")


def test_a_museum_is_built_without_a_word(tmp_path):
    said, page = broken_museum(tmp_path, lambda text: text)
    assert said == ""
    assert page.count('<article class="museum-card"') == 2 and page.count("<details") == 2
    assert "They are 4." in page and "off by 1" in page and "still to come" in page


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("right = 4", "right = 5", "changed.md: `right` does not agree"),
        ("topic: forward", "topic: cellar", "changed.md: there is no room cellar"),
        ("They are", "They are 4.0,", "4.0 is typed here"),
        ("covers: [SE1]", "covers: [SE1, SE7]", "SE7 is without a card, or no error"),
    ],
)
def test_a_broken_card_fails_the_build(tmp_path, old, new, message):
    said, _ = broken_museum(
        tmp_path, lambda text: text.replace(old, new).replace("[SE1, SE7]", "[SE2, SE7]")
    )
    assert message in said
