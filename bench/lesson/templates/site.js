// Search and copy. PAGES comes from search.js: title, text and place of each page.
const root = document.documentElement.dataset.root;
const input = document.getElementById("search");
const list = document.getElementById("found");

// BatchNormalization is found as "batch normalization" too.
function split(text) {
  const names = text.match(/\w+/g) || [];
  const parts = names.flatMap((name) => {
    const words = name.split(/(?<=[a-z])(?=[A-Z])/);
    return words.length > 1 ? [name, ...words] : words;
  });
  return parts.map((word) => word.toLowerCase()).filter((word) => word.length > 1);
}

// A part of a text, from a little before the first word of the query.
function excerpt(text, words) {
  const places = words.map((word) => text.toLowerCase().indexOf(word));
  const found = places.filter((place) => place >= 0);
  const start = found.length ? text.lastIndexOf(" ", Math.max(0, Math.min(...found) - 30)) : 0;
  return text.slice(start + 1, start + 100).replace(/\s\S*$/, " …");
}

const INDEX = PAGES.map((page) => ({
  page,
  title: split(page.title),
  text: split(page.text),
}));

// A word of a question also finds longer words that begin with it, and its singular.
function count(words, word) {
  const stem = word.length > 4 ? word.replace(/s$/, "") : word;
  return words.filter((one) => (stem.length > 3 ? one.startsWith(stem) : one === stem)).length;
}

// The usual measure of search engines, BM25, without its correction for repetition: a
// rare word counts more than a common one, a word in a title more than one in a text,
// and a short page more than a long one.
function rank(words) {
  const points = INDEX.map(() => 0);
  for (const word of words) {
    const hits = INDEX.map(({ title, text }) => [count(title, word), count(text, word)]);
    const pages = hits.filter(([title, text]) => title || text).length;
    const weight = Math.log(INDEX.length / Math.max(pages, 1));
    hits.forEach(([title, text], i) => {
      const share = text / (text + 0.5 + INDEX[i].text.length / 400);
      points[i] += weight * ((title ? 1 : 0) + share);
    });
  }
  return points;
}

function find(query) {
  const points = rank(split(query));
  const found = INDEX.map(({ page }, i) => [points[i], page])
    .filter(([points]) => points > 0.5)
    .sort(([a], [b]) => b - a)
    .map(([, page]) => page);
  const places = found.map((page) => page.place);
  return found.filter((page, i) => places.indexOf(page.place) === i).slice(0, 12);
}

function show() {
  list.replaceChildren();
  for (const page of find(input.value)) {
    const link = document.createElement("a");
    link.href = root + page.place;
    link.textContent = page.title;
    const text = document.createElement("span");
    text.textContent = excerpt(page.text, split(input.value));
    link.append(text);
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  if (input.value && !list.children.length) {
    const item = document.createElement("li");
    item.textContent = "Nothing found.";
    list.append(item);
  }
  list.hidden = !input.value;
}

function move(event) {
  const links = [...list.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !links.length) return;
  event.preventDefault();
  (links[at + step] || input).focus();
}

input.addEventListener("input", show);
input.parentElement.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    input.value = "";
    show();
    input.focus();
  } else if (event.key === "Enter" && document.activeElement === input) {
    list.querySelector("a")?.click();
  } else {
    move(event);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== input) {
    event.preventDefault();
    input.focus();
  }
});

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}
