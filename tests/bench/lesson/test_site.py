"""The pages of the site, and how they behave in a browser."""

import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bench.cli import execute
from bench.ledger import read_document, read_titles
from bench.lesson.topics import TOPICS

pytestmark = pytest.mark.slow  # all of them take what the command has written
PHONE = {"width": 360, "height": 700}


@pytest.fixture(scope="module")
def site(real_weights, tmp_path_factory) -> Path:
    """What the command writes; both frameworks follow one image for it."""
    folder = tmp_path_factory.mktemp("site")
    assert execute("site", [f"{folder}", "--weights", f"{real_weights}"]) == 0
    return folder


class Links(HTMLParser):
    """Collects where a page leads to, and which places it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.places += [found[name] for name in ("href", "src") if found.get(name)]
        self.ids += [found["id"]] if "id" in found else []


def test_every_link_leads_somewhere(site):
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html")}
    for path, page in pages.items():
        if path.name != "report.html":  # a report is copied as it is
            assert len(page.ids) == len(set(page.ids)), path
        for place in page.places:
            if re.match(r"https?:|data:", place):
                continue
            file, _, fragment = unquote(place).partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), f"{path}: {place}"
            if fragment and target in pages:
                assert fragment in pages[target].ids, f"{path}: {place}"


def test_one_image_goes_through_both_programs(site):
    """Nothing differs up to the first convolution, whose padding differs. [D03]"""
    page = (site / "image.html").read_text()
    found = re.findall(r"Difference: (\S+)<", page)
    assert found[:4] == ["none"] * 4
    assert all(float(one) > 0.01 for one in found[4:])
    for shape in ("1 × 3 × 224 × 224", "1 × 224 × 224 × 3"):
        assert page.count(f"<td>{shape}</td>") == 1
    assert page.count("<img ") == 3 * 2 + 8 * 2


def test_search_knows_every_topic_and_every_difference(site):
    text = (site / "search.js").read_text()
    for title in [topic.title for topic in TOPICS]:
        assert f'"title": "{title}"' in text
    for entry, title in read_titles(read_document()).items():
        assert f'"title": "{entry} {title}"' in text


def test_a_topic_links_the_marks_in_its_code(site):
    page = (site / "topics" / "freezing.html").read_text()
    link = r'<a href="\.\./differences\.html#d01-frozen-batch-norm" title="[^"]+'
    assert re.search(rf"{link}accuracy changes by[^\"]+\">\[D01\]</a>", page)


def test_ledger_shows_the_probes_of_both_sides(site):
    page = (site / "differences.html").read_text()
    assert (
        page.count("<summary>The probe of D") == len(read_titles(read_document())) - 2
    )
    assert "frozen_batch_norm" in page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if not path and not os.environ.get("CI"):
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser, site) -> Iterator[Page]:
    """The first page; a test fails if any page of it has an error."""
    errors: list[str] = []
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(f"{error}"))
    page.on("console", lambda said: errors.append(said.text))
    page.on("requestfailed", lambda request: errors.append(request.url))
    page.goto((site / "index.html").as_uri())
    yield page
    context.close()
    assert errors == []


def test_search_is_used_from_the_keyboard(page):
    page.keyboard.press("/")
    page.keyboard.type("BatchNormalization")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/topics/freezing.html")
    page.keyboard.press("/")
    page.keyboard.type("qwerty")
    assert page.locator("#found").inner_text() == "Nothing found."
    page.keyboard.press("Escape")
    assert page.locator("#found").is_hidden()


# As people ask them in public, in other words.
QUESTIONS = {
    "zero_grad": "topics/training-loop.html",
    "why is my PyTorch validation accuracy lower than in Keras with the same frozen "
    "backbone?": "differences.html#d01",
    "Keras Adam and PyTorch Adam give different results": "differences.html#d08",
    "how do I convert Keras convolution weights to PyTorch": "differences.html#d05",
    "PyTorch equivalent of ReduceLROnPlateau callback": "topics/schedule.html",
    "PyTorch equivalent of flow_from_directory": "topics/load-images.html",
    "do I need softmax with CrossEntropyLoss": "topics/loss.html",
    "difference between model.eval() and torch.no_grad()": "topics/validation.html",
    "categorical_crossentropy gives another loss than CrossEntropyLoss": "topics/loss",
    "PyTorch equivalent of EarlyStopping and ModelCheckpoint": "topics/checkpoint.html",
    "export Keras model to ONNX with dynamic batch size": "topics/onnx-export.html",
    "batch norm momentum 0.99 in Keras and 0.1 in PyTorch": "differences.html#d02",
    "padding same with stride 2 in PyTorch": "differences.html#d03",
    "weight decay AdamW Keras PyTorch": "differences.html#d28",
    "default initialization of Linear and Dense": "differences.html#d07",
    "TensorFlow takes all GPU memory": "differences.html#d19",
    "how to resume training with the state of the optimizer": "differences.html#d33",
    "my PyTorch network ends with nn.Softmax and I use CrossEntropyLoss": "topics/loss",
    "pooled features of a pretrained network differ in Keras and torchvision": "topics/"
    "pretrained-backbone.html",
    "Keras BatchNormalization gives another output than nn.BatchNorm2d": "topics/"
    "freezing.html",
    "converted to Keras, the model always predicts one class, ToTensor": "topics/"
    "preprocessing.html",
    "ZeroPadding2D and correct_pad as in torchvision's layers": "differences.html#d03",
    "PyTorch equivalent of class_weight in fit()": "differences.html#d37",
    "kernel_regularizer l2 in PyTorch": "topics/optimizer.html",
    "seed so that both frameworks draw the same random numbers": "topics/seeds.html",
    "training is slower on a CPU, speed up": "results.html",
    "my loss explodes in a hand-written PyTorch loop": "topics/training-loop.html",
    "same model and same data, but PyTorch has a four times larger error": "cases.html",
    "fit and evaluate give different validation accuracy": "cases.html",
    "MSELoss: target size is different to the input size": "differences.html#d43",
    "SpatialDropout2D in PyTorch": "differences.html#d44",
    "rho of RMSprop in PyTorch": "differences.html#d45",
    "copy the weights of a Keras LSTM to PyTorch, bias_ih_l0": "differences.html#d46",
}


@pytest.mark.parametrize(("question", "place"), QUESTIONS.items())
def test_search_answers(page, question, place):
    page.fill("#search", question)
    places = page.locator("#found a").evaluate_all("links => links.map(a => a.href)")
    assert any(place in one for one in places[:4]), places


def test_code_is_copied(page):
    page.click("text=ONNX export")
    page.click(".copy >> nth=1")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("def export_onnx(model: keras.Model")
    assert copied.endswith('print(f"Exported: {path}")')


def test_first_key_leads_past_the_head(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_readable_on_a_phone(page, site, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(PHONE)
    for name in (
        "index",
        "topics/loss",
        "names",
        "differences",
        "cases",
        "experiments",
    ):
        page.goto((site / f"{name}.html").as_uri())
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], name
    ink, paper = page.evaluate(
        "['color', 'backgroundColor'].map("
        "name => parseInt(getComputedStyle(document.body)[name].match(/\\d+/)))"
    )
    assert (ink > paper) == (scheme == "dark"), (ink, paper)
