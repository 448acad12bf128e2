"""Traps in other people's code: each is found, and right code is left alone."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench.ledger import read_document, read_titles
from bench.lesson.check.findings import (
    check_file,
    find_traps,
    list_files,
    print_for_github,
    print_traps,
)
from bench.lesson.check.program import Program, number, read_program
from shared.errors import UserError

ROOT = Path(__file__).parents[3]

FROZEN = """\
import torch
from torchvision import models

net = models.resnet18(weights="DEFAULT")
for weight in net.parameters():
    weight.requires_grad = False
net.fc = torch.nn.Linear(512, 10)

def fit(net, data, optimizer, rule, rate_rule):
    for epoch in range(3):
        net.train()
        for images, labels in data["train"]:
            optimizer.zero_grad()
            rule(net(images), labels).backward()
            optimizer.step()
        rate_rule.step()
        net.eval()
        with torch.no_grad():
            for images, labels in data["val"]:
                net(images)
"""
PYTORCH = {
    "D01": [
        (FROZEN, 11),
        (
            FROZEN.replace(
                "weight.requires_grad = False", "weight.requires_grad_(False)"
            ),
            11,
        ),
    ],
    "D04": [
        ("pixels = images.swapaxes(1, 3)", 1),
        ("pixels = np.swapaxes(images, 3, 1)", 1),
        ("pixels = torch.transpose(images, 1, -1)\nx = image.T", 2),
    ],
    "D09": [("optimizer = torch.optim.Adam(net.parameters(), weight_decay=1e-4)", 1)],
    "D10": [
        (
            "for x, y in loader:\n    total_loss += loss.item()\n"
            "print(total_loss / len(loader))",
            2,
        ),
        (
            "def run():\n    for x, y in val_loader:\n"
            "        s += rule(x, y).loss.item()\n    return s / len(val_loader)",
            3,
        ),
    ],
    "D11": [("turn = v2.RandomRotation(0.1)", 1)],
    "D13": [
        (
            "net = nn.Sequential(nn.Linear(9, 3), nn.Softmax(1))\n"
            "rule = nn.CrossEntropyLoss()",
            1,
        ),
        (
            "class Net(nn.Module):\n    def forward(self, x):\n"
            "        return F.softmax(self.fc(x), dim=1)\nrule = nn.CrossEntropyLoss()",
            3,
        ),
        ("loss = F.cross_entropy(logits.softmax(1), labels)", 1),
    ],
    "D14": [("loader = DataLoader(train_data, batch_size=32)", 1)],
    "D20": [
        (
            "optimizer = SGD(net.parameters(), 0.1)\nloss.backward()\n"
            "with torch.inference_mode():\n    answers = net(images)",
            3,
        )
    ],
    "D29": [
        ("rates = lr_scheduler.StepLR(optimizer, step_size=7)\noptimizer.step()", 1)
    ],
    "D40": [
        (FROZEN.replace("optimizer.zero_grad()", "pass").replace("False", "True"), 14),
        ("def step(x, y):\n    rule(net(x), y).backward()\n    optimizer.step()", 2),
    ],
    "D41": [
        ('state = torch.load("best.pt")', 1),
        ('state = torch.load("best.pt", weights_only=False)', 1),
    ],
    "D42": [('torch.onnx.export(net, (images,), "net.onnx")', 1)],
}
HEAD = "model = keras.Sequential([backbone, layers.Dense(10)])\n"
KERAS = {
    "D04": [("pixels = np.swapaxes(images, 1, 3)", 1)],
    "D06": [
        (
            "from keras.applications.resnet import preprocess_input\n"
            "net = MobileNetV2(include_top=False)",
            1,
        ),
        ("net = applications.Xception()\nscale = layers.Rescaling(1.0 / 255)", 2),
        ("net = VGG16()\nimages = ImageDataGenerator(rescale=1 / 255)", 2),
        ("net = MobileNet()\nx = keras.applications.vgg16.preprocess_input(x)", 2),
    ],
    "D11": [("turn = layers.RandomRotation(10)", 1)],
    "D13": [
        (HEAD + 'model.compile("adam", loss="sparse_categorical_crossentropy")', 2),
        (HEAD + "model.compile(loss=losses.SparseCategoricalCrossentropy())", 2),
        (HEAD + "rule = CategoricalCrossentropy()\nmodel.compile(loss=rule)", 2),
        (
            'model.add(Dense(10, activation="softmax"))\n'
            "model.compile(loss=SparseCategoricalCrossentropy(from_logits=True))",
            2,
        ),
    ],
    "D24": [("image = load_img(path, target_size=(224, 224))", 1)],
    "D26": [("flip = layers.RandomFlip()", 1)],
}
CASES = [
    (framework, entry, text, line)
    for framework, cases in (("torch", PYTORCH), ("keras", KERAS))
    for entry, examples in cases.items()
    for text, line in examples
]

# What the guides of both frameworks do, in short, and what looks like a trap.
RIGHT = {
    "a loop": "import torch\n"
    + FROZEN.replace(
        "        net.train()\n", "        net.train()\n        net.layer1.eval()\n"
    ),
    "no batch norm": FROZEN.replace("resnet18", "vgg16"),
    "a whole network learns": FROZEN.replace("weight.requires_grad = False", "pass"),
    "classifying": "import torch\nprobabilities = net(x).softmax(1)\n",
    "decoupled": "import torch\no = torch.optim.AdamW(p, weight_decay=0.01)\n",
    "weighted sum": "import torch\nloss_sum += loss.item() * len(labels)\n"
    "print(loss_sum / len(loader.dataset))\n",
    "degrees": "import torchvision\nt = v2.RandomRotation(10)\n",
    "shuffled": "import torch\nl = DataLoader(train_data, 32, shuffle=True)\n"
    "m = DataLoader(test_data, 32)\nn = DataLoader(train_data, sampler=s)\n",
    "set to none": "import torch\nfor x, y in data:\n    rule(net(x), y).backward()\n"
    "    optimizer.step()\n    for p in net.parameters():\n        p.grad = None\n",
    "one gradient": "import torch\nfor x in images:\n    net(x).max().backward()\n",
    "tensors alone": 'import torch\ns = torch.load("best.pt", weights_only=True)\n'
    't = np.load("features.npy")\n',
    "any batch": "import torch\n"
    'torch.onnx.export(net, (x,), "net.onnx", dynamic_axes={"input": {0: "n"}})\n',
    "passed on": "import torch\nrates = StepLR(optimizer, 7)\n"
    "fit(net, optimizer, rates)\n",
    "two-dimensional": "import torch\ny = x @ weights.T\nz = a.transpose(0, 1)\n",
    "logits": "import keras\n"
    + HEAD
    + "model.compile(loss=SparseCategoricalCrossentropy(from_logits=True))\n",
    "probabilities": 'import keras\nm.add(Dense(10, activation="softmax"))\n'
    'm.compile(loss="sparse_categorical_crossentropy")\n',
    "regression": "import keras\n" + HEAD + 'model.compile(loss="mse")\n',
    "turns": "import keras\nt = layers.RandomRotation(0.1)\n"
    "f = layers.RandomFlip('horizontal')\n",
    "own scale": "import keras\n"
    "from keras.applications.mobilenet_v2 import preprocess_input\n"
    "n = MobileNetV2()\ns = layers.Rescaling(1 / 127.5, offset=-1)\n",
    "not pretrained": "import keras\nn = Xception(weights=None)\n"
    "s = layers.Rescaling(1 / 255)\n",
    "another language's names": "images.swapaxes(1, 3)\nRandomFlip()\n",
}


@pytest.mark.parametrize(
    ("framework", "entry", "text", "line"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES]
)
def test_trap_is_found(framework, entry, text, line):
    found = [*find_traps(Program(f"{text}\nimport {framework}"))]
    assert [(one.entry, one.line) for one in found] == [(entry, line)]
    assert found[0].mended


def test_every_rule_names_an_entry_of_the_ledger():
    assert {*PYTORCH, *KERAS} <= set(read_titles(read_document()))


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_right_code_is_left_alone(text):
    assert [*find_traps(Program(text))] == []


@pytest.mark.parametrize("side", ["pytorch_impl", "keras_impl"])
def test_our_own_programs_have_no_trap(side):
    for file in [*(ROOT / side).glob("*.py"), *(ROOT / side / "matched").glob("*.py")]:
        assert check_file(file) == [], file


def shown(function, *arguments) -> list[str]:
    file = io.StringIO()
    function(*arguments, Console(file=file, width=60))
    return file.getvalue().splitlines()


def test_a_finding_has_its_place_its_effect_and_the_mended_line(tmp_path):
    file = tmp_path / "train.py"
    file.write_text("import keras\n\nflip = keras.layers.RandomFlip()\n")
    first, mended, effect = shown(print_traps, check_file(file), 1)
    assert first.startswith(f"{file}:3: D26 by default RandomFlip")
    assert mended == "    keras.layers.RandomFlip('horizontal')"
    assert "points of test accuracy" in effect
    (warning,) = shown(print_for_github, check_file(file))
    assert warning.startswith(f"::warning file={file},line=3,title=D26::by default")


def test_a_clean_file_gets_one_line_without_an_entry(tmp_path):
    file = tmp_path / "train.py"
    file.write_text("import keras\n")
    assert shown(print_traps, check_file(file), 1) == [
        "1 file: no trap found that the ledger knows."
    ]


@pytest.mark.parametrize(
    ("comment", "is_silent"),
    [
        ("# bench: ignore D26", True),
        ("# bench: ignore D01, D26", True),
        ("# bench: ignore", True),
        ("# bench: ignore D01", False),
    ],
)
def test_a_comment_silences_a_finding(tmp_path, comment, is_silent):
    file = tmp_path / "train.py"
    file.write_text(f"import keras\nflip = RandomFlip()  {comment}\n")
    assert (check_file(file) == []) == is_silent


def test_notebook_is_read_cell_by_cell(tmp_path):
    file = tmp_path / "train.ipynb"
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n"]},
        {
            "cell_type": "code",
            "source": ["%matplotlib inline\n", "!pip install keras\n"],
        },
        {"cell_type": "code", "source": "%%bash\nls 'a"},
        {"cell_type": "code", "source": ["import keras\n", "RandomFlip()\n", "help?"]},
    ]
    file.write_text(json.dumps({"cells": cells}))
    (trap,) = check_file(file)
    assert trap.place == "4:2"


def test_folder_is_searched_without_what_others_wrote(tmp_path):
    for name in ("a.py", "b/c.ipynb", "site-packages/d.py", ".venv/e.py", "f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in list_files(tmp_path)]
    assert found == ["a.py", "b/c.ipynb"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.py", b"def f(:\n", r"a\.py:1: this is no Python: "),
        ("b.py", b"\xff\xfe\x00", "this is no text in UTF-8"),
        ("c.py", b"x = 1\0", "this is no Python"),
        ("d.ipynb", b"{}", "this is no notebook"),
        (
            "e.ipynb",
            b'{"cells": [{"cell_type": "code", "source": "f("}]}',
            "ipynb:1:1: ",
        ),
        ("f.py", b"(" * 5000, "this is no Python"),
    ],
)
def test_what_is_no_code_is_refused(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=problem):
        read_program(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "problem"), [("a.txt", "neither"), ("none", "there is no"), ("", "has no")]
)
def test_what_cannot_be_checked_is_named(tmp_path, name, problem):
    (tmp_path / "a.txt").touch()
    with pytest.raises(UserError, match=problem):
        list_files(tmp_path / name)


def test_numbers_are_read_and_never_computed_long():
    def read(text: str) -> float | None:
        return number(Program(text).tree.body[0].value)

    assert [read(text) for text in ("10", "-0.5", "1 / 255.0")] == [10, -0.5, 1 / 255]
    assert [read(text) for text in ("9**9**9", "x", "1 / 0", "'a'")] == [None] * 4
