"""The workshop's experiments, each declared once.

Every experiment changes one thing of the matched program and compares each setting
with the first one, which is the workshop's.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.text import Text

from bench.run.experiment import Experiment, Setting
from bench.studies.cells import work_of_busiest
from bench.studies.estimates import TRAIN_IMAGES, estimate_training_s
from shared.config import Config, make_config
from shared.errors import UserError

QUICK = {"epochs": 2, "seeds": 2}  # on a small part of the images


def _values_of(name: str, *values: object) -> dict[str, Setting]:
    """Return a setting for each value of a field, by the value."""
    return {_text(value): Setting({name: value}) for value in values}


def _fine_tuning(name: str, rate: float) -> dict[str, object]:
    return {"fine_tuning": name, "fine_tuning_epochs": 3, "fine_tuning_rate": rate}


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


PLAIN = {"division": "plain"}
STRONG = {
    "augment": True,
    "rotation_degrees": 20.0,
    "crop_scale_min": 0.6,
    "color_jitter": 0.3,
}
RECIPE = {
    "epochs": 2,  # for the head alone, which is trained on in fine-tuning
    "augment": True,
    "crop_scale_min": 0.7,
    "color_jitter": 0.2,
    "fine_tuning": "all",
    "fine_tuning_epochs": 10,
    "fine_tuning_rate": 5e-4,
    "schedule": "one-cycle",
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
}
EXPERIMENTS = {
    "learning-rate": Experiment(
        "Which learning rate of Adam is best for the head?",
        _values_of("learning_rate", 0.001, 0.0001, 0.01, 0.1),
        field="learning_rate",
    ),
    "inner-size": Experiment(
        "Does a hidden layer help, and how many units should it have?",
        _values_of("inner_size", 100, 10, 1000) | {"none": Setting({"inner_size": 0})},
        field="inner_size",
    ),
    "dropout": Experiment(
        "How much dropout does the head need?",
        _values_of("dropout", 0.2, 0.0, 0.5, 0.8),
        field="dropout",
    ),
    "optimizer": Experiment(
        "Does another optimizer than Adam train a better head?",
        {
            "Adam": Setting(),
            "AdamW, decay 0.01": Setting({"weight_decay": 0.01}),
            "SGD, momentum 0.9, rate 0.01": Setting(
                {"optimizer": "sgd", "learning_rate": 0.01}
            ),
        },
    ),
    "schedule": Experiment(
        "Does the head get better if the learning rate changes during the training?",
        {
            "constant": Setting(),
            "cosine": Setting({"schedule": "cosine"}),
            "one-cycle": Setting({"schedule": "one-cycle"}),
        },
    ),
    "training-size": Experiment(
        "How much accuracy do fewer training images cost?",
        {
            "100 %": Setting(),
            "50 %": Setting(share=0.5),
            "25 %": Setting(share=0.25),
            "10 %": Setting(share=0.1),
        },
    ),
    "class-weights": Experiment(
        "The shares of the classes differ between the splits. Does it help to let rare "
        "classes count as much as common ones?",
        {"off": Setting(), "on": Setting({"class_weights": True})},
    ),
    "resize": Experiment(
        "Is it better to squeeze a photo to a square, or to crop it as torchvision's "
        "own recipe does?",
        {"squeeze": Setting(), "crop": Setting({"resize": "crop"})},
    ),
    "epochs-to-accuracy": Experiment(
        "Which learning rate reaches a validation accuracy of 80% and of 85% first?",
        _values_of("learning_rate", 0.001, 0.0003, 0.003, 0.01),
        field="learning_rate",
    ),
    "batch-norm": Experiment(
        "What does it cost to let the batch norm of a frozen backbone drift, as the "
        "workshop does?",
        {"frozen": Setting(), "drifting": Setting({"batch_norm": "drifting"})},
        epochs=3,
        seeds=3,
    ),
    "augmentation": Experiment(
        "Does it help to rotate, crop and flip the training images, and does more of "
        "it help more?",
        {
            "off": Setting(),
            "on, as in the workshop": Setting({"augment": True}),
            "strong, with colours": Setting(STRONG),
        },
        epochs=8,
        seeds=3,
    ),
    "fine-tuning": Experiment(
        "How much does it help to train the backbone too, once the head is trained?",
        {
            "head only": Setting(),
            "everything at 1e-5": Setting(_fine_tuning("all", 1e-5)),
            "everything at 1e-4": Setting(_fine_tuning("all", 1e-4)),
            "gradual at 1e-4": Setting(_fine_tuning("gradual", 1e-4)),
        },
        seeds=3,
    ),
    "recipe": Experiment(
        "How accurate does the classifier get with everything that helps?",
        {"head only": Setting(), "everything": Setting(RECIPE)},
        seeds=3,
    ),
    "divisions": Experiment(
        "What does a user of each plain program get, and what of it comes from the "
        "defaults of the framework?",
        {
            "matched": Setting(),
            "plain PyTorch": Setting(PLAIN, arm="pytorch"),
            "plain Keras": Setting(PLAIN, arm="keras"),
            "plain Keras against plain PyTorch": Setting(
                PLAIN, arm="keras", against="plain PyTorch"
            ),
        },
        epochs=5,
        seeds=3,
    ),
}


def choose(
    names: tuple[str, ...],
    values: str | None = None,
    epochs: int | None = None,
    seeds: int | None = None,
    quick: bool = False,
) -> dict[str, Experiment]:
    """Return the named experiments, or all of them for "all".

    Args:
        values: values with commas between them, in place of the declared settings of
            the one experiment that is named.
        epochs, seeds: in place of the declared numbers.
        quick: take the numbers of `QUICK` if none are given, and fine-tune for as long.

    Raises:
        UserError: a name or value is not allowed; the message lists what there is.
    """
    unknown = [name for name in names if name not in (*EXPERIMENTS, "all")]
    if unknown:
        raise UserError(
            f"experiments: there is no experiment {unknown[0]!r}. There are "
            f"{', '.join(EXPERIMENTS)}, and all."
        )
    for option, number in (("--epochs", epochs), ("--seeds", seeds)):
        if number is not None and not 1 <= number <= 1000:
            raise UserError(f"{option} {number}: must be from 1 to 1000.")
    chosen = EXPERIMENTS if "all" in names else {n: EXPERIMENTS[n] for n in names}
    if quick:
        epochs, seeds = epochs or QUICK["epochs"], seeds or QUICK["seeds"]
        chosen = {name: _shorten(one) for name, one in chosen.items()}
    if values is not None:
        chosen = _with_values(chosen, values)
    return {
        name: replace(one, epochs=epochs or one.epochs, seeds=seeds or one.seeds)
        for name, one in chosen.items()
    }


def _shorten(experiment: Experiment) -> Experiment:
    settings = {
        name: replace(one, changes={**one.changes, "fine_tuning_epochs": 1})
        if "fine_tuning" in one.changes
        else one
        for name, one in experiment.settings.items()
    }
    return replace(experiment, settings=settings)


def _with_values(chosen: Mapping[str, Experiment], text: str) -> dict[str, Experiment]:
    """Return the one experiment with settings of the user's own after its base."""
    able = [name for name, one in EXPERIMENTS.items() if one.field]
    if len(chosen) != 1 or not set(chosen) <= set(able):
        raise UserError(
            f"--values {text}: name one experiment whose settings are the values of "
            f"one number: {', '.join(able)}."
        )
    ((name, experiment),) = chosen.items()
    base_name = next(iter(experiment.settings))
    settings = {base_name: experiment.settings[base_name]}
    for part in text.split(","):
        settings |= _values_of(experiment.field, _parse(experiment.field, part.strip()))
    if len(settings) < 2:
        raise UserError(
            f"--values {text}: give a value besides {base_name}, with which each value "
            "is compared."
        )
    return {name: replace(experiment, settings=settings)}


def _parse(name: str, text: str) -> Any:
    """Return a value of a field of the configuration from its text."""
    text = "0" if (name, text) == ("inner_size", "none") else text
    try:
        value = TypeAdapter(Config.model_fields[name].annotation).validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
        raise UserError(f"--values {text}: {reason}.") from error
    make_config(**{name: value})  # raises a UserError for a value out of range
    return value


def print_experiments(console: Console) -> None:
    """List every experiment with its settings, and the time that it takes here."""
    seconds = estimate_training_s()
    for name, one in EXPERIMENTS.items():
        minutes = work_of_busiest(one) * seconds / 60
        note = f"  {one.seeds} seeds, about {minutes:,.0f} min"
        console.print(Text(name, "bold") + Text(note, "dim"))
        console.print(f"  {one.question}", markup=False)
        console.print(f"  {', '.join(one.settings)}", style="dim", markup=False)
    console.print(
        f"The times are estimates for this machine and {TRAIN_IMAGES:,} training "
        "images. Run some experiments with `python -m bench experiments NAME ...`, or "
        "all of them with `python -m bench experiments all`.",
        markup=False,
    )
