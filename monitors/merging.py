"""Small blocks joined into large ones, since a fold costs the most for its first row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitors.blocks import SampleBlock

FOLD_ROWS = 250
"""Rows that are worth a fold: with fewer, the time goes into calls and not into rows."""


def alike(first: SampleBlock, second: SampleBlock) -> bool:
    """Whether two blocks of one version in one role can be joined, and nothing is lost by it."""
    return (
        first.rate == second.rate
        and (first.request_ids is None) == (second.request_ids is None)
        and _shapes(first) == _shapes(second)
    )


def joined(blocks: Sequence[SampleBlock]) -> SampleBlock:
    """Blocks that are all `alike`, in their order, as one; the rest is that of the last."""
    if len(blocks) == 1:
        return blocks[0]
    last = blocks[-1]
    return replace(
        last,
        answered=sum(block.answered for block in blocks),
        refused=sum(block.refused for block in blocks),
        prediction_ids=np.concatenate([block.prediction_ids for block in blocks]),
        row_numbers=np.concatenate([block.row_numbers for block in blocks]),
        inputs={
            name: np.concatenate([block.inputs[name] for block in blocks]) for name in last.inputs
        },
        outputs={
            name: np.concatenate([block.outputs[name] for block in blocks]) for name in last.outputs
        },
        groups={
            name: np.concatenate([block.groups[name] for block in blocks]) for name in last.groups
        },
        request_ids=(
            None
            if last.request_ids is None
            else np.concatenate([block.request_ids for block in blocks])
        ),
        assigned=_assigned(blocks),
    )


def _assigned(blocks: Sequence[SampleBlock]) -> NDArray[np.object_] | None:
    if all(block.assigned is None for block in blocks):
        return None
    nobody = (np.full(block.rows, None, dtype=np.object_) for block in blocks)
    return np.concatenate(
        [
            none if block.assigned is None else block.assigned
            for block, none in zip(blocks, nobody, strict=True)
        ]
    )


def _shapes(block: SampleBlock) -> list[dict[str, tuple[object, ...]]]:
    return [
        {name: (tensor.dtype, *tensor.shape[1:]) for name, tensor in tensors.items()}
        for tensors in (block.inputs, block.outputs, block.groups)
    ]
