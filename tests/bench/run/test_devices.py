"""The device of all arms, on machines whose nvidia-smi is a script of ours."""

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bench.processes.request import Load
from bench.processes.worker_process import (
    ArmFailed,
    WorkerProcess,
    environment_for_experiments,
)
from bench.run import devices, gpus
from bench.run.devices import Device, choose_device
from bench.run.environment import describe_environment, describe_state
from bench.run.gpus import serves
from bench.run.state import Run, start_worker
from shared.config import make_config
from shared.errors import UserError
from shared.gpu import GpuSupport

H100 = "0, GPU-aaaa, NVIDIA H100 80GB HBM3, 580.159.04, 9.0, 81559, 0, Disabled"
L4 = "1, GPU-bbbb, NVIDIA L4, 580.159.04, 8.9, 23034, 100, [N/A]"
PYTORCH = GpuSupport(
    name="NVIDIA H100 80GB HBM3",
    cuda="13.0",
    cudnn="9.19.0",
    architectures=("sm_75", "sm_86", "sm_90"),
)
KERAS = PYTORCH.model_copy(
    update={"cuda": "12.5.1", "architectures": ("sm_60", "sm_89", "compute_90")}
)
ARMS = ("pytorch", "keras")


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Callable[..., None]:
    """Put an nvidia-smi first in PATH that prints these lines, whatever it is asked."""

    def make(*lines: str, status: int = 0) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "answer").write_text("".join(f"{line}\n" for line in lines))
        script = folder / "nvidia-smi"
        script.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/asked\ncat {folder}/answer\n'
            f"exit {status}\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return folder

    return make


@pytest.fixture
def answers(monkeypatch) -> dict[str, GpuSupport]:
    """What the arms say, without the time of a process for each."""
    said = {"pytorch": PYTORCH, "keras": KERAS}
    monkeypatch.setattr(devices, "ask", lambda arm, _device: said[arm])
    return said


@pytest.fixture
def no_question(monkeypatch) -> None:
    """Fail if an arm is asked, which starts a process."""
    monkeypatch.setattr(devices, "ask", lambda *_: pytest.fail("an arm was asked"))


def choose(wanted: str = "auto", number: int | None = None) -> tuple[Device, list[str]]:
    said: list[str] = []
    return choose_device(make_config(device=wanted), number, ARMS, said.append), said


def test_all_arms_use_the_first_gpu(machine, answers):
    machine(H100, L4)
    device, said = choose()
    assert device.gpu.uuid == "GPU-aaaa"
    assert device.kind == "cuda"
    assert device.support == answers
    assert said == [
        "device: all arms use the NVIDIA H100 80GB HBM3 (GPU 0, GPU-aaaa)",
        "pytorch: CUDA 13.0, cuDNN 9.19.0",
        "keras: CUDA 12.5.1, cuDNN 9.19.0",
    ]


@pytest.mark.usefixtures("answers")
def test_a_number_chooses_the_gpu(machine):
    machine(H100, L4)
    for wanted in ("auto", "cuda"):
        assert choose(wanted, 1)[0].gpu.name == "NVIDIA L4"
    with pytest.raises(UserError, match=r"--gpu 2: .*Allowed are 0, 1; .*1 \(NVIDIA L"):
        choose(number=2)
    with pytest.raises(UserError, match="--gpu 0 --device cpu: leave out one"):
        choose("cpu", 0)


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("visible", ["1", "GPU-bbbb", "GPU-b", "1,0"])
def test_a_gpu_that_the_user_has_chosen_stays_chosen(machine, monkeypatch, visible):
    machine(H100, L4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert choose()[0].gpu.index == 1


@pytest.mark.usefixtures("no_question")
def test_without_a_driver_nothing_is_started(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    device, said = choose()
    assert said == ["device: no NVIDIA driver was found, so all arms use the CPU"]
    assert device == Device(why=said[0].removeprefix("device: "))
    with pytest.raises(UserError, match="--device cuda: no NVIDIA driver was found"):
        choose("cuda")
    monkeypatch.setattr(gpus.platform, "system", lambda: "Darwin")
    assert "(MPS) are not supported, so all arms use the CPU" in choose()[1][0]


@pytest.mark.usefixtures("no_question")
def test_a_cpu_that_is_asked_for_is_taken(machine):
    machine(H100)
    device, said = choose("cpu")
    assert device.kind == "cpu"
    assert said == ["device: all arms use the CPU, as --device cpu asks"]


MACHINES = {
    "memory held by another process": (
        [H100.replace(" 0, Disabled", " 81160, Disabled")],
        "only 399 of 81559 MiB of GPU 0 .*another process",
        "Wait until it ends, or choose another GPU with --gpu",
    ),
    "MIG": ([H100.replace("Disabled", "Enabled")], "divided by MIG", "-i 0 -mig 0"),
    "an old GPU": (
        [H100.replace(" 9.0,", " 7.0,")],
        "compute capability 7.0, and .* only for 7.5 and newer",
        "choose another",
    ),
}


@pytest.mark.usefixtures("no_question")
@pytest.mark.parametrize("name", MACHINES)
def test_a_gpu_that_cannot_be_used_is_not_asked_for(machine, name):
    lines, reason, remedy = MACHINES[name]
    machine(*lines)
    _, (said,) = choose()
    assert "so all arms use the CPU. " in said
    for option, arguments in {
        "--device cuda: ": ("cuda",),
        "--gpu 0: ": ("auto", 0),
    }.items():
        with pytest.raises(UserError, match=reason) as error:
            choose(*arguments)
        assert remedy in str(error.value)
        assert remedy in said
        assert str(error.value).startswith(option)


@pytest.mark.usefixtures("no_question")
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("NVIDIA-SMI has failed because it couldn't communicate with the driver.", 9),
        ("No devices were found", 6),
        ("Unable to determine the device handle for GPU0: Unknown Error", 0),
        ('Field "compute_cap" is not a valid field to query.', 2),  # an old driver
    ],
)
def test_an_nvidia_smi_that_fails_is_quoted(machine, said, status):
    machine(said, status=status)
    assert said.rstrip(".") in choose()[1][0]
    with pytest.raises(UserError, match="--device cuda: nvidia-smi ") as error:
        choose("cuda")
    assert ("Install the NVIDIA driver again" in str(error.value)) == (status > 0)


@pytest.mark.usefixtures("no_question")
@pytest.mark.parametrize(
    ("visible", "reason"),
    [
        ("", "hides every GPU"),
        ("-1", "hides every GPU"),
        ("7", "names no GPU that exists"),
        ("0,GPU-cccc", "names no GPU that exists"),
        ("MIG-dddd", "names part of a GPU (MIG)"),
    ],
)
def test_hidden_gpus_are_not_taken(machine, monkeypatch, visible, reason):
    machine(H100)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    expected = f'CUDA_VISIBLE_DEVICES="{visible}" {reason}'
    assert choose()[1][0].startswith(f"device: {expected}, so all arms use the CPU")
    with pytest.raises(UserError) as error:
        choose("cuda")
    assert expected in str(error.value)


PROBLEMS = {
    "an old driver": (
        PYTORCH.model_copy(update={"problem": "PyTorch says: too old"}),
        H100.replace("580.159.04", "535.12"),
        "pytorch: the driver 535.12 is too old for CUDA 13.0",
        "Update the NVIDIA driver to 580 or newer.",
    ),
    "a GPU newer than the wheel": (
        PYTORCH.model_copy(update={"problem": "PyTorch says: no kernel image"}),
        H100.replace(" 9.0,", " 12.0,"),
        "pytorch: this version has no code for NVIDIA H100 80GB HBM3 (compute "
        "capability 12.0), only for sm_75, sm_86, sm_90",
        "Install a version that has",
    ),
    "a framework without CUDA": (
        GpuSupport(problem="PyTorch says: no CUDA.", remedy="Install CUDA."),
        H100,
        "pytorch: PyTorch says: no CUDA",
        "Install CUDA.",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_one_arm_that_cannot_use_the_gpu_is_named(machine, answers, name):
    """No arm may take a GPU then: ratios would compare devices and not frameworks."""
    answers["pytorch"], line, reason, remedy = PROBLEMS[name]
    machine(line)
    device, said = choose()
    assert device.kind == "cpu"
    assert said[0].startswith(f"device: {reason}, so all arms use the CPU. {remedy}")
    with pytest.raises(UserError) as error:
        choose("cuda")
    assert f"--device cuda: {reason}. {remedy}" in str(error.value)


def test_code_for_a_gpu():
    wheel = ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90")
    ours = [(6, 1), (7, 5), (8, 6), (8, 9), (9, 0), (12, 0)]
    assert all(serves(wheel, capability) for capability in ours)
    assert not serves(wheel[:-1], (9, 0))
    assert not serves(("sm_86", "sm_90a"), (8, 0))
    assert serves((), (9, 0))


def test_real_arms_say_why_they_cannot(machine, monkeypatch):
    """This machine has no such GPU, so the frameworks themselves have to refuse it."""
    machine(H100)
    _, said = choose()
    assert said[0].startswith("device: pytorch: PyTorch says: ")
    assert "so all arms use the CPU. Check the driver" in said[0]
    assert said[1].startswith("pytorch: PyTorch says: ")
    assert said[2] == "keras: TensorFlow finds no CUDA GPU"
    monkeypatch.setattr(devices, "run_worker", crash)
    assert choose()[1][1] == "pytorch: crashed with signal 4"


def crash(*_: object) -> dict:
    raise ArmFailed("crashed with signal 4")


def variables_of(process: WorkerProcess, folder: Path) -> dict[str, str]:
    """Start a worker, and return its environment variables."""
    found: dict[str, str] = {}

    def look(_event: dict) -> None:
        for child in psutil.Process().children():
            if "bench.worker" in child.cmdline():
                found.update(child.environ())
                child.kill()

    request = Load(arm="pytorch", config=make_config(), scratch=folder)
    with process, pytest.raises(ArmFailed, match="killed"):
        process.do(request, look, 60)
    return found


def test_a_worker_sees_the_chosen_gpu_alone(gpu, run: Run, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # as a user may have it
    assert variables_of(start_worker(run), tmp_path)["CUDA_VISIBLE_DEVICES"] == ""
    assert variables_of(WorkerProcess(), tmp_path)["CUDA_VISIBLE_DEVICES"] == ""
    run.device = gpu
    for environment in (None, environment_for_experiments(2)):
        found = variables_of(start_worker(run, environment), tmp_path)
        assert found["CUDA_VISIBLE_DEVICES"] == "GPU-bbbb"
        assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        assert found["CUDA_CACHE_MAXSIZE"] == str(4 * 2**30)


def test_the_record_describes_the_gpu_that_was_used(machine, answers):
    folder = machine(H100, L4)
    device, _ = choose("cuda", 1)
    record = describe_environment({}, {}, device)
    assert record.gpu == "NVIDIA L4"
    assert record.gpu_details == device.gpu
    assert record.gpu_details.driver == "580.159.04"
    assert record.gpu_support == answers
    assert record.variables["CUDA_VISIBLE_DEVICES"] == "GPU-bbbb"
    machine("1980, 45")
    state = describe_state(device)
    assert (state.gpu_mhz, state.gpu_celsius) == (1980, 45)
    assert (folder / "asked").read_text().splitlines()[-1].startswith("-i GPU-bbbb ")
    assert describe_environment({}).gpu is None
    assert describe_state(Device()).gpu_mhz is None


def test_a_run_without_the_gpu_that_was_asked_for(machine, bench, tmp_path):
    machine(H100)
    output = tmp_path / "out"
    done = bench(
        *("train", "--data", tmp_path, "--weights", "random", "--output", output),
        *("--device", "cuda"),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Error: --device cuda: pytorch: PyTorch says: " in done.stderr
    assert not output.exists()
