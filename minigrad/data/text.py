"""Letters to learn from: names with their class, and long texts; two of them need no network."""

import hashlib
import unicodedata
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from minigrad.data import sources
from minigrad.data.batches import set_apart
from minigrad.data.fetch import fetch

CLASSES = ("Person", "Place", "Organisation", "Work", "Species")


def names(valid=0.1, test=0.1, seed=0):
    """4,000 names, 800 of each of the `CLASSES`: `(names, y)` to train, to validate, to test.

    The names (n,) are strings, y (n,) the places of their classes in `CLASSES`. The shares `valid`
    and `test` of each class are drawn by `seed`. Their data sheet, NAMES.md, says how they were
    chosen and what they are biased by.
    """
    if not (valid >= 0.0 and test >= 0.0 and valid + test < 1.0):
        raise ValueError(f"names: valid={valid}, test={test}; expected shares that leave some over")
    texts, y = read_names(Path(__file__).with_name("names.tsv"))
    part = set_apart(y, [valid, test], seed)
    return tuple((texts[part == number], y[part == number]) for number in range(3))


def dbpedia(size="tiny", folder=None):
    """Titles of DBPedia entities and their class, as `names` gives them: train, valid, test.

    `size` is "tiny" (2,299 titles), "smaller" (22,973), or "autolab" (14,000). The first call
    fetches 80 to 600 kB, unless `folder` has the files: see `minigrad.data.fetch`.
    """
    if size not in sources.DBPEDIA:
        raise ValueError(f'dbpedia: size={size!r}; expected "tiny", "smaller" or "autolab"')
    return tuple(read_names(path, quoted=True) for path in fetch(sources.DBPEDIA[size], folder))


def read_names(path, quoted=False):
    """Names and their classes from a file with a `Name<TAB>Class` on each line.

    Gives (names, y) as `names` does. With `quoted`, the names are parts of web addresses:
    underscores for spaces, %C3%A9 for é. Raises ValueError with the number of a line that is not
    as it should be.
    """
    texts, y = [], []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        where = f"{path}, line {number}"
        try:
            name, *rest = line.decode("utf-8").split("\t")
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: {error.reason} in {line!r}; expected UTF-8") from error
        if len(rest) != 1 or not name:
            raise ValueError(f"{where}: {line.decode()!r}; expected a name, one tab, a class")
        if rest[0] not in CLASSES:
            raise ValueError(f"{where}: class {rest[0]!r}; expected one of {', '.join(CLASSES)}")
        texts.append(unquote(name).replace("_", " ") if quoted else name)
        y.append(CLASSES.index(rest[0]))
    return np.array(texts), np.array(y, int)


class Text(NamedTuple):
    """A long text, the SHA-256 of its UTF-8, and where it comes from."""

    text: str
    sha256: str
    source: str


def corpus():
    """The help texts on Python's language, half a million characters, from the running Python.

    They differ from version to version, so that a result belongs to a `sha256`. Raises ImportError
    where Python comes without them.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise ImportError(
            "the corpus is the text of Python's module pydoc_data, which this Python lacks (in the "
            "browser and in the embeddable package for Windows it is left out): use a Python from "
            "python.org or from your system, or another text, such as minigrad.data.shakespeare()"
        ) from error
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return _text(text, "pydoc_data.topics of this Python")


def shakespeare(folder=None):
    """A million characters of Shakespeare's plays, 65 of them distinct, as a `Text`.

    The first call fetches 1.1 MB, unless `folder` has the file: see `minigrad.data.fetch`.
    """
    (path,) = fetch(sources.SHAKESPEARE, folder)
    return _text(path.read_text(encoding="utf-8"), "tinyshakespeare of char-rnn")


def _text(text, source):
    return Text(text, hashlib.sha256(text.encode()).hexdigest(), source)


class Alphabet:
    """The characters of some texts, numbered from 0; the space is number 0, since it also pads.

        alphabet = Alphabet(names)                    # of the training names
        alphabet.one_hot(names, length=20)            # (N, 20, V), V = len(alphabet)
        alphabet.text(alphabet.numbers("a text"))     # "a text"

    `texts` is one string or several. A character has one number: accents are composed (NFC).
    """

    def __init__(self, texts):
        found = set(_composed("".join([texts] if isinstance(texts, str) else texts)))
        self.characters = " " + "".join(sorted(found - {" "}))
        self.number = {character: number for number, character in enumerate(self.characters)}

    def __len__(self):
        return len(self.characters)

    def __repr__(self):
        return f"Alphabet({self.characters!r})"

    def numbers(self, text):
        """The numbers (T,) of a text's characters. Raises ValueError where one has none."""
        text = _composed(text)
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            raise ValueError(
                f"{''.join(unknown)!r} is not in this alphabet of {len(self)} characters; "
                "build it from a text that has all of them, or leave them out"
            )
        return np.array([self.number[character] for character in text], int)

    def text(self, numbers):
        """The text whose characters have these numbers. Raises ValueError for others."""
        numbers, last = list(numbers), len(self) - 1
        for number in numbers:
            if not 0 <= number <= last:
                raise ValueError(f"{number} is no character's number; expected 0 to {last}")
        return "".join(self.characters[number] for number in numbers)

    def one_hot(self, texts, length, reverse=False, dtype=np.float64):
        """Texts as X (N, M, V), M = `length`: X[n, t, v] is 1 where letter t of text n is number v.

        A text is cut after M letters, or filled up with spaces behind its end. With `reverse`, the
        order along t is turned round: the filling comes first, and what a recurrent network reads
        last, and so remembers best, is the first letter. A letter that this alphabet lacks is a row
        of zeros.
        """
        if length != int(length) or length < 1:
            raise ValueError(f"one_hot: length={length!r}; expected a whole number of at least 1")
        if isinstance(texts, str):
            raise ValueError(f"one_hot: one text, {texts!r}; expected a list of texts")
        X = np.zeros((len(texts), length, len(self)), dtype)
        for row, text in zip(X, texts):
            for t, letter in enumerate(_composed(text)[:length].ljust(length)):
                if letter in self.number:
                    row[t, self.number[letter]] = 1.0
        return X[:, ::-1].copy() if reverse else X


def _composed(text):
    return unicodedata.normalize("NFC", text)
