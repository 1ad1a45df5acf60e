"""How the work on leaves runs: in this thread, or on several. The sum is the same to the bit either way.

Leaves are added along a fixed binary tree of their numbers. A thread takes a whole subtree, so that nothing but the
order in time depends on the number of threads.
"""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_ident
from typing import Any, ClassVar

from estep.statistics import Statistics, tree_sum

TASKS_PER_THREAD = 8


class Execute(ABC):
    """Runs a function of the leaf number over all leaves, ``width`` at a time."""

    width = 1

    @abstractmethod
    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        """The sum of ``leaf(0)`` to ``leaf(n - 1)`` along the tree."""

    @abstractmethod
    def each(self, leaf: Callable[[int], None], n: int) -> None:
        """Calls ``leaf(0)`` to ``leaf(n - 1)``, in any order."""

    @abstractmethod
    def running(self) -> AbstractContextManager[Any]:
        """Holds what the calls need (threads) from entry to exit."""


class Serial(Execute):
    """One leaf after the other, in the calling thread. BLAS is held to one thread: its sums depend on their number."""

    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        return tree_sum(leaf, n, (n - 1).bit_length())

    def each(self, leaf: Callable[[int], None], n: int) -> None:
        for i in range(n):
            leaf(i)

    def running(self) -> AbstractContextManager[Any]:
        return _one_blas_thread.held()


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

    def add_up(self, leaf: Callable[[int], Statistics], n: int) -> Statistics:
        if not self._running or n == 1:
            return Serial().add_up(leaf, n)
        level = max(0, (n // (TASKS_PER_THREAD * self.width)).bit_length() - 1)
        last = (n - 1) >> level
        waiting: dict[tuple[int, int], Statistics] = {}
        lock = Lock()

        def subtree(i: int) -> None:  # and the sums above it whose other part is there
            part, height = tree_sum(leaf, n, level, i), 0
            while last >> height:
                if i ^ 1 <= last >> height:
                    with lock:
                        other = waiting.pop((height, i ^ 1), None)
                        if other is None:
                            waiting[height, i] = part
                            return
                    part = other.add(part) if i & 1 else part.add(other)
                i, height = i >> 1, height + 1
            waiting[height, 0] = part

        self.each(subtree, last + 1)
        return waiting[last.bit_length(), 0]

    def each(self, leaf: Callable[[int], None], n: int) -> None:
        if not self._running or n == 1:
            return Serial().each(leaf, n)
        tickets = itertools.count()
        errors: list[BaseException] = []
        done: SimpleQueue[None] = SimpleQueue()
        finished: list[None] = []

        def work() -> None:
            try:
                for i in tickets:
                    if i >= n or errors:
                        break
                    leaf(i)
            except BaseException as error:
                errors.append(error)

        def job() -> None:
            work()
            finished.append(None)
            done.put(None)

        workers, asked = self._hired(min(self.width, n) - 1), 0
        while True:  # an interrupt, wherever it comes, makes all threads stop, and is raised when they have
            try:
                for worker in workers[asked:] if not errors else []:
                    worker.put(job)
                    asked += 1
                work()
                while len(finished) < asked:
                    with suppress(Empty):
                        done.get(timeout=0.1)
                break
            except KeyboardInterrupt as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return None


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


class _OneBlasThread:
    """Holds BLAS to one thread as long as any fit of the process runs; the last one gives back what there was."""

    def __init__(self) -> None:
        self._lock, self._holders, self._had = Lock(), list[int](), list[tuple[Any, int]]()

    @contextmanager
    def held(self) -> Iterator[None]:
        me = get_ident()
        try:
            with self._lock:
                self._holders.append(me)
                if len(self._holders) == 1:
                    self._had = [(library, library.get_num_threads()) for library in _blas()]
                    self._set((library, 1) for library, _ in self._had)
            yield
        finally:
            with self._lock:
                if me in self._holders:
                    self._holders.remove(me)
                if not self._holders:
                    self._give_back()

    def _give_back(self) -> None:
        had, self._had = self._had, []
        self._set(had)

    @staticmethod
    def _set(numbers: Iterable[tuple[Any, int]]) -> None:
        """Whichever thread asks: threadpoolctl from 3.8 on listens to the first alone, but here all count together."""
        for library, number in numbers:
            getattr(library, "_real_set_num_threads", library.set_num_threads)(number)

    def before_fork(self) -> None:
        """No other thread may be inside the library then: it has a lock of its own."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        """Of those who held it, the thread that forked is the only one left."""
        self._lock, me = Lock(), get_ident()
        self._holders = [holder for holder in self._holders if holder == me]
        if not self._holders:
            self._give_back()


_one_blas_thread = _OneBlasThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_one_blas_thread.before_fork,
        after_in_parent=_one_blas_thread.after_fork_in_parent,
        after_in_child=_one_blas_thread.after_fork,
    )


@cache
def _blas() -> list[Any]:
    """The BLAS libraries of this process, as threadpoolctl controls them."""
    from threadpoolctl import ThreadpoolController

    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


def available_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(n_threads: int | None = None) -> Execute:
    """An :class:`Execute` for that many threads; None: all cores the process may use."""
    n = available_threads() if n_threads is None else n_threads
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n_threads is {n_threads!r}: it is None or a whole number from 1")
    return Serial() if n == 1 else Threads(n)
