"""BLAS held to one thread while any fit runs: its sums depend on the number of its threads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock, get_ident
from typing import Any


class OneBlasThread:
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


one_blas_thread = OneBlasThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=one_blas_thread.before_fork,
        after_in_parent=one_blas_thread.after_fork_in_parent,
        after_in_child=one_blas_thread.after_fork,
    )


@cache
def _blas() -> list[Any]:
    """The BLAS libraries of this process, as threadpoolctl controls them."""
    from threadpoolctl import ThreadpoolController

    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
