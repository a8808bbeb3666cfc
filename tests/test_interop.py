"""Ops cross over to PyTorch and back: its own checkers are the judges, and its own functions."""

import builtins
import gc
import importlib
import sys
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.solutions import Normalize, ReLU


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    """Needs no PyTorch: it pretends that there is none."""
    real = builtins.__import__

    def without_torch(name, *args, **kwargs):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    monkeypatch.delitem(sys.modules, "minigrad.interop.torch", raising=False)
    monkeypatch.delattr("minigrad.interop.torch", raising=False)
    with pytest.raises(ImportError, match='pip install "torch>=2.4"'):
        _ = mg.to_torch


def test_other_names_are_still_refused():
    with pytest.raises(AttributeError, match="no attribute 'to_tensorflow'"):
        _ = mg.to_tensorflow


try:
    torch = importlib.import_module("torch")
except ModuleNotFoundError:
    torch = None
needs_torch = pytest.mark.skipif(
    torch is None, reason='PyTorch is missing, ops were NOT tried in it: pip install "torch>=2.4"'
)


class TwoByTwo(mg.Op):
    """Two inputs of different shapes, two outputs, a constant:  (x y, a sin x)."""

    @staticmethod
    def forward(context, x, y, a=1.0):
        context["x"], context["y"], context["a"] = x, y, a
        return x * y, a * np.sin(x)

    @staticmethod
    def backward(context, gp, gs):
        x, y, a = context["x"], context["y"], context["a"]
        return gp * y + gs * a * np.cos(x), gp * x


class Same(mg.Op):
    """y = x, in the very same memory, forward and backward."""

    @staticmethod
    def forward(context, x):
        return x

    @staticmethod
    def backward(context, gy):
        return gy


class Wrong(ReLU):
    """A slope of 2 where it is 1: what the checkers must find."""

    @staticmethod
    def backward(context, gy):
        return 2 * ReLU.backward(context, gy)


class WrongTwice(mg.Op):
    """Right gradients of x², but what the backward keeps is no function of x: no curvature."""

    @staticmethod
    def forward(context, x):
        context["x"] = getattr(x, "value", x)
        return x * x

    @staticmethod
    def backward(context, gy):
        return gy * 2 * context["x"]


class CubeRoot(mg.Op):
    """∛x, with functions of NumPy that minigrad has no rule for."""

    @staticmethod
    def forward(context, x):
        context["x"] = x
        return np.cbrt(x)

    @staticmethod
    def backward(context, gy):
        return gy / (3 * np.cbrt(context["x"]) ** 2)


def tensors(*shapes, dtype="float64"):
    generator = torch.Generator().manual_seed(1964)
    draw = lambda shape: 0.5 + torch.rand(shape, generator=generator, dtype=getattr(torch, dtype))
    return [draw(shape).requires_grad_() for shape in shapes]


def address(array):
    return array.__array_interface__["data"][0]


CONVERTED = {
    "ReLU": (ReLU, [(3, 4)], {}),
    "Normalize": (Normalize, [(3, 4)], {}),
    "Sigmoid": (mg.Sigmoid, [(3, 4)], {}),
    "Sigmoid of a number": (mg.Sigmoid, [()], {}),
    "MatMul": (mg.MatMul, [(2, 3), (3, 4)], {}),
    "Multiply, broadcast": (mg.Multiply, [(3, 1), (4,)], {}),
    "Sum over an axis": (mg.Sum, [(3, 4)], {"axis": 1}),
    "Max": (mg.Max, [(3, 4)], {"axis": 0}),
    "Add": (mg.Add, [(3,), (3,)], {}),
    "two by two": (TwoByTwo, [(3, 2), (2,)], {"a": 3.0}),
    "two numbers": (TwoByTwo, [(), ()], {}),
    "the same": (Same, [(3,)], {}),
}


@needs_torch
@pytest.mark.parametrize("what", CONVERTED)
class TestConverted:
    def test_torchs_gradcheck_and_gradgradcheck_pass(self, what):
        op, shapes, constants = CONVERTED[what]
        f, xs = mg.to_torch(op), tensors(*shapes)
        call = lambda *xs: f(*xs, **constants)
        assert torch.autograd.gradcheck(call, xs)
        assert torch.autograd.gradgradcheck(call, xs)

    def test_there_and_back_passes_minigrads_gradcheck(self, what):
        op, shapes, constants = CONVERTED[what]
        back = mg.from_torch(mg.to_torch(op))
        assert back.__name__ == op.__name__ and back.__doc__ == op.__doc__
        report = mg.gradcheck(back, *[x.detach().numpy() for x in tensors(*shapes)], **constants)
        assert report and report.second_order, report

    def test_back_and_there_passes_torchs(self, what):
        op, shapes, constants = CONVERTED[what]
        twice = mg.to_torch(mg.from_torch(mg.to_torch(op)))
        call, xs = lambda *xs: twice(*xs, **constants), tensors(*shapes)
        assert torch.autograd.gradcheck(call, xs) and torch.autograd.gradgradcheck(call, xs)


@needs_torch
def test_the_checkers_find_a_wrong_backward():
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(mg.to_torch(Wrong), tensors((3, 4)))
    assert torch.autograd.gradcheck(mg.to_torch(WrongTwice), tensors((3, 4)))
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradgradcheck(mg.to_torch(WrongTwice), tensors((3, 4)))
    assert not mg.gradcheck(mg.from_torch(mg.to_torch(Wrong)), np.random.randn(3, 4))


@needs_torch
def test_a_third_derivative():
    (x,) = tensors(())

    def third(y):
        for _ in range(3):
            (y,) = torch.autograd.grad(y, x, create_graph=True)
        return y.item()

    assert third(mg.to_torch(mg.Sigmoid)(x)) == pytest.approx(third(torch.sigmoid(x)), rel=1e-12)


@needs_torch
def test_a_network_of_torch_trains_the_same_with_the_readers_relu():
    x, labels = torch.randn(32, 5), torch.randint(0, 3, (32,))

    def train(relu):
        torch.manual_seed(0)
        layers = [torch.nn.Linear(5, 16), torch.nn.Linear(16, 16), torch.nn.Linear(16, 3)]
        optimiser = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=0.01)
        losses = []
        for _ in range(50):
            hidden = relu(layers[1](relu(layers[0](x))))
            loss = torch.nn.functional.cross_entropy(layers[2](hidden), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses

    torchs = train(torch.relu)
    assert torchs[-1] < 0.8 * torchs[0]
    assert train(mg.to_torch(ReLU)) == torchs  # bit for bit, in float32
    assert train(mg.to_torch(Wrong)) != torchs


@needs_torch
class TestMemory:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_tensors_pass_without_copies(self, dtype):
        seen = {}

        def note(**arrays):  # not the arrays: an array that a spy holds is no longer the op's alone
            seen.update({name: (address(a), a.dtype) for name, a in arrays.items()})

        class Spy(mg.Op):
            @staticmethod
            def forward(context, x):
                y = 2 * x
                note(x=x, y=y)
                return y

            @staticmethod
            def backward(context, gy):
                gx = 2 * gy
                note(gy=gy, gx=gx)
                return gx

        (x,) = tensors((3, 4), dtype=dtype)
        gy = torch.ones_like(x)
        y = mg.to_torch(Spy)(x)
        (gx,) = torch.autograd.grad(y, x, gy)
        for name, tensor in dict(x=x, y=y, gy=gy, gx=gx).items():
            assert seen[name] == (tensor.data_ptr(), dtype), name
            assert tensor.dtype == getattr(torch, dtype), name

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_arrays_pass_without_copies(self, dtype):
        seen = []
        twice = mg.from_torch(lambda x: seen.append(x) or seen.append(2 * x) or seen[1])
        x = mg.TensorNode(np.ones((3, 4), dtype))
        y = twice.do_forward(x)
        assert [tensor.data_ptr() for tensor in seen] == [address(x.value), address(y.value)]
        y.backward()
        assert y.dtype == x.grad.dtype == dtype

    def test_strides_survive(self):
        (x,) = tensors((3, 4))
        assert torch.equal(mg.to_torch(ReLU)(x.T[::2]), torch.relu(x.T[::2]))
        Flip = mg.from_torch(lambda x: 2 * x)
        backwards, frozen = np.arange(3.0)[::-1], np.broadcast_to(1.5, (2, 2))
        assert np.array_equal(Flip.do_forward(backwards), 2 * backwards)
        assert np.array_equal(Flip.do_forward(frozen), 2 * frozen)

    def test_a_result_that_is_its_input_gets_memory_of_its_own(self):
        x, w = tensors((3,), (3,))
        for op, inputs in [(Same, [x]), (mg.Add, [x, w])]:
            y = mg.to_torch(op)(*inputs)
            gy = torch.ones_like(y)
            grads = torch.autograd.grad(y, inputs, gy, create_graph=op is mg.Add)
            own = {t.untyped_storage().data_ptr() for t in (*inputs, y, gy, *grads)}
            assert len(own) == 2 * len(inputs) + 2, op

    @pytest.mark.parametrize("which", ["input", "constant input", "output"])
    def test_a_change_in_place_is_noticed(self, which):
        x, w = tensors((3,), (3,))
        x, w = x * 1, w.detach() if which == "constant input" else w
        y = mg.to_torch(mg.Multiply)(x, w)
        with torch.no_grad():
            {"input": x, "constant input": w, "output": y}[which].add_(1)
        with pytest.raises(RuntimeError, match="inplace operation"):
            torch.autograd.grad(y.sum(), x)

    @pytest.mark.parametrize("order", [1, 2])
    def test_a_graph_is_freed_by_counting_references_alone(self, order):
        there, back, seen = mg.to_torch(ReLU), mg.from_torch(torch.sin), []
        gc.disable()
        try:
            (x,) = tensors((3,))
            y = there(2 * x)
            seen.append(weakref.ref(y.grad_fn))
            for _ in range(order):
                (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
            node = mg.TensorNode(np.ones(3))
            sine = back.do_forward(node)
            seen.append(weakref.ref(sine.source.context["ys"][0]))
            mg.hvp(lambda x: np.sum(back.do_forward(x)), node.value, np.ones(3))
            del x, y, node, sine
            assert [reference() for reference in seen] == [None, None]
        finally:
            gc.enable()


@needs_torch
class TestInputs:
    def test_what_needs_no_gradient_gets_none(self):
        x, w = tensors((3,), (3,))
        multiply = mg.to_torch(mg.Multiply)
        for other in (w.detach(), w.detach().numpy(), 2.0):
            (y,) = torch.autograd.grad(multiply(x, other).sum(), x, create_graph=True)
            assert torch.equal(y, torch.as_tensor(other).expand(3).double())
        assert not multiply(w.detach(), 2.0).requires_grad
        with torch.no_grad():
            assert not multiply(x, w).requires_grad
        constant = w.detach()
        assert torch.autograd.gradgradcheck(lambda x: multiply(x, constant), [x])

    def test_masks_are_welcome(self):
        x, y = tensors((3,), (3,))
        mask = torch.tensor([True, False, True])
        mg.to_torch(mg.Where)(mask, x, y).sum().backward()
        assert torch.equal(x.grad, mask.double()) and torch.equal(y.grad, (~mask).double())

    def test_minigrads_no_grad_does_not_switch_torch_off(self):
        (x,) = tensors((3,))
        with mg.no_grad():
            y = mg.to_torch(mg.Exp)(x)
        y.sum().backward()
        assert torch.equal(x.grad, y)

    def test_the_second_derivative_of_a_straight_line_is_zero(self):
        (x,) = tensors((3,))
        (slope,) = torch.autograd.grad(mg.to_torch(mg.Negate)(x).sum(), x, create_graph=True)
        assert torch.equal(torch.autograd.grad(slope.sum(), x)[0], torch.zeros(3).double())
        line = mg.grad(lambda x: np.sum(mg.from_torch(torch.neg).do_forward(x)))
        assert np.array_equal(mg.grad(lambda x: np.sum(line(x)))(np.ones(3)), np.zeros(3))

    def test_one_output_of_two(self):
        x, y = tensors((3,), (3,))
        _, sine = mg.to_torch(TwoByTwo)(x, y)
        gx, gy = torch.autograd.grad(sine.sum(), [x, y])
        assert torch.allclose(gx, torch.cos(x)) and torch.equal(gy, torch.zeros(3).double())

    def test_labels_and_numbers_on_the_way_back(self):
        logits, labels = np.random.randn(4, 3), np.array([0, 2, 1, 1])
        Loss = mg.from_torch(torch.nn.functional.cross_entropy)
        report = mg.gradcheck(Loss, logits, labels)
        assert report and report.second_order, report
        node = mg.TensorNode(logits)
        Loss.do_forward(node, labels, reduction="sum").backward()
        assert np.allclose(node.grad, 4 * mg.grad(mg.cross_entropy)(logits, labels))
        kinds = []
        Power = mg.from_torch(lambda x, n: kinds.append(type(n)) or x**n)
        single = mg.TensorNode(np.float32([2, 3]))
        y = Power.do_forward(single, 2)
        y.backward()
        assert y.dtype == np.float32 and single.grad.tolist() == [4, 6] and kinds == [int]
        flat = mg.from_torch(lambda x: torch.ones_like(x).detach()).do_forward(single)
        flat.backward()
        assert single.grad.tolist() == [4, 6]


@needs_torch
class TestFromTorch:
    def test_a_function_of_torchs_own_kind(self):
        class Cube(torch.autograd.Function):
            """x³"""

            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x**3

            @staticmethod
            def backward(ctx, gy):
                return 3 * gy * ctx.saved_tensors[0] ** 2

        op = mg.from_torch(Cube)
        assert op.__name__ == "Cube" and issubclass(op, mg.Op)
        assert mg.gradcheck(op, np.random.randn(3)).second_order
        assert mg.grad(mg.grad(mg.grad(op.do_forward)))(2.0) == pytest.approx(6.0)

    def test_a_module(self):
        module = torch.nn.LayerNorm(4, dtype=torch.float64)
        op = mg.from_torch(module)
        assert op.__name__ == "LayerNorm"
        assert mg.gradcheck(op, np.random.randn(3, 4)).second_order
        assert module.weight.grad is None

    def test_several_outputs(self):
        assert mg.gradcheck(mg.from_torch(lambda x: (torch.sin(x), x.sum())), np.ones(3))
        assert mg.gradcheck(mg.from_torch(lambda x: torch.split(x, 2)), np.ones(4))
        Sorted = mg.from_torch(lambda x: torch.sort(x)[:1] + (x.exp(),))
        y, z = Sorted.do_forward(mg.TensorNode([3.0, 1.0, 2.0]))
        assert y.value.tolist() == [1, 2, 3] and np.allclose(z.value, np.exp([3, 1, 2]))

    def test_an_op_by_hand(self):
        op, context = mg.from_torch(torch.nn.functional.nll_loss), {}
        y = op.forward(context, np.float32([[0.5, 2.0]]), np.array([1]))
        assert y == -2 and y.dtype == np.float32
        gx, nothing = op.backward(context, np.float32(3))
        assert gx.tolist() == [[0, -3]] and nothing is None

    def test_jvp_goes_by_two_pullbacks(self):
        op, x, v = mg.from_torch(lambda x: x.exp()), np.random.randn(3), np.random.randn(3)
        y, dy = mg.jvp(op.do_forward, (x,), (v,))
        assert np.allclose(y, np.exp(x)) and np.allclose(dy, np.exp(x) * v)

    @pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
    def test_pytorchs_modes_do_not_switch_minigrad_off(self, mode):
        cube = mg.from_torch(lambda x: x**3)
        with getattr(torch, mode)():
            f = cube.do_forward
            assert mg.grad(f)(2.0) == 12 and mg.grad(mg.grad(f))(2.0) == 12
            assert mg.gradcheck(cube, np.array([1.0, 2.0]))


@needs_torch
class TestRefused:
    def test_integers(self):
        with pytest.raises(TypeError, match=r"torch.int64.*no tiny steps.*x.double\(\)"):
            mg.to_torch(ReLU)(torch.arange(3))

    def test_other_memory(self):
        with pytest.raises(TypeError, match=r"on meta.*x.cpu\(\)"):
            mg.to_torch(ReLU)(torch.ones(3, device="meta"))
        with pytest.raises(TypeError, match=r"sparse.*to_dense"):
            mg.to_torch(ReLU)(torch.eye(3).to_sparse())

    @pytest.mark.skipif(torch is None or not torch.cuda.is_available(), reason="no GPU here")
    def test_a_gpu(self):
        with pytest.raises(TypeError, match=r"on cuda:0.*x.cpu\(\)"):
            mg.to_torch(ReLU)(torch.ones(3, device="cuda"))

    def test_tensors_among_the_constants(self):
        with pytest.raises(TypeError, match=r"constants get no gradient; give a.numpy\(\)"):
            mg.to_torch(TwoByTwo)(*tensors((3,), (3,)), a=torch.tensor(2.0))

    def test_a_second_derivative_that_is_not_possible(self):
        (x,) = tensors((3,))
        root = mg.to_torch(CubeRoot)
        assert torch.autograd.gradcheck(root, [x])
        with pytest.raises(TypeError, match="(?s)create_graph=True.*np.cbrt"):
            torch.autograd.grad(root(x).sum(), x, create_graph=True)

    @pytest.mark.parametrize("op", [ReLU.do_forward, ReLU(), 3])
    def test_to_torch_of_no_op(self, op):
        with pytest.raises(TypeError, match="expected a subclass of minigrad.Op"):
            mg.to_torch(op)

    @pytest.mark.parametrize("name", ["ReLU", "Module"])
    def test_from_torch_of_a_class(self, name):
        with pytest.raises(TypeError, match=r"module \(say torch.nn.ReLU\(\)\), not <class"):
            mg.from_torch(getattr(torch.nn, name))
        with pytest.raises(TypeError, match="not 3"):
            mg.from_torch(3)

    def test_a_function_that_returns_no_tensor(self):
        for made, what in [(lambda x: x.sum().item(), "3.0"), (lambda x: [x], r"\[tensor")]:
            with pytest.raises(TypeError, match=f"must return tensors, but it returned {what}"):
                mg.from_torch(made).do_forward(mg.TensorNode(np.ones(3)))

    def test_a_shape_that_does_not_fit(self):
        with pytest.raises(ValueError, match=r"MatMul of shapes \(2, 3\) and \(2, 3\)"):
            mg.to_torch(mg.MatMul)(*tensors((2, 3), (2, 3)))
