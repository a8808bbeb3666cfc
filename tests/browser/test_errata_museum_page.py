"""The museum of mistakes as readers use it: by keyboard, without a script, on phones, on paper."""

import re

import pytest

PAGE = "book/errata-museum.html"
COUNT = ".museum-count"


@pytest.fixture
def museum(open_page, site):
    def visit(address=PAGE, **options):
        page = open_page(f"{site}/{address}", **options)
        page.wait_for_selector(COUNT, state="attached")
        return page

    return visit


def visible(page):
    return page.locator(".museum-card:visible").count()


def number(page):
    """What the live line says: how many cards fit, how many there are, how many are solved."""
    return [int(n) for n in re.findall(r"\d+", page.locator(COUNT).inner_text())]


def test_all_cards_hang(museum):
    page = museum()
    fit, all_cards, solved = number(page)
    assert fit == all_cards == visible(page) >= 60 and solved == 0
    assert page.locator(COUNT).get_attribute("role") == "status"  # polite, by its role
    assert page.locator(".museum-answer[open]").count() == 0


def test_filters_by_keyboard(museum):
    page = museum()
    page.locator("select[name=topic]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    topics = page.locator(".museum-card:visible").evaluate_all(
        "all => all.map(c => c.dataset.topic)"
    )
    assert set(topics) == {"reverse"} and number(page)[0] == len(topics)
    assert page.locator("section:visible > h2").count() == 1  # the other rooms are shut

    page.keyboard.press("Tab")  # to the kind
    page.keyboard.press("ArrowDown")
    kinds = page.locator(".museum-card:visible").evaluate_all("all => all.map(c => c.dataset.kind)")
    assert set(kinds) == {"formula"} and 0 < len(kinds) < len(topics)
    assert "topic=reverse&kind=formula" in page.url

    for _ in range(3):  # difficulty, state, words
        page.keyboard.press("Tab")
    page.keyboard.type("no such word")
    assert visible(page) == 0 and "ask for less" in page.locator(COUNT).inner_text()

    page.get_by_role("button", name="Show all").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelector('{COUNT}').textContent.startsWith('6')")
    assert visible(page) == number(page)[1] and "?" not in page.url


def test_words_find_cards_whatever_their_case(museum):
    page = museum()
    page.locator("input[name=words]").fill("PARENTS pencil")
    assert visible(page) == 0
    page.locator("input[name=words]").fill("PARENTS")
    titles = page.locator(".museum-card:visible h3").all_inner_texts()
    assert any("Parents" in title for title in titles) and visible(page) < 10


def test_an_address_brings_its_filters(museum):
    page = museum(f"{PAGE}?topic=code&difficulty=1")
    assert page.locator("select[name=topic]").input_value() == "code"
    cards = page.locator(".museum-card:visible")
    assert set(
        cards.evaluate_all("all => all.map(c => c.dataset.topic + c.dataset.difficulty)")
    ) == {"code1"}


def test_a_card_unfolds_by_keyboard_and_shows_its_check(museum):
    page = museum()
    card = page.locator("#card-a-product-for-a-difference")
    card.locator("summary").focus()
    page.keyboard.press("Enter")
    rows = card.locator(".museum-numbers tr").all_inner_texts()
    assert "off by 21.9" in rows[0] and "-10.25392" in rows[0]
    assert "agrees" in rows[1] and "11.65207" in rows[1] and "11.65207" in rows[2]
    assert card.get_by_role("link", name=re.compile("Forward mode")).count() >= 1


def test_every_link_to_a_chapter_arrives(museum, site):
    page = museum()
    links = page.locator(".museum-treated a").evaluate_all("all => all.map(a => a.href)")
    assert len(links) > 30
    lost = page.evaluate(
        """async links => {
            const lost = [];
            for (const link of new Set(links)) {
                const [address, place] = link.split('#');
                const text = await (await fetch(address)).text();
                if (!text.includes(`id="${place}"`)) lost.push(link);
            }
            return lost;
        }""",
        links,
    )
    assert lost == []


def test_what_is_solved_is_remembered_and_forgotten(museum):
    page = museum()
    card = page.locator("#card-degrees")
    card.locator("summary").click()
    box = card.get_by_role("checkbox", name="I had found it")
    box.focus()
    page.keyboard.press("Space")
    assert number(page)[2] == 1 and "solved" in card.evaluate(
        "card => getComputedStyle(card.querySelector('.museum-facts'), '::after').content"
    )
    page.reload()
    page.wait_for_selector(COUNT)
    assert number(page)[2] == 1 and card.locator("input").is_checked()

    page.locator("select[name=solved]").select_option("yes")
    assert visible(page) == 1
    page.locator("select[name=solved]").select_option("no")
    assert visible(page) == number(page)[1] - 1

    page.get_by_role("button", name="Forget what I solved").click()
    assert number(page)[2] == 0 and visible(page) == number(page)[1]
    page.reload()
    page.wait_for_selector(COUNT)
    assert number(page)[2] == 0


def test_one_at_random(museum):
    page = museum()
    page.locator("select[name=difficulty]").select_option("3")
    seen = set()
    for _ in range(6):
        page.get_by_role("button", name="Show me one at random").focus()
        page.keyboard.press("Enter")
        seen.add(page.evaluate("document.activeElement.closest('.museum-card').id"))
        difficulty = "document.activeElement.closest('.museum-card').dataset.difficulty"
        assert page.evaluate(difficulty) == "3"
    assert len(seen) > 1
    page.wait_for_function(  # the page may scroll smoothly
        "(top => top >= 0 && top < 500)(document.activeElement.getBoundingClientRect().top)"
    )


def test_without_storage(browser, site):
    """A browser that refuses storage: all works, and lasts as long as the page."""
    context = browser.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }})"
    )
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{site}/{PAGE}")
    page.locator("#card-degrees summary").click()
    page.locator("#card-degrees input").check()
    assert number(page)[2] == 1
    assert [error for error in errors if "museum" in error] == []
    context.close()


def test_without_a_script(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{PAGE}")
    assert visible(page) >= 60
    assert not page.locator(".museum-finder").is_visible()
    card = page.locator("#card-degrees")
    card.locator("summary").click()
    assert card.locator(".museum-numbers").is_visible() and card.locator("input").count() == 0
    context.close()


def test_on_paper(museum):
    """All is unfolded; the form and the boxes stay away."""
    page = museum()
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    card = page.locator("#card-a-power-lost")
    for part in ".museum-question", "pre", ".museum-numbers", ".museum-treated":
        assert card.locator(part).first.is_visible()
    assert not page.locator(".museum-finder").is_visible()
    assert page.locator(".museum-solved:visible").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_unfolded_it_is_accessible_and_fits(museum, axe, width, scheme):
    page = museum(width=width, scheme=scheme)
    page.evaluate("document.querySelectorAll('.museum-answer').forEach(a => (a.open = true))")
    page.wait_for_timeout(500)  # boxes that scroll are marked
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    wide = "all => all.filter(c => c.scrollWidth > c.clientWidth + 1).map(c => c.id)"
    assert page.locator(".museum-card").evaluate_all(wide) == []
    assert axe(page, ".museum-finder, .museum-card[data-topic=rules]") == []  # a quarter of it
