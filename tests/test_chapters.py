"""What holds for every chapter: short cells, numbers from cells, the same bones."""

import re
import statistics
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))

from source_coverage import marks, read_sources  # noqa: E402
from typed_numbers import typed_numbers  # noqa: E402

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [
    ROOT / f"{chapter['file']}.md"
    for part in TOC["parts"]
    for chapter in part["chapters"]
    if part["caption"].startswith("Part ")
]
CELL = re.compile(r"^(`{3,})\{code-cell\}[^\n]*\n(?P<body>.*?)^\1[ ]*$", re.M | re.S)
HIDDEN = {"remove-cell", "hide-input", "page-widget", "exercise"}


def name(path):
    return path.stem


def cells(text):
    """The lines of code of each cell that a reader sees; blank lines and comments don't count."""
    for cell in CELL.finditer(text):
        body, tags = cell["body"], set()
        options = re.match(r"---\n.*?^---\n", body, re.M | re.S) or re.match(r"(?::.*\n)+", body)
        if options:
            tags = set(re.findall(r"[\w-]+", options[0]))
            body = body[options.end() :]
        if not tags & HIDDEN:
            code = [line for line in body.splitlines() if line.strip() and line.strip()[0] != "#"]
            yield len(code)


def percentile(lengths, share):
    return sorted(lengths)[max(0, round(share * len(lengths)) - 1)]


def test_cells_counts_what_a_reader_sees():
    text = (
        "```{code-cell}\n:tags: [hide-output]\na = 1\n\n# why\nb = 2\n```\n"
        "```{code-cell} ipython3\n---\ntags: [remove-cell]\n---\nc = 3\n```\n"
        "```python\nd = 4\n```\n"
    )
    assert list(cells(text)) == [2]


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_cells_are_short(path):
    """Median at most 3 lines, nine of ten at most 8: machinery belongs in the package."""
    lengths = list(cells(path.read_text()))
    assert statistics.median(lengths) <= 3, sorted(lengths)
    assert percentile(lengths, 0.9) <= 8, sorted(lengths)


def test_cell_lengths_are_told(capsys):
    lengths = [n for path in CHAPTERS for n in cells(path.read_text())]
    with capsys.disabled():
        print(
            f"\n{len(lengths)} cells in {len(CHAPTERS)} chapters: median "
            f"{statistics.median(lengths):g} lines, 90th percentile {percentile(lengths, 0.9)}"
        )


@pytest.mark.parametrize("path", [BOOK / "index.md", *CHAPTERS], ids=name)
def test_no_number_is_typed(path):
    assert typed_numbers(path.read_text()) == []


@pytest.mark.parametrize(
    "prose",
    [
        "The slope is 5.5 there.",
        "It took 346 steps.",
        "so $y = 11.652$ at last",
        "$$\ny = 11.652\n$$",
        "```{dropdown} Answer\n(b). It is 0.25.\n```",
        "```{admonition} About 0.25\nno\n```",
        ":::{note}\nabout 3.4e-7\n:::",
        "| a | b |\n| --- | --- |\n| 1 | 2.75 |",
        "less than 2 × 10⁻⁵ then",
    ],
)
def test_a_typed_number_is_found(prose):
    assert len(typed_numbers(f"# Title\n\n{prose}\n")) == 1


@pytest.mark.parametrize(
    "prose",
    [
        "The slope is {glue:text}`slope:.1f` there.",
        "Use `0.25` in float32, as Wengert did in 1964, with 3 inputs at $x_1 = 250$.",
        "```{code-cell}\n0.25\n```",
        "% typed 0.25: chosen\n\nHere 0.25 is chosen.",
    ],
)
def test_other_numbers_are_let_be(prose):
    assert typed_numbers(f"# Title\n\n{prose}\n") == []


def test_every_item_of_the_sources_has_a_home():
    sources = read_sources(ROOT)
    homes = {code for codes in sources["chapters"].values() for code in codes}
    assert homes == set(sources["items"])


@pytest.mark.parametrize("path", CHAPTERS, ids=name)
def test_the_chapter_covers_its_sources(path):
    exercises = path.with_name(f"{path.stem}-exercises")
    texts = [path.read_text(), *(file.read_text() for file in exercises.glob("*.md"))]
    covered = {code for text in texts for code in marks(text)}
    sources = read_sources(ROOT)
    home = sources["chapters"].get(str(path.relative_to(ROOT).with_suffix("")), [])
    assert covered <= set(sources["items"]), "a mark that is no item of book/sources.yml"
    assert set(home) <= covered, "items at home here that no section covers"
