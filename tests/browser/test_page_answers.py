"""Predictions and trace tables, answered in the page."""

import re

import pytest

REVERSE = "book/derivatives/reverse-mode.html"
ENGINE = "book/engine/an-engine-you-can-read.html"
EXTEND = "book/engine/extend-it.html"


@pytest.fixture
def form(open_page, site):
    def open_form(path, id, width=1280, scheme="light"):
        page = open_page(f"{site}/{path}", width, scheme)
        form = page.locator(f"form.page-answers:has(#{id}-gap-0)")
        form.scroll_into_view_if_needed()
        return page, form

    return open_form


def fill(form, *answers):
    for field, answer in zip(form.locator("[data-gap]").all(), answers, strict=False):
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(answer)
        else:
            field.fill(answer)


def said(form, pattern):
    form.get_by_role("status").filter(has_text=re.compile(pattern)).wait_for(timeout=10_000)
    return form.get_by_role("status").inner_text()


def test_right_answers_numbers_and_expressions(form):
    _, table = form(REVERSE, "adjoint-table")
    fill(table, "1", "1", "−1", "1", "1.0", "4 - cos(1)", "1 + 1/4")
    table.get_by_role("button", name="Check").click()
    assert said(table, "Right").startswith("Right. All 7 agree")
    assert table.locator(".verdict").all_inner_texts() == ["✓ right"] * 7


def test_keyboard_alone(form):
    page, table = form(REVERSE, "adjoint-table")
    table.get_by_label("v5").focus()
    page.keyboard.type("1")
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    assert "2 of 7 are right" in said(table, "So far so good")


def test_a_named_mistake_earns_its_message(form):
    """The sign of v3 forgotten: the message that the exercise's file has for it."""
    _, table = form(REVERSE, "adjoint-table")
    fill(table, "1", "1", "1")
    table.get_by_role("button", name="Check").click()
    words = said(table, "Not yet")
    assert "Likely cause: The step v5 = v4 - v3" in words
    assert table.get_by_label("v3").get_attribute("aria-invalid") == "true"


def test_what_cannot_be_read_is_told(form):
    _, table = form(REVERSE, "adjoint-table")
    fill(table, "1,5", "sin(", "x1", "one")
    table.get_by_role("button", name="Check").click()
    said(table, "Not|Nothing")
    told = table.locator(".verdict").all_inner_texts()[:4]
    assert "1.5" in told[0] and all(words.startswith("?") for words in told)


def test_choices(form):
    _, quiz = form(ENGINE, "which-object")
    fill(quiz, "an OpNode", "the class Add", "Add.forward", "None", "None")
    quiz.get_by_role("button", name="Check").click()
    said(quiz, "Right. All 5 agree")


def test_a_bug_hunt_is_judged_and_its_message_has_formulas_and_stress(form):
    """Of the printed derivation line E is believed; the message has TeX and a stressed word."""
    page, hunt = form(EXTEND, "printed-derivation")
    fill(hunt, "wrong", "right", "wrong", "wrong", "wrong", "right")
    hunt.get_by_role("button", name="Check").click()
    said(hunt, "5 of 6 are right. Likely cause: Line B is wrong")
    page.wait_for_function("() => document.querySelector('.page-answers-said mjx-container')")
    told = hunt.get_by_role("status")
    assert "$" not in told.inner_text() and "*" not in told.inner_text()
    assert told.locator("em").inner_text() == "output"


def test_answers_are_kept_and_cleared(form):
    page, table = form(REVERSE, "adjoint-table")
    fill(table, "1", "2")
    table.get_by_role("button", name="Check").click()
    said(table, "Not yet")
    page.reload()
    assert table.get_by_label("v4").input_value() == "2"
    table.get_by_role("button", name="Clear").click()
    page.reload()
    assert table.get_by_label("v4").input_value() == ""


def test_an_answer_that_depends_on_another_is_left_to_the_notebook(open_page, site):
    page = open_page(f"{site}/book/derivatives/forward-mode.html")
    assert page.locator("#your-own-point-gap-0").count() == 0
    assert page.locator("#tangent-columns-gap-0").count() == 1
