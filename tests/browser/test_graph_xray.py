"""The graph x-ray: every node says what minigrad says of it; the visit counter stops where it
must."""

import json
import re

import numpy as np
import pytest
import traitlets

import minigrad as mg
from minigrad.widgets import GraphXray
from minigrad.widgets.x_ray import PROGRAMS, recorded, run

DEMO = "demo.html?widget=graph_xray"


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


def by_minigrad(key, unused):
    """The nodes of a program after minigrad's own backward."""
    program, _, inputs, ends = PROGRAMS[key]
    leaves = {name: mg.TensorNode(value) for name, value in inputs.items()}
    names, _ = run(program, leaves, unused)
    names[ends[0]].backward()
    return names


def counted(key, unused):
    """The gradients of an engine that counts visits, on minigrad's records."""
    program, _, inputs, ends = PROGRAMS[key]
    leaves = {name: mg.TensorNode(value) for name, value in inputs.items()}
    names, _ = run(program, leaves, unused)
    uses, visits, bar = {}, {}, {id(names[ends[0]]): 1.0}
    for record in mg.wengert_list(*[names[end] for end in ends if end in names]):
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

    visit(names[ends[0]])
    return {name: bar.get(id(x), np.zeros(x.shape)) for name, x in names.items()}


def test_the_demo_shows_what_python_records():
    from minigrad.widgets.page import HERE

    committed = json.loads((HERE / "graph_xray" / "recorded.json").read_text())
    now = json.loads(json.dumps(recorded()))
    assert committed.keys() == now.keys()
    for key in now:
        for one in ("trunk", "branch"):
            was, new = committed[key][one], now[key][one]
            assert was["source"] == new["source"] and was["unused"] == new["unused"]
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
    page = xray(f"&program={key}&visits{'&unused' if unused else ''}")
    counts = counted(key, unused)
    for name, found in by_minigrad(key, unused).items():
        node(page, name).locator(".mg-hit").click()
        told = details(page)
        assert told["node"].startswith(name)
        shape = found.value.shape
        assert np.allclose(numbers(told["value"]).reshape(shape), found.value, atol=6e-4)
        if name not in PROGRAMS[key][3][1:]:
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
