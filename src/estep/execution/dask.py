"""A Dask cluster: leaves are sent to its workers once, tasks each time; statistics come back along the fixed tree."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from estep.execution.base import Execute, Items, Work
from estep.execution.blas import one_blas_thread
from estep.execution.serial import Serial
from estep.statistics import Array, Statistics
from estep.util.packed import Packed

TASKS_PER_THREAD = 4
Part = Statistics | tuple[Statistics, Any]
"""A sum; of leaves, with what is said beside each."""
TRIES = 4
"""How often work is sent, at most, that workers have died over."""


class Dask(Execute):
    """Work on the workers of a ``distributed.Client``, or of the scheduler at an address.

    The result is that of one machine, bit for bit, whatever the number of workers: leaves are those of the data and the
    model, and are added along the same tree. Leaves in this process's memory are sent once a fit, to the scheduler,
    which gives them to another worker if one dies. Raises ModuleNotFoundError where Dask is not installed, ValueError
    where a scheduler does not answer or a worker has another version of estep or other kernels.
    """

    remote = True

    def __init__(self, client: Any, timeout: float = 10.0) -> None:
        try:
            import distributed
        except ModuleNotFoundError:
            raise ModuleNotFoundError('a cluster wants Dask: pip install "estep[dask]"') from None
        if isinstance(client, str):
            try:
                client = distributed.Client(client, timeout=timeout)  # type: ignore[no-untyped-call]
            except (OSError, TimeoutError, ValueError) as error:
                reason = str(error).splitlines()[0] if str(error) else "no answer"
                raise ValueError(f"the scheduler at {client} does not answer: {reason}") from None
        if not isinstance(client, distributed.Client):
            raise TypeError(f"client is {client!r}: it is a distributed.Client or the address of a scheduler")
        self.client: Any = client
        self._sent: dict[tuple[int, int], tuple[Any, Any]] = {}
        self._running = 0
        self._require_alike()

    def __deepcopy__(self, memo: Any) -> Dask:
        return self  # one cluster

    def _require_alike(self) -> None:
        here, there = _identity(), self.client.run(_identity)
        if not there:
            raise ValueError("the cluster has no workers: start some, or wait for them (client.wait_for_workers)")
        for worker, found in there.items():
            if found != here:
                raise ValueError(
                    f"worker {worker} has estep {found[0]} with kernels {found[1]}, this process {here[0]} with "
                    f"{here[1]}: the results would differ; install the same, or set ESTEP_KERNELS"
                )

    @contextmanager
    def running(self) -> Iterator[None]:
        with one_blas_thread.held():
            self._running += 1
            try:
                yield
            finally:
                self._running -= 1
                if not self._running:  # or the cluster would keep the data of every fit
                    self._sent.clear()

    def add(self, task: Work, items: Items) -> tuple[Statistics, Sequence[Array | None]]:
        _require_list(items)
        n = len(items)
        if n == 1 and not items[0][0].remote:
            return Serial().add(task, items)
        threads = self.client.nthreads()
        self.workers = len(threads)
        level = max(0, (n // (TASKS_PER_THREAD * max(sum(threads.values()), 1))).bit_length() - 1)
        said: list[Any] = [None] * n

        def once() -> Statistics:
            task_there = self._packed(task)
            parts, firsts = [], range(0, n, 1 << level)
            for first in firsts:
                some = items[first : first + (1 << level)]
                known = Packed([known for _, known in some])
                leaves = self._there([batch for batch, _ in some])
                parts.append(self.client.submit(_add, task_there, leaves, known, pure=False))
            if any(known is not None for _, known in items):
                for first, beside in zip(firsts, self.client.gather(self._map(_beside, parts)), strict=True):
                    said[first : first + (1 << level)] = beside
            sums = parts
            while len(sums) > 1:
                pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
                sums = [self.client.submit(_pair, *p, pure=False) if len(p) == 2 else p[0] for p in pairs]
            sums = self._map(_sum, sums) if sums is parts else sums
            total = sums[0].result()
            return Statistics(total.layout, np.array(total.vector))

        return self._tried(once), said

    def map(self, task: Work, items: Items, take: Callable[[int, Any], None]) -> Sequence[Any]:
        _require_list(items)

        def once() -> list[Any]:
            task_there = self._packed(task)
            futures = [
                self.client.submit(_run, task_there, self._there([b]), Packed(known), pure=False) for b, known in items
            ]
            said = []
            for i, future in enumerate(futures):
                result, beside = future.result()
                take(i, result)
                said.append(beside)
                future.release()
            return said

        found: Sequence[Any] = self._tried(once)
        return found

    def _there(self, batches: Sequence[Any]) -> Any:
        """Leaves that follow each other, where a worker has them. Those of this process are sent once, to the
        scheduler, which has them for the next worker if one dies; others are put together of the partitions that
        workers have."""
        first, key = batches[0], (id(batches[0]), len(batches))
        kept = self._sent.get(key)
        if kept is None or kept[0] is not first:
            made = [batch.X.leaf(self.client, batch) for batch in batches] if first.remote else []
            there = self.client.submit(_together, made, pure=False) if made else self._packed(list(batches))
            kept = self._sent[key] = first, there
        return kept[1]

    def _map(self, function: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        return [self.client.submit(function, value, pure=False) for value in values]

    def _packed(self, value: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            return self.client.submit(_same, Packed(value), pure=False)

    def _tried(self, once: Callable[[], Any]) -> Any:
        """What ``once`` finds; again, with the leaves sent anew, where workers have died over it."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        for attempt in range(TRIES):
            try:
                return once()
            except (CancelledError, KilledWorker, CommClosedError, TimeoutError):
                self._sent.clear()
                if attempt == TRIES - 1:
                    raise
                self.client.wait_for_workers(1)
                self._require_alike()
        raise AssertionError


def _require_list(items: Items) -> None:
    if not isinstance(items, list):
        raise ValueError(
            "the rows are read by this process: give a cluster the names of files, or a collection of Dask, so that "
            "its workers read them"
        )


def _identity() -> tuple[str, str]:
    """What makes the results of two processes the same: the version, and the kernels."""
    import estep
    from estep import kernels

    return estep.__version__, kernels.active().level


def _same(value: Packed) -> Packed:
    return value


def _together(leaves: Sequence[Packed]) -> Packed:
    return Packed([leaf.value for leaf in leaves])


def _run(task: Packed, leaf: Packed, known: Packed) -> tuple[Any, Any]:
    with one_blas_thread.held():
        found: tuple[Any, Any] = task.value.run(leaf.value[0], known.value)
        return found


def _add(task: Packed, leaves: Packed, known: Packed) -> tuple[Statistics, Sequence[Any]]:
    """The sum of a subtree's leaves, and what is said beside each."""
    with one_blas_thread.held():
        return Serial().add(task.value, list(zip(leaves.value, known.value, strict=True)))


def _sum(part: Part) -> Statistics:
    return part if isinstance(part, Statistics) else part[0]


def _beside(part: tuple[Statistics, Any]) -> Any:
    return part[1]


def _pair(left: Part, right: Part) -> Statistics:
    one, other = _sum(left), _sum(right)
    return Statistics(one.layout, one.vector + other.vector)
