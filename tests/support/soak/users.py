"""Users of the network who never stop asking, and note what they were promised."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from decentralized_vllm import AsyncClient
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import JobId
from tests.support.gateway_process import GatewayProcess
from tests.support.worker_network import MODEL_ID

# Of every prompt, and so of every answer: no log may hold it.
MARKER = "quokka"
MAX_TOKENS = 16
PATIENCE_S = 180.0
TRIES = 240  # a second apart: until long after the last part was killed
PAUSE_S = (0.2, 1.2)
NO_ANSWER = "502"  # the task's end, whoever asks for it
_AWAY = (aiohttp.ClientError, ConnectionError, TimeoutError)


@dataclass
class Notes:
    """What one user was told. `tasks` are those a reply of the gateway named."""

    n_asked: int = 0
    tasks: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def check_answer(self, prompt: str, text: str) -> None:
        if text != expected_answer(prompt):
            self.wrong.append(f"{prompt!r} was answered {text!r}")


def expected_answer(prompt: str) -> str:
    """What the null engine makes of it, if nothing is lost and nothing comes twice."""
    words = prompt.split()
    return " ".join(words[index % len(words)] for index in range(MAX_TOKENS))


class GatewayUser:
    """Chats and submits tasks with one API key."""

    def __init__(self, name: str, gateway: GatewayProcess, key: str, rng: Random) -> None:
        self.notes = Notes()
        self._name = name
        self._gateway = gateway
        self._headers = {"Authorization": f"Bearer {key}"}
        self._rng = rng

    async def live(self, stop: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        acts = (
            self._chat,
            self._stream,
            self._stubborn_stream,
            self._cut_stream,
            self._leave,
            self._task,
        )
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while not stop.is_set():
                act = self._rng.choice(acts)
                self.notes.n_asked += 1
                prompt = f"{MARKER} {self._name} number {self.notes.n_asked}"
                kind = act.__name__.strip("_")
                try:
                    outcome = await act(http, prompt)
                except _AWAY as error:
                    outcome = type(error).__name__
                self.notes.outcomes[f"{kind}: {outcome}"] += 1
                await asyncio.sleep(self._rng.uniform(*PAUSE_S))

    # ------------------------------------------------------------ acts
    async def _chat(self, http: aiohttp.ClientSession, prompt: str) -> str:
        async with self._post_chat(http, prompt) as reply:
            self._note_tasks(reply)
            if reply.status != 200:
                return str(reply.status)
            body = await reply.json()
        self.notes.check_answer(prompt, body["choices"][0]["message"]["content"])
        return "answered"

    async def _stream(self, http: aiohttp.ClientSession, prompt: str) -> str:
        async with self._post_chat(http, prompt, stream=True) as reply:
            self._note_tasks(reply)
            if reply.status != 200:
                return str(reply.status)
            frames = [frame async for frame in _frames(reply)]
        if frames[-1:] != ["[DONE]"]:
            return "broken off"
        self.notes.check_answer(prompt, "".join(map(_text_of, frames[:-1])))
        return "answered"

    async def _stubborn_stream(self, http: aiohttp.ClientSession, prompt: str) -> str:
        """Asks again with the same key until the answer came whole: it is one task."""
        why = ""
        for _ in range(TRIES):
            try:
                async with self._post_chat(http, prompt, key=self._key(), stream=True) as reply:
                    self._note_tasks(reply)
                    frames = [frame async for frame in _frames(reply)]
                    why = str(reply.status)
            except _AWAY as error:
                frames, why = [], type(error).__name__
            if frames[-1:] == ["[DONE]"]:
                self.notes.check_answer(prompt, "".join(map(_text_of, frames[:-1])))
                return "answered"
            if why == NO_ANSWER or (frames and "error" in json.loads(frames[-1])):
                return "failed"
            await asyncio.sleep(1)
        self.notes.wrong.append(f"{prompt!r} was asked {TRIES} times in vain: {why}")
        return why

    async def _cut_stream(self, http: aiohttp.ClientSession, prompt: str) -> str:
        """Goes away in the middle of the answer."""
        async with self._post_chat(http, prompt, stream=True) as reply:
            self._note_tasks(reply)
            if reply.status != 200:
                return str(reply.status)
            n_frames = self._rng.randint(0, 4)
            async for _ in _frames(reply):
                n_frames -= 1
                if n_frames < 0:
                    break
            reply.close()
        return "left"

    async def _leave(self, http: aiohttp.ClientSession, prompt: str) -> str:
        """Goes away before the answer, perhaps before the task is on chain."""
        try:
            async with asyncio.timeout(self._rng.uniform(0.01, 2)):
                return await self._chat(http, prompt)
        except TimeoutError:
            return "left"

    async def _task(self, http: aiohttp.ClientSession, prompt: str) -> str:
        task_id = await self._submit(http, prompt)
        if not task_id.startswith("task_"):
            return task_id
        self.notes.tasks.add(task_id)
        for _ in range(int(PATIENCE_S)):
            url = f"{self._gateway.dvllm_url}/api/tasks/{task_id}"
            try:
                async with http.get(url, headers=self._headers) as reply:
                    task = await reply.json() if reply.status == 200 else {}
            except _AWAY:
                task = {}
            if task.get("status") == "completed":
                self.notes.check_answer(prompt, task["response"])
                return "answered"
            if task.get("status") == "failed":
                return "failed"
            await asyncio.sleep(1)
        return "not awaited"

    # ------------------------------------------------------------ means
    async def _submit(self, http: aiohttp.ClientSession, prompt: str) -> str:
        """The task's id, or why there is none. Asks again with the same key: it is one task."""
        body = {"prompt": prompt, "modelId": MODEL_ID, "maxTokens": MAX_TOKENS}
        headers = {**self._headers, "Idempotency-Key": self._key()}
        url, why = f"{self._gateway.dvllm_url}/api/tasks/submit", ""
        for _ in range(TRIES):
            try:
                async with http.post(url, json=body, headers=headers) as reply:
                    if reply.status in (200, 202):
                        return str((await reply.json())["taskId"])
                    why = str(reply.status)
                    if why == NO_ANSWER:
                        return "failed"
            except _AWAY as error:
                why = type(error).__name__
            await asyncio.sleep(1)
        self.notes.wrong.append(f"{prompt!r} was submitted {TRIES} times in vain: {why}")
        return why

    def _key(self) -> str:
        return f"{self._name}-{self.notes.n_asked}"

    def _post_chat(
        self, http: aiohttp.ClientSession, prompt: str, *, key: str | None = None, **more: Any
    ) -> Any:
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        messages = [{"role": "user", "content": prompt}]
        body = {"model": MODEL_ID, "messages": messages, "max_tokens": MAX_TOKENS, **more}
        url = f"{self._gateway.unified_url}/v1/chat/completions"
        return http.post(url, json=body, headers=headers)

    def _note_tasks(self, reply: aiohttp.ClientResponse) -> None:
        named = reply.headers.get("X-Dvllm-Task-Id", "")
        self.notes.tasks.update(name.strip() for name in named.split(",") if name.strip())


async def _frames(reply: aiohttp.ClientResponse) -> AsyncIterator[str]:
    async for line in reply.content:
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").decode().strip()


def _text_of(frame: str) -> str:
    choices = json.loads(frame).get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


class LibraryUser:
    """Submits and waits with the client library, past any gateway."""

    def __init__(self, client: AsyncClient, rng: Random) -> None:
        self.notes = Notes()
        self.jobs: dict[JobId, str] = {}
        self._client = client
        self._rng = rng

    async def live(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.notes.n_asked += 1
            prompt = f"{MARKER} library number {self.notes.n_asked}"
            try:
                outcome = await self._ask(prompt)
            except DvllmError as error:
                outcome = type(error).__name__
            self.notes.outcomes[f"library: {outcome}"] += 1
            await asyncio.sleep(self._rng.uniform(*PAUSE_S))

    async def _ask(self, prompt: str) -> str:
        task = await self._client.submit_task(prompt, MODEL_ID, max_tokens=MAX_TOKENS)
        self.jobs[JobId(task.id)] = prompt
        if self._rng.random() < 0.2:
            await self._client.cancel_task(task)
            return "cancelled"
        if self._rng.random() < 0.3:
            return "left"
        await self._client.wait_for_completion(task, timeout=PATIENCE_S)
        return "answered"

    async def settle_up(self, patience_s: float) -> None:
        """Waits for the end of all its jobs, and checks each answer."""
        tasks = await self._client.tasks(limit=10_000)
        ends = await self._client.wait_for_each(tasks, timeout=patience_s)
        for task, end in zip(tasks, ends, strict=True):
            if not isinstance(end, DvllmError) and JobId(task.id) in self.jobs:
                self.notes.check_answer(self.jobs[JobId(task.id)], end.response or "")
