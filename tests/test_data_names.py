"""names.tsv: real names, balanced, clean; and what reads names, splits and encodes them."""

import collections
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from minigrad import data
from minigrad.data import CLASSES, Alphabet, corpus, names
from minigrad.data.text import read_names

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
FILE = ROOT / "minigrad" / "data" / "names.tsv"
SHEET = FILE.with_name("NAMES.md").read_text(encoding="utf-8")

LINES = FILE.read_text(encoding="utf-8").removesuffix("\n").split("\n")
NAMES = dict(line.split("\t") for line in LINES)


def plain(name):
    """A name without what two spellings of it may differ by."""
    letters = unicodedata.normalize("NFD", name.casefold().removeprefix("the "))
    return "".join(letter for letter in letters if letter.isalnum())


def test_as_many_names_of_each_class_as_the_data_sheet_says():
    counts = collections.Counter(NAMES.values())
    assert counts == dict.fromkeys(CLASSES, 800)
    assert len(LINES) == len(NAMES) == 4000  # so no name occurs twice, in one class or in two
    assert "4,000 lines; 800 for each class" in SHEET


def test_no_two_names_differ_by_case_accents_or_an_article_alone():
    spellings = collections.defaultdict(list)
    for name in NAMES:
        spellings[plain(name)].append(name)
    assert [same for same in spellings.values() if len(same) > 1] == []


def test_names_are_written_in_clean_characters():
    text = FILE.read_bytes().decode("utf-8")
    assert text == unicodedata.normalize("NFC", text)
    assert text.endswith("\n") and "\r" not in text and "\ufeff" not in text and "_" not in text
    for name in NAMES:
        assert name == " ".join(name.split(" ")) and name.strip() == name and "  " not in name
        for letter in name:
            kind = unicodedata.category(letter)
            assert kind[0] == "L" or kind == "Nd" or letter in " -'.,:!?&*ʻ", (name, letter)
        # Latin letters: nothing that only looks like one, such as a Cyrillic a
        assert all("LATIN" in unicodedata.name(c) for c in name if c.isalpha() and c != "ʻ"), name


def test_lengths_and_distinct_characters_are_those_of_the_data_sheet():
    lengths = sorted(map(len, NAMES))
    said = re.search(r"lengths from (\d+) to (\d+) characters, median (\d+)", SHEET).groups()
    assert tuple(map(int, said)) == (lengths[0], lengths[-1], lengths[2000])
    assert f"{len(set(''.join(NAMES)))} distinct characters" in SHEET


def test_lines_are_sorted_by_class_and_then_by_name():
    key = lambda name: unicodedata.normalize("NFD", name).casefold()
    assert LINES == sorted(
        LINES, key=lambda line: (CLASSES.index(NAMES[line.split("\t")[0]]), key(line))
    )


def test_species_are_scientific_names_and_nothing_else_is():
    binomial = re.compile(r"[A-Z][a-z]{2,} [a-z]{2,}(-[a-z]+)*")
    for name, kind in NAMES.items():
        if kind == "Species":
            assert binomial.fullmatch(name), name
    # Few others look like one, all of them works: "Missa solemnis", "Danse macabre".
    alike = [n for n, kind in NAMES.items() if kind != "Species" and binomial.fullmatch(n)]
    assert len(alike) < 20, alike


def test_names_come_from_all_over_the_alphabet_and_from_beyond_ascii():
    for kind in CLASSES:
        own = [name for name, its in NAMES.items() if its == kind]
        assert len({plain(name)[0] for name in own}) >= 23, kind
    assert sum(not name.isascii() for name in NAMES) > 200


def test_dbpedia_agrees_about_every_name_that_both_have():
    if not (SHARED / "dbpedia").is_dir():
        pytest.skip("../shared/data/dbpedia is not there")
    known = {}
    for size in ("tiny", "smaller", "autolab"):
        for texts, y in data.dbpedia(size, folder=SHARED):
            known.update(zip(texts.tolist(), y.tolist()))
    both = [name for name in NAMES if name in known]
    assert len(both) >= 50
    assert [name for name in both if CLASSES[known[name]] != NAMES[name]] == []


def test_a_split_holds_each_name_once_and_each_class_in_equal_shares():
    parts = names(valid=0.1, test=0.2, seed=3)
    assert [len(texts) for texts, _ in parts] == [2800, 400, 800]
    for texts, y in parts:
        assert len(set(np.bincount(y))) == 1
        assert all(NAMES[text] == CLASSES[label] for text, label in zip(texts, y))
    assert sorted(np.concatenate([texts for texts, _ in parts]).tolist()) == sorted(NAMES)


def test_the_seed_decides_the_split():
    first, again, other = (names(seed=seed)[2][0].tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.1), (float("nan"), 0.1)])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares):
    with pytest.raises(ValueError, match="leave some over"):
        names(*shares)


@pytest.mark.parametrize(
    "line, said",
    [
        (b"Ada Lovelace Person", "line 2: 'Ada Lovelace Person'; expected a name, one tab"),
        (b"Ada\tLovelace\tPerson", "one tab"),
        (b"\tPerson", "expected a name"),
        (b"", "line 2: ''"),
        (b"Ada Lovelace\tperson", "class 'person'; expected one of Person, Place"),
        (b"Ren\xe9 Descartes\tPerson", "line 2: .*expected UTF-8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, said):
    path = tmp_path / "mine.tsv"
    path.write_bytes(b"Paris\tPlace\n" + line + b"\nRome\tPlace\n")
    with pytest.raises(ValueError, match=f"mine.tsv, .*{said}"):
        read_names(path)


def test_quoted_names_are_unquoted_and_windows_line_ends_read(tmp_path):
    path = tmp_path / "quoted.tsv"
    path.write_bytes(b"Ren%C3%A9_Kalmer\tPerson\r\nLa_Paz\tPlace\r\n")
    texts, y = read_names(path, quoted=True)
    assert texts.tolist() == ["René Kalmer", "La Paz"] and y.tolist() == [0, 1]


def test_the_space_is_number_0_and_in_every_alphabet():
    """A course handout numbers 'a' from 1, its one-hot row from 0, and forgets the space."""
    alphabet = Alphabet(["cab", "ba"])
    assert alphabet.characters == " abc" and len(alphabet) == 4
    assert alphabet.numbers("a cab").tolist() == [1, 0, 3, 1, 2]
    assert alphabet.text(alphabet.numbers("a cab")) == "a cab"
    assert Alphabet("b a").characters == " ab"


def test_one_hot_by_hand():
    X = Alphabet(["ab"]).one_hot(["ab", "bbba"], length=3)
    space, a, b = np.eye(3)
    assert np.array_equal(X, [[a, b, space], [b, b, b]])  # filled up behind, cut after three
    backwards = Alphabet(["ab"]).one_hot(["ab", "bbba"], length=3, reverse=True)
    assert np.array_equal(backwards, [[space, b, a], [b, b, b]])
    assert X.dtype == np.float64
    assert Alphabet("ab").one_hot(["a"], 1, dtype=np.float32).dtype == np.float32


def test_letters_outside_the_alphabet_are_zeros_in_one_hot_and_refused_in_a_text():
    alphabet = Alphabet(["ab"])
    assert np.array_equal(alphabet.one_hot(["xa"], 2), [[[0, 0, 0], [0, 1, 0]]])
    with pytest.raises(ValueError, match="'xy' is not in this alphabet of 3"):
        alphabet.numbers("yxa")
    for number in (-1, 3):
        with pytest.raises(ValueError, match=f"^{number} is no character's number; .* 0 to 2"):
            alphabet.text([0, number])


def test_one_letter_has_one_number_however_its_accent_is_written():
    composed, apart = "é", "e\u0301"
    alphabet = Alphabet([apart])
    assert alphabet.characters == " é"
    assert alphabet.numbers(composed + apart).tolist() == [1, 1]
    assert alphabet.one_hot([apart], 1).tolist() == [[[0, 1]]]


def test_one_hot_refuses_what_it_cannot_mean():
    with pytest.raises(ValueError, match="length=0"):
        Alphabet("a").one_hot(["a"], 0)
    with pytest.raises(ValueError, match="expected a list of texts"):
        Alphabet("a").one_hot("a", 3)


def test_all_training_names_become_letters():
    (texts, _), *_ = names()
    alphabet = Alphabet(texts)
    X = alphabet.one_hot(texts, 20)
    assert X.shape == (3200, 20, len(alphabet)) and np.all(X.sum(axis=2) == 1.0)
    back = ["".join(alphabet.text(row.argmax(axis=1))) for row in X[:50]]
    assert back == [text[:20].ljust(20) for text in texts[:50]]


def test_the_corpus_is_pythons_own_and_tells_its_hash():
    topics = pytest.importorskip("pydoc_data.topics").topics
    text, sha256, source = corpus()
    assert text == corpus().text and len(sha256) == 64 and "pydoc_data" in source
    assert all(topic in text for topic in topics.values())
    if sys.version_info[:3] == (3, 11, 7):  # counted elsewhere
        assert (len(text), len(set(text))) == (465_126, 103)
    assert set(Alphabet(text).text(Alphabet(text).numbers(text[:5000]))) <= set(text)


def test_a_python_without_the_corpus_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ImportError, match="python.org.*shakespeare"):
        corpus()
