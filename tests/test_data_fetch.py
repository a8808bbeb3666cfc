"""Downloads against a server that misbehaves: a clear error, or the right file; nothing else."""

import contextlib
import errno
import hashlib
import io
import os
import re
import socket
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minigrad import data
from minigrad.data import fetch as machinery
from minigrad.data import images, sources
from minigrad.data.fetch import fetch

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

CONTENT = bytes(np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8))
FILE = sources.File("toy.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Misbehaving(BaseHTTPRequestHandler):
    """/good/toy.bin gives the file; the other folders each do one thing wrong."""

    def do_GET(self):
        self.server.requests.append(self.path)
        getattr(self, self.path.split("/")[1])()

    def give(self, content, length=None):
        self.send_response(200)
        if length != "untold":
            self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def good(self):
        self.give(CONTENT)

    def missing(self):
        self.send_error(404)

    def broken(self):
        self.send_error(503)

    def truncated(self):  # announces all, sends a third
        self.give(CONTENT[:100_000], length=len(CONTENT))

    def shortened(self):  # announces nothing, sends a third: for HTTP this is all right
        self.give(CONTENT[:100_000], length="untold")

    def corrupt(self):
        self.give(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))

    def portal(self):  # a hotel's page to log in
        self.give(b"<html>Welcome, please log in</html>")

    def longer(self):
        self.give(CONTENT + b"more")

    def endless(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):  # that the reader has gone
            while True:
                self.wfile.write(bytes(2**16))
                self.server.given += 2**16

    def drops(self):
        self.connection.shutdown(socket.SHUT_RDWR)

    def silent(self):
        time.sleep(0.8)

    def stalls(self):  # sends a third, then nothing
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100_000])
        time.sleep(0.8)

    def watched(self):  # looks into the cache while the file is on its way
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:200_000])
        time.sleep(0.1)
        self.server.seen = self.server.look()
        self.wfile.write(CONTENT[200_000:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    pytest.importorskip("pooch")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    server.daemon_threads, server.requests, server.given = True, [], 0
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(machinery, "TIMEOUT", 0.3)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def toy(server, cache):
    """toy("corrupt", "good") is a source with these two mirrors."""
    start = f"http://127.0.0.1:{server.server_port}"
    return lambda *mirrors: sources.Source(
        "toy", "public domain", tuple(f"{start}/{mirror}/{{}}" for mirror in mirrors), (FILE,)
    )


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# ── What goes well ────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_announced_fetched_once_and_kept(toy, server, cache, capsys):
    (path,) = fetch(toy("good"))
    said = capsys.readouterr().out
    assert path == cache / "toy" / "toy.bin" and path.read_bytes() == CONTENT
    for fact in ("0.3 MB" if FILE.size >= 1e6 else "300.0 kB", "public domain", FILE.sha256):
        assert fact in said
    assert str(cache / "toy") in said
    assert fetch(toy("good")) == [path]
    assert server.requests == ["/good/toy.bin"] and capsys.readouterr().out == ""


def test_progress_is_shown(toy, capsys):
    fetch(toy("good"))
    assert "toy.bin" in capsys.readouterr().err


def test_no_file_has_its_name_before_it_is_whole(toy, server, cache):
    server.look = lambda: files(cache)
    fetch(toy("watched"))
    assert len(server.seen) == 1 and server.seen != ["toy.bin"]  # a temporary file, beside it
    assert files(cache) == ["toy.bin"]


def test_two_at_once_do_not_disturb_each_other(toy, cache):
    got = []
    threads = [threading.Thread(target=lambda: got.extend(fetch(toy("good")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == CONTENT for path in got] == [True] * 4
    assert files(cache) == ["toy.bin"]


# ── What goes wrong at a mirror ───────────────────────────────────────────────────────────────────

FAULTS = {
    "missing": "404",
    "broken": "503",
    "truncated": "100000 bytes read|IncompleteRead|truncated",
    "shortened": "truncated: 100,000 of 300,000 bytes",
    "corrupt": "corrupt, or another file: SHA-256 [0-9a-f]{64}, expected " + FILE.sha256,
    "portal": "truncated: 35 of 300,000 bytes",
    "longer": "corrupt, or another file",
    "endless": "corrupt, or another file",
    "drops": "dropped|closed",
    "silent": "silent for 0.3 seconds",
    "stalls": "silent for 0.3 seconds",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_mirror_helps(toy, server, cache, fault):
    (path,) = fetch(toy(fault, "good"))
    assert path.read_bytes() == CONTENT and files(cache) == ["toy.bin"]
    assert server.requests == [f"/{fault}/toy.bin", "/good/toy.bin"]


@pytest.mark.parametrize("fault", FAULTS)
def test_without_a_good_mirror_the_reason_is_told_and_nothing_left(toy, server, cache, fault):
    with pytest.raises(ConnectionError) as error:
        fetch(toy(fault))
    (reason,) = [line for line in str(error.value).splitlines() if line.startswith("  http")]
    assert f"/{fault}/toy.bin: " in reason and re.search(FAULTS[fault], reason)
    assert "MINIGRAD_DATA" in str(error.value) and "folder=" in str(error.value)
    assert files(cache) == []


def test_a_mirror_that_never_ends_is_left(toy, server, cache):
    with pytest.raises(ConnectionError):
        fetch(toy("endless"))
    assert server.given < 50 * len(CONTENT)  # what the two ends buffer


def test_every_mirror_is_listed_with_its_own_reason(toy):
    with pytest.raises(ConnectionError) as error:
        fetch(toy("missing", "corrupt", "drops"))
    reasons = [line for line in str(error.value).splitlines() if line.startswith("  http")]
    assert ["404" in reasons[0], "corrupt" in reasons[1], "dropped" in reasons[2]] == [True] * 3


def test_no_server_at_that_address(cache):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nobody = sources.Source("toy", "none", (f"http://127.0.0.1:{port}/{{}}",), (FILE,))
    with pytest.raises(ConnectionError, match="the connection was refused"):
        fetch(nobody)


def test_no_network_at_all(cache, monkeypatch):
    def no_names(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    for load in (data.mnist, data.dbpedia, data.shakespeare, data.cifar10):
        with pytest.raises(ConnectionError, match="is there a network") as error:
            load()
        assert str(error.value).count("  https://") == 2  # both mirrors of each
    assert files(cache) == []


# ── What goes wrong on this machine ───────────────────────────────────────────────────────────────


def test_a_full_disk_is_told_and_leaves_nothing(toy, server, cache, monkeypatch):
    class FullAfterAWhile(io.FileIO):
        def write(self, chunk):
            if self.tell() >= 131_072:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(chunk)

    with monkeypatch.context() as full:
        full.setattr(machinery, "open", FullAfterAWhile, raising=False)
        with pytest.raises(OSError, match="toy.bin .300.0 kB. could not be written") as error:
            fetch(toy("good", "good"))
    assert error.value.errno == errno.ENOSPC and "No space left" in str(error.value)
    assert "MINIGRAD_DATA" in str(error.value)
    assert files(cache) == [] and len(server.requests) == 1  # another mirror would not help
    assert fetch(toy("good"))[0].read_bytes() == CONTENT  # once there is room


def test_a_cache_that_cannot_be_made_is_told(toy, server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="could not be written.*MINIGRAD_DATA"):
        fetch(toy("good"))
    assert server.requests == []


def test_a_read_only_cache_is_told(toy, server, cache, monkeypatch):
    """As root nothing is read-only: so the refusal is played, as pooch meets it."""
    import tempfile

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    (cache / "toy").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(PermissionError, match="could not be written.*MINIGRAD_DATA"):
        fetch(toy("good"))
    assert server.requests == []


def test_stopping_it_leaves_nothing(toy, cache, monkeypatch):
    def stopped(path, file):
        raise KeyboardInterrupt

    monkeypatch.setattr(machinery, "fault", stopped)
    with pytest.raises(KeyboardInterrupt):
        fetch(toy("good"))
    assert files(cache) == []


def test_a_damaged_file_in_the_cache_is_replaced(toy, cache, capsys):
    (cache / "toy").mkdir(parents=True)
    (cache / "toy" / "toy.bin").write_bytes(CONTENT[:10])
    (path,) = fetch(toy("good"))
    assert path.read_bytes() == CONTENT
    assert "replaces the one there, which is truncated: 10 of" in capsys.readouterr().out


def test_a_damaged_file_in_the_cache_is_never_used(toy, cache):
    (cache / "toy").mkdir(parents=True)
    (cache / "toy" / "toy.bin").write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(ConnectionError):
        fetch(toy("missing"))


def test_missing_pooch_is_said_with_the_remedy(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match="pip install pooch tqdm.*folder="):
        data.shakespeare()


# ── A folder in place of the network ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", ["toy.bin", "toy/toy.bin"])
def test_a_folder_stands_in_for_the_mirrors(toy, server, cache, tmp_path, monkeypatch, place):
    monkeypatch.setitem(sys.modules, "pooch", None)  # it is not even needed
    stick = tmp_path / "stick"
    (stick / place).parent.mkdir(parents=True)
    (stick / place).write_bytes(CONTENT)
    assert fetch(toy("good"), folder=str(stick)) == [stick / place]
    monkeypatch.setenv("MINIGRAD_DATA", str(stick))
    assert fetch(toy("good")) == [stick / place]
    assert server.requests == [] and not cache.exists() and len(files(stick)) == 1


@pytest.mark.parametrize(
    "content, said",
    [(CONTENT[:-7], "toy.bin is truncated: 299,993 of 300,000"), (CONTENT[::-1], "is corrupt")],
)
def test_a_wrong_file_in_a_folder_is_refused(toy, server, tmp_path, content, said):
    (tmp_path / "toy.bin").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        fetch(toy("good"), folder=tmp_path)
    assert server.requests == [] and (tmp_path / "toy.bin").read_bytes() == content


def test_a_folder_without_the_file_is_told_what_it_lacks(toy, server, tmp_path):
    with pytest.raises(FileNotFoundError, match="toy.bin is neither in .*300.0 kB"):
        fetch(toy("good"), folder=tmp_path)
    assert server.requests == []


# ── The sets ──────────────────────────────────────────────────────────────────────────────────────

SETS = [sources.MNIST, *sources.DBPEDIA.values(), sources.SHAKESPEARE, sources.CIFAR10]


def test_every_source_is_told_whole():
    for source in SETS:
        assert source.licence and len(source.mirrors) >= 2
        for mirror in source.mirrors:
            assert mirror.startswith("https://")
            assert mirror.count("{}") == 1 or len(source.files) == 1
            if "github" in mirror:
                assert re.search(r"[@/][0-9a-f]{40}/", mirror)  # a commit, not a branch that moves
        for file in source.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size > 1000
    assert sorted(file.name for source in SETS for file in source.files) == sorted(sources.FILES)


def shared(name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"../shared/data/{name} is not there")
    return SHARED


def test_mnist():
    (X, y), (X_test, y_test) = data.mnist(folder=shared("mnist"), dtype=np.uint8)
    assert X.shape == (60_000, 784) and X_test.shape == (10_000, 784) and X.dtype == np.uint8
    assert np.bincount(y).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert np.bincount(y_test).sum() == 10_000 and y.dtype.kind == "i"
    assert X.mean() / 255 == pytest.approx(0.1307, abs=5e-5)  # as is widely known
    scaled = images._scaled(X[:100], np.float32)
    assert scaled.dtype == np.float32 and scaled.max() == 1.0
    assert np.array_equal(np.rint(scaled * 255), X[:100])


@pytest.mark.parametrize(
    "size, counts, distinct",
    [
        ("tiny", [1857, 221, 221], 134),
        ("smaller", [18312, 2330, 2331], 202),
        ("autolab", [10000, 2000, 2000], 185),
    ],
)
def test_dbpedia(size, counts, distinct):
    parts = data.dbpedia(size, folder=shared("dbpedia"))
    assert [len(texts) for texts, _ in parts] == [len(y) for _, y in parts] == counts
    letters = {letter for texts, _ in parts for text in texts for letter in text}
    assert len(letters) == distinct and "_" not in letters
    if size == "tiny":
        assert np.bincount(parts[0][1]).tolist() == [695, 528, 136, 273, 225]


def test_shakespeare():
    text, sha256, _ = data.shakespeare(folder=shared("shakespeare"))
    assert len(text) == 1_115_394 and len(set(text)) == 65
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.")
    assert sha256 == sources.SHAKESPEARE.files[0].sha256


def test_an_unknown_size_of_dbpedia_is_refused():
    with pytest.raises(ValueError, match='size=\'big\'; expected "tiny", "smaller" or'):
        data.dbpedia("big")


def test_cifar10_from_an_archive_like_its_own(tmp_path, monkeypatch):
    """Six small batches in the archive's layout stand in for its 170 MB."""
    pixels = np.random.default_rng(1).integers(0, 256, (6, 4, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(24, dtype=np.uint8).reshape(6, 4) % 10
    names = [f"data_batch_{n}.bin" for n in (2, 1, 3, 4, 5)] + ["test_batch.bin"]
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, batch, own in [*zip(names, pixels, labels), ("batches.meta.txt", None, None)]:
            rows = (
                b"airplane\n"
                if batch is None
                else b"".join(bytes([label]) + image.tobytes() for label, image in zip(own, batch))
            )
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(rows)
            archive.addfile(entry, io.BytesIO(rows))
    content = path.read_bytes()
    file = sources.File(path.name, len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(sources, "CIFAR10", sources.CIFAR10._replace(files=(file,)))
    (X, y), (X_test, y_test) = data.cifar10(folder=tmp_path, dtype=np.uint8)
    order = [1, 0, 2, 3, 4]  # batch 1 first, wherever it lies in the archive
    assert np.array_equal(X, pixels[order].reshape(-1, 3, 32, 32))
    assert np.array_equal(y, labels[order].ravel()) and np.array_equal(X_test, pixels[5])
    assert np.array_equal(y_test, labels[5])
    assert data.cifar10(folder=tmp_path)[0][0].max() <= 1.0


def test_real_cifar10_records():
    import gzip

    stored = gzip.decompress((shared("cifar10") / "cifar10" / "test-1000.bin.gz").read_bytes())
    X, y = images.cifar10_records(stored)
    assert X.shape == (1000, 3, 32, 32)
    assert np.bincount(y).tolist() == [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]
    assert X.mean(axis=(0, 2, 3)) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.02)


@pytest.mark.parametrize("stored", [b"", b"x" * 3072, b"\x0a" + b"x" * 3072])
def test_bytes_that_are_no_records_are_refused(stored):
    with pytest.raises(ValueError, match="batch: .*expected"):
        images.cifar10_records(stored, "batch")


# ── IDX ───────────────────────────────────────────────────────────────────────────────────────────


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def test_idx_by_hand(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(array))
    assert np.array_equal(images.read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    "stored, said",
    [
        (b"PK\x03\x04 a zip", "starts with 50 4b 03 04, expected 00 00 08"),
        (b"\x00\x00\x0d\x03 floats", "starts with 00 00 0d 03"),
        (b"", "is no IDX file"),
        (idx(np.zeros((5, 2), np.uint8))[:-1], r"9 entries; its header says \(5, 2\)"),
        (idx(np.zeros((5, 2), np.uint8)) + b"x", r"11 entries; its header says \(5, 2\)"),
        (idx(np.zeros((5, 2), np.uint8))[:9], r"header says \(5,\)"),
        (idx(np.zeros((5, 2), np.uint8))[:4], r"header says \(\)"),
        (bytes([0, 0, 8, 2, 0, 0, 0, 0]), r"0 entries; its header says \(0,\)"),
        (b"\x1f\x8b\x08\x00 cut", "cut off or damaged"),
    ],
)
def test_a_foreign_or_broken_idx_file_is_refused(tmp_path, stored, said):
    (tmp_path / "a.gz").write_bytes(stored)
    with pytest.raises(ValueError, match=said):
        images.read_idx(tmp_path / "a.gz")
