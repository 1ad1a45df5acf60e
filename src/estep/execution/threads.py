"""Several threads. Each takes whole subtrees of leaves, so that their number changes nothing but the order in time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, islice
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, ClassVar

from estep.execution.base import Execute, Items, Work
from estep.execution.serial import Serial
from estep.statistics import Array, Statistics, tree_sum

TASKS_PER_THREAD = 8


class Threads(Execute):
    """``width`` threads at most, the calling one among them; the kernels release the GIL. BLAS is held to one thread.

    There are never more than there are leaves.
    """

    def __init__(self, n_threads: int) -> None:
        self.width = n_threads
        self._workers: list[_Worker] = []
        self._running = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        with Serial().running():
            self._running += 1
            try:
                yield
            finally:
                self._running -= 1
                if not self._running:
                    workers, self._workers = self._workers, []
                    _Worker.put_back(workers)

    def _hired(self, n: int) -> list[_Worker]:
        """``n`` workers, or as many as there can be."""
        self._workers = [w for w in self._workers if w.alive]
        with suppress(RuntimeError):  # no more threads can be started
            while len(self._workers) < n:
                self._workers.append(_Worker.hire())
        return self._workers[:n]

    def add(self, task: Work, items: Items) -> tuple[Statistics, Sequence[Array | None]]:
        n = len(items)
        if not self._running or n == 1:
            return Serial().add(task, items)
        said: list[Any] = [None] * n
        level = max(0, (n // (TASKS_PER_THREAD * self.width)).bit_length() - 1) if isinstance(items, list) else 0
        last = (n - 1) >> level
        waiting: dict[tuple[int, int], Statistics] = {}
        lock = Lock()

        def subtree(i: int, some: Sequence[Any]) -> None:  # and the sums above it whose other part is there
            def leaf(j: int) -> Statistics:
                found, said[j] = task.run(*some[j - (i << level)])
                assert isinstance(found, Statistics)
                return found

            part, at, height = tree_sum(leaf, n, level, i), i, 0
            while last >> height:
                if at ^ 1 <= last >> height:
                    with lock:
                        other = waiting.pop((height, at ^ 1), None)
                        if other is None:
                            waiting[height, at] = part
                            return
                    part = other.add(part) if at & 1 else part.add(other)
                at, height = at >> 1, height + 1
            waiting[height, 0] = part

        self._each(subtree, items, 1 << level)
        return waiting[last.bit_length(), 0], said

    def map(self, task: Work, items: Items, take: Callable[[int, Any], None]) -> Sequence[Any]:
        if not self._running or len(items) == 1:
            return Serial().map(task, items, take)
        said: list[Any] = [None] * len(items)

        def one(i: int, some: Sequence[Any]) -> None:
            result, said[i] = task.run(*some[0])
            take(i, result)

        self._each(one, items, 1)
        return said

    def _each(self, work: Callable[[int, Sequence[Any]], None], items: Items, size: int) -> None:
        """Calls ``work`` with the number of each group of ``size`` items, and these; they are read in order, while the
        others work."""
        take = _groups(items, size)
        errors: list[BaseException] = []
        done: SimpleQueue[None] = SimpleQueue()
        finished: list[None] = []

        def job() -> None:
            try:
                while not errors:
                    ticket = take()
                    if ticket is None:
                        break
                    work(*ticket)
            except BaseException as error:
                errors.append(error)

        def hired() -> None:
            job()
            finished.append(None)
            done.put(None)

        workers, asked = self._hired(min(self.width, -(-len(items) // size)) - 1), 0
        while True:  # an interrupt, wherever it comes, makes all threads stop, and is raised when they have
            try:
                for worker in workers[asked:] if not errors else []:
                    worker.put(hired)
                    asked += 1
                job()
                while len(finished) < asked:
                    with suppress(Empty):
                        done.get(timeout=0.1)
                break
            except KeyboardInterrupt as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return None


def _groups(items: Items, size: int) -> Callable[[], tuple[int, Sequence[Any]] | None]:
    """What gives the number of the next group of ``size`` items, and these, in order; then None. From any thread."""
    if isinstance(items, list):
        tickets = count()  # which needs no lock

        def slices() -> tuple[int, Sequence[Any]] | None:
            i = next(tickets)
            return (i, items[i * size : (i + 1) * size]) if i * size < len(items) else None

        return slices
    remaining, reading = enumerate(iter(items)), Lock()

    def read() -> tuple[int, Sequence[Any]] | None:
        with reading:
            some = list(islice(remaining, size))
        return (some[0][0] // size, [item for _, item in some]) if some else None

    return read


class _Worker:
    """A thread that does the jobs put before it. It stays for the next fit: its work space is warm."""

    _free: ClassVar[list[_Worker]] = []

    def __init__(self) -> None:
        jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.put, self._process = jobs.put, os.getpid()
        Thread(target=self._run, args=(jobs,), name="estep", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Threads do not survive a fork."""
        return self._process == os.getpid()

    @classmethod
    def hire(cls) -> _Worker:
        """A free one, or a new one. Raises RuntimeError where no thread can be started."""
        with suppress(IndexError):
            while True:
                if (worker := cls._free.pop()).alive:
                    return worker
        return cls()

    @classmethod
    def put_back(cls, workers: list[_Worker]) -> None:
        """Keeps as many as there are cores; the others end."""
        for worker in workers:
            if worker.alive and len(cls._free) < available_threads():
                cls._free.append(worker)
            else:
                worker.put(None)

    @staticmethod
    def _run(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
        while (job := jobs.get()) is not None:
            job()
            del job  # and what it holds


def available_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(n_threads: int | None = None) -> Execute:
    """An :class:`Execute` for that many threads; None: all cores the process may use."""
    n = available_threads() if n_threads is None else n_threads
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n_threads is {n_threads!r}: it is None or a whole number from 1")
    return Serial() if n == 1 else Threads(n)
