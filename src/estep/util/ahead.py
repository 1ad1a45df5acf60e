"""An iterator that is read ahead of whoever uses it, in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")
DEPTH = 2  # values that wait, at most


class Ahead(Generic[T]):
    """The values of an iterator, read while others are used; an error comes where its value would have come."""

    def __init__(self, values: Iterator[T]) -> None:
        self._queue: Queue[Any] = Queue(DEPTH)
        self._stop = Event()
        Thread(target=_fill, args=(values, self._queue, self._stop), name="estep-reader", daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        value, error = self._queue.get()
        if error is not None:
            self._queue.put((None, error))  # also the next time
            raise error
        found: T = value
        return found

    def close(self) -> None:
        """Ends the reading."""
        self._stop.set()

    def __del__(self) -> None:
        self.close()


def _fill(values: Iterator[Any], queue: Queue[Any], stop: Event) -> None:
    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                queue.put(item, timeout=0.05)
                return True
            except Full:
                continue
        return False

    try:
        for value in values:
            if not put((value, None)):
                return
        put((None, StopIteration()))
    except BaseException as error:
        put((None, error))
    finally:
        close = getattr(values, "close", None)
        if close is not None:
            close()
