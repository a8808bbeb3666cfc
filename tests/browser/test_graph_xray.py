"""The graph x-ray: every node says what minigrad says of it; the visit counter stops where it
must."""

import json
import re

import numpy as np
import pytest
import traitlets

import minigrad as mg
from minigrad.nn import MLP, Module
from minigrad.widgets import GraphXray
from minigrad.widgets.x_ray import PROGRAMS, Run, leaf, page_ops, recorded, x_ray

DEMO = "demo.html?widget=graph_xray"
OPEN = ["model/", "model/first/", "model/second/"]
UNFOLDED = f"&unfolded={json.dumps(OPEN)}"


@pytest.fixture
def xray(open_page, package_site):
    def open_xray(query="", fragment="", **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 900, **options})
        page.locator(".mg-xray-details dd").first.wait_for()
        return page

    return open_xray


def says(page, words):
    from playwright.sync_api import expect

    expect(page.locator(".mg-summary").first).to_contain_text(words)


def details(page):
    rows = page.locator(".mg-xray-details > div")
    return {row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in rows.all()}


def numbers(text):
    text = text.replace("−", "-").replace("\xa0", " ")
    return np.array([float(x) for x in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)])


def node(page, name):
    own = page.locator(".mg-card-name", has_text=re.compile(f"^{name}$"))
    return page.locator(".mg-node").filter(has=own)


def said(card):
    return card.locator(".mg-card-number").all_text_contents()


def ran(key, unused):
    """A program run by minigrad alone: its loss, and {name: node} of all that it named."""
    program, _, inputs = PROGRAMS[key]
    if "model" in inputs:
        inputs["model"].zero_grad()
    given = {name: leaf(value) for name, value in inputs.items()}
    found = Run(program, given | {"unused": unused})
    return found.end, found.names


def by_minigrad(key, unused):
    """The nodes of a program after minigrad's own backward."""
    loss, names = ran(key, unused)
    loss.backward()
    return names


def counted(key, unused):
    """The gradients of an engine that counts visits, on minigrad's records."""
    loss, names = ran(key, unused)
    uses, visits, bar = {}, {}, {id(loss): 1.0}
    for record in mg.wengert_list(*[x for x in names.values() if x.source]):
        for x in record.nodes():
            uses[id(x)] = uses.get(id(x), 0) + 1

    def visit(x):
        visits[id(x)] = visits.get(id(x), 0) + 1
        if x.source is None or visits[id(x)] < uses.get(id(x), 0):
            return
        shares = x.source.op.backward(x.source.context, bar[id(x)])
        for y, share in zip(x.source.inputs, shares if isinstance(shares, tuple) else (shares,)):
            if isinstance(y, mg.TensorNode):
                bar[id(y)] = bar.get(id(y), 0.0) + share
                visit(y)

    visit(loss)
    return {name: bar.get(id(x), np.zeros(x.shape)) for name, x in names.items()}


def test_the_demo_shows_what_python_records():
    from minigrad.widgets.page import HERE

    committed = json.loads((HERE / "graph_xray" / "recorded.json").read_text())
    now = json.loads(json.dumps(recorded()))
    assert committed.keys() == now.keys()
    for key in now:
        for one in ("trunk", "branch"):
            was, new = committed[key][one], now[key][one]
            assert all(was[name] == new[name] for name in ("source", "unused", "groups"))
            for a, b in zip(was["steps"], new["steps"], strict=True):
                assert np.allclose(numbers(str(a.pop("value"))), numbers(str(b.pop("value"))))
                assert a == b


def test_every_step_knows_its_line_its_name_and_its_notes():
    whole = recorded()["network"]["branch"]
    source, steps = whole["source"], {step["name"]: step for step in whole["steps"]}
    assert source[steps["h"]["line"]].strip() == "h = np.tanh(X @ W)"
    assert source[steps["size"]["line"]].strip() == "size = np.mean(h * h)"
    assert steps["h"]["class"] == "Tanh"
    h = by_minigrad("network", True)["h"]
    assert sum(n["bytes"] for n in steps["h"]["context"]) == sum(
        x.nbytes for x in h.source.context.values()
    )
    assert {"key": "y", "bytes": h.value.nbytes, "of": steps["h"]["id"]} in steps["h"]["context"]
    assert recorded()["network"]["trunk"]["unused"] is None


@pytest.mark.parametrize("key", PROGRAMS)
@pytest.mark.parametrize("unused", [False, True])
def test_each_node_says_what_minigrad_says(xray, key, unused):
    page = xray(f"&program={key}&visits{'&unused' if unused else ''}{UNFOLDED}")
    counts = counted(key, unused)
    for name, found in by_minigrad(key, unused).items():
        node(page, name).locator(".mg-hit").click()
        told = details(page)
        assert told["node"].startswith(name)
        shape = found.value.shape
        assert np.allclose(numbers(told["value"]).reshape(shape), found.value, atol=6e-4)
        if name not in ("metric", "size"):
            assert np.allclose(numbers(told["grad"]).reshape(shape), found.grad, atol=6e-4)
            text = told["grad, by visits"].split("✗ ")[-1]
            shown = numbers(text)[: found.value.size].reshape(shape)
            assert np.allclose(shown, counts[name], atol=6e-4), name
            wrong = not np.allclose(counts[name], found.grad)
            assert wrong == ("wrong" in told["grad, by visits"])
        if found.source:
            assert told["op"] == found.source.op.__name__
            kept = sum(getattr(note, "nbytes", 0) for note in found.source.context.values())
            assert numbers(told["context"])[:1].tolist() == ([kept] if found.source.context else [])


def test_the_unused_branch_silences_the_visit_counter_and_not_the_list(xray):
    page = xray()
    a = node(page, "a")
    assert said(a) == ["1", "2.7183"]
    page.get_by_role("switch", name="Visit counter beside the list").check()
    assert said(a) == ["1", "2.7183", "2.7183"]
    page.get_by_role("switch", name="Add an unused branch").check()
    assert said(a) == ["1", "2.7183", "✗ 0"]
    says(page, "stopped after 1 of 2 turns, without a word: b had 1 of its 3 visits")
    page.get_by_role("switch", name="Add an unused branch").uncheck()
    assert "✗" not in page.locator(".mg-graph").text_content()


def test_the_keyboard_goes_from_node_to_node(xray):
    page = xray("&program=product")
    node(page, "x1").locator(".mg-hit").focus()
    for key, name in [("ArrowRight", "x2"), ("ArrowDown", "u")]:
        page.keyboard.press(key)
        assert details(page)["node"] == name
    page.keyboard.press("End")
    assert details(page)["node"] == "y"
    assert details(page)["made by line"] == "y = u + p - s"
    page.keyboard.press("ArrowLeft")
    assert details(page)["made by line"] == "y = u + p - s", "one line, two records"
    page.keyboard.press("Home")
    assert details(page)["users"].split() == ["u", "p"]
    page.get_by_role("button", name="p", exact=True).click()
    assert details(page)["inputs"].split() == ["x1", "x2"]
    assert page.locator(".mg-xray-line.mg-here").inner_text().endswith("p = x1 * x2")


def test_the_way_back_turn_by_turn(xray):
    page = xray("&program=product")
    page.get_by_role("button", name="Before the way back").click()
    grads = lambda name: said(node(page, name))[1]
    assert [grads(name) for name in ("y", "u", "x1", "x2")] == ["1", "0", "0", "0"]
    says(page, "has not begun")
    seen = []
    for _ in range(5):
        page.get_by_role("button", name="Next turn").click()
        seen.append([grads(name) for name in ("u", "x1", "x2")])
    assert seen[1] == ["1", "0", "0"]
    assert seen[2] == ["1", "0", "−0.2837"], "the sine has sent its share"
    assert seen[-1] == ["1", "5.5", "1.7163"]
    says(page, "All records have had their turn")


def test_table_link_and_reset(xray):
    page = xray(fragment="#xray=network&xray.node=h&xray.unused=1&xray.visits=1")
    assert details(page)["node"] == "h"
    page.get_by_role("switch", name="Show as table").check()
    rows = page.locator(".mg-table tbody tr")
    assert rows.count() == 12 and not page.locator(".mg-xray-stage").is_visible()
    assert "not on the list" in rows.filter(has_text="size").last.inner_text()
    w = rows.filter(has=page.get_by_role("rowheader", name="W", exact=True)).inner_text()
    assert "✗" in w
    page.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(250)
    assert details(page)["node"] == "loss" and "xray=exponential" in page.url
    assert "visits" not in page.url and page.locator(".mg-xray-stage").is_visible()
    page = xray(fragment="#xray=elsewhere&xray.node=zz")
    assert details(page)["node"] == "loss"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(xray, axe, theme):
    page = xray(f"&theme={theme}&program=network&unused&visits", scheme=theme)
    assert axe(page) == []
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []


@pytest.mark.parametrize("key", PROGRAMS)
def test_it_fits_a_phone_and_obeys_reduced_motion(xray, key):
    page = xray(f"&program={key}&unused&visits", width=390, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="Show as table").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    moving = "document.getAnimations().filter(a => a.timeline === document.timeline).length"
    assert page.evaluate(moving) == 0


def test_python_refuses_what_it_cannot_show():
    assert GraphXray("network").program == "network"
    with pytest.raises(traitlets.TraitError):
        GraphXray("elsewhere")


# ---- Modules that fold ---------------------------------------------------------------------------


class Cell(Module):
    """x -> x * w, whose product a caller can also see."""

    def __init__(self, w):
        self.w = mg.TensorNode(w)

    def forward(self, x):
        self.product = x * self.w
        return np.sin(self.product)


class Pair(Module):
    def __init__(self, *cells):
        self.cells = list(cells)

    def forward(self, x):
        for cell in self.cells:
            x = cell(x)
        return x


def squared(x):
    return x * x


def distance(x, y):
    return np.sqrt(squared(x) + squared(y))


def paths(whole):
    """The groups as paths, and for each step the path of its group."""
    groups = whole["groups"]

    def path(i):
        return "" if i is None else path(groups[i]["inside"]) + groups[i]["name"] + "/"

    return [path(i) for i in range(len(groups))], [path(s["group"]) for s in whole["steps"]]


def test_steps_know_the_module_that_made_them_and_its_module():
    whole = recorded()["layers"]["branch"]
    found, of_step = paths(whole)
    assert found == ["model/", "model/first/", "model/second/"]
    assert [g["class"] for g in whole["groups"]] == ["Network", "Layer", "Layer"]
    assert {g["kind"] for g in whole["groups"]} == {"module"}
    assert of_step == ["model/first/"] * 3 + ["model/second/"] * 3 + [""] * 5
    calls = [whole["source"][g["line"]].strip() for g in whole["groups"]]
    assert calls == ["y = model(X)"] + ["return self.second(self.first(x))"] * 2
    made = {whole["source"][s["line"]].strip() for s in whole["steps"][:6]}
    assert made == {"return np.tanh(x @ self.weight + self.bias)"}
    of_leaf = {leaf["name"]: leaf["group"] for leaf in whole["inputs"]}
    assert of_leaf["X"] is of_leaf["t"] is None
    assert found[of_leaf["model.second.bias"]] == "model/second/"


def test_a_module_called_twice_makes_two_groups_and_owns_its_weight_with_neither():
    cell = Cell(0.5)
    whole = x_ray(lambda net, x: net(x), {"net": Pair(cell, cell, Cell(2.0)), "x": 1.5})
    found, of_step = paths(whole)
    # The list `cells` is part of a name, as in named_parameters().
    assert found == ["net/", "net/cells.0/", "net/cells.0 (2)/", "net/cells.2/"]
    assert of_step == [path for path in found[1:] for _ in range(2)]
    homes = {leaf["name"]: leaf["group"] for leaf in whole["inputs"]}
    assert homes == {"net.cells.0.w": 0, "net.cells.2.w": 3, "x": None}


def test_functions_of_the_reader_are_groups_too():
    def loss_of(x, y):
        both = [squared(one) for one in (x, y)]
        return distance(x, y) + both[0]

    whole = x_ray(loss_of, {"x": 3.0, "y": 4.0})
    found, of_step = paths(whole)
    inner = ["distance/squared/", "distance/squared (2)/"]
    # The second square of the program's own is on no list: nobody needs it, nor its group.
    assert found == ["squared/", "distance/", *inner]
    assert of_step == ["squared/", *inner, "distance/", "distance/", ""]
    assert {g["kind"] for g in whole["groups"]} == {"function"}
    assert (
        whole["source"][whole["groups"][2]["line"]] == "    return np.sqrt(squared(x) + squared(y))"
    )
    assert [line for line in whole["source"] if line.startswith("def ")] == [
        "def squared(x):",
        "def distance(x, y):",
        "def loss_of(x, y):",
    ]


def test_the_networks_of_the_package_fold_too():
    whole = x_ray(
        lambda net, x: np.sum(net(x)), {"net": MLP([2, 3, 1], rng=0), "x": np.ones((4, 2))}
    )
    assert paths(whole) == (
        ["net/", "net/layers.0/", "net/layers.1/"],
        ["net/layers.0/", "net/", "net/layers.1/", ""],
    )
    assert [step["class"] for step in whole["steps"]] == ["Affine", "Tanh", "Affine", "Sum"]


def test_a_group_is_one_piece_of_the_list():
    """Nothing of anybody else's lies between two steps of a group, so folding makes no cycle."""

    def loss_of(net, x):
        y = net(distance(x, net(x)))
        return y * net.cells[1].product

    whole = x_ray(loss_of, {"net": Pair(Cell(0.5), Cell(2.0)), "x": 1.5})
    found, of_step = paths(whole)
    assert "net (2)/cells.1/" in found
    for group in found:
        held = [i for i, path in enumerate(of_step) if path.startswith(group)]
        assert held == list(range(held[0], held[-1] + 1))


def test_python_refuses_a_program_that_it_cannot_show_and_says_why():
    with pytest.raises(TypeError, match="returned ndarray; the x-ray needs a node"):
        x_ray(lambda x: x.value, {"x": np.ones(2)})
    scores, labels = np.ones((2, 3)), np.array([0, 2])
    with pytest.raises(ValueError, match="uses crossentropy, which the page's engine does"):
        x_ray(mg.cross_entropy, {"logits": scores, "labels": labels})
    assert {"matmul", "affine", "tanh", "logsumexp"} <= page_ops()


def box(page, name):
    return page.get_by_role("button", name=re.compile(rf"^{name}, a (Network|Layer), "))


def cards(page):
    return [name.removeprefix("▸ ") for name in page.locator(".mg-card-name").all_text_contents()]


def expanded(locator):
    return locator.get_attribute("aria-expanded")


def test_a_folded_module_says_what_is_in_it(xray):
    page = xray("&program=layers")
    assert cards(page) == ["X", "t", "model", "error", "v8", "loss"]
    model = box(page, "model")
    assert expanded(model) == "false"
    names = by_minigrad("layers", False)
    records = [r for r in mg.wengert_list(names["y"])]
    kept = sum(getattr(n, "nbytes", 0) for r in records for n in r.context.values())
    assert f"6 ops, {kept} bytes in contexts" in model.get_attribute("aria-label")
    assert said(node(page, "▸ model")) == [f"{kept} B", "4×1", "≤ 0.27"]
    model.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    told = details(page)
    assert told["module"].startswith("model/, a Network")
    assert (told["inputs"], told["outputs"]) == ("X", "y")
    assert told["ops"] == "6: MatMul, Add, Tanh, MatMul, Add, Tanh"
    assert told["contexts"] == f"{kept} bytes in arrays, in 6 records"
    assert told["called by line"] == "y = model(X)"
    assert np.allclose(numbers(told["value of y"]).reshape(4, 1), names["y"].value, atol=6e-4)
    assert np.allclose(numbers(told["grad of y"]).reshape(4, 1), names["y"].grad, atol=6e-4)
    says(page, "model, a Network, is folded: 6 ops")


def test_a_click_unfolds_and_folds(xray):
    page = xray("&program=layers")
    box(page, "model").click()
    assert cards(page) == ["X", "t", "first", "second", "error", "v8", "loss"]
    assert expanded(box(page, "model")) == "true"
    box(page, "first").click()
    inside = ["weight", "v1", "bias", "v2", "v3"]
    assert sorted(cards(page)[2:7]) == sorted(inside) and cards(page)[7] == "second"
    says(page, "first, a Layer, is open: 3 ops")
    assert "v3" in details(page)["outputs"]
    box(page, "first").click()
    box(page, "model").click()
    assert cards(page) == ["X", "t", "model", "error", "v8", "loss"]
    page.get_by_role("button", name="Unfold all").click()
    assert cards(page).count("weight") == 2
    page.get_by_role("button", name="Fold all").click()
    assert "model" in cards(page)


def test_the_keyboard_folds(xray):
    page = xray("&program=layers")
    focused = lambda: page.evaluate(
        "document.activeElement.getAttribute('aria-label').split(',')[0]"
    )
    node(page, "t").locator(".mg-hit").focus()
    page.keyboard.press("ArrowDown")
    assert focused() == "model" and expanded(box(page, "model")) == "false"
    page.keyboard.press("ArrowRight")
    assert focused() == "model" and expanded(box(page, "model")) == "true"
    page.keyboard.press("ArrowRight")
    assert focused() == "first"
    page.keyboard.press("Enter")
    assert expanded(box(page, "first")) == "true"
    page.keyboard.press("ArrowDown")
    assert focused() == "model.first.weight"
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    assert focused() == "first" and expanded(box(page, "first")) == "false"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert focused() == "model" and expanded(box(page, "model")) == "false"
    page.keyboard.press("ArrowUp")
    assert focused() == "t"
    assert page.locator(".mg-hit[tabindex='0']").count() == 1


def test_choosing_what_is_inside_opens_the_way_to_it(xray):
    page = xray("&program=layers&node=model/")
    page.get_by_role("button", name="model.second.bias").click()
    assert [expanded(box(page, name)) for name in ("model", "second")] == ["true", "true"]
    assert details(page)["inside"] == "model/second/"
    assert page.locator(".mg-chosen .mg-card-name").inner_html() == "bias"
    page.get_by_role("button", name="model/second/", exact=True).click()
    page.locator(".mg-xray-details").get_by_role("button", name="Fold").click()
    assert page.evaluate("document.activeElement.dataset.fold") == "model/second/"
    assert expanded(page.locator(".mg-xray-details [data-fold]")) == "false"


def test_open_boxes_are_in_the_link_and_in_the_model(xray):
    page = xray("&program=layers")
    box(page, "model").click()
    box(page, "second").click()
    page.wait_for_timeout(250)
    assert "xray.unfolded=model/,model/second/" in page.url
    assert page.evaluate("window.model.get('unfolded')") == ["model/", "model/second/"]
    again = xray(fragment=page.url.partition("#")[2].join(["#", ""]))
    assert cards(again) == cards(page)
    assert details(again) == details(page)
    again.get_by_role("button", name="Reset").click()
    again.wait_for_timeout(250)
    assert "unfolded" not in again.url


def test_the_table_groups_as_the_picture_does(xray):
    page = xray("&program=layers")
    page.get_by_role("switch", name="Show as table").check()
    heads = lambda: page.locator(".mg-table tbody th").all_inner_texts()
    assert heads() == ["X", "t", "▸ model/", "error", "v8", "loss"]
    row = page.locator(".mg-table tbody tr").nth(2).locator("td").all_inner_texts()
    assert row[:2] == ["Network, 6 ops", "X"] and row[-1] == "y = model(X)"
    page.get_by_role("button", name="▸ model/").press("Enter")
    assert heads()[2:5] == ["▾ model/", "▸ model/first/", "▸ model/second/"]
    opened = page.get_by_role("button", name="▾ model/")
    assert expanded(opened) == "true" and opened.evaluate("b => b === document.activeElement")
    total, first, second = (
        int(page.locator(".mg-table tbody tr").nth(i).locator("td").nth(4).inner_text())
        for i in (2, 3, 4)
    )
    assert total == first + second
    page.get_by_role("switch", name="Show as table").uncheck()
    assert expanded(box(page, "model")) == "true"


def test_the_way_back_goes_through_a_folded_box(xray):
    page = xray("&program=layers&step=0")
    lit = lambda: page.locator(".mg-active .mg-card-name").all_text_contents()
    seen = []
    for _ in range(9):
        page.get_by_role("button", name="Next turn").click()
        seen += lit()
    assert seen == ["loss", "v8", "error"] + ["▸ model"] * 6
    assert page.locator(".mg-edge.mg-lit").count() == 1, "from the product with the weights to X"
    page.get_by_role("button", name="One turn back").click()
    assert page.locator(".mg-edge.mg-lit").count() == 0, "what is sent within the box"
    says(page, "Add in model/first/ sends its shares to model.first.bias and v1")


@pytest.mark.parametrize("unfolded", [OPEN[:1], OPEN[:2], OPEN], ids=len)
def test_frames_hold_their_cards_and_no_card_lies_on_another(xray, unfolded):
    page = xray(f"&program=layers&unused&visits&unfolded={json.dumps(unfolded)}")
    rects = page.evaluate("""() => {
      const of = (selector) => [...document.querySelectorAll(selector)].map((one) => one.getBBox());
      const plain = (all) => all.map(({ x, y, width, height }) => [x, y, x + width, y + height]);
      return { cards: plain(of(".mg-card:not(.mg-behind)")), frames: plain(of(".mg-frame-box")) };
    }""")
    meets = lambda a, b: a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    holds = lambda a, b: a[0] < b[0] and a[1] < b[1] and b[2] < a[2] and b[3] < a[3]
    every = rects["cards"] + rects["frames"]
    assert len(rects["frames"]) == len(unfolded)
    for i, a in enumerate(every):
        for b in every[:i]:
            assert not meets(a, b) or holds(a, b) or holds(b, a)
    inside = [sum(holds(frame, card) for card in rects["cards"]) for frame in rects["frames"]]
    assert inside == {1: [2], 2: [6, 5], 3: [10, 5, 5]}[len(unfolded)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [900, 390])
def test_folded_and_open_boxes_are_accessible_and_fit(xray, axe, theme, width):
    options = {"scheme": theme, "width": width, "reduced_motion": "reduce"}
    page = xray(f"&theme={theme}&program=layers&unfolded={json.dumps(OPEN[:2])}", **options)
    assert axe(page) == []
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_program_of_the_readers_own_in_a_widget():
    made = GraphXray(distance, {"x": 3.0, "y": 4.0}, unfolded=["squared/"])
    assert made.program == "distance" and list(made.recorded) == ["distance"]
    assert paths(made.recorded["distance"]["trunk"])[0] == ["squared/", "squared (2)/"]
