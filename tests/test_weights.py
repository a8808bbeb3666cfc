"""Weights: out of a model, into a file, back into a model; and no file that is not one."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

import minigrad as mg
from minigrad.interop import load, save, weights
from minigrad.nn import MLP, Linear, Module


class Counting(Module):
    """A parameter, a buffer that changes in forward, a number, and modules of its own."""

    def __init__(self, rng=0):
        self.seen = np.zeros(())
        self.scale = mg.TensorNode(2.0)
        self.file = Linear(2, 3, rng=rng, dtype=np.float32)  # np.savez has no place for this name
        self.ends = [Linear(3, 1, rng=rng), self.file]

    def forward(self, x):
        self.seen[...] += len(x)
        return self.ends[0](self.file(x)) * self.scale


def states_agree(one, other):
    return list(one) == list(other) and all(
        np.array_equal(one[name], other[name]) and one[name].dtype == other[name].dtype
        for name in one
    )


NAMES = ["scale", "file.weight", "file.bias", "ends.0.weight", "ends.0.bias", "seen"]


def test_a_state_has_parameters_and_buffers_each_once():
    assert list(Counting().state_dict()) == NAMES
    assert [name for name, _ in Counting().named_parameters()] == NAMES[:-1]


def test_a_state_is_a_copy_on_the_way_out_and_in():
    model, other = Counting(0), Counting(1)
    state = model.state_dict()
    before = model.state_dict()
    for array in state.values():
        array += 1.0
    assert states_agree(model.state_dict(), before)
    other.load_state_dict(state)
    after = other.state_dict()
    for array in state.values():
        array += 1.0
    assert states_agree(other.state_dict(), after)


def test_loading_keeps_the_nodes_that_an_optimiser_holds():
    model = Counting(0)
    held, buffer = model.parameters(), model.seen
    model.load_state_dict(Counting(1).state_dict() | {"seen": np.array(7.0)})
    assert all(now is then for now, then in zip(model.parameters(), held, strict=True))
    assert model.seen is buffer and buffer == 7.0
    assert np.array_equal(held[1].value, Counting(1).file.weight.value)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_there_and_back_through_a_file(tmp_path, suffix):
    model, other = Counting(0), Counting(1)
    model(np.ones((4, 2), np.float32))
    path = save(model, tmp_path / f"model.{suffix}")
    other.load_state_dict(load(path))
    assert states_agree(model.state_dict(), other.state_dict())
    assert other.seen == 4.0
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_every_kind_of_number_in_every_order_of_memory(tmp_path, suffix):
    square = np.arange(12.0).reshape(3, 4)
    arrays = {
        "float16": square.astype(np.float16), "columns": np.asfortranarray(square),
        "strided": square[::2, ::-1], "int": np.array([-1, 2]), "bytes": np.array([1], np.uint8),
        "bool": np.array([True, False]), "empty": np.zeros((0, 3)), "one": np.float32(3.5),
    }  # fmt: skip
    found = load(save(arrays, tmp_path / f"a.{suffix}"))
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert np.array_equal(found[name], array)


def test_other_programs_read_the_files_and_write_them(tmp_path):
    state = Counting().state_dict()
    with np.load(save(state, tmp_path / "a.npz"), allow_pickle=False) as found:
        assert states_agree(dict(found), state)
    np.savez_compressed(tmp_path / "b.npz", **{k: v for k, v in state.items()} | {})
    assert states_agree(load(tmp_path / "b.npz"), state)
    peer = pytest.importorskip("safetensors.torch")
    found = peer.load_file(save(state, tmp_path / "a.safetensors"))
    assert all(np.array_equal(found[name].numpy(), state[name]) for name in state)
    peer.save_file(found, tmp_path / "b.safetensors")
    found = load(tmp_path / "b.safetensors")
    assert states_agree({name: found[name] for name in state}, state)


def test_a_file_that_is_there_is_replaced(tmp_path):
    for value in 1.0, 2.0:
        path = save({"w": np.full(3, value)}, tmp_path / "a.npz")
    assert load(path)["w"].tolist() == [2.0, 2.0, 2.0]


def test_the_same_weights_are_the_same_bytes(tmp_path):
    once, again = (save(Counting(0), tmp_path / f"{i}.npz").read_bytes() for i in (1, 2))
    assert once == again


BAD_STATES = [
    (lambda s: s.pop("scale"), ["scale: nothing; expected float64 ()"]),
    (lambda s: s.update(scales=np.ones(2)), ["scales: float64 (2,); expected nothing"]),
    (lambda s: s.update(scale=np.ones(2)), ["scale: float64 (2,); expected float64 ()"]),
    (lambda s: s.update(seen=np.float32(1)), ["seen: float32 (); expected float64 ()"]),
    (
        lambda s: s.update({"file.weight": s["file.weight"].T, "extra": s.pop("file.bias")}),
        [
            "file.weight: float32 (3, 2); expected float32 (2, 3)",
            "extra: ",
            "file.bias: nothing; expected float32 (3,)",
        ],
    ),
]


@pytest.mark.parametrize("spoil, words", BAD_STATES, ids=lambda value: str(value)[:20])
def test_a_state_that_does_not_fit_is_refused_whole(spoil, words):
    model, state = Counting(0), Counting(1).state_dict()
    before = model.state_dict()
    spoil(state)
    with pytest.raises(ValueError, match="Counting was given another state") as caught:
        model.load_state_dict(state)
    for word in words:
        assert word in str(caught.value)
    assert states_agree(model.state_dict(), before)


@pytest.mark.parametrize("given", ["model.npz", [("scale", 1.0)], None])
def test_a_state_is_a_mapping(given):
    with pytest.raises((TypeError, AttributeError)):
        Counting().load_state_dict(given)


def npz(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png(path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


FOREIGN = {
    "a picture": (png, "PNG picture"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"w": [1.0]})), "pickle"),
    "one array": (lambda path: np.save(open(path, "wb"), np.ones(3)), "one array"),
    "nothing": (lambda path: path.write_bytes(b""), "empty"),
    "words": (lambda path: path.write_text("to be fetched\n" * 9), "of another kind"),
    "another zip": (lambda path: npz(path, **{"archive/data.pkl": b"\x80\x02."}), "data.pkl"),
    "an array and more": (
        lambda path: npz(path, **{"w.npy": npy(np.ones(2)) + b"more"}),
        "goes on",
    ),
    "an array of objects": (
        lambda path: np.savez(open(path, "wb"), w=np.array([{}, []], object)),
        "Object arrays",
    ),
}


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused_by_name(tmp_path, kind, suffix):
    write, words = FOREIGN[kind]
    path = tmp_path / f"weights.{suffix}"
    write(path)
    with pytest.raises(ValueError) as caught:
        load(path)
    assert str(path) in str(caught.value) and f"no .{suffix} weights" in str(caught.value)
    if suffix == "npz" or "zip" not in kind and "an array" not in kind:
        assert words in str(caught.value)


def test_numbers_that_numpy_lacks_are_named(tmp_path):
    about = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path = tmp_path / "other.safetensors"
    path.write_bytes(len(about).to_bytes(8, "little") + about + bytes(4))
    with pytest.raises(ValueError, match="no numbers of kind 'BF16'; save them as float32"):
        load(path)


def test_a_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it ran"),)

    for suffix in "npz", "safetensors":
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ValueError, match="a program that would run"):
            load(path)
        np.savez(open(path, "wb"), w=np.array([Bomb()], object))
        with pytest.raises(ValueError):
            load(path)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_wherever_a_file_is_cut_it_is_refused(tmp_path, suffix):
    whole = save(MLP([3, 2, 1], rng=0), tmp_path / f"whole.{suffix}").read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for length in {*range(0, len(whole), 13), *range(12), *range(len(whole) - 40, len(whole))}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"no .{suffix} weights"):
            load(path)
    path.write_bytes(whole + b"more" * 9)
    if suffix == "safetensors":
        with pytest.raises(ValueError):
            load(path)


def test_a_bit_that_tipped_over_is_found(tmp_path):
    """By the checksums of the zip format; safetensors has none."""
    state = {"w": np.random.default_rng(0).normal(size=50)}
    whole = save(state, tmp_path / "a.npz").read_bytes()
    inside = whole.index(state["w"].tobytes())
    for byte in inside, inside + 200, inside + 399:
        path = tmp_path / "b.npz"
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
        with pytest.raises(ValueError, match="CRC"):
            load(path)


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "model"])
def test_another_suffix_is_refused_before_anything_is_touched(tmp_path, name):
    for do in (lambda: load(tmp_path / name), lambda: save({}, tmp_path / name)):
        with pytest.raises(ValueError, match=r"\*\.npz or \*\.safetensors"):
            do()
    assert os.listdir(tmp_path) == []


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    "state",
    [{"w": np.array([{}], object)}, {"w": "text"}, {"w": mg.TensorNode(1.0)}, {1: np.ones(2)}],
)
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_only_arrays_of_numbers_are_written(tmp_path, state, suffix):
    with pytest.raises(TypeError, match="numbers"):
        save(state, tmp_path / f"a.{suffix}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, suffix):
    path = save({"w": np.ones(3)}, tmp_path / f"a.{suffix}")

    def full(state, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(weights.FORMATS, f".{suffix}", (full, weights.FORMATS[f".{suffix}"][1]))
    with pytest.raises(OSError, match="No space"):
        save({"w": np.zeros(3)}, path)
    assert os.listdir(tmp_path) == [path.name]
    assert load(path)["w"].tolist() == [1, 1, 1]


def test_without_safetensors_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    for do in (
        lambda: save({"w": np.ones(3)}, tmp_path / "a.safetensors"),
        lambda: load(save({}, tmp_path / "b.npz").rename(tmp_path / "b.safetensors")),
    ):
        with pytest.raises(ImportError, match="pip install safetensors"):
            do()
