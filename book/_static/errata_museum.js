// The museum of mistakes: finding cards, and remembering in this browser which of them were solved. Without this script the
// page is complete; only the form above the cards stays away.
const cards = [...document.querySelectorAll(".museum-card")];
const form = document.querySelector(".museum-finder");
const count = form.querySelector(".museum-count");
const KEY = "museum:solved";

// A page opened from disk, or a careful browser, may have no storage. Then the marks last as long as the page.
const solved = new Set();
try {
  for (const id of JSON.parse(localStorage.getItem(KEY)) ?? []) solved.add(id);
} catch {}
function keep() {
  try {
    if (solved.size) localStorage.setItem(KEY, JSON.stringify([...solved]));
    else localStorage.removeItem(KEY);
  } catch {}
}

// What a card says, answer and check included, without a difference between A and a.
const words = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
const wanted = () => Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim() !== ""));

function fits(card, { topic, kind, difficulty, solved: state, words: asked = "" }) {
  return (
    (!topic || card.dataset.topic === topic) &&
    (!kind || card.dataset.kind === kind) &&
    (!difficulty || card.dataset.difficulty === difficulty) &&
    (!state || solved.has(card.id) === (state === "yes")) &&
    asked.toLowerCase().split(/\s+/).every((word) => words.get(card).includes(word))
  );
}

function tell() {
  const number = cards.filter((card) => !card.hidden).length;
  const done = cards.filter((card) => solved.has(card.id)).length;
  count.textContent = `${number} of ${cards.length} cards${number ? "" : ": nothing fits, so ask for less"}. ${done} solved.`;
}

function show() {
  const asked = wanted();
  for (const card of cards) card.hidden = !fits(card, asked);
  for (const room of new Set(cards.map((card) => card.parentElement))) {
    room.hidden = !room.querySelector(".museum-card:not([hidden])");
  }
  tell();
  const address = new URL(location);
  address.search = new URLSearchParams(asked);
  try {
    history.replaceState(null, "", address);
  } catch {} // a page opened from disk keeps its address
}

// One of the cards that fit, not the one that is being looked at, and rather one that is not solved yet.
function random() {
  const current = document.activeElement.closest(".museum-card");
  const fitting = cards.filter((card) => !card.hidden && card !== current);
  const open = fitting.filter((card) => !solved.has(card.id));
  const from = open.length ? open : fitting;
  const card = from[Math.floor(Math.random() * from.length)];
  if (!card) return;
  card.querySelector("details").open = false;
  card.scrollIntoView({ block: "start" });
  const title = card.querySelector("h3");
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
}

// A box to tick at the end of each answer.
function mark(card) {
  card.toggleAttribute("data-solved", solved.has(card.id));
  card.querySelector(".museum-solved input").checked = solved.has(card.id);
}
for (const card of cards) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox" });
  label.className = "museum-solved";
  label.append(box, " I had found it");
  box.setAttribute("aria-describedby", `${card.id}-title`);
  card.querySelector("details").append(label);
  box.addEventListener("change", () => {
    if (box.checked) solved.add(card.id);
    else solved.delete(card.id);
    keep();
    mark(card);
    tell(); // the card stays where it is, whatever the form asks for: nothing vanishes under the reader's hand
  });
  mark(card);
}

// The topics are the rooms, named by their headings.
for (const room of new Set(cards.map((card) => card.parentElement))) {
  const name = room.querySelector("h2").firstChild.textContent;
  form.elements.topic.append(new Option(name, room.querySelector(".museum-card").dataset.topic));
}
for (const [name, value] of new URLSearchParams(location.search)) {
  if (form.elements[name]) form.elements[name].value = value;
}
form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(show));
form.addEventListener("click", (event) => {
  const todo = event.target.dataset.do;
  if (todo === "random") random();
  if (todo === "forget") {
    solved.clear();
    keep();
    cards.forEach(mark);
    show();
  }
});
form.hidden = false;
show();
if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
