"""Two processes that train bases together: ``python emanet_process.py FOLDER``.

A convolution and the attention, a few optimizer steps, each in parts; the bases after every step are left in
FOLDER. Without batch statistics, which each process has for itself, so that any division of the images gives
the same.
"""

import gc
import os
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed.nn  # before there is a group: imported later, it would keep the group alive
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from limner.networks.emanet import EMAttention

IMAGES, STEPS = 8, 3
PATIENCE = timedelta(seconds=100)
PARTS = {1: (8,), 2: (3, 1)}
"""Processes -> images of each part of a step, in each of them."""


def build() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 1), EMAttention(6, bases=4, iterations=2, momentum=0.9)).train()
    network[1].restore.eval()
    return network


def train(rank: int, count: int, folder: Path) -> None:
    network = build()
    wrapped = DistributedDataParallel(network) if count > 1 else network
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    for step in range(STEPS):
        images = torch.randn(IMAGES, 3, 5, 4, generator=torch.Generator().manual_seed(step))
        own = images[rank::count]
        optimizer.zero_grad()
        parts = own.split(PARTS[count])
        for index, part in enumerate(parts):
            is_last = index == len(parts) - 1
            with nullcontext() if is_last or count == 1 else wrapped.no_sync():
                (wrapped(part).square().mean((1, 2, 3)).sum() / len(own)).backward()
        optimizer.step()
        torch.save(network[1].bases, folder / f"{count}-{rank}-{step}.pt")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    other = os.fork()  # so that PyTorch is imported once
    rank = int(other == 0)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2, timeout=PATIENCE
    )
    train(rank, 2, folder)
    gc.collect()  # the wrapped network holds the group
    distributed.barrier()  # the other process is not left in the middle of an exchange
    distributed.destroy_process_group()
    # Threads of a group that survive would now and then abort the process while it ends.
    print(*(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")))
    if other:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
