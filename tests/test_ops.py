"""Every op, at every broadcasting shape and dtype, against three libraries that others wrote."""

import importlib
import pkgutil

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
import sympy
from ops_table import CASES, MASK, SHAPES, TABLE, label

import minigrad as mg

each_case = pytest.mark.parametrize("row, shapes, constants", CASES, ids=label)


def adjoints(row, inputs, constants, cotangent):
    """The value, and the adjoints of the inputs that have one."""
    nodes = [x if d is MASK else mg.TensorNode(x) for d, x in zip(row.domains, inputs, strict=True)]
    y = row.op.do_forward(*nodes, **constants)
    y.backward(np.asarray(cotangent, y.dtype))
    return y.value, [x.grad for x in nodes if isinstance(x, mg.TensorNode)]


def problem(row, shapes, constants, rng, dtype=float):
    """Inputs, and a cotangent of the shape of the output."""
    inputs = row.inputs(shapes, rng, dtype)
    shape = np.shape(row.op.do_forward(*inputs, **constants))
    return inputs, np.asarray(rng.standard_normal(shape))


def all_ops():
    """Every op that any module of the package defines, however deep its class lies.

    Not the one of `interop`, which is whatever function of tensors it is given (test_interop.py),
    nor that of `wengert`, a whole list (test_compile.py), nor those of `nn`, which are whole layers
    (test_nn_recurrent.py, test_nn_convolution.py), nor what the checker and the widgets make up for
    their own purposes. `Entrywise` and `LinearMap` are what several have in common.
    """
    elsewhere = tuple(f"minigrad.{name}" for name in "checker interop nn wengert widgets".split())
    for module in pkgutil.iter_modules(mg.__path__):
        importlib.import_module(f"minigrad.{module.name}")
    found, waiting = set(), [mg.Op]
    while waiting:
        below = waiting.pop().__subclasses__()
        found.update(op for op in below if op.__module__.startswith("minigrad."))
        waiting.extend(below)
    return {
        op
        for op in found - {mg.ops.Entrywise, mg.ops.LinearMap}
        if not op.__module__.startswith(elsewhere)
    }


def test_every_op_is_in_the_table():
    missing = {op.__name__ for op in all_ops()} - {row.name for row in TABLE}
    assert not missing, f"add rows to tests/ops_table.py for {sorted(missing)}"
    assert len({row.op for row in TABLE}) == len(TABLE)


def test_every_pair_of_broadcasting_shapes_is_tried():
    pairs = {(left, right) for left in SHAPES for right in SHAPES}
    for op in (mg.Add, mg.Subtract, mg.Multiply, mg.Divide, mg.Power, mg.Maximum):
        (row,) = [row for row in TABLE if row.op is op]
        assert {shapes for shapes, _ in row.cases} >= pairs


@each_case
def test_value_and_gradients_are_those_of_hips_autograd(row, shapes, constants, rng):
    inputs, cotangent = problem(row, shapes, constants, rng)
    floats = [i for i, domain in enumerate(row.domains) if domain is not MASK]

    def weighed(*arrays):
        return anp.sum(cotangent * row.autograd(anp, *arrays, **constants))

    value, found = adjoints(row, inputs, constants, cotangent)
    np.testing.assert_allclose(
        value, row.autograd(np, *inputs, **constants), rtol=1e-12, atol=1e-14
    )
    expected = autograd.grad(weighed, floats)(*inputs)
    for x, got, right in zip([inputs[i] for i in floats], found, expected, strict=True):
        assert np.shape(got) == x.shape
        np.testing.assert_allclose(got, right, rtol=1e-10, atol=1e-12)


def smallest_cases():
    """Two cases of each op for sympy, which is slow: the first and the last of rank 2 at most."""
    for row in TABLE:
        flat = [case for case in row.cases if all(len(shape) <= 2 for shape in case[0])]
        yield (row, *flat[0])
        if flat[-1] is not flat[0]:
            yield (row, *flat[-1])


@pytest.mark.parametrize("row, shapes, constants", list(smallest_cases()), ids=label)
def test_gradients_are_the_derivatives_that_sympy_finds(row, shapes, constants, rng):
    inputs, cotangent = problem(row, shapes, constants, rng)
    symbols, values = [], {}
    for i, (domain, x) in enumerate(zip(row.domains, inputs, strict=True)):
        names = np.empty(x.shape, object)
        for k in np.ndindex(x.shape):
            names[k] = sympy.Symbol(f"x{i}_{'_'.join(map(str, k))}", real=True)
            values[names[k]] = float(x[k])
        symbols.append(x if domain is MASK else names)
    weighed = np.sum(cotangent * row.sympy(*symbols, **constants))
    _, found = adjoints(row, inputs, constants, cotangent)
    variables = [x for domain, x in zip(row.domains, symbols, strict=True) if domain is not MASK]
    for names, got in zip(variables, found, strict=True):
        for k in np.ndindex(names.shape):
            right = float(sympy.diff(weighed, names[k]).subs(values).doit().evalf())
            assert np.asarray(got)[k] == pytest.approx(right, rel=1e-9, abs=1e-12)


@each_case
def test_gradients_are_those_of_pytorch(row, shapes, constants, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional witness")
    inputs, cotangent = problem(row, shapes, constants, rng)
    tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    y = row.torch(torch, *tensors, **constants)
    (y * torch.tensor(cotangent)).sum().backward()
    value, found = adjoints(row, inputs, constants, cotangent)
    np.testing.assert_allclose(value, y.detach().numpy(), rtol=1e-12, atol=1e-14)
    expected = [x.grad.numpy() for x in tensors if x.requires_grad]
    for got, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-10, atol=1e-12)


@each_case
def test_gradcheck_agrees_to_second_order(row, shapes, constants, rng):
    report = mg.gradcheck(row.op, *row.inputs(shapes, rng), **constants)
    assert report, report
    assert report.second_order is True, report


@each_case
def test_float32_stays_float32(row, shapes, constants, rng):
    if row.name == "Cast":
        constants = {"dtype": np.dtype(np.float32)}
    inputs, cotangent = problem(row, shapes, constants, rng)
    exact, exact_gradients = adjoints(row, inputs, constants, cotangent)
    small = [x if x.dtype.kind == "b" else x.astype(np.float32) for x in inputs]
    value, found = adjoints(row, small, constants, cotangent)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, exact, rtol=2e-5, atol=2e-6)
    for got, right in zip(found, exact_gradients, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, right, rtol=1e-4, atol=1e-5)


@each_case
def test_float32_meets_python_numbers_and_float64_scalars(row, shapes, constants, rng):
    """A Python number, or one np.float64, must not widen everything downstream."""
    if row.name == "Cast":
        constants = {"dtype": np.dtype(np.float32)}
    inputs = row.inputs(shapes, rng, np.float32)
    nodes = [x if x.dtype.kind == "b" else mg.TensorNode(x) for x in inputs]
    y = 2.0 * row.op.do_forward(*nodes, **constants) + np.float64(1.5)
    assert y.dtype == np.float32
    y.backward()
    assert all(x.grad.dtype == np.float32 for x in nodes if isinstance(x, mg.TensorNode))


@each_case
def test_forward_mode_agrees_with_reverse_mode(row, shapes, constants, rng):
    """⟨w, J v⟩ = ⟨Jᵀ w, v⟩ for random w and v; J v from dual numbers, Jᵀ w from the list."""
    inputs, w = problem(row, shapes, constants, rng)
    floats = [i for i, domain in enumerate(row.domains) if domain is not MASK]

    def f(*arrays):
        whole = list(inputs)
        for i, array in zip(floats, arrays, strict=True):
            whole[i] = array
        return row.op.do_forward(*whole, **constants)

    points = [inputs[i] for i in floats]
    vs = [rng.standard_normal(x.shape) for x in points]
    _, tangent = mg.jvp(f, tuple(points), tuple(vs))
    tangent = getattr(tangent, "value", tangent)
    assert np.shape(tangent) == w.shape
    _, found = adjoints(row, inputs, constants, w)
    backward = sum(np.sum(g * v) for g, v in zip(found, vs, strict=True))
    assert np.sum(w * tangent) == pytest.approx(backward, rel=1e-10, abs=1e-12)


def test_the_table_would_notice_a_wrong_op(rng):
    """The comparison itself can fail: a product whose gradients are swapped does not pass."""

    class Swapped(mg.Multiply):
        @staticmethod
        def backward(context, gz):
            return gz * context["x"], gz * context["y"]

    x, y = rng.standard_normal((2, 4, 3))
    nodes = mg.TensorNode(x), mg.TensorNode(y)
    Swapped.do_forward(*nodes).backward()
    assert not np.allclose(nodes[0].grad, y)
    assert not mg.gradcheck(Swapped, x, y)


@pytest.mark.parametrize(
    "f",
    [
        np.ravel,
        np.squeeze,
        lambda x: np.squeeze(x, 1),
        lambda x: np.squeeze(x, axis=-3),
        lambda x: np.expand_dims(x, 0),
        lambda x: np.expand_dims(x, axis=(1, -1)),
        lambda x: np.swapaxes(x, 0, -1),
        lambda x: np.swapaxes(x, axis1=1, axis2=2),
        lambda x: np.moveaxis(x, 0, -1),
        lambda x: np.moveaxis(x, source=(0, 3), destination=(1, 0)),
        lambda x: x.mT,
    ],
)
def test_functions_that_rearrange_do_what_they_do_with_arrays(f, rng):
    x = rng.standard_normal((2, 1, 3, 4))
    y, pullback = mg.vjp(f, x)
    np.testing.assert_array_equal(y, f(x))
    w = rng.standard_normal(y.shape)
    assert np.sum(pullback(w) * x) == pytest.approx(np.sum(w * y))  # each went back to its place
    np.testing.assert_array_equal(pullback(f(x)), x)


@pytest.mark.parametrize("refused", [lambda x: np.squeeze(x, 0), lambda x: np.moveaxis(x, 0, 5)])
def test_axes_that_are_not_there_are_refused_in_the_words_of_numpy(refused):
    with pytest.raises(ValueError, match="axis"):
        refused(mg.TensorNode(np.ones((2, 1, 3))))


@pytest.mark.parametrize("op", [mg.Power, mg.MatMul])
def test_a_costly_adjoint_of_a_constant_is_not_computed(op, rng):
    x, y, gz = rng.uniform(0.5, 2.0, (3, 4, 4))
    context = {}
    op.forward(context, x, y)
    both = op.backward(context, gz)
    for wanted in ((True, False), (False, True)):
        found = op.backward(context | {"wanted": wanted}, gz)
        for is_wanted, share, right in zip(wanted, found, both, strict=True):
            assert np.array_equal(share, right) if is_wanted else share is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_exponents_of_any_kind(dtype):
    x = mg.TensorNode([1000.0, 2.0, 3.0])
    np.sum(x ** np.array([0, 2, 1], dtype)).backward()
    np.testing.assert_allclose(x.grad, [0.0, 4.0, 1.0])
