"""Widgets that live on the page: their JavaScript computes, so they move without a kernel.

A page widget is a folder with one ES module and one style sheet. In the repository the module
imports its neighbours (`engine.js`, `toolkit.js`) like any other; a widget in a notebook or in the
built book travels as one text, so `bundle` puts the imported modules in front of it.
"""

import json
import re
from base64 import b64encode
from functools import cache
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from minigrad import display

HERE = Path(__file__).parent

# The ops of shape and blame; `blame`, which runs them, is imported only when one is shown.
BLAMED = "add multiply divide matmul linear expand sum max transpose index exp sigmoid log_softmax"
BLAMED = BLAMED.split()

_IMPORT = re.compile(
    r'^import (?:\* as (?P<whole>\w+)|\{(?P<names>[^}]*)\}) from "(?P<path>\.[^"]+)";$', re.M
)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.M)


def bundle(path):
    """The module at `path` with every module that it imports, as one text.

    Each imported module becomes a function that runs once and returns its exports, so that no two
    share a name. It knows `import {a as b}` and `import * as m` of relative paths, in one line or
    several, and `export` before a function, a class or a const of one name; ValueError for others.
    """
    modules = {}

    def imported(match, folder):
        target = (folder / match["path"]).resolve()
        if target not in modules:
            modules[target] = None  # keeps its place behind the modules that it imports itself
            text = linked(target)
            body = f"{_EXPORT.sub('', text)}\nreturn {{ {', '.join(_EXPORT.findall(text))} }};"
            if unknown := re.search(r"^(?:import|export)\b.*", body, re.M):
                raise ValueError(f"{target.name}: bundle cannot read {unknown[0]!r}")
            del modules[target]
            modules[target] = f"const {handle(target)} = (() => {{\n{body}\n}})();"
        names = match["whole"] or "{" + match["names"].replace(" as ", ": ") + "}"
        return f"const {names} = {handle(target)};"

    def handle(target):
        return "module_" + re.sub(r"\W", "_", target.stem)

    def linked(path):
        text = path.read_text(encoding="utf-8")
        return _IMPORT.sub(lambda match: imported(match, path.parent), text)

    main = linked(Path(path).resolve())
    return "\n".join([*modules.values(), main])


# The styles that all widgets share stand once in a notebook, before those of each: a copy behind
# them, with the next widget, would change what they say.
SHARED = f"""{{
  const shared = document.getElementById("mg-toolkit") ?? document.createElement("style");
  shared.id = "mg-toolkit";
  shared.textContent = {json.dumps((HERE / "toolkit.css").read_text(encoding="utf-8"))};
  document.head.insertBefore(shared, document.querySelector("head style[id^='minigrad.widgets']"));
}}
"""


class PageWidget(anywidget.AnyWidget):
    """An anywidget whose module and styles lie in the folder `widgets/<folder>`, named after it."""

    def __init_subclass__(cls, folder=None, **options):
        if folder is not None:  # traitlets makes nameless subclasses of its own, which inherit
            cls._esm = SHARED + bundle(HERE / folder / f"{folder}.js")
            cls._css = (HERE / folder / f"{folder}.css").read_text(encoding="utf-8")
        super().__init_subclass__(**options)


class Nudge(PageWidget, folder="nudge"):
    """A point on a surface, a short arrow, and what the slopes predict for its other end.

    `surface`  "formula", which is ln(x1) + x1*x2 - sin(x2), or "loss", that of a logistic model
               with four rows over its first two weights
    `at`       the point, two numbers; () for the surface's own start
    `nudge`    the arrow, two numbers; () for the surface's own
    `rate`     the learning rate of a step downhill, above 0

    Raises `traitlets.TraitError` where `surface` or `rate` is not as said, and ValueError where
    `at` or `nudge` has another number of entries.
    """

    surface = traitlets.Enum(["formula", "loss"], "formula").tag(sync=True)
    at = traitlets.List(traitlets.Float()).tag(sync=True)
    nudge = traitlets.List(traitlets.Float()).tag(sync=True)
    rate = traitlets.Float(0.5, min=1e-6).tag(sync=True)

    def __init__(self, surface="formula", at=(), nudge=(), rate=0.5, **options):
        for name, numbers in {"at": at, "nudge": nudge}.items():
            if len(numbers) not in (0, 2):
                raise ValueError(
                    f"{name} has {len(numbers)} numbers; it takes two, as in (2, 5), or none."
                )
        at, nudge = [float(x) for x in at], [float(x) for x in nudge]
        super().__init__(surface=surface, at=at, nudge=nudge, rate=rate, **options)


class TracePlayer(PageWidget, folder="trace_player"):
    """The evaluation trace of a typed expression: tangents forwards, adjoints backwards.

    `expression`  of x1 to x4, with + - * / ** and sin cos tan exp ln sqrt tanh sigmoid relu max
                  abs; a value that is used twice may be named first: "a = exp(x1); a + a**2"
    `at`          the point, x1 first
    `seed`        the direction of the tangents, one number for each input
    `mode`        "forward", "reverse" or "both": which columns and phases are shown; "game": the
                  reader chooses the order in which the steps pass their adjoints on
    `step`        where the stepper stands, 0 for the inputs; -1 for the end
    `moves`       the order chosen so far in the game, by number: [3, 2] when v3 and then v2 went

    Raises `traitlets.TraitError` where `mode` is none of the four, and ValueError where `at` or
    `seed` has more than four numbers. A mistake in the expression is explained by the widget, where
    it is typed.
    """

    expression = traitlets.Unicode().tag(sync=True)
    at = traitlets.List(traitlets.Float()).tag(sync=True)
    seed = traitlets.List(traitlets.Float()).tag(sync=True)
    mode = traitlets.Enum(["forward", "reverse", "both", "game"], "both").tag(sync=True)
    step = traitlets.Int(-1).tag(sync=True)
    moves = traitlets.List(traitlets.Int(min=1)).tag(sync=True)

    def __init__(
        self,
        expression="ln(x1) + x1*x2 - sin(x2)",
        at=(2, 5),
        mode="both",
        seed=(1, 0),
        step=-1,
        **options,
    ):
        for name, numbers in {"at": at, "seed": seed}.items():
            if len(numbers) > 4:
                raise ValueError(
                    f"{name} has {len(numbers)} numbers; there are at most four inputs, x1 to x4."
                )
        at, seed = [float(x) for x in at], [float(x) for x in seed]
        super().__init__(expression=expression, at=at, mode=mode, seed=seed, step=step, **options)


class LiveMLP(PageWidget, folder="live_mlp"):
    """A small network that trains in the page: decision surface, edges, curves, one unit closely.

    `data`            "moons", "circles", "xor", "spirals" (drawn from the seed) or "digits"
    `hidden`          the widths of one to three hidden layers, each 1 to 32
    `activation`      "tanh", "sigmoid" or "relu"
    `rate`            the learning rate, above 0 and at most 100
    `batch`           how many examples a step takes; 0 for the whole training set
    `seed`            draws the points, the first weights and the batches: same seed, same run
    `relu_on_logits`  puts a ReLU on the logits, the mistake that can kill classes

    A toy has 300 points to learn from and 150 to be tested on; the digits are split as
    `minigrad.data.digits()` does. Raises ValueError where the widths are not as said,
    `traitlets.TraitError` where another setting is not, and ImportError for data="digits" where
    scikit-learn is missing.
    """

    data = traitlets.Enum(["moons", "circles", "xor", "spirals", "digits"], "moons").tag(sync=True)
    hidden = traitlets.List(traitlets.Int()).tag(sync=True)
    activation = traitlets.Enum(["tanh", "sigmoid", "relu"], "tanh").tag(sync=True)
    rate = traitlets.Float(0.3, min=1e-6, max=100.0).tag(sync=True)
    batch = traitlets.Int(32, min=0).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=99999).tag(sync=True)
    relu_on_logits = traitlets.Bool(False).tag(sync=True)
    digits = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    def __init__(
        self, data="moons", hidden=(8, 8), activation="tanh", rate=0.3, batch=32, seed=0, **options
    ):
        try:
            digits = packed_digits()
        except ImportError:
            if data == "digits":
                raise
            digits = None  # the menu then offers the toys alone
        settings = dict(data=data, hidden=list(hidden), activation=activation, rate=rate)
        super().__init__(**settings, batch=batch, seed=seed, digits=digits, **options)

    @traitlets.validate("hidden")
    def _check_widths(self, proposal):
        widths = proposal["value"]
        if 1 <= len(widths) <= 3 and all(1 <= width <= 32 for width in widths):
            return widths
        raise ValueError(
            f"hidden={tuple(widths)}; expected one to three widths, each from 1 to 32, as in (8, 8)"
        )


class VCurve(PageWidget, folder="v_curve"):
    """The error of a difference quotient against its step h, and the secant that belongs to it.

    `expression`  of x1 to x4, as in the trace player
    `at`          the point, x1 first
    `along`       the input that is nudged, "x1" to "x4"
    `formula`     "forward", "central", "fourth" (order) or "complex" (step)
    `dtype`       "float64" or "float32", in which every operation is rounded
    `h`           the step at the start, above 0
    `theory`      whether the lines of the two expected errors are drawn
    `revealed`    whether the error is shown at once; else the reader first bets on the best h

    Raises `traitlets.TraitError` where one of these is not as said, and ValueError where `at` has
    more than four numbers. A mistake in the expression is explained by the widget.
    """

    expression = traitlets.Unicode().tag(sync=True)
    at = traitlets.List(traitlets.Float()).tag(sync=True)
    along = traitlets.Enum(["x1", "x2", "x3", "x4"], "x1").tag(sync=True)
    formula = traitlets.Enum(["forward", "central", "fourth", "complex"], "forward").tag(sync=True)
    dtype = traitlets.Enum(["float64", "float32"], "float64").tag(sync=True)
    h = traitlets.Float(1e-4, min=1e-300, max=1000.0).tag(sync=True)
    theory = traitlets.Bool(True).tag(sync=True)
    revealed = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self, expression="ln(x1) + x1*x2 - sin(x2)", at=(2, 5), along="x2", h=1e-4, **options
    ):
        if len(at) > 4:
            raise ValueError(f"at has {len(at)} numbers; there are at most four inputs, x1 to x4.")
        at = [float(x) for x in at]
        super().__init__(expression=expression, at=at, along=along, h=h, **options)


class GradcheckMicroscope(PageWidget, folder="gradcheck_microscope"):
    """A backward, right or wrong, against difference quotients: a heat-map of how far apart they
    are, entry by entry, and for one entry how that depends on the step.

    `op`         "normalize", "softmax", "relu", "sine", "matmul" or "cube"
    `mistake`    "right", or one of the op's own mistakes, such as "zeros"; the widget's menu has
                 them all, and takes "right" where the op has no such mistake
    `cotangent`  "ones" or "random"
    `dtype`      "float64" or "float32", in which every operation is rounded
    `h`          the step, above 0
    `tolerance`  how far apart two numbers that agree may be, above 0
    `distance`   "relative", with a floor of 0.001, or "absolute"
    `entry`      the entry whose curve is shown, 0 to 11, row by row

    Raises `traitlets.TraitError` where one of these is not as said.
    """

    op = traitlets.Enum(
        ["normalize", "softmax", "relu", "sine", "matmul", "cube"], "normalize"
    ).tag(sync=True)
    mistake = traitlets.Unicode("zeros").tag(sync=True)
    cotangent = traitlets.Enum(["ones", "random"], "ones").tag(sync=True)
    dtype = traitlets.Enum(["float64", "float32"], "float64").tag(sync=True)
    h = traitlets.Float(1e-6, min=1e-20, max=10.0).tag(sync=True)
    tolerance = traitlets.Float(1e-5, min=1e-20, max=100.0).tag(sync=True)
    distance = traitlets.Enum(["relative", "absolute"], "relative").tag(sync=True)
    entry = traitlets.Int(0, min=0, max=11).tag(sync=True)

    def __init__(self, op="normalize", mistake="zeros", **options):
        super().__init__(op=op, mistake=mistake, **options)


class CostExplorer(PageWidget, folder="cost_explorer"):
    """What the Jacobian of a network with n inputs and m outputs costs: by forward sweeps, by
    reverse sweeps, by nudging; multiplications, and milliseconds of this machine.

    `n`, `m`    inputs and outputs: 1, 4, 16, 64 or 256
    `width`     of the hidden layer: 16, 128 or 512
    `by`        what the map shows: "count" (multiplications) or "clock"
    `measured`  rows of n, m, width and three times in ms; measured now, if not given, which takes
                a few seconds; [] for none

    Raises `traitlets.TraitError` where a size or `by` is none of these.
    """

    n = traitlets.Enum([1, 4, 16, 64, 256], 256).tag(sync=True)
    m = traitlets.Enum([1, 4, 16, 64, 256], 1).tag(sync=True)
    width = traitlets.Enum([16, 128, 512], 128).tag(sync=True)
    by = traitlets.Enum(["count", "clock"], "count").tag(sync=True)
    measured = traitlets.List().tag(sync=True)

    def __init__(self, n=256, m=1, measured=None, **options):
        if measured is None:
            from minigrad.widgets.sweep_times import sweep_times

            measured = sweep_times()
        super().__init__(n=n, m=m, measured=[list(row) for row in measured], **options)


class MemoryTimeline(PageWidget, folder="memory_timeline"):
    """A chain of steps, forwards and backwards: which states are kept, and which computed twice.

    `length`       how many steps the chain has, 4 to 128
    `plan`         "all" (store every state), "every" (a checkpoint every `every` steps), "sqrt",
                   "recursive" (halve, and halve again) or "own" (those of `checkpoints`)
    `every`        the distance of the checkpoints, 1 to 128
    `checkpoints`  the states that the reader's own plan keeps

    Raises `traitlets.TraitError` where one of these is not as said.
    """

    length = traitlets.Int(100, min=4, max=128).tag(sync=True)
    plan = traitlets.Enum(["all", "every", "sqrt", "recursive", "own"], "all").tag(sync=True)
    every = traitlets.Int(10, min=1, max=128).tag(sync=True)
    checkpoints = traitlets.List(traitlets.Int(min=0, max=127)).tag(sync=True)


class SwellMeter(PageWidget, folder="swell_meter"):
    """How many operations a function takes, its derivative as a formula, and as a program.

    `family`  "logistic", "nested" or "product"
    `n`       the size to begin with: 1 to 8; of the product 2, 3, 4, 5, 6, 8, 10 or 20
    `show`    what is opened: "f", "raw", "simplified", "shared" or "program"

    sympy counts when the first one is made, which takes some seconds. Raises `traitlets.TraitError`
    where `family` or `show` is none of these; ImportError where sympy is missing.
    """

    family = traitlets.Enum(["logistic", "nested", "product"], "logistic").tag(sync=True)
    n = traitlets.Int(5).tag(sync=True)
    show = traitlets.Enum(["f", "raw", "simplified", "shared", "program"], "raw").tag(sync=True)
    recorded = traitlets.Dict().tag(sync=True)

    def __init__(self, family="logistic", n=5, **options):
        super().__init__(family=family, n=n, recorded=swell(), **options)


class ShapeAndBlame(PageWidget, folder="shape_and_blame"):
    """An op on small arrays: which input cells feed an output cell, and what blame comes back.

    `op`      "add", "multiply", "divide", "matmul", "linear", "expand", "sum", "max", "transpose",
              "index", "exp", "sigmoid" or "log_softmax"
    `shapes`  which of the op's settings, from 0
    `drop`, `forget`  whether its backward drops the transpose, forgets the sum

    The mistakes are made in Python when the first one is made. Raises `traitlets.TraitError` where
    `op` is none of these or `shapes` is below 0; beyond the last setting it means the last.
    """

    op = traitlets.Enum(BLAMED, "matmul").tag(sync=True)
    shapes = traitlets.Int(0, min=0).tag(sync=True)
    drop = traitlets.Bool(False).tag(sync=True)
    forget = traitlets.Bool(False).tag(sync=True)
    recorded = traitlets.Dict().tag(sync=True)

    def __init__(self, op="matmul", shapes=0, **options):
        super().__init__(op=op, shapes=shapes, recorded=blame(), **options)


class GraphXray(PageWidget, folder="graph_xray"):
    """A program that minigrad ran, as a graph: each node with all that is known of it, the way back
    turn by turn, by the list and by an engine that counts visits. What one call of a module or of a
    function recorded can be folded into one box.

    `program`   "exponential", "product", "network" or "layers"; or a function of your own, that
                returns a loss, with
    `inputs`    {name: value} for it: floats, arrays of floats, modules
    `node`      the name of the node that is open, such as "b"; a box as a path, "model/first/"; ""
                for the loss
    `unused`    whether the program has a branch that the loss does not need
    `visits`    whether the engine that counts visits is shown beside the list
    `step`      how many turns of the way back have been taken; -1 for all
    `unfolded`  the boxes that are open, as paths: ["model/", "model/first/"]

    Raises `traitlets.TraitError` where `program` is none of these, TypeError where your function
    does not return a node, and ValueError where it uses an op that the page's engine lacks.
    """

    program = traitlets.Unicode("exponential").tag(sync=True)
    node = traitlets.Unicode("").tag(sync=True)
    unused = traitlets.Bool(False).tag(sync=True)
    visits = traitlets.Bool(False).tag(sync=True)
    step = traitlets.Int(-1).tag(sync=True)
    unfolded = traitlets.List(traitlets.Unicode()).tag(sync=True)
    recorded = traitlets.Dict().tag(sync=True)

    def __init__(self, program="exponential", inputs=None, **options):
        found = x_rayed()
        if callable(program):
            from minigrad.widgets.x_ray import x_ray

            trunk, program = x_ray(program, inputs or {}), program.__name__
            found = {program: {"title": program, "trunk": trunk}}
        elif program not in found:
            raise traitlets.TraitError(
                f"program={program!r}; expected {', '.join(found)}, or a function of your own"
            )
        super().__init__(program=program, recorded=found, **options)


class BackwardLab(PageWidget, folder="backward_lab"):
    """The reader writes the backward of an op as an expression; difference quotients judge it,
    and the mistake is named.

    `op`       "relu", "normalize", "divide" or "layernorm"
    `lines`    the gradient of each input, as typed: ("g / b", "-g * a / b**2") for "divide"; () or
               another number of lines starts with one of the op's classic mistakes
    `weights`  of the outputs: "random", "ones" (their plain sum) or "first" (one output alone)

    The hints speak in the words of `gradcheck`. Raises `traitlets.TraitError` where `op` or
    `weights` is none of these. A line that can't be read is explained by the widget.
    """

    op = traitlets.Enum(["relu", "normalize", "divide", "layernorm"], "relu").tag(sync=True)
    lines = traitlets.List(traitlets.Unicode()).tag(sync=True)
    weights = traitlets.Enum(["random", "ones", "first"], "random").tag(sync=True)
    words = traitlets.Dict().tag(sync=True)

    def __init__(self, op="relu", lines=(), weights="random", **options):
        words = {"diagnoses": display.DIAGNOSES, "unknown": display.UNKNOWN}
        super().__init__(op=op, lines=list(lines), weights=weights, words=words, **options)


@cache
def x_rayed():
    """What the graph x-ray shows, recorded once in a session."""
    from minigrad.widgets.x_ray import recorded

    return recorded()


@cache
def swell():
    """What the swell meter shows, counted once in a session."""
    from minigrad.widgets.swell import recorded

    return recorded()


def blame():
    """What shape and blame shows, recorded once in a session."""
    from minigrad.widgets.blame import recorded

    return recorded()


@cache
def packed_digits():
    """The digits as the page reads them: a byte a pixel in base64, the training images first."""
    from minigrad.data import digits

    (X, y), (X_test, y_test) = digits()
    ink = np.rint(16 * np.concatenate([X, X_test])).astype(np.uint8)
    labels = "".join(map(str, np.concatenate([y, y_test])))
    return {"images": b64encode(ink.tobytes()).decode(), "labels": labels, "train": len(y)}
