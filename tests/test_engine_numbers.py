"""The page's engine in other numbers: float32, rounded at each op, and complex, as NumPy has them.

The difference quotients of the V-curve rest on these two. NumPy is the witness: its float64
functions, rounded after each op, and its complex128.
"""

import math
import shutil

import numpy as np
import pytest
import sympy
from test_engine_js import run_engine

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node 20 or newer")

FUNCTIONS = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "exp": np.exp, "ln": np.log, "sqrt": np.sqrt,
    "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}  # fmt: skip
EXPRESSIONS = [
    *[f"{name}(x1)" for name in FUNCTIONS],
    "ln(x1) + x1*x2 - sin(x2)",
    "x1 / x2 - x2 / x1",
    "x2 / (x1 - x2) * 3",
    "x1**3 - x2**-2 + x1**7",
    "x1**2.5 + x2**x1 + 2**x2",
    "tanh(x1*x2) / (1 + exp(-x1))",
    "sqrt(x1**2 + x2**2) - tan(x1 / 3)",
    "sigmoid(sin(x1) * x2 - 5) + cos(x1*x2)",
    "-(x1 - 0.1) * ln(x2 + 0.3)",
]


def python(text, x1, x2):
    return eval(text, {**FUNCTIONS, "x1": x1, "x2": x2})


def engine(jobs):
    answers = run_engine(jobs)
    assert not any("error" in answer for answer in answers), answers
    return answers


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_complex_values_are_numpys(text, rng):
    points = rng.uniform(0.3, 3.0, (20, 2)) + 1j * rng.uniform(-1.0, 1.0, (20, 2))
    jobs = [{"text": text, "complex": [[z.real, z.imag] for z in point]} for point in points]
    for point, answer in zip(points, engine(jobs), strict=True):
        got, expected = complex(*answer["complex"]), python(text, *point)
        assert abs(got - expected) <= 1e-12 * max(1.0, abs(expected))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_tiny_imaginary_part_is_the_slope(text, rng):
    """Im f(x + ih) / h with h = 1e-30 against the formula that sympy finds."""
    x1, x2 = symbols = sympy.symbols("x1 x2")
    names = {name: getattr(sympy, name) for name in FUNCTIONS if hasattr(sympy, name)}
    names |= {"x1": x1, "x2": x2, "sigmoid": lambda z: 1 / (1 + sympy.exp(-z))}
    slope = sympy.lambdify(symbols, sympy.diff(eval(text, names), x1))
    points = rng.uniform(0.6, 2.5, (5, 2))
    answers = engine([{"text": text, "complex": [[a, 1e-30], [b, 0]]} for a, b in points])
    for point, answer in zip(points, answers, strict=True):
        assert answer["complex"][1] / 1e-30 == pytest.approx(slope(*point), rel=1e-11, abs=1e-13)
        assert answer["complex"][0] == pytest.approx(python(text, *point), rel=1e-13, abs=1e-14)


@pytest.mark.parametrize(
    "text, x, value, slope",
    [
        ("x1**2", -3.0, 9.0, -6.0),
        ("x1**-1", -2.0, -0.5, -0.25),
        ("abs(x1)", -2.0, 2.0, -1.0),
        ("abs(x1)", 2.0, 2.0, 1.0),
        ("abs(x1)", 0.0, 0.0, 0.0),
        ("relu(x1)", -2.0, 0.0, 0.0),
        ("relu(x1)", 2.0, 2.0, 1.0),
        ("max(x1, 1)", 1.0, 1.0, 0.0),
        ("max(2*x1, x1)", 3.0, 6.0, 2.0),
        ("tanh(x1)", 800.0, 1.0, 0.0),
        ("sigmoid(x1)", -800.0, 0.0, 0.0),
        ("x1**0", 0.0, 1.0, 0.0),
    ],
)
def test_edges_of_the_complex_step(text, x, value, slope):
    (answer,) = engine([{"text": text, "complex": [[x, 1e-20]]}])
    assert answer["complex"] == pytest.approx([value, slope * 1e-20], rel=1e-15, abs=1e-300)


def test_the_square_root_of_a_negative_number_is_imaginary():
    for z in (-4 + 0j, -4 + 1e-8j, -4 - 1e-8j, 0j, 3 - 4j):
        (answer,) = engine([{"text": "sqrt(x1)", "complex": [[z.real, z.imag]]}])
        assert complex(*answer["complex"]) == pytest.approx(np.sqrt(z), rel=1e-14)


OPS32 = {
    "x1 + x2": lambda a, b: a + b,
    "x1 - x2": lambda a, b: a - b,
    "x1 * x2": lambda a, b: a * b,
    "x1 / x2": lambda a, b: a / b,
    "x1 * 0.1": lambda a, b: a * np.float32(0.1),
    "x1*x2 + x1/x2 - 0.1*x1": lambda a, b: a * b + a / b - np.float32(0.1) * a,
    "(x1 + x2)*(x1 - x2)": lambda a, b: (a + b) * (a - b),
    "sqrt(x1*x1 + x2)": lambda a, b: np.sqrt(a * a + b),
}


@pytest.mark.parametrize("text", OPS32)
def test_float32_is_that_of_numpy_to_the_last_bit(text, rng):
    """+ - * / and the root are rounded correctly by the processor, so there is one right answer."""
    points = rng.uniform(0.1, 10.0, (50, 2))
    points = points[:, :1] if "x2" not in text else points
    jobs = [{"text": text, "complex": [[x, 0] for x in p], "float32": True} for p in points]
    for p, answer in zip(points, engine(jobs), strict=True):
        expected = OPS32[text](np.float32(p[0]), np.float32(p[-1]))
        assert expected.dtype == np.float32
        assert answer["real"] == [float(expected)]
        if "sqrt" not in text and "/" not in text:  # on real numbers the complex ops do the same
            assert answer["complex"][0] == float(expected)


def test_float32_functions_are_the_rounded_float64_ones():
    (answer,) = engine([{"text": "sin(x1)", "complex": [[5.1, 0]], "float32": True}])
    assert answer["real"] == [float(np.float32(math.sin(np.float32(5.1))))]


def test_arrays_have_no_complex_ops_here():
    list_ = {
        "format": "wengert-list", "version": 1,
        "inputs": [{"id": 0, "name": "x1", "value": 1.0}],
        "steps": [{"id": 1, "op": "sum", "inputs": [0], "constants": {}}],
        "outputs": [1],
    }  # fmt: skip
    (answer,) = run_engine([{"list": list_, "complex": [[1.0, 0.0]]}])
    assert '"sum" is for arrays' in answer["error"]
