"""The section on how time and memory of each arm grow with the images."""

from matplotlib.figure import Figure

from bench.judging.comparison import memory_growth
from bench.judging.intervals import foretell, growth
from bench.records import Results, ScalingPoint
from bench.report.blocks import Block, Plot, Table, Text
from bench.report.figures import arm_styles, render
from bench.report.numbers import fixed, percent

HEADER = [
    "Arm",
    "Images",
    "Decoding [s]",
    "Features [s]",
    "Epochs [s]",
    "Images/s",
    "Private memory [MiB]",
    "With mapped files [MiB]",
    "Accelerator [MiB]",
    "Test accuracy",
]


def scaling(results: Results) -> list[Block]:
    if not results.scaling or not results.scaling.points:
        return []
    rows = [_cells(point) for point in results.scaling.points]
    return [
        Text(
            "The same training runs on more and more images. Each image is a separate "
            "file, and the decode cache is empty at the start. Decoded images and "
            "features are stored in memory-mapped files, whose pages stay in memory "
            "while the machine has room. Private memory is the memory without these "
            f"pages. {_growths(results)}"
        ),
        Table("", "lrrrrrrrrr", HEADER, rows),
        _plot(results),
    ]


def _cells(point: ScalingPoint) -> list[str]:
    memory = point.memory
    return [
        point.arm,
        f"{point.images:,}",
        fixed(point.decoding_s, 1),
        fixed(point.stages.get("features"), 1),
        fixed(point.stages["epochs"], 1),
        fixed(point.images / point.training_s, 0),
        fixed(memory.peak_private_mib, 0),
        fixed(memory.peak_rss_mib, 0),
        fixed(memory.peak_device_mib, 0),
        percent(point.test_accuracy),
    ]


def _growths(results: Results) -> str:
    """Describe how time and memory grow, and how well the growth can be predicted."""
    said, decoded = [], 1000 * 3 * results.config["image_size_px"] ** 2 / 2**20
    for arm, points in results.scaling.by_arm.items():
        images = [point.images for point in points]
        seconds = [point.training_s for point in points]
        if len(points) > 1:
            power = f"{growth(images, seconds):.2f}"
            said.append(
                f"{arm}: the time of features and epochs grows with the number of "
                f"images to the power of {power}"
            )
        if len(points) > 2:
            told = foretell(images[:-1], seconds[:-1], images[-1])
            said[-1] += (
                f". A straight line through the smaller sets predicts {told:.0f} s "
                f"for {images[-1]:,} images, which took {seconds[-1]:.0f} s"
            )
        for memory, grown in memory_growth(points).items():
            said.append(
                f"{arm}: in the pass over the largest set, 1,000 images add "
                f"{grown:+.1f} MiB of {memory} memory. The decoded images are "
                f"{decoded:.0f} MiB, and their features are 5 MiB"
            )
    return " ".join(f"{sentence}." for sentence in said)


def _plot(results: Results) -> Plot:
    arms = results.scaling.by_arm
    styles = arm_styles(arms)

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, 2)
        for name, points in arms.items():
            look = {"color": styles[name].color, "marker": styles[name].marker}
            images = [point.images for point in points]
            axes[0].plot(images, [p.training_s for p in points], **look, label=name)
            peaks = [p.memory.peak_private_mib or p.memory.peak_rss_mib for p in points]
            axes[1].plot(images, peaks, **look)
        for one, label in zip(axes, ("seconds", "peak memory [MiB]"), strict=True):
            one.set(xlabel="images", ylabel=label, xlim=(0, None), ylim=(0, None))
            one.grid(axis="y")
        figure.legend(loc="outside upper center", ncols=4)

    caption = (
        "Time of features and epochs together, and peak private memory, by the number "
        "of images."
    )
    return Plot(render(draw, "scaling", caption, (7, 3)), caption)
