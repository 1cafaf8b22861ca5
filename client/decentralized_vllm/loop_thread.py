"""An event loop in a thread of its own, for a library that is asynchronous inside."""

import asyncio
import concurrent.futures
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

STOP_PATIENCE_S = 5.0


class LoopThread:
    """The loop in a daemon thread, and one more thread in which handlers are called."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="dvllm", daemon=True)
        self._handlers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dvllm-handlers")
        self._process = os.getpid()
        self._calls: set[asyncio.Task[Any]] = set()
        self._calls_of_handlers: set[asyncio.Task[Any]] = set()
        self._handling_thread = 0  # its number
        self._stopping = threading.Lock()
        self._is_stopped = False
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Blocks until it is done. An interrupt of the caller cancels it.

        Raises RuntimeError when the thread was stopped, also meanwhile, and in a forked process.
        """
        future = self._started(work)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._is_stopped:
                raise RuntimeError("the client was closed meanwhile") from None
            raise
        except BaseException:
            future.cancel()
            raise

    async def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Off the loop, so that it may come back with `run`.

        What such a call has to tell is told when its handler is over: it waits for the call.
        """
        called = self._loop.run_in_executor(self._handlers, self._handle, function, *arguments)
        if asyncio.current_task() in self._calls_of_handlers:
            called.add_done_callback(_log_failure)
        else:
            await called

    def _handle(self, function: Callable[..., None], *arguments: Any) -> None:
        self._handling_thread = threading.get_ident()
        function(*arguments)

    def stop(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancels what still runs, then does `last`, then ends. Twice is no error.

        In a forked process it does nothing: loop and connections are the parent's.
        """
        if os.getpid() != self._process or not self._may_stop():
            last.close()
            return
        ending = asyncio.run_coroutine_threadsafe(self._ended(last), self._loop)
        ending.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        if threading.current_thread() is self._thread:
            return  # the collector found an owner here: who waited would wait for itself
        try:
            ending.result()
        finally:
            self._thread.join(timeout=STOP_PATIENCE_S)

    def _started(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        try:
            if os.getpid() != self._process:
                raise RuntimeError("this client was opened before the fork: open one here")
            with self._stopping:
                if self._is_stopped:
                    raise RuntimeError("the client is closed")
                is_handler = threading.get_ident() == self._handling_thread
                call = self._as_call(work, is_handler=is_handler)
                return asyncio.run_coroutine_threadsafe(call, self._loop)
        except BaseException:
            work.close()
            raise

    async def _as_call(self, work: Coroutine[Any, Any, T], *, is_handler: bool) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        if is_handler:
            self._calls_of_handlers.add(task)
        try:
            return await work
        finally:
            self._calls.discard(task)
            self._calls_of_handlers.discard(task)

    def _may_stop(self) -> bool:
        """Once. No call begins after that."""
        with self._stopping:
            is_first = not self._is_stopped
            self._is_stopped = True
        return is_first

    async def _ended(self, last: Coroutine[Any, Any, None]) -> None:
        calls = set(self._calls)
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls)
        await last

    def _run_loop(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._handlers.shutdown(wait=False, cancel_futures=True)
            self._loop.close()


def _log_failure(called: asyncio.Future[None]) -> None:
    if not called.cancelled() and (error := called.exception()) is not None:
        log.error("handler_failed", exc_info=error)
