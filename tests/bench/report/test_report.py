"""The report shows the whole record, nothing else, and claims no more than it shows."""

import base64
import io
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from bench.judging.checks import make_checks
from bench.judging.intervals import NO_DIFFERENCE, TOO_NOISY
from bench.ledger import anchor
from bench.records import (
    Answer,
    ArmRecord,
    ControlRecord,
    MemoryRecord,
    OperationRecord,
    PassMemory,
    Photo,
    Results,
    ScalingPoint,
    ScalingRecord,
    SkippedImage,
    SpeedupsRecord,
    TimingComparison,
    TimingRecord,
    VersionRecord,
    read_results,
    whole_training_s,
)
from bench.report import print_summary, write_report
from bench.report.cards import make_cards
from bench.report.division import differences
from bench.report.numbers import fixed, percent, points, short, tiny
from bench.report.opening import make_claim
from bench.report.speedups import _whole
from bench.report.words import PHASES
from bench.studies.speedups import _judge_accuracies
from shared.errors import UserError
from shared.gpu import GpuSupport
from shared.metrics import ClassScore, Mistake, ScoreRecord

ROOT = Path(__file__).parents[3]
STORED = ROOT / "reports/samples/clothing-2-cores/results.json"
CLAIMS = re.compile(
    r"is more accurate|takes less time|\b(better|faster|slower|worse|wins?|winner)\b",
    re.IGNORECASE,
)


@pytest.fixture
def results() -> Results:
    return read_results(STORED)


def pages(results: Results, folder: Path) -> tuple[str, str]:
    """Markdown and HTML as a reader sees them, by character references resolved."""
    markdown, html = write_report(results, folder)
    return unescape(markdown.read_text()), unescape(html.read_text())


def summary(results: Results, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(results, console, Path("somewhere"))
    return console.file.getvalue()


def make_score(classes: list[str], seed: int = 0) -> ScoreRecord:
    """A classifier that is right three times out of four, on drawn answers."""
    random = np.random.default_rng(seed)
    labels = random.integers(len(classes), size=20 * len(classes))
    guesses = random.integers(len(classes), size=labels.size)
    predictions = np.where(random.random(labels.size) < 0.75, labels, guesses)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, predictions), 1)
    images = confusion.sum(axis=1)
    right = confusion.diagonal()
    f1 = 2 * right / np.maximum(images + confusion.sum(axis=0), 1)
    return ScoreRecord(
        images=labels.size,
        accuracy=right.sum() / labels.size,
        loss=0.5,
        macro_f1=f1.mean(),
        per_class={
            name: ClassScore(precision=f1[i], recall=f1[i], f1=f1[i], images=images[i])
            for i, name in enumerate(classes)
        },
        confusion=confusion.tolist(),
        predictions=predictions.tolist(),
        mistakes=[make_mistake(classes[0], classes[-1])],
    )


def make_mistake(label: str, predicted: str) -> Mistake:
    jpeg = io.BytesIO()
    Image.new("RGB", (48, 64), "gray").save(jpeg, "JPEG")
    return Mistake(
        file=f"test/{label}/1.jpg",
        label=label,
        predicted=predicted,
        probability=0.97,
        thumbnail_jpeg=base64.b64encode(jpeg.getvalue()).decode(),
    )


def with_classes(results: Results, classes: list[str]) -> Results:
    """The stored run as if it had been made on other classes."""
    changed = results.model_copy(deep=True)
    changed.data.classes = classes
    for seed, arm in enumerate(changed.arms.values()):
        arm.test = make_score(classes, seed)
    return changed


def with_intervals(results: Results, low: float, high: float) -> Results:
    """The stored run with all its ratios and differences in the same place."""
    changed = results.model_copy(deep=True)
    found = changed.comparison
    smaller, larger = reversed(found.arms) if low > 1 else found.arms
    found.test_accuracy_interval = (low - 1, high - 1)
    found.verdict = f"{larger} is more accurate"
    verdict = f"{smaller} takes less time"
    if low < 1 < high:
        found.verdict = verdict = NO_DIFFERENCE
    for ratio in changed.timing.ratios["keras"].values():
        ratio.interval, ratio.verdict = (low, high), verdict
    return changed


def test_every_number_group_is_shown(results, tmp_path):
    expected = [*results.data.classes, results.run.command, results.data.fingerprint]
    expected += [results.weights.fingerprint, *results.environment.packages]
    expected += [*results.config, *(check.name for check in results.checks)]
    for name, arm in results.arms.items():
        expected += [name, percent(arm.test.accuracy), fixed(arm.test.loss)]
        expected += [percent(arm.validation.accuracy), fixed(arm.test.macro_f1)]
        expected += [fixed(score.f1) for score in arm.test.per_class.values()]
        expected += [tiny(arm.onnx.parity.max_scaled_diff), arm.onnx.path]
        expected += [short(timing.median_ms) for timing in arm.timing.values()]
        expected += [*arm.timing, *arm.stages, fixed(arm.memory.peak_rss_mib, 0)]
    found = results.comparison
    expected += [points(found.test_accuracy_difference), percent(found.top1_agreement)]
    expected += [f"{found.features_max_scaled_diff:.4g}"]
    expected += [short(one.ratio) for one in results.timing.ratios["keras"].values()]
    for page in pages(results, tmp_path):
        plain = page.replace("\\", "")
        assert [text for text in expected if text not in plain] == []


def test_mistakes_are_shown_with_their_pictures(results, tmp_path):
    markdown, html = pages(results, tmp_path)
    for arm in results.arms.values():
        assert arm.test.mistakes
        first = arm.test.mistakes[0]
        assert first.thumbnail_jpeg in html
        assert first.file in markdown.replace("\\", "")


class Loads(HTMLParser):
    """Collects what a browser would fetch, all ids, and unclosed elements."""

    VOID = frozenset(("meta", "img", "br", "link"))

    def __init__(self, page: str):
        super().__init__()
        self.addresses, self.ids, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.addresses += [
            values[k] for k in ("src", "href", "xlink:href", "data") if k in values
        ]
        self.ids += [values["id"]] if "id" in values else []
        self.open += [tag] if tag not in self.VOID else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_html_is_whole_and_loads_nothing(results, tmp_path):
    html = write_report(results, tmp_path)[1].read_text()
    found = Loads(html)
    assert found.open == []
    assert len(found.addresses) > len(results.arms)
    assert all(a.startswith(("#", "data:image/")) for a in found.addresses)
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not re.search(r"<script|@import|url\((?!#)", html)
    assert sorted(tmp_path.iterdir()) == [
        tmp_path / "report.html",
        tmp_path / "report.md",
    ]


def test_same_record_gives_same_files(results, tmp_path):
    first = [path.read_bytes() for path in write_report(results, tmp_path / "1")]
    second = [path.read_bytes() for path in write_report(results, tmp_path / "2")]
    assert first == second


ODD_CLASSES = ["<script>alert(1)</script>", "a|b", "ナイロン $x$", '"&amp;*_`'] + [
    f"a class with a long name, number {i}" for i in range(26)
]


def test_odd_class_names_are_escaped(results, tmp_path):
    odd = with_classes(results, ODD_CLASSES)
    markdown, html = (path.read_text() for path in write_report(odd, tmp_path))
    assert Loads(html).open == []
    assert "<script" not in html + markdown
    assert "&lt;script&gt;alert(1)" in html
    assert "&lt;script&gt;alert(1)" in markdown
    assert r"| a\|b |" in markdown
    assert all(name in unescape(html) for name in ODD_CLASSES)


def test_markdown_tables_are_rectangular(results, tmp_path):
    odd = with_classes(results, ODD_CLASSES)
    lines = write_report(odd, tmp_path)[0].read_text().splitlines()
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in [*lines, ""]]
    tables = [i for i, line in enumerate(lines) if re.match(r"\|[ :|-]+\|$", line)]
    assert len(tables) > 8
    for rule in tables:
        end = columns.index(0, rule)
        assert columns[rule - 2] == 0
        assert set(columns[rule - 1 : end]) == {columns[rule]}
        assert end > rule + 1


def test_two_classes(results, tmp_path):
    for page in pages(with_classes(results, ["no", "yes"]), tmp_path):
        assert "yes" in page


@pytest.mark.parametrize("source", ["path", "download", "synthetic"])
def test_drawn_images_have_a_banner(results, tmp_path, source):
    results.data.source = source
    shown = [*pages(results, tmp_path), summary(results)]
    assert ["Drawn images" in text for text in shown] == [source == "synthetic"] * 3


def test_the_claim_stands_above_the_banners_and_long_reasons_below(results, tmp_path):
    results.data.source = "synthetic"
    results.data.notice = "The host example.org did not answer in five seconds."
    for page in pages(results, tmp_path):
        claim, banner = page.index("Same program"), page.index("Drawn images, not")
        assert claim < banner < page.index(results.data.notice)
        assert page.count(results.data.notice) == 1


def test_partial_run_with_one_arm(results, tmp_path):
    lost = list(results.arms)[-1]
    empty = {"status": "not run: killed <by> the system"}
    record = results.model_dump() | {
        "status": "partial",
        "comparison": None,
        "arms": results.model_dump()["arms"] | {lost: empty},
        "not_run": ["parity: needs two arms"],
    }
    partial = Results.model_validate(record)
    partial.data.skipped = [SkippedImage(file="test/a.jpg", reason="truncated")]
    shown = [*pages(partial, tmp_path), " ".join(summary(partial).split())]
    for text in shown:
        assert "Partial run" in text
        assert "killed <by> the system" in text
        assert "parity: needs two arms" in text
        assert not CLAIMS.search(text)
    assert all("test/a.jpg" in page for page in shown[:2])


def test_three_arms_and_unknown_phases(results, tmp_path):
    first = next(iter(results.arms.values()))
    results.arms["keras-jax"] = first.model_copy(deep=True)
    first.timing["warp_drive"] = next(iter(first.timing.values()))
    for page in pages(results, tmp_path):
        assert "warp_drive" in page.replace("\\", "")
        assert "keras-jax" in page


def test_phases_apart_by_orders_are_on_a_log_scale(results, tmp_path):
    slow = list(results.arms.values())[-1].timing["image_step"]
    slow.samples_ms = [1000 * sample for sample in slow.samples_ms]
    html = pages(results, tmp_path)[1]
    assert "image_step [s, log scale]" in html
    assert "mathdefault" not in html


@pytest.mark.parametrize("status", ["not run: no memory", None])
def test_a_record_without_any_result(results, tmp_path, status):
    arms = {name: {"status": status} for name in results.arms} if status else {}
    nothing = {"comparison": None, "checks": [], "photos": []}
    record = results.model_dump() | {"arms": arms} | nothing
    bare = Results.model_validate(record)
    for text in [*pages(bare, tmp_path), summary(bare)]:
        assert "No check was made" in text
        assert status is None or status in text


def test_noise_has_no_winner(results, tmp_path):
    noise = with_intervals(results, 0.98, 1.03)
    for text in [*pages(noise, tmp_path), summary(noise)]:
        assert "no difference shown" in " ".join(text.split())
        assert not CLAIMS.search(text)


@pytest.mark.parametrize(
    ("low", "high", "better", "faster"), [(1.1, 1.3, 0, 1), (0.7, 0.9, 1, 0)]
)
def test_a_shown_difference_is_named(results, tmp_path, low, high, better, faster):
    shown = with_intervals(results, low, high)
    arms = shown.comparison.arms
    for page in pages(shown, tmp_path):
        assert f"excludes 0: {arms[better]} is more accurate" in page
        assert f"{arms[faster]} takes less time" in page
        assert f"{arms[1 - faster]} takes less time" not in page
        assert "no difference shown" not in page


def plain(results: Results, **config: object) -> Results:
    """The stored run as if it had been one of the plain division."""
    changed = {"division": "plain", "config": results.config | config}
    return results.model_copy(update=changed, deep=True)


def test_plain_division_is_named_everywhere(results, tmp_path):
    shown = [*pages(results, tmp_path), summary(results)]
    assert not any("plain division" in text.lower() for text in shown)
    found = plain(results)
    markdown, html = pages(found, tmp_path)
    for page in (markdown, html):
        assert "pytorch and keras on clothing-dataset-small, plain division" in page
        assert "differ by design" in page.split("Accuracy")[0]
        assert "Both arms start from the same values" not in page
        assert "features once" not in page
        assert "adam_epsilon" not in page.replace("\\", "")  # Keras's is another one
    for text in (markdown, html, " ".join(summary(found).split())):
        assert "Plain division: each side" in text


def test_plain_report_takes_no_side(results, tmp_path):
    noise = plain(with_intervals(results, 0.98, 1.03), augment=True)
    markdown, html = pages(noise, tmp_path)
    without_entries = re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL)
    for text in (markdown, without_entries, summary(noise)):
        assert not CLAIMS.search(text)


def test_differences_are_listed_with_their_titles(results, tmp_path):
    document = (ROOT / "docs" / "differences.md").read_text()
    headings = re.findall(r"^## (D\d\d .+)$", document, re.MULTILINE)
    everything = plain(results, augment=True, dropout=0.2)
    everything.arms["keras"].device = "a GPU"
    listed = differences(everything)
    assert len(listed) == 15
    assert set(listed) <= set(headings)
    markdown, html = (path.read_text() for path in write_report(everything, tmp_path))
    for title in listed:
        assert unescape(html).count(title) == 1
        assert f"- {title}\n" in markdown
    fewer = differences(plain(results, augment=False, dropout=0.0))
    assert {title[:3] for title in set(listed) - set(fewer)} == {
        *("D11", "D12", "D17", "D22")
    }


def test_html_holds_the_entries_themselves(results, tmp_path):
    html = write_report(plain(results), tmp_path)[1].read_text()
    (entry,) = re.findall(
        r"<details>\n<summary>D03 Padding of stride-2 conv.*?</summary>.*?</details>",
        html,
        re.DOTALL,
    )
    assert '<td class="l"><code>padding=1</code>: all four sides</td>' in entry
    assert "the sampling grid is shifted by one pixel" in entry
    assert "Measured" not in entry  # on another machine


def test_titles_stand_alone_where_the_documents_are_missing(
    results, tmp_path, monkeypatch
):
    monkeypatch.setattr("bench.ledger.DOCUMENT", tmp_path / "missing.md")
    monkeypatch.setattr("bench.report.DOCUMENT", tmp_path / "missing.md")
    ledger = read_results(ROOT / "reports/samples/differences-2-cores/results.json")
    for record in (plain(results), ledger):
        markdown, html = write_report(record, tmp_path)
        assert "D02" in markdown.read_text()
        assert "missing.md" not in markdown.read_text() + html.read_text()


def links(page: Path) -> set[str]:
    """Everything that a page leads to, but for pictures inside it."""
    text = page.read_text()
    if page.suffix == ".html":
        addresses = Loads(text).addresses
    else:
        addresses = re.findall(r"(?<!\\)\]\(([^)]+)\)", text)
    return {a for a in addresses if not a.startswith("data:")}


def places(page: Path) -> set[str]:
    """Where a link can lead to within a page; nowhere if the file is missing."""
    if not page.is_file():
        return set()
    if page.suffix == ".html":
        return {"", *Loads(page.read_text()).ids}
    return {"", *map(anchor, re.findall(r"(?m)^#+ (.+)$", page.read_text()))}


def dead_links(page: Path) -> list[str]:
    targets: dict[str, set[str]] = {}
    for link in sorted(links(page)):
        file, _, place = unquote(link).partition("#")
        targets.setdefault(file, set()).add(place)
    return [
        f"{file}#{place}"
        for file, wanted in targets.items()
        for place in wanted - places(page.parent / file if file else page)
    ]


KEPT = sorted((ROOT / "reports" / "samples").glob("*/report.*"))


@pytest.mark.parametrize(
    "page", KEPT, ids=lambda page: f"{page.parent.name}{page.suffix}"
)
def test_links_of_kept_reports_lead_somewhere(page):
    assert dead_links(page) == []


def test_links_lead_somewhere_wherever_a_report_is_kept(results, tmp_path, monkeypatch):
    project = tmp_path / "a project"
    document = project / "docs" / "differences.md"
    document.parent.mkdir(parents=True)
    document.write_text((ROOT / "docs" / "differences.md").read_text())
    monkeypatch.setattr("bench.report.DOCUMENT", document)
    inside = write_report(plain(results), project / "reports" / "one")
    elsewhere = write_report(plain(results), tmp_path / "one")
    assert all(links(page) for page in (*inside, elsewhere[1]))
    assert links(elsewhere[0]) == set()
    (copied := tmp_path / "sent.html").write_bytes(inside[1].read_bytes())
    assert [dead_links(page) for page in (*inside, *elsewhere, copied)] == [[]] * 5
    document.write_text("## D01 Another title\n")
    assert dead_links(inside[0])


@pytest.mark.parametrize("arms", [1, 2, 4])
def test_summary_fits_a_narrow_terminal(results, arms):
    more = {"keras-jax": results.arms["keras"], "keras-torch": results.arms["keras"]}
    results.arms = dict([*results.arms.items(), *more.items()][:arms])
    lines = summary(results).splitlines()
    assert max(map(len, lines)) <= 80
    assert "somewhere/report.html" in lines[-1]
    (row,) = [line for line in lines if line.startswith("Test accuracy  ")]
    assert row.count("%") == arms
    assert all(percent(arm.test.accuracy) in row for arm in results.arms.values())


@pytest.mark.parametrize("content", [None, "", "{", '{"schema_version": 99}'])
def test_unreadable_record_is_the_users_error(tmp_path, content):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"results\.json"):
        read_results(path)


def make_control(results: Results) -> ControlRecord:
    """Each arm against itself, off by half a percent."""
    one = TimingComparison(ratio=1.005, interval=(0.98, 1.03), verdict=NO_DIFFERENCE)
    arms = {name: dict.fromkeys(arm.timing, one) for name, arm in results.arms.items()}
    return ControlRecord(started_at="2026-01-02", rounds=5, machine={}, arms=arms)


def test_last_control_stands_beside_the_times(results, tmp_path):
    results.timing.control = None
    for page in pages(results, tmp_path):
        assert "python -m bench control" in page
    results.timing.control = make_control(results)
    for page in pages(results, tmp_path):
        assert "keras against itself" in page
        assert page.count(NO_DIFFERENCE) >= len(results.arms["keras"].timing)
    results.timing.control.arms["keras"][
        "image_step"
    ].verdict = "keras, again takes less time"
    assert "keras, again takes less time" in pages(results, tmp_path)[0]


def test_ratio_of_a_busy_machine_is_not_told(results, tmp_path):
    for ratios in results.timing.ratios.values():
        ratios["train_step"].verdict = TOO_NOISY
    for page in pages(results, tmp_path):
        assert f"train_step: {TOO_NOISY}" in page


def test_a_control_alone_has_a_report(results, tmp_path):
    results.timing.control = make_control(results)
    nothing = {"arms": {}, "comparison": None, "parity": None, "photos": []}
    alone = results.model_copy(update=nothing)
    for page in pages(alone, tmp_path):
        assert "Each arm timed against itself" in page
        assert "pytorch against itself" in page
        assert "No arm was scored" not in page


def test_times_that_spread_are_called_so(results, tmp_path):
    record = results.arms["keras"].timing["image_step"]
    record.iqr_ms = 0.2 * record.median_ms
    assert "noisy" in pages(results, tmp_path)[0].split("if it is more than 25%")[1]
    record.iqr_ms = 0.3 * record.median_ms
    assert "unstable" in pages(results, tmp_path)[0].split("if it is more than 25%")[1]


def test_order_and_load_of_the_rounds_are_told(results, tmp_path):
    orders = "; ".join(", ".join(order) for order in results.timing.order)
    for page in pages(results, tmp_path):
        assert orders in page
        assert fixed(results.timing.before.load_average, 2) in page


def test_a_busy_machine_is_told(results, tmp_path):
    assert not any("was busy" in page for page in pages(results, tmp_path))
    results.timing.cut_short = {"pytorch": [], "keras": ["image_step"]}
    results.config["timing_budget_s"] = 2.0
    for page in pages(results, tmp_path):
        assert "keras (image_step) took all of the 2 seconds" in " ".join(page.split())


def test_operations_of_each_graph_stand_side_by_side(results, tmp_path):
    def made(**of_kind: float) -> dict[str, OperationRecord]:
        return {
            name: OperationRecord(count=52, milliseconds=spent)
            for name, spent in of_kind.items()
        }

    first, second = results.arms
    operations = {second: made(Conv=80, Sub=20), first: made(Conv=90, Gemm=0.01)}
    results.timing.operations = operations
    text = pages(results, tmp_path)[0]
    assert f"| Operation | {first} | {second} |" in text
    assert "| Conv | 52 in 90.0 ms | 52 in 80.0 ms |" in text
    assert "| Sub | – | 52 in 20.0 ms |" in text
    assert "Gemm" not in text


def make_version(
    name: str, seconds: float, interval: tuple[float, float]
) -> VersionRecord:
    return VersionRecord(
        name=name,
        what="what it is",
        changes={},
        reads_cache=name != "usual",
        stages={"start": 1.0, "import": 4.0, "epochs": seconds - 5, "evaluate": 99.0},
        memory=MemoryRecord(peak_rss_mib=900),
        test_accuracy=0.9,
        difference=sum(interval) / 2,
        difference_interval=interval,
    )


def test_optimisation_ladder_adds_the_cold_cache_where_it_is_read(results, tmp_path):
    rungs = [
        make_version("usual", 500, (0, 0)),
        make_version("fast", 20, (-0.01, 0.02)),
    ]
    rungs.append(make_version("too fast", 10, (-0.08, -0.02)))
    results.speedups = SpeedupsRecord(
        epochs=10, seed=0, decoding_s=5, arms={"keras": rungs}, floor_s={"keras": 8.0}
    )
    for rung, ms in zip(rungs, (100, 50, 20), strict=True):
        rung.augmented = TimingRecord(
            median_ms=ms, iqr_ms=0, samples_ms=[ms], images_per_second=1000 / ms
        )
    for page in pages(results, tmp_path):
        assert "1.2 times as long" in page  # 10 s over 8
        assert "10 epochs take 500 s in the version “usual” and 10.0 s in the" in page
    text = pages(results, tmp_path)[0].replace("\\", "")
    (fast,) = [line for line in text.splitlines() if line.startswith("| fast | 25.0")]
    cells = [cell.strip() for cell in fast.split("|")[1:-1]]
    assert cells[1:5] == ["25.0", "20.0", "20.0", "25.0"]
    assert "| 20 | 2.00 |" in text  # augmented images/s, and times the first rung's
    assert cells[-1] == "no difference shown"
    (worse,) = [line for line in text.splitlines() if line.startswith("| too fast | 1")]
    assert worse.split("|")[-2].strip() == "shown"


def test_ladder_and_check_follow_one_rule():
    """A rung that gets more and more images wrong, which the one before gets right."""
    before, this = (make_version(name, 10, (0, 0)) for name in ("before", "this"))
    record, said = SpeedupsRecord(epochs=1, seed=0, arms={"keras": [before, this]}), []
    for mistakes in range(10):
        correct = [np.full(372, True), np.arange(372) >= mistakes]
        _judge_accuracies([before, this], correct)
        (check,) = make_checks({}, speedups=record)
        verdict = _whole(this, before, decoding_s=0)[-1]
        assert check.passed == (verdict == NO_DIFFERENCE) == (check.value >= 0.05)
        said.append(check.passed)
    assert said == [True] * 6 + [False] * 4  # two tails of 1 / 2^6 are below 0.05


def test_the_ladder_says_what_it_trains_without(results, tmp_path):
    assert "whatever this run has" not in pages(results, tmp_path)[0]
    results.config["augment"] = True
    for page in pages(results, tmp_path):
        assert "whatever this run has for augment." in page


def test_memory_and_time_by_images_have_a_section(results, tmp_path):
    points = [
        ScalingPoint(
            arm="keras",
            images=images,
            decoding_s=1,
            stages={"features": images / 200, "epochs": 1},
            memory=MemoryRecord(peak_rss_mib=1234, peak_private_mib=777),
            one_pass=PassMemory(images=images, private_mib=(700, 712), device_mib=None),
            test_accuracy=0.9,
        )
        for images in (1000, 4000, 8000)
    ]
    results.scaling = ScalingRecord(points=points)
    for page in pages(results, tmp_path):
        assert "predicts 41 s for 8,000 images, which took 41 s" in page
        assert "1,000 images add +1.5 MiB of private memory" in page
        assert "1,234" in page
        assert "777" in page


def proven(results: Results) -> Results:
    """The stored run as if its arms had predicted the same class for every image."""
    results.arms["keras"].test = results.arms["pytorch"].test.model_copy(deep=True)
    results.comparison.top1_agreement = 1.0
    return results


def test_sameness_is_proven_by_predictions_and_ladder(results, tmp_path):
    said = (
        "Same program, proven: 0 of 372 predictions differ, all 22 rungs of the parity "
        "ladder hold."
    )
    markdown, html = pages(proven(results), tmp_path)
    assert f"**{said}**" in markdown
    assert f'<p class="claim proven">{said}</p>' in html
    assert said in " ".join(summary(results).split())


def test_what_fails_stands_first(results, tmp_path):
    proven(results).comparison.top1_agreement = 1 - 18 / 372
    rung = next(r for r in results.parity.rungs if r.name == "backbone features")
    rung.passed, rung.first_failed = False, "block 3"
    html = pages(results, tmp_path)[1]
    (claim,) = re.findall(r'<p class="claim failed">(.+?)</p>', html)
    assert "not proven in this run, since 18 of 372 predictions differ" in claim
    assert "fails first at “backbone features”, at block 3" in claim
    assert re.search(r"<details open>\n<summary>The parity ladder fails first", html)


@pytest.mark.parametrize(("passed", "state"), [(True, "proven"), (None, "open")])
def test_float64_shows_that_rounding_parts_predictions(results, passed, state):
    proven(results).comparison.top1_agreement = 366 / 372
    rungs = results.parity.rungs
    rung = next(one for one in rungs if one.name == "validation predictions")
    rung.precision, rung.passed = "float64", passed
    claim = make_claim(results)
    assert claim.state == state
    assert "6 of 372 predictions differ" in claim.text
    assert ("in float64 both predict alike" in claim.text) == bool(passed)


def without_parity(results: Results) -> None:
    results.parity = None


def with_training_alone(results: Results) -> None:
    results.parity.whole = False


def without_second_arm(results: Results) -> None:
    results.arms["keras"] = ArmRecord(status="not run: no memory")
    results.comparison = None


def with_rung_that_needs_float64(results: Results) -> None:
    results.parity.rungs[5].passed = None


def with_third_arm_that_differs(results: Results) -> None:
    results.arms["keras-jax"] = results.arms["keras"]
    other = {"arms": ("pytorch", "keras-jax"), "top1_agreement": 371 / 372}
    results.further = [results.comparison.model_copy(update=other)]


def in_plain_division(results: Results) -> None:
    results.division = "plain"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_parity, "since the parity ladder was not run. 0 of 372"),
        (with_training_alone, "only the training was compared.*agree in float64"),
        (without_second_arm, "since keras did not run. All 22 rungs"),
        (with_rung_that_needs_float64, "proven: .*all 21 rungs .* that can be judged"),
        (with_third_arm_that_differs, "1 of 372 .* between pytorch and keras-jax"),
        (in_plain_division, "No claim of sameness"),
    ],
)
def test_what_a_proof_lacks_is_said(results, change, said):
    change(proven(results))
    claim = make_claim(results)
    assert re.search(said, claim.text)
    complete = change is with_rung_that_needs_float64
    assert (claim.state == "proven") == complete
    assert ("Same program, proven" in claim.text) == complete


def test_no_claim_is_made_where_no_arm_was_compared(results):
    results.arms, results.parity, results.comparison = {}, None, None
    assert make_claim(results) is None


def test_cards_show_the_figures_of_all_arms(results):
    cards = {card.title: card for card in make_cards(results)}
    assert list(cards) == [
        *("Test accuracy", "Training time", "Step time", "Step on full images"),
        *("Peak memory", "ONNX parity"),
    ]
    pytorch = results.arms["pytorch"]
    seconds = fixed(whole_training_s(pytorch.stages), 1)
    assert cards["Training time"].marks["pytorch"].value == f"{seconds} s"
    longest = {"Training time", "Step time", "Step on full images", "Peak memory"}
    for title, card in cards.items():
        assert list(card.marks) == ["pytorch", "keras"]
        ends = [
            end
            for mark in card.marks.values()
            for end in (mark.place, *(mark.interval or ()))
        ]
        assert all(0 <= end <= 1 for end in ends)
        assert (max(ends) == 1) == (title in longest)
    step = cards["Step time"]
    assert step.meaning.startswith(PHASES["train_step"])
    assert step.marks["pytorch"].value == (
        f"{short(pytorch.timing['train_step'].median_ms)} ms"
    )


def test_without_a_step_on_full_images_there_is_no_card_for_it(results):
    for arm in results.arms.values():
        del arm.timing["image_step"]
    assert "Step on full images" not in [card.title for card in make_cards(results)]


def test_an_onnx_file_that_differs_is_seen_on_its_card(results, tmp_path):
    assert make_cards(results)[-1].verdict == "within the limit"
    results.arms["keras"].onnx.parity.max_scaled_diff = 3e-3
    (check,) = [c for c in results.checks if c.name == "keras: ONNX max_scaled_diff"]
    check.passed = False
    card = make_cards(results)[-1]
    assert card.marks["keras"].place > card.limit > card.marks["pytorch"].place
    assert '<p class="bad">FAILS</p>' in pages(results, tmp_path)[1]


def test_photos_are_shown_with_all_answers(results, tmp_path):
    mistake = make_mistake("shirt", "t-shirt")
    results.photos = [
        Photo(
            file=mistake.file,
            label="shirt",
            thumbnail_jpeg=mistake.thumbnail_jpeg,
            answers={
                "pytorch": Answer(predicted="shirt", probability=0.9),
                "keras": Answer(predicted=predicted, probability=0.623),
            },
        )
        for predicted in ("shirt", "dress")
    ]
    markdown, html = pages(results, tmp_path)
    assert "The arms differ on 1 of them." in markdown
    assert html.count('<figure class="disputed">') == 1
    assert re.search("✗</b> dress 62.3%", html)
    assert "| shirt | shirt 90.0% | dress 62.3% | test/shirt/1.jpg |" in markdown
    assert Loads(html).open == []


def test_the_gpu_is_described(results, gpu, tmp_path):
    changed = results.model_copy(deep=True)
    environment = changed.environment
    environment.gpu, environment.gpu_details = gpu.gpu.name, gpu.gpu
    environment.gpu_support = {"pytorch": GpuSupport(cuda="13.0", cudnn="9.19.0")}
    for page in pages(changed, tmp_path):
        for words in ("GPU-bbbb", "8.9", "580.159.04", "13.0, 9.19.0"):
            assert words in page
    for page in pages(results, tmp_path):
        assert "none used" in page


def test_times_of_onnxruntime_are_labelled():
    """They stand beside those of a GPU."""
    for name, meaning in PHASES.items():
        assert name.startswith("onnx_") == ("onnxruntime" in meaning)
        assert name.startswith("onnx_") == ("on the CPU" in meaning)
