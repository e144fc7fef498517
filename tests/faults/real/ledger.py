"""Write down what is sent before it is sent and what was answered before going on, so that no crash of ours lies."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Answer(StrEnum):
    """What is known of an event: accepted is a promise, rejected one too, unknown is neither."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(slots=True, kw_only=True)
class Account:
    """What the ledger says of every id: accepted once is accepted for ever; rejected if nothing else ever was."""

    answers: dict[str, Answer] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)
    """When its answer came, epoch ms."""

    def of(self, answer: Answer) -> set[str]:
        """Return the ids with that answer."""
        return {name for name, found in self.answers.items() if found is answer}


class Ledger:
    """An append-only file; `sent` and `answered` return when the line is on the disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._writing = asyncio.Lock()
        self._batch = 0
        self.requests = 0

    async def sent(self, ids: Sequence[str]) -> int:
        """Note that events are about to be sent; return the number of the request."""
        self._batch += 1
        self.requests += 1
        number = self._batch
        await self._append({"batch": number, "ids": list(ids)})
        return number

    async def answered(self, number: int, answer: Answer, *, at: int) -> None:
        """Note what was answered to a request."""
        await self._append({"batch": number, "answer": answer.value, "at": at})

    def close(self) -> None:
        self._file.close()

    async def _append(self, line: object) -> None:
        async with self._writing:
            await asyncio.to_thread(self._write, json.dumps(line).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        os.fsync(self._file.fileno())


def read(path: Path) -> Account:
    """Return what a ledger says; a request without an answer is unknown."""
    account, ids = Account(), dict[int, list[str]]()
    for line in path.read_text("utf-8").splitlines():
        said = json.loads(line)
        number = said["batch"]
        if "ids" in said:
            ids[number] = said["ids"]
            for name in said["ids"]:
                account.answers.setdefault(name, Answer.UNKNOWN)
            continue
        for name in ids[number]:
            if account.answers[name] is not Answer.ACCEPTED and said["answer"] != Answer.UNKNOWN:
                account.answers[name], account.at[name] = Answer(said["answer"]), said["at"]
    return account
