"""Derivatives of the first, second and third order of every op, and of ops that a reader writes.

A weighted sum φ(x…) = Σ w ∘ op(x…) is differentiated along random directions u and v:

    g₁ = ∇φ        g₂ = ∇(g₁ · u)        g₃ = ∇(g₂ · v)

and all entries of g₁, g₂ and g₃ are compared, |a − b| ≤ 1e-10 max(1, |b|), with PyTorch's (autograd
of autograd) and with sympy's (formulas). The table says from which order on an op has nothing but
zeros: no less, no more.
"""

from functools import partial

import numpy as np
import pytest
import sympy
from ops_table import CASES, MASK, TABLE, label
from test_ops import problem

import minigrad as mg
from minigrad.core import pull_back

ORDERS = 3


def close(found, expected, what=""):
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10, err_msg=what)


class Problem:
    """An op at a point: φ as a function of the inputs that are no masks, and the directions."""

    def __init__(self, row, shapes, constants, rng):
        self.row, self.constants = row, constants
        self.inputs, self.w = problem(row, shapes, constants, rng)
        self.active = [i for i, domain in enumerate(row.domains) if domain is not MASK]
        self.x = [self.inputs[i] for i in self.active]
        self.directions = [[rng.standard_normal(x.shape) for x in self.x] for _ in range(ORDERS)]

    def phi(self, op, total=np.sum, array=np.asarray):
        """φ in the words of a library: its op, its sum over all entries, its arrays."""
        inputs, w = [array(x) for x in self.inputs], array(self.w)

        def weighted(*active):
            for i, x in zip(self.active, active, strict=True):
                inputs[i] = x
            return total(w * op(*inputs, **self.constants))

        return weighted


def along(gradients, direction, total=np.sum):
    return sum(total(g * v) for g, v in zip(gradients, direction, strict=True))


def by_nested_grad(phi, x, directions):
    """[g₁, g₂, g₃] of minigrad: a gradient is a function, and so has a gradient."""
    found = []
    for direction in directions:
        gradients = [mg.grad(phi, position) for position in range(len(x))]
        found.append([gradient(*x) for gradient in gradients])
        phi = lambda *x, gs=gradients, v=direction: along([g(*x) for g in gs], v)
    return found


def by_differentiable_walks(phi, x, directions):
    """The same from one list: each walk backwards is recorded, and so can be walked itself."""
    nodes = [mg.TensorNode(x) for x in x]
    y, found = phi(*nodes), []
    for direction in directions:
        one = mg.TensorNode(np.ones(()))
        g = pull_back([y], [one], wrt=nodes, differentiable=True)
        g = [np.zeros_like(x) if s is None else s for x, s in zip(nodes, g, strict=True)]
        found.append([getattr(share, "value", share) for share in g])
        y = along(g, direction)
        if not isinstance(y, mg.TensorNode):  # a constant: all further derivatives are zeros
            zeros = [np.zeros(x.shape) for x in nodes]
            return found + [zeros] * (len(directions) - len(found))
    return found


def by_pytorch(torch, phi, x, directions):
    tensors = [torch.tensor(x, requires_grad=True) for x in x]
    y, found = phi(*tensors), []
    for direction in directions:
        g = [torch.zeros_like(x) for x in tensors]
        if y.requires_grad:
            g = torch.autograd.grad(y, tensors, create_graph=True, allow_unused=True)
            g = [torch.zeros_like(x) if s is None else s for x, s in zip(tensors, g, strict=True)]
        found.append([share.numpy(force=True) for share in g])
        y = along(g, [torch.tensor(v) for v in direction], torch.sum)
    return found


def by_sympy(phi, x, directions):
    symbols = [
        np.reshape(sympy.symbols(f"x{i}_:{x.size}", real=True), x.shape) for i, x in enumerate(x)
    ]
    flat = [s for array in symbols for s in array.flat]
    point = dict(zip(flat, [float(v) for array in x for v in array.flat], strict=True))
    number = lambda entry: float(sympy.sympify(entry).subs(point).doit())
    y, found = phi(*symbols), []
    for direction in directions:
        g = [np.reshape([sympy.diff(y, s) for s in array.flat], array.shape) for array in symbols]
        found.append([np.vectorize(number, otypes=[float])(share) for share in g])
        y = along(g, direction)
    return found


def each(found, expected, name):
    for order, (ours, theirs) in enumerate(zip(found, expected, strict=True), 1):
        for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            close(a, b, f"{name}: order {order}, input {position}")


@pytest.mark.parametrize("row, shapes, constants", CASES, ids=label)
def test_three_orders_are_those_of_pytorch(row, shapes, constants, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional witness")
    given = Problem(row, shapes, constants, rng)
    theirs = given.phi(partial(row.torch, torch), torch.sum, torch.tensor)
    expected = by_pytorch(torch, theirs, given.x, given.directions)
    ours = given.phi(row.op.do_forward)
    each(by_nested_grad(ours, given.x, given.directions), expected, row.name)
    each(by_differentiable_walks(ours, given.x, given.directions), expected, row.name)


def small_cases():
    """One case of each op for sympy, which is slow: the smallest with more than a single number."""
    for row in TABLE:
        sizes = [sum(int(np.prod(s)) for s in shapes) for shapes, _ in row.cases]
        several = [n for n in sizes if n > len(row.domains)] or sizes
        yield (row, *row.cases[sizes.index(min(several))])


@pytest.mark.parametrize("row, shapes, constants", list(small_cases()), ids=label)
def test_three_orders_are_those_of_sympy(row, shapes, constants, rng):
    given = Problem(row, shapes, constants, rng)
    expected = by_sympy(given.phi(row.sympy), given.x, given.directions)
    found = by_nested_grad(given.phi(row.op.do_forward), given.x, given.directions)
    each(found, expected, row.name)


@pytest.mark.parametrize("row, shapes, constants", CASES, ids=label)
def test_the_table_says_from_which_order_on_all_is_zero(row, shapes, constants, rng):
    """An op that bends nowhere has `zero_from=2`, a product of two 3; None: it never stops."""
    given = Problem(row, shapes, constants, rng)
    found = by_nested_grad(given.phi(row.op.do_forward), given.x, given.directions)
    moves = [any(np.any(share != 0) for share in shares) for shares in found]
    below = [row.zero_from is None or order < row.zero_from for order in (1, 2, 3)]
    assert moves == below, (
        f"{row.name} has derivatives at the orders {[n for n in (1, 2, 3) if moves[n - 1]]}, but "
        f"its row in ops_table.py says zero_from={row.zero_from}"
    )


# Ops that a reader writes, in the very form of the source documents: nothing else is needed.


class ReLU(mg.Op):
    @staticmethod
    def forward(context, input):
        context["relu_input"] = input
        return np.where(input > 0.0, input, 0.0)

    @staticmethod
    def backward(context, goutput):
        input = context["relu_input"]
        return goutput * np.where(input > 0.0, 1.0, 0.0)


class Normalize(mg.Op):
    @staticmethod
    def forward(context, x):
        sumd = x.sum(axis=1, keepdims=True)
        context["x"], context["sumd"] = x, sumd
        return x / sumd

    @staticmethod
    def backward(context, go):
        x, sumd = context["x"], context["sumd"]
        return (go / sumd) - ((go * x) / (sumd * sumd)).sum(axis=1, keepdims=True)


class Sigmoid(mg.Op):
    @staticmethod
    def forward(context, input):
        sigx = 1 / (1 + np.exp(-input))
        context["sigx"] = sigx
        return sigx

    @staticmethod
    def backward(context, goutput):
        sigx = context["sigx"]
        return goutput * sigx * (1 - sigx)


@pytest.mark.parametrize("op", [ReLU, Normalize, Sigmoid], ids=lambda op: op.__name__)
def test_three_orders_of_an_op_that_a_reader_wrote(op, rng):
    (row,) = [row for row in TABLE if row.name == op.__name__]
    given = Problem(row, ((1, 3),), {}, rng)
    expected = by_sympy(given.phi(row.sympy), given.x, given.directions)
    ours = given.phi(op.do_forward)
    found = by_nested_grad(ours, given.x, given.directions)
    each(found, expected, op.__name__)
    each(by_differentiable_walks(ours, given.x, given.directions), expected, op.__name__)
    print(f"{op.__name__} at x = {given.x[0]}")
    for order, (mine, formula) in enumerate(zip(found, expected, strict=True), 1):
        print(f"  order {order}: minigrad {mine[0]}, sympy {formula[0]}")


def test_the_second_derivative_of_normalize_by_hand():
    """y₁ = x₁ / (x₁ + x₂ + x₃) at (1, 2, 3): ∂²y₁/∂x₁² = −2 (x₂ + x₃) / s³ = −10/216, and so on."""
    H = mg.hessian(lambda x: Normalize.do_forward(x)[0, 0])(np.array([[1.0, 2.0, 3.0]]))
    by_hand = np.array([[-10, -4, -4], [-4, 2, 2], [-4, 2, 2]]) / 216
    print("Hessian of y₁, times 216:", *(H.reshape(3, 3) * 216), sep="\n")
    np.testing.assert_allclose(H.reshape(3, 3), by_hand, rtol=1e-12)


# Matrices of derivatives, against torch.func.


def network(x, ops, concatenate):
    """From a matrix (1, 3) to a vector of 4: the reader's ops, one after the other."""
    relu, normalize, sigmoid = ops
    h = normalize(sigmoid(x) * x * x)
    return concatenate([relu(h - 0.2)[0] * x[0], (sigmoid(3.0 * h) * h).sum(-1)])


@pytest.fixture
def theirs():
    torch = pytest.importorskip("torch", reason="PyTorch is an optional witness")
    ops = torch.relu, lambda x: x / x.sum(1, keepdim=True), torch.sigmoid
    return torch, lambda x: network(x, ops, torch.cat)


def ours(x):
    return network(x, [op.do_forward for op in (ReLU, Normalize, Sigmoid)], np.concatenate)


X = np.array([[1.1, 0.6, 1.9]])


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobians_are_those_of_torch_func(theirs, mode):
    torch, f = theirs
    way = {"forward": torch.func.jacfwd, "reverse": torch.func.jacrev}[mode]
    expected = way(f)(torch.tensor(X)).numpy()
    assert expected.shape == (4, 1, 3)
    close(mg.jacobian(ours, mode)(X), expected)


def test_hessians_are_those_of_torch_func(theirs):
    torch, f = theirs
    expected = torch.func.hessian(lambda x: (f(x) ** 3).sum())(torch.tensor(X)).numpy()
    scalar = lambda x: np.sum(ours(x) ** 3)
    close(mg.hessian(scalar)(X), expected)
    v = np.array([[0.3, -1.0, 2.0]])
    along_v = np.tensordot(expected, v, 2)
    close(mg.hvp(scalar, X, v), along_v, "pulled back through the gradient")
    close(mg.jvp(mg.grad(scalar), (X,), (v,))[1], along_v, "forward over reverse")


# That the comparison can fail.


class Blind(mg.Tanh):
    """1 − y² with the number y in place of the node: right once, and then a constant."""

    @staticmethod
    def forward(context, x):
        y = np.tanh(x)
        context["x"], context["y"] = x, getattr(y, "value", y)
        return y


class BlindOneOrderOn(mg.Tanh):
    """Run on a node, it hands over to `Blind`: right to the second order, wrong in the third."""

    @staticmethod
    def forward(context, x):
        context["x"], context["y"] = x, (y := Blind.do_forward(x))
        return y


@pytest.mark.parametrize("op, right_orders", [(mg.Tanh, 3), (BlindOneOrderOn, 2), (Blind, 1)])
def test_a_rule_that_is_wrong_in_a_higher_order_is_found(op, right_orders, rng):
    (row,) = [row for row in TABLE if row.op is mg.Tanh]
    given = Problem(row, ((1, 3),), {}, rng)
    expected = by_sympy(given.phi(row.sympy), given.x, given.directions)
    found = by_nested_grad(given.phi(op.do_forward), given.x, given.directions)
    agree = [np.allclose(a, b, rtol=1e-10) for a, b in zip(found, expected, strict=True)]
    assert agree == [order <= right_orders for order in (1, 2, 3)]
