"""Where the data comes from that is too large, or not ours, to travel with the package.

A source has a name, a licence, mirrors and files. A mirror is an address with {} in the place of
the file's name; of each file we know the size and the SHA-256, so that it does not matter which
mirror it came from.
"""

from typing import NamedTuple


class File(NamedTuple):
    name: str
    size: int
    sha256: str


class Source(NamedTuple):
    name: str  # also the folder of its files
    licence: str
    mirrors: tuple
    files: tuple


# Computed from the files themselves, but for the last: that one is quoted. Several projects publish
# the same size and sum for the archive that the makers of CIFAR-10 give out.
TABLE = """
440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 9912422 train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c 28881 train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 1648877 t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 4542 t10k-labels-idx1-ubyte.gz
f5c891ab29bd64dac166623412ada7ea755728d08a357a63d009e7820da0254d 49452 tiny.train
0c590f7fe20a8d1b67ba49a8f9611b698b35fbadec083674697f9e972ed9ed1e 5683 tiny.valid
6a875fe1da7e9beff7b806b7750f6fed4d107bc46006f4e46b546e3b562570c2 5635 tiny.test
16ca9efb21bfea55734569b5416f873397ff802ca636ba0a8ce019300c522551 486625 smaller.train
157d5f04ba768175d3be6f5f58f62ba42ff732cb31bcf78457cbf9885ca2b728 61307 smaller.valid
184c4d1d8f9171c9389bda5540389f4d8860fe8e41891ac44e154542bddd0abb 61158 smaller.test
e8320d7432750745cf643c7dc82c9ef50b0eb358e15a4d988bb075bbf2d4a64e 263745 autolab.train
cccadad7b6f9d48418900c347eec58d49d80cd1be62770114b119d5c4e9c27dc 53617 autolab.valid
7206782d6ceb8e011fd7029c90a48b51cb678b8a7244e68143cef6b54d1a4438 53323 autolab.test
86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed 1115394 tinyshakespeare.txt
c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd 170052171 cifar-10-binary.tar.gz
"""

FILES = {
    name: File(name, int(size), sha256)
    for sha256, size, name in map(str.split, TABLE.strip().splitlines())
}


def github(repository, commit, path):
    """A file of a repository as it was at one commit: from GitHub, or jsDelivr's copy of that."""
    return (
        f"https://raw.githubusercontent.com/{repository}/{commit}/{path}",
        f"https://cdn.jsdelivr.net/gh/{repository}@{commit}/{path}",
    )


# The four files of Yann LeCun's page, byte for byte; the page itself no longer gives them out.
MNIST = Source(
    "mnist",
    "copyright Yann LeCun and Corinna Cortes; commonly given as CC BY-SA 3.0",
    (
        "https://storage.googleapis.com/cvdf-datasets/mnist/{}",
        "https://ossci-datasets.s3.amazonaws.com/mnist/{}",
    ),
    tuple(file for name, file in FILES.items() if "ubyte" in name),
)

# Of the homework "Automatic Reverse-Mode Differentiation", course 10-605 at Carnegie Mellon, 2016:
# `tiny` to debug and `smaller` to report on, as a student's repository has them; `autolab`, which
# the course's checker trained and tested on, from the repository of one of its authors.
student = github("wheatwaves/10605-f16-hw5", "b0d877503b16a6849710077fa2342cb84e5e2b40", "data/{}")
author = github(
    "KarandeepJohar/auto-diff-assignment",
    "528ae06ca11edaf8f9cc99c8780192d3d2b98388",
    "autolab_dataset/{}",
)
DBPEDIA = {
    size: Source(
        "dbpedia",
        "DBPedia, from Wikipedia: CC BY-SA 3.0 and GNU FDL",
        mirrors,
        tuple(FILES[f"{size}.{part}"] for part in ("train", "valid", "test")),
    )
    for size, mirrors in {"tiny": student, "smaller": student, "autolab": author}.items()
}

# Part of the plays, a million characters. char-rnn calls the file input.txt.
SHAKESPEARE = Source(
    "shakespeare",
    "public domain",
    github(
        "karpathy/char-rnn",
        "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
        "data/tinyshakespeare/input.txt",
    ),
    (FILES["tinyshakespeare.txt"],),
)

CIFAR10 = Source(
    "cifar10",
    "none stated; cite A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    (
        "https://www.cs.toronto.edu/~kriz/{}",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/{}",
    ),
    (FILES["cifar-10-binary.tar.gz"],),
)
