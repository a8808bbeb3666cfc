"""The museum of mistakes: a page of cards, one file each, whose checks run when the book is built.

What a card is and how its check is held to its claim, museum_cards.py tells. The page names its
rooms; `{museum-room} forward` hangs the cards of a topic, `{museum-finder}` is the form with which
a reader looks for some of them. Everything is plain HTML: a card's answer unfolds without a script,
and on paper it is unfolded (book.js). `_static/errata_museum.js` makes the form work and remembers,
in this browser alone, what the reader has solved.

A card whose check fails, a card in no room, an error of book/sources.yml without a card: each fails
the build. The checks run in every build.
"""

import html
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from museum_cards import KINDS, CardError, collection, shown
from source_coverage import read_sources
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)
DIFFICULTIES = {1: "easy", 2: "medium", 3: "hard"}


class CardNode(nodes.General, nodes.Element):
    """A card; its children are the mistake, the question and the answer."""


class Answer(nodes.General, nodes.Element):
    """What is folded away until the reader has thought."""


class Treated(nodes.General, nodes.Element):
    """The place for links to the sections that treat the mistake; filled in at the end."""


class Room(SphinxDirective):
    """The cards of one topic."""

    required_arguments = 1

    def run(self):
        topic = self.arguments[0]
        museum = museum_of(self.env)
        museum["rooms"].append(topic)
        return [self.hang(card) for card in museum["cards"] if card.topic == topic]

    def hang(self, card):
        self.env.note_dependency(str(card.path))
        for line, number, around in card.typed():
            logger.warning(
                "%s is typed here (%r). Let the check compute it, {{ right:.3f }}; if it is a "
                "choice of yours, say so:  %% typed %s: why",
                number, around, number, location=(str(card.path), line), type="typed_numbers",
            )  # fmt: skip
        facts = {name: getattr(card, name) for name in ("title", "topic", "kind", "difficulty")}
        node = CardNode("", ids=[f"card-{card.id}"], **facts)
        question, answer = nodes.container("", classes=["museum-question"]), Answer()
        try:
            node += self.parsed(card, "mistake")
            question += self.parsed(card, "question")
            answer += self.parsed(card, "fix")
        except CardError as error:
            logger.warning("%s", error)
        answer += nodes.literal_block(card.check, card.check, language="python")
        answer += nodes.raw("", comparison(card), format="html")
        answer += Treated(covers=card.covers)
        node += [question, answer]
        return node

    def parsed(self, card, part):
        box = nodes.Element()
        text = card.told(part).splitlines()
        self.state.nested_parse(StringList(text, source=str(card.path)), 0, box)
        return box.children


class Finder(SphinxDirective):
    """The form; it shows itself when its script runs."""

    option_spec = {}

    def run(self):
        return [nodes.raw("", FINDER, format="html")]


def menu(name, label, options):
    """A labelled list of choices, the first of which is all."""
    options = "".join(f'<option value="{value}">{text}</option>' for value, text in options)
    return (
        f'<label>{label} <select name="{name}"><option value="">all</option>{options}</select>'
        "</label>"
    )


FINDER = f"""<form class="museum-finder" role="search" aria-label="Cards" hidden>
<label>Topic <select name="topic"><option value="">all</option></select></label>
{menu("kind", "Kind", [(kind, kind) for kind in KINDS])}
{menu("difficulty", "Difficulty", DIFFICULTIES.items())}
{menu("solved", "State", [("no", "not solved yet"), ("yes", "solved")])}
<label class="museum-words">Words <input type="search" name="words" autocomplete="off"></label>
<p class="museum-buttons"><button type="button" data-do="random">Show me one at random</button>
<button type="reset">Show all</button>
<button type="button" data-do="forget">Forget what I solved</button></p>
<p class="museum-count" role="status"></p>
</form>"""


def comparison(card):
    """The table under a check: what stood there, what is right, and the witness."""
    rows = ""
    for name, label in ("wrong", "as it stood"), ("right", "put right"):
        outcome = card.outcome(name)
        mark = "✓" if outcome == "agrees" else "✗"
        rows += row(label, f"{mark} {outcome}", card.found[name])
    rows += row("the witness", card.witness, card.found["truth"])
    caption = html.escape(card.compares)
    return (
        f'<table class="museum-numbers"><caption>{caption}</caption><tbody>{rows}</tbody></table>'
    )


def row(label, note, value):
    label, note, value = (html.escape(text) for text in (label, note, shown(value)))
    return (
        f'<tr><th scope="row">{label}<br><span>{note}</span></th><td><code>{value}</code></td></tr>'
    )


def museum_of(env):
    """What is known of the museum while it is read: {"cards": [...], "rooms": [...]}."""
    if "museum" not in env.temp_data:
        try:
            cards = collection(Path(env.srcdir) / "book" / "errata-museum")
        except CardError as error:
            logger.warning("%s", error, location=env.docname)
            cards = []
        env.temp_data["museum"] = {"cards": cards, "rooms": []}
    return env.temp_data["museum"]


def inspect(app, doctree):
    """Every card in a room, every error on a card; and the coverage page may send readers here."""
    museum = app.env.temp_data.get("museum")
    if museum is None:
        return
    app.env.museum_page = app.env.docname
    for card in museum["cards"]:
        if card.topic not in museum["rooms"]:
            logger.warning("%s: there is no room %s", card.path, card.topic)
    shown_items = {code for card in museum["cards"] for code in card.covers}
    errors = {code for code in read_sources(app.srcdir)["items"] if code[1] == "E"}
    for code in sorted(errors ^ shown_items):
        logger.warning("%s is without a card, or no error of book/sources.yml", code)
    app.env.book_coverage[app.env.docname] += [
        (code, f"card-{card.id}", card.title) for card in museum["cards"] for code in card.covers
    ]


def always_read(app, env, added, changed, removed):
    """The checks run in every build."""
    return {env.museum_page} & env.found_docs if hasattr(env, "museum_page") else set()


def link(app, doctree, docname):
    """Say where each mistake is treated."""
    for place in list(doctree.findall(Treated)):
        homes = {}
        for chapter, found in app.env.book_coverage.items():
            for code, section, title in found:
                if code in place["covers"] and chapter != docname:
                    homes[chapter, section] = title
        line = nodes.paragraph("", "", classes=["museum-treated"])
        for (chapter, section), title in homes.items():
            uri = app.builder.get_relative_uri(docname, chapter) + f"#{section}"
            words = f"{app.env.titles[chapter].astext()}: {title}"
            line += [nodes.Text("; " if line.children else "Treated in ")]
            line += nodes.reference("", words, internal=True, refuri=uri)
        line += nodes.Text("." if homes else "The chapter that treats it is still to come.")
        place.replace_self(line)


def open_card(self, node):
    id, title = node["ids"][0], html.escape(node["title"])
    kind, difficulty = node["kind"], node["difficulty"]
    self.body.append(
        f'<article class="museum-card" id="{id}" aria-labelledby="{id}-title" '
        f'data-topic="{node["topic"]}" data-kind="{kind}" data-difficulty="{difficulty}">'
        f'<h3 id="{id}-title">{title}<a class="headerlink" href="#{id}" '
        f'aria-label="Link to the card {title}">#</a></h3>'
        f'<p class="museum-facts">{kind}, {DIFFICULTIES[difficulty]}</p>'
    )


def open_answer(self, node):
    self.body.append('<details class="museum-answer"><summary>What is wrong, and a check</summary>')


def close(tag):
    return lambda self, node: self.body.append(f"</{tag}>")


def bring_script(app, pagename, templatename, context, doctree):
    if doctree is not None and pagename == getattr(app.env, "museum_page", None):
        app.add_js_file("errata_museum.js", loading_method="defer")
        app.add_css_file("errata_museum.css")


def setup(app):
    app.add_node(CardNode, html=(open_card, close("article")))
    app.add_node(Answer, html=(open_answer, close("details")))
    app.add_node(Treated)
    app.add_directive("museum-room", Room)
    app.add_directive("museum-finder", Finder)
    app.connect("doctree-read", inspect, priority=600)  # after source_coverage has noted the marks
    app.connect("env-get-outdated", always_read)
    app.connect("doctree-resolved", link)
    app.connect("html-page-context", bring_script)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
