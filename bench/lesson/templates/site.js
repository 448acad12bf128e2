// Search and copy. PAGES comes from search.js: title, text and place of each page.
const root = document.documentElement.dataset.root;
const input = document.getElementById("search");
const list = document.getElementById("found");

// Every word has to occur. A word in a title counts more than one in a text.
function score(page, words) {
  let sum = 0;
  for (const word of words) {
    const title = page.title.toLowerCase();
    const text = page.text.toLowerCase();
    if (!title.includes(word) && !text.includes(word)) return 0;
    sum += title.includes(word) ? 10 : 1;
    if (title.split(/\W+/).includes(word)) sum += 5;
    if (text.split(/\W+/).includes(word)) sum += 1;
  }
  return sum;
}

function find(query) {
  const words = query.toLowerCase().split(/[^\w-]+/).filter((word) => word.length > 1);
  if (!words.length) return [];
  const found = PAGES.map((page) => [score(page, words), page])
    .filter(([points]) => points)
    .sort(([a, one], [b, other]) => b - a || one.text.length - other.text.length)
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
    text.textContent = page.text.slice(0, 90);
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
