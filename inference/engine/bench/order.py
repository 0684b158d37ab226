"""In which order a plan's images are painted, as the studio's queue works off launches: one checkpoint and one set of
LoRAs each, launch after launch. Knows batch keys alone: nothing about queues, files or devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inference.engine.batching import BatchKey, LoraKey


def order(keys: Sequence[BatchKey]) -> list[int]:
    """The images' indexes: those of one checkpoint together, in it those of one set of LoRAs; else as they are given.

    So every checkpoint is loaded once, and every LoRA taken in once for each checkpoint that it is used with.
    """
    checkpoints: dict[str, int] = {}
    launches: dict[tuple[str, tuple[LoraKey, ...]], int] = {}
    for index, key in enumerate(keys):
        checkpoints.setdefault(key.checkpoint, index)
        launches.setdefault((key.checkpoint, key.loras), index)
    return sorted(
        range(len(keys)),
        key=lambda at: (checkpoints[keys[at].checkpoint], launches[keys[at].checkpoint, keys[at].loras]),
    )


def batches(keys: Sequence[BatchKey], batch_size: int) -> Iterator[tuple[int, ...]]:
    """The indexes of each batch in turn, as one worker's queue gives them out: the first image that waits in that
    order, and the next ones of its key.
    """
    waiting = dict.fromkeys(order(keys))
    by_key: dict[BatchKey, list[int]] = {}
    for index in waiting:
        by_key.setdefault(keys[index], []).append(index)
    while waiting:
        neighbors = by_key[keys[next(iter(waiting))]]
        batch, neighbors[:] = tuple(neighbors[:batch_size]), neighbors[batch_size:]
        for index in batch:
            del waiting[index]
        yield batch
