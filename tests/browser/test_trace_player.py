"""The trace player in headless Chromium: numbers, mouse, keyboard, mistakes, themes, phone."""

import itertools
import math
import re
from urllib.parse import quote

import pytest

from minigrad.widgets.page import TracePlayer

DEMO = "demo.html?widget=trace_player"

VALUES = ["2", "5", "0.693147", "10", "−0.958924", "10.693147", "11.652071"]
TANGENTS = {
    (1, 0): ["1", "0", "0.5", "5", "0", "5.5", "5.5"],
    (0, 1): ["0", "1", "0", "2", "0.283662", "2", "1.716338"],
}
ADJOINTS = ["5 + 0.5 = 5.5", "−0.283662 + 2 = 1.716338", "1", "1", "−1", "1", "1"]


def column(page, key):
    cells = page.locator(f".mg-player .mg-mode-both tbody td.mg-{key}").all_inner_texts()
    return [re.sub(r"\s+", " ", cell).strip() for cell in cells]


def working(page):
    return re.sub(r"\s+", " ", page.locator(".mg-working").inner_text())


def where(page):
    return int(page.locator(".mg-where").inner_text().split()[0])


@pytest.fixture
def demo(open_page, package_site):
    def open_demo(fragment="", query="", **options):
        page = open_page(f"{package_site}/{DEMO}{query}{fragment}", **{"width": 1000, **options})
        page.locator(".mg-working").wait_for()
        return page

    return open_demo


def test_the_table_reads_as_in_the_survey(demo):
    page = demo()
    assert (
        page.get_by_role("textbox", name="f(x1, x2) =").input_value() == "ln(x1) + x1*x2 - sin(x2)"
    )
    assert page.locator(".mg-mode-both tbody th").first.inner_text().replace("\n", "") == "v−1"
    assert column(page, "primal") == VALUES
    assert column(page, "tangent") == TANGENTS[1, 0]
    assert column(page, "adjoint") == ADJOINTS
    page.get_by_role("button", name="seed direction e2").click()
    assert column(page, "tangent") == TANGENTS[0, 1]
    assert column(page, "dual")[-1] == "11.652071 + 1.716338 ε"


def test_the_adjoints_arrive_walking_the_list_backwards(demo):
    page = demo()
    page.get_by_role("button", name="First step").click()
    assert column(page, "primal") == ["2", "5", "·", "·", "·", "·", "·"]
    step = page.get_by_role("button", name="Step forward")
    for _ in range(6):
        step.click()
    assert column(page, "adjoint") == ["·"] * 6 + ["1"]
    expected = [
        ["·", "·", "·", "·", "−1", "1", "1"],
        ["·", "·", "1", "1", "−1", "1", "1"],
        ["·", "−0.283662", "1", "1", "−1", "1", "1"],
        ["5", "−0.283662 + 2 = 1.716338", "1", "1", "−1", "1", "1"],
        ADJOINTS,
    ]
    for row in expected:
        step.click()
        assert column(page, "adjoint") == row
    assert step.get_attribute("aria-disabled") == "true"
    step.focus()
    page.keyboard.press("Enter")
    assert step.evaluate("e => e === document.activeElement"), "at the end the focus stays"
    assert "5 + 0.5 = 5.5" in working(page)
    page.get_by_role("button", name="Step back").click()
    assert column(page, "adjoint") == expected[3]


def test_a_step_shows_its_rule_and_lights_its_edges(demo):
    page = demo(
        fragment="#trace=" + quote("ln(x1) + x1*x2 - sin(x2)") + "&trace.at=2,5&trace.step=2"
    )
    assert "v−1 × v0 = 2 × 5 = 10" in working(page)
    assert "1 × 5 + 2 × 0 = 5" in working(page)
    assert "(2 + 1 ε) × (5 + 0 ε) = 10 + 5 ε" in working(page)
    assert page.locator(".mg-lit").count() == 2
    assert page.locator(".mg-back").count() == 0
    assert sorted(filter(None, page.locator(".mg-edge-label").all_text_contents())) == ["×2", "×5"]
    page.get_by_role("button", name="Last step").click()
    assert page.locator(".mg-lit.mg-back").count() == 1, "backwards, the edge is dashed and turned"


def test_the_keyboard_does_everything(demo):
    page = demo()
    page.get_by_role("slider", name="Step of the trace").focus()
    page.keyboard.press("Home")
    assert where(page) == 0
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert where(page) == 2
    page.keyboard.press("End")
    assert where(page) == 11
    page.get_by_role("slider", name="input x1", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert column(page, "primal")[0] == "2.05"
    page.get_by_role("slider", name="angle of the seed direction", exact=True).focus()
    page.keyboard.press("End")
    assert column(page, "tangent")[:2] == ["0.999995", "−0.003185"], "6.28 rad"
    for _ in range(40):  # from the expression on, the tab key reaches every control
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Reset":
            break
    page.keyboard.press("Enter")
    assert column(page, "adjoint") == ADJOINTS


def test_the_angle_is_in_radians_and_numbers_stay_as_typed(demo):
    page = demo()
    angle = page.get_by_role("spinbutton", name="angle of the seed direction, as a number, in rad")
    dial = page.get_by_role("slider", name="angle of the seed direction", exact=True)
    x1 = page.get_by_role("spinbutton", name="input x1, as a number")
    for typed in ["1.87", "0.123456789", "-2.5", "40"]:
        angle.fill(typed)
        x1.fill("2.000001")
        assert angle.input_value() == typed
        seed = [math.cos(float(typed)), math.sin(float(typed))]
        assert page.evaluate("model.get('seed')") == pytest.approx(seed, abs=1e-11)
    angle.fill("1.87")
    assert dial.get_attribute("aria-valuetext") == "1.87 rad"
    page.get_by_role("button", name="seed direction e2").click()
    assert page.evaluate("model.get('seed')") == [0, 1]
    dial.focus()
    page.keyboard.press("ArrowRight")
    assert float(angle.input_value()) == pytest.approx(1.58, abs=1e-9)
    page.locator(".mg-expression").fill("exp(x1)")
    x1.fill("0.1234567")
    assert column(page, "primal")[0] == "0.123457"
    page.get_by_role("button", name="First step").click()
    assert x1.input_value() == "0.1234567"


def test_the_pad_says_its_range_and_follows_the_point(demo):
    page = demo()
    ticks = page.locator(".mg-pad-tick")
    assert ticks.all_text_contents() == [*"01234", *"34567"]
    page.get_by_role("spinbutton", name="input x1, as a number").fill("200")
    across = [float(text) for text in ticks.all_text_contents()[:5]]
    assert min(across) < 200 < max(across)
    knob = page.get_by_role("slider", name="input x1", exact=True)
    assert float(knob.get_attribute("min")) < 200 < float(knob.get_attribute("max"))
    assert "from 195 to 205" in knob.get_attribute("title")


def test_the_level_line_runs_through_the_point(demo):
    page = demo()
    away = """() => {
      const dot = document.querySelector('.mg-pad-dot');
      const line = document.querySelector('.mg-pad-level');
      const [x, y] = [dot.cx.baseVal.value, dot.cy.baseVal.value];
      const steps = Array.from({length: 400}, (_, i) => (i / 400) * line.getTotalLength());
      return Math.min(...steps.map(s => line.getPointAtLength(s))
        .map(p => Math.hypot(p.x - x, p.y - y)));
    }"""
    for x1 in ["2", "3", "0.8"]:
        page.get_by_role("spinbutton", name="input x1, as a number").fill(x1)
        assert page.evaluate(away) < 1.5


@pytest.mark.parametrize(
    "expression, x1, said",
    [
        ("ln(x1)", "-1", "v1 = ln (−1) has no value: the logarithm takes positive numbers only."),
        ("x1 + 1/(x1 - 2)", "2", "v2 = 1 / 0 is ∞: nothing can be divided by 0."),
        ("sqrt(x1) + x1", "-4", "v1 = √(−4) has no value: the square root takes no negative"),
        ("x1**0.5", "-8", "v1 = (−8) ^ 0.5 has no value: a negative number has whole powers only."),
        ("sqrt(x1)", "0", "v1 = √0 has a value but no finite slope here"),
        ("exp(x1)", "900", "v1 = exp 900 is ∞: it is too large"),
    ],
)
def test_the_step_that_leaves_its_domain_is_named(demo, expression, x1, said):
    page = demo()
    page.locator(".mg-expression").fill(expression)
    page.get_by_role("spinbutton", name="input x1, as a number").fill(x1)
    assert said in page.locator(".mg-no-derivative").inner_text()
    page.get_by_role("spinbutton", name="input x1, as a number").fill("3")
    assert page.locator(".mg-no-derivative").inner_text() == ""


def test_examples_are_written_as_they_are_typed(demo):
    page = demo()
    texts = page.get_by_label("Examples").locator("option").all_text_contents()[1:]
    for i, text in enumerate(texts):
        page.get_by_label("Examples").select_option(index=i + 1)
        assert page.locator(".mg-expression").input_value() == text


def test_the_point_and_the_direction_are_dragged(demo):
    page = demo()
    box = page.locator(".mg-ground").bounding_box()
    centre = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*centre)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, centre[1], steps=4)
    page.mouse.up()
    assert column(page, "primal")[:2] == ["3", "5"]
    page.mouse.move(box["x"] + box["width"] * 0.75 + 46 * box["width"] / 200, centre[1])
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, centre[1] - 60, steps=4)
    page.mouse.up()
    assert column(page, "tangent")[:2] == ["0", "1"]


def test_a_typing_mistake_is_pointed_at_and_the_last_good_trace_stays(demo):
    page = demo()
    field = page.locator(".mg-expression")
    field.fill("ln(x1) + sni(x2)")
    assert 'Did you mean "sin"?' in page.get_by_role("alert").inner_text()
    text, caret = page.locator(".mg-caret").inner_text().split("\n")
    assert text[caret.index("^") :].startswith("sni(")
    assert column(page, "primal") == VALUES
    field.fill("x1*x2")
    assert page.get_by_role("alert").inner_text() == ""
    assert column(page, "primal") == ["2", "5", "10"]
    field.fill("")
    assert "Type an expression" in page.get_by_role("alert").inner_text()


def test_a_link_brings_back_expression_point_direction_and_step(demo):
    page = demo()
    page.locator(".mg-expression").fill("a = exp(x1); a*x3 + a")
    page.get_by_role("spinbutton", name="input x3, as a number").fill("-1.5")
    page.get_by_role("slider", name="angle of the seed direction", exact=True).fill("0.79")
    page.get_by_role("button", name="Step back").click()
    page.wait_for_function("() => location.hash.includes('trace.step=6')")
    shown = page.locator(".mg-mode-both").inner_text()
    copied = page.evaluate("location.hash")
    again = demo(fragment=copied)
    assert again.locator(".mg-mode-both").inner_text() == shown
    assert where(again) == 6


def test_an_example_plays_and_pauses(demo):
    page = demo(reduced_motion="reduce")
    page.get_by_label("Examples").select_option(index=3)
    assert column(page, "primal")[-1] == "8.298354"
    assert column(page, "adjoint")[0] == "20.918728"
    page.get_by_role("button", name="Play").click()
    assert where(page) == 0
    page.wait_for_function("() => document.querySelector('.mg-where').textContent.startsWith('1 ')")
    page.get_by_role("button", name="Pause").click()
    assert page.get_by_role("button", name="Play").count() == 1
    moving = "() => getComputedStyle(document.querySelector('.mg-card')).transitionDuration"
    assert page.evaluate(moving) == "0s", "with reduced motion nothing glides"


def test_the_graph_as_a_table(demo):
    page = demo()
    page.get_by_role("switch", name="Show as table").check()
    assert not page.locator(".mg-graph").is_visible()
    rows = page.locator(".mg-edges tbody tr")
    assert rows.count() == 8
    assert rows.first.locator("td").all_inner_texts() == ["0.5", "0.5", "0.5"]
    page.get_by_role("switch", name="Show as table").uncheck()
    assert page.locator(".mg-graph").is_visible()


def test_one_sentence_says_what_is_shown(demo):
    page = demo()
    seen, spoken = page.locator(".mg-summary[aria-hidden]"), page.locator(".mg-summary[aria-live]")
    last = "Step 11 of 11: v1 sends its adjoint back; v−1 has the adjoint 5 + 0.5 = 5.5."
    assert seen.inner_text() == spoken.inner_text() == last
    both = "document.querySelectorAll('.mg-summary')"
    texts = page.evaluate(
        f"() => (document.querySelector('[aria-label=\"First step\"]').click(), "
        f"[...{both}].map(e => e.textContent))"
    )
    assert "x1 = 2, x2 = 5" in texts[0], "what is seen does not wait"
    assert texts[1] == last, "what is spoken waits for a pause"
    page.wait_for_function(f"() => {both}[1].textContent.includes('x1 = 2, x2 = 5')")


@pytest.mark.parametrize("mode", ["both", "forward", "reverse", "game"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 390])
def test_accessible_and_within_the_page(demo, axe, width, scheme, mode):
    page = demo(query=f"&mode={mode}", width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert axe(page) == []
    page.locator(".mg-expression").fill("2x1")
    page.get_by_role("switch", name="Show as table").check()
    assert axe(page) == []


def test_the_theme_of_the_page_wins(demo):
    background = "() => getComputedStyle(document.querySelector('.mg-player')).backgroundColor"
    assert demo(query="&theme=dark", scheme="light").evaluate(background) == "rgb(20, 24, 30)"
    assert demo(query="&theme=light", scheme="dark").evaluate(background) == "rgb(255, 255, 255)"


def test_four_inputs_and_numbers_that_are_none(demo):
    page = demo()
    field = page.locator(".mg-expression")
    field.fill("x1*x2 + x3/x4")
    assert page.locator(".mg-sliders .mg-slider").count() == 4
    assert page.locator(".mg-seeds input").count() == 4
    field.fill("ln(x1)")
    page.get_by_role("spinbutton", name="input x1, as a number").fill("-1")
    assert column(page, "primal") == ["−1", "NaN"]
    page.get_by_role("spinbutton", name="input x1, as a number").fill("0")
    assert column(page, "primal") == ["0", "−∞"]


# ---- The order game: c = a·b, a = 4x, b = a + 1 at x = 1, unless another is named ---------------


@pytest.fixture
def game(demo):
    def open_game(expression="a = 4*x1; b = a + 1; a*b", at="1", moves="", **options):
        fragment = f"#trace={quote(expression)}&trace.at={at}&trace.mode=game"
        return demo(fragment=fragment + (f"&trace.moves={moves}" if moves else ""), **options)

    return open_game


def pass_on(page, *numbers):
    for number in numbers:
        page.get_by_role("button", name=re.compile(f"^v{number} passes on")).click()


def said(page):
    return page.locator(".mg-game .mg-summary[aria-hidden]").inner_text()


def collected(page):
    """The adjoints that have arrived, inputs first; what stands before the sign = left out."""
    cells = page.locator(".mg-mode-game tbody td.mg-adjoint").all_inner_texts()
    return [cell.split("=")[-1].strip() for cell in cells]


def test_in_the_right_order_each_passes_on_once(game):
    page = game()
    assert collected(page) == ["·", "·", "·", "1"]
    assert "The output v3 has the adjoint 1." in said(page)
    pass_on(page, 3)
    assert "v3 was ready: it is the output." in said(page)
    pass_on(page, 2)
    assert "v2 was ready: its only user, v3, had passed on." in said(page)
    assert collected(page) == ["·", "9", "4", "1"]
    pass_on(page, 1)
    assert "v1 was ready: all its users, v2 and v3, had passed on." in said(page)
    assert "x1 has the adjoint 36. That is right, and each step passed on once." in said(page)
    assert collected(page) == ["36", "9", "4", "1"]
    assert "9 × 4 = 36" in working(page)


def test_a_wrong_order_computes_its_wrong_answer_and_says_why(game):
    page = game()
    pass_on(page, 3, 1)
    assert "v1 was not ready: its user v2 had not passed on. It passed on what it held, 5" in said(
        page
    )
    pass_on(page, 2)
    assert "x1 has the adjoint 20. The right answer is 36." in said(page)
    assert "v1 passed on 5 and holds 9 now." in said(page)
    pass_on(page, 1)
    assert "that share has now gone back twice" in said(page)
    assert "x1 has the adjoint 56. The right answer is 36." in said(page)
    assert page.locator(".mg-card-turn").all_text_contents() == ["", "2, 4", "3", "1"]


def test_before_anything_has_arrived_a_step_passes_on_nothing(game):
    page = game()
    pass_on(page, 1)
    assert "its users v2 and v3 had not passed on. It held nothing, and passed on nothing" in said(
        page
    )
    assert "nothing has arrived yet" in working(page)
    pass_on(page, 2, 3)
    assert "x1 has the adjoint 0. The right answer is 36." in said(page)


def test_undo_start_again_and_choices_that_are_no_moves(game):
    page = game()
    undo = page.get_by_role("button", name="Undo")
    assert undo.get_attribute("aria-disabled") == "true"
    pass_on(page, 3, 1)
    undo.click()
    assert collected(page) == ["·", "5", "4", "1"]
    pass_on(page, 3)
    assert "v3 has passed on all that it holds" in said(page)
    page.locator('.mg-node[data-id="0"]').click()
    assert "v0 is an input: it collects" in said(page)
    assert collected(page) == ["·", "5", "4", "1"], "neither was a move"
    page.get_by_role("button", name="Start again").click()
    assert collected(page) == ["·", "·", "·", "1"]
    assert undo.get_attribute("aria-disabled") == "true"


def test_the_graph_is_clicked_and_the_keyboard_does_the_same(game):
    page = game()
    for card in (3, 2, 1):
        page.locator(f'.mg-node[data-id="{card}"]').click()
    assert collected(page)[0] == "36"
    page.get_by_role("button", name="Start again").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="v1 passes on").focus()
    for keys in (["Tab", "Tab", "Enter"], ["Shift+Tab", "Space"], ["Shift+Tab", "Enter"]):
        for key in keys:
            page.keyboard.press(key)
    assert collected(page)[0] == "36", "v3, v2, v1: the focus stays where the reader left it"


def test_every_order_gives_what_python_computes_in_that_order(game):
    """y = (x1 x2) sin(x1 x2) + x1, its four steps in all 24 orders, each with one turn."""
    x1, x2 = 0.5, 2.0
    a = x1 * x2
    b = math.sin(a)
    slopes = {  # step -> (input, slope); the inputs are "x1" and "x2"
        1: [("x1", x2), ("x2", x1)],
        2: [(1, math.cos(a))],
        3: [(1, b), (2, a)],
        4: [(3, 1.0), ("x1", 1.0)],
    }
    page = game("a = x1*x2; b = sin(a); a*b + x1", at="0.5,2")
    for order in itertools.permutations(slopes):
        held = {"x1": 0.0, "x2": 0.0, 1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0}
        for step in order:
            for target, slope in slopes[step]:
                held[target] += held[step] * slope
        pass_on(page, *order)
        shown = [0.0 if text == "·" else float(text.replace("−", "-")) for text in collected(page)]
        assert shown[:2] == pytest.approx([held["x1"], held["x2"]], abs=1e-6), order
        assert ("each step passed on once" in said(page)) == (order == (4, 3, 2, 1))
        page.get_by_role("button", name="Start again").click()


def test_a_right_answer_in_a_wrong_order_is_called_luck(game):
    page = game("a = 4*x1; b = 0*a + 1; a*b")
    pass_on(page, 4, 1, 3, 2)
    assert "x1 has the adjoint 4. That is right, though by luck" in said(page)
    page.get_by_role("button", name="Start again").click()
    pass_on(page, 4, 3, 2, 1)
    assert "each step passed on once" in said(page)


def test_a_step_that_reaches_nothing_takes_no_part(game):
    page = game("a = x1**2; b = sin(a); a*3", at="2")
    assert page.locator(".mg-turns button").count() == 2
    page.locator(".mg-node").nth(2).click()
    assert "v2 never reaches the output" in said(page)
    pass_on(page, 3, 1)
    assert "each step passed on once" in said(page), "nobody waits for v2"


def test_a_link_brings_back_the_moves_and_another_expression_forgets_them(game):
    page = game(moves="3,1,2")
    assert "x1 has the adjoint 20" in said(page)
    pass_on(page, 1)
    page.wait_for_function("() => location.hash.includes('trace.moves=3,1,2,1')")
    assert page.evaluate("model.get('moves')") == [3, 1, 2, 1]
    page.get_by_role("spinbutton", name="input x1, as a number").fill("2")
    assert "x1 has the adjoint 104" in said(page), "4·9 + 4·(9 + 8), played at the new point"
    page.locator(".mg-expression").fill("sin(x1)*x1")
    assert page.evaluate("model.get('moves')") == []
    page.locator(".mg-foot select").select_option("reverse")
    assert not page.locator(".mg-game").is_visible()
    assert where(page) == 5, "the player is back, at its end"


def test_the_game_as_a_table(game):
    page = game(moves="3,1,2,1")
    page.get_by_role("switch", name="Show as table").check()
    rows = page.locator(".mg-edges tbody tr")
    assert rows.first.locator("td").all_inner_texts() == ["4", "56"], "5·4 and 9·4 along one edge"


# As Jupyter and the built book have it: one text, no server behind it.

HOST = """([code, styles, traits]) => {
  const style = document.createElement('style');
  style.textContent = styles;
  document.head.append(style);
  const set = (name, value) => (traits[name] = value);
  const model = {get: name => traits[name], set, on() {}, off() {}, save_changes() {}};
  window.traits = traits;
  const address = URL.createObjectURL(new Blob([code], {type: 'text/javascript'}));
  return import(address).then(module => {
    for (const id of ['one', 'two']) {
      const el = document.createElement('div');
      document.body.append(el);
      module.default.render({model, el});
    }
  });
}"""


def test_bundled_twice_on_one_page(open_page, package_site):
    page = open_page(f"{package_site}/toolkit.css")
    page.set_content("<html lang=en><title>two</title><body data-theme=light></body>")
    widget = TracePlayer("x1*x2", at=(3, 4), mode="reverse")
    names = ["expression", "at", "seed", "mode", "step", "moves"]
    traits = {name: getattr(widget, name) for name in names}
    page.evaluate(HOST, [widget._esm, widget._css, traits])
    marks = page.locator(".mg-player").evaluate_all("all => all.map(one => one.dataset.mgState)")
    assert marks == ["trace", "trace-2"], "each has its own part of the address"
    last = page.locator(".mg-player").nth(1)
    assert last.locator("td.mg-adjoint").all_inner_texts()[:2] == ["4", "3"]
    last.get_by_role("button", name="First step").click()
    page.wait_for_function("() => location.hash.includes('trace2.step=0')")
    assert page.evaluate("traits.step") == 0


def test_too_many_numbers_are_refused():
    with pytest.raises(ValueError, match="at most four inputs"):
        TracePlayer("x1", at=(1, 2, 3, 4, 5))
