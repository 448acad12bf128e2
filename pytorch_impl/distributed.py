"""Train on more than one device: one process for each.

`torchrun --nproc-per-node 2 -m pytorch_impl --data FOLDER` starts two processes, which
do the same program with different images. In every other process, the functions of this
chapter change nothing.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from io import StringIO

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from shared.errors import UserError

WAIT_S = 5  # for torchrun, which ends all processes soon after it has lost one


def join_processes(device: str) -> str:
    """Join the other processes that torchrun has started, if it has started any.

    Args:
        device: "cuda" or "cpu", the kind of device to compute on.

    Returns:
        The device of this process, such as "cuda:1".

    Raises:
        UserError: there are more processes than GPUs.
    """
    if "RANK" not in os.environ:  # torchrun sets it
        return device
    if device == "cuda":
        num_processes = int(os.environ["LOCAL_WORLD_SIZE"])
        num_gpus = torch.cuda.device_count()
        if num_processes > num_gpus:
            raise UserError(
                f"torchrun starts {num_processes} processes on this machine, and "
                f"PyTorch finds only {num_gpus} CUDA GPUs. Allowed is one process for "
                f"each GPU: use --nproc-per-node {num_gpus}, or --device cpu."
            )
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)  # else all processes would use the first GPU
    # nccl carries the gradients from GPU to GPU, gloo what lies in the CPU's memory.
    dist.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl")
    signal.signal(signal.SIGTERM, _stop)
    if not is_first():
        sys.stdout = StringIO()  # else every line would be printed twice
    # With one seed, all processes would drop the same units in their different images.
    torch.manual_seed(torch.initial_seed() + dist.get_rank())
    return device


def is_first() -> bool:
    """Tell whether this is the process that prints and writes files."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait_for_first() -> None:
    """Wait until the first process, too, has come here and has written its files."""
    if dist.is_initialized():
        dist.barrier()


def share_loader(loader: DataLoader, training: bool = False) -> DataLoader:
    """Give each process its share of the images, and of every batch.

    The batch of all processes together is as large as that of one process, so the
    learning rate stays as it is. Often each process gets whole batches instead, and a
    larger learning rate.

    Args:
        training: shuffle the images in every epoch; else they stay in their order.

    Raises:
        UserError: the batch cannot be divided by the number of processes.
    """
    if not dist.is_initialized():
        return loader
    count, rank = dist.get_world_size(), dist.get_rank()
    if loader.batch_size % count:
        raise UserError(
            f"torchrun starts {count} processes, which cannot share a batch of "
            f"{loader.batch_size} images equally. Use 2 processes, or another number "
            f"that divides {loader.batch_size}."
        )
    if training:
        sampler = _Shuffled(loader.dataset, seed=torch.initial_seed() - rank)
    else:
        # DistributedSampler would repeat images until all processes have the same
        # number, and these would count twice in the validation.
        sampler = range(rank, len(loader.dataset), count)
    return DataLoader(
        loader.dataset,
        loader.batch_size // count,
        sampler=sampler,
        num_workers=loader.num_workers,
        persistent_workers=loader.persistent_workers,
    )


class _Shuffled(DistributedSampler):
    """Another order in every epoch, the same in all processes.

    In training, a few images may be repeated, since every process has to make the same
    number of steps.
    """

    def __iter__(self):
        self.set_epoch(self.epoch + 1)  # without it, all epochs would have one order
        return super().__iter__()


def wrap_model(model: nn.Module) -> nn.Module:
    """Let all processes train one model: its gradients become their mean.

    The wrapped model is for training steps alone. All processes have to make them
    together. It begins with the parameters of the first process.
    """
    if not dist.is_initialized():
        return model
    return DistributedDataParallel(model)


def sum_over_processes(*values: float) -> list[float]:
    """Return the sum of each value over all processes."""
    sums = torch.tensor(values, dtype=torch.float64)
    if dist.is_initialized():
        dist.all_reduce(sums)
    return sums.tolist()


def finish() -> None:
    """Go on with one device, now that the training is over.

    Only the first process returns; the others end here.
    """
    if dist.is_initialized():
        others = not is_first()
        dist.destroy_process_group()
        if others:
            sys.exit()


def report_once(main: Callable[[], None]) -> Callable[[], None]:
    """Return the program, changed so that only one process reports what ends it."""

    def once() -> None:
        try:
            try:
                main()
            except RuntimeError:
                # Perhaps another process is lost. Then torchrun ends this one as well.
                time.sleep(WAIT_S)
                raise
        except (UserError, KeyboardInterrupt):
            if not _may_report():
                sys.exit(2)
            raise

    return once if "RANK" in os.environ else main


def _may_report() -> bool:
    """Tell whether this process is the first one that has something to report."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(address, port, is_master=False)  # torchrun's, seen by all
    return store.add("reports", 1) == 1


def _stop(*_) -> None:
    """End this process, since torchrun has sent it the signal to do so."""
    if _may_report():
        print(
            "Error: torchrun has ended all processes, because one of them was lost, or "
            "because it was told to. What it prints below says which one was lost. "
            "Start the same command with --resume, and it goes on after the last "
            "finished epoch of the head.",
            file=sys.stderr,
            flush=True,
        )
    os._exit(2)  # an exception could be lost, since other things break as well
