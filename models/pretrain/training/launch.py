"""Which processes train together, and how they share the work: Lightning Fabric.

    one process            no strategy
    ddp                    every process holds all weights; gradients are averaged
    sharded                every transformer block's weights, gradients and moments are spread
                           over the processes (fully_shard, arXiv 2304.11277) and gathered when
                           the block is at work

Processes are started by ``torchrun``, by SLURM's ``srun``, or by Fabric itself, which runs this
very command line again for each further device.

NB: Fabric's own mixed precision is not used.  It would round all inputs to bfloat16, targets and
linear forecasts among them; :class:`rtbci.models.pretrain.training.loop.Task` has the autocast.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rtbci.errors import BadInputError, RtbciError
from rtbci.models.attention import Block
from rtbci.models.pretrain.training.settings import Execution

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.strategy import Strategy
    from torch.distributed.device_mesh import DeviceMesh

PATIENCE = timedelta(hours=6)
"""Others wait so long for process 0 to prepare recordings and fit the linear floor."""


def start(execution: Execution) -> Fabric:
    """Start the processes, or take the place among those that there are.

    Raises
    ------
    BadInputError
        Where there are not so many devices.
    """
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = device_of(execution)
    here, nodes = _processes(execution)
    at_hand = torch.cuda.device_count() if device == "cuda" else here
    if here > at_hand:
        raise BadInputError(
            f"there are {at_hand} GPUs here, and {here} are asked for (--devices): name fewer, or "
            "--device cpu."
        )
    with warnings.catch_warnings():
        # Advice about interactive shells and workers, which are not ours to follow.
        warnings.filterwarnings("ignore", module="lightning_fabric")
        fabric = Fabric(
            accelerator=device,
            devices=here,
            num_nodes=nodes,
            strategy=_strategy(execution.strategy, here * nodes, device),
        )
        fabric.launch()
    return fabric


def device_of(execution: Execution) -> str:
    """Give ``cuda`` or ``cpu``.

    Raises
    ------
    BadInputError
        Where a GPU is asked for and there is none.
    """
    there = torch.cuda.is_available()
    if execution.device == "cuda" and not there:
        raise BadInputError("there is no CUDA GPU here that PyTorch can use; leave --device out.")
    return execution.device if execution.device != "auto" else "cuda" if there else "cpu"


def first_does(fabric: Fabric, work: Callable[[], None]) -> None:
    """Let process 0 do something while the others wait; what stops it stops them all.

    Raises
    ------
    RtbciError
        What ``work`` raised.
    """
    failure: RtbciError | None = None
    if fabric.global_rank == 0:
        try:
            work()
        except RtbciError as err:
            failure = err
    failure = fabric.broadcast(failure)
    if failure is not None:
        raise failure


def total(fabric: Fabric, values: torch.Tensor) -> torch.Tensor:
    """Sum over processes."""
    if fabric.world_size == 1:
        return values
    summed: torch.Tensor = fabric.all_reduce(values, reduce_op="sum")  # type: ignore[assignment]
    return summed


def gather_texts(fabric: Fabric, text: str) -> list[str]:
    """Give every process's text to all of them."""
    if fabric.world_size == 1:
        return [text]
    texts: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(texts, text)
    return texts


def _processes(execution: Execution) -> tuple[int, int]:
    """Processes on this machine, and machines: as asked for, else as the launcher says."""
    launched = os.environ
    if "TORCHELASTIC_RUN_ID" in launched:
        here, nodes = launched["LOCAL_WORLD_SIZE"], launched["GROUP_WORLD_SIZE"]
    elif "SLURM_PROCID" in launched and "SLURM_NTASKS_PER_NODE" in launched:
        here, nodes = launched["SLURM_NTASKS_PER_NODE"], launched["SLURM_NNODES"]
    else:
        here, nodes = "1", "1"
    return execution.devices or int(here), execution.nodes or int(nodes)


def _strategy(name: str, processes: int, device: str) -> Strategy | str:
    if processes == 1:
        return "auto"
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

    backend = "nccl" if device == "cuda" else "gloo"
    if name == "sharded":
        return ModelParallelStrategy(
            _shard,
            data_parallel_size=processes,
            tensor_parallel_size=1,
            process_group_backend=backend,
            timeout=PATIENCE,
        )
    return DDPStrategy(
        process_group_backend=backend,
        timeout=PATIENCE,
        gradient_as_bucket_view=True,
    )


def _shard(task: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Spread each transformer block by itself, and what is left with the whole."""
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    for module in task.modules():
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh["data_parallel"])
            register_fsdp_forward_method(module, "prefix")
    fully_shard(task, mesh=mesh["data_parallel"])
    return task
