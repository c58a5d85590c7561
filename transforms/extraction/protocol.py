"""What parent and child say to each other: length-prefixed JSON and raw bytes, so that neither unpickles the other."""

import contextlib
import dataclasses
import fcntl
import io
import json
import os
import select
import struct
import time
from typing import Any

import numpy as np

from transforms.audio.errors import REASONS, TrackError, Unknown
from transforms.features.extract import AudioFacts, Cost, Features

_LENGTHS = struct.Struct("<QQ")
_MOST_BYTES = 1 << 31
_PIPE_BYTES = 1 << 20

NO_MEMORY = 77
"""Exit status of a child that has no memory for the file itself."""


class Closed(Exception):
    """The other side closed the pipe."""


class Late(Exception):
    """The other side did not answer in time."""


class Garbled(Exception):
    """What the other side said makes no sense."""


def send(fd: int, head: dict[str, Any], body: bytes = b"", deadline: float | None = None) -> None:
    """Write one message; with a `deadline` on the monotonic clock the pipe must not block.

    Raises:
      BrokenPipeError: the other side is gone.
      Late: the deadline passed.
    """
    text = json.dumps(head).encode()
    for part in (_LENGTHS.pack(len(text), len(body)) + text, body):
        view = memoryview(part)
        while view:
            if deadline is not None and not _is_ready(fd, select.POLLOUT, deadline):
                raise Late
            view = view[os.write(fd, view) :]


def receive(fd: int, deadline: float | None = None) -> tuple[dict[str, Any], bytes]:
    """Read one message, by `deadline` on the monotonic clock.

    Raises:
      Closed: the pipe was closed, before or within a message.
      Late: the deadline passed.
      Garbled: the message is none.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(_exactly(fd, _LENGTHS.size, deadline))
    if max(head_bytes, body_bytes) > _MOST_BYTES:
        raise Garbled(f"a message of {max(head_bytes, body_bytes)} bytes was announced")
    text, body = _exactly(fd, head_bytes, deadline), _exactly(fd, body_bytes, deadline)
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Garbled(str(error)) from error
    if not isinstance(head, dict):
        raise Garbled(f"a message that begins with {text[:20]!r}")
    return head, body


def _exactly(fd: int, count: int, deadline: float | None) -> bytes:
    """So many bytes, held once: the buffer that takes them becomes the result."""
    buffer = io.BytesIO()
    while (left := count - buffer.tell()) > 0:
        if deadline is not None and not _is_ready(fd, select.POLLIN, deadline):
            raise Late
        part = os.read(fd, min(left, _PIPE_BYTES))
        if not part:
            raise Closed("the pipe was closed")
        buffer.write(part)
    return buffer.getvalue()


def _is_ready(fd: int, event: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


def widen(fd: int) -> None:
    """Let a pipe hold as much as the system grants without asking: fewer changes between the two processes."""
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def send_features(fd: int, features: Features) -> None:
    """Answer with a track's features."""
    head: dict[str, Any] = {"shape": features.patches.shape, "facts": dataclasses.asdict(features.facts)}
    if features.cost is not None:
        head["cost"] = dataclasses.asdict(features.cost)
    body = features.starts_s.astype("<f4").tobytes() + features.patches.astype("<f2").tobytes()
    send(fd, head, body)


def send_error(fd: int, error: TrackError) -> None:
    """Answer with the reason why a track has no features."""
    send(fd, {"reason": error.reason, "detail": str(error), "core_us": error.core_us})


def parse_answer(head: dict[str, Any], body: bytes) -> Features:
    """The features of an answer. Raises the TrackError that it names, or Garbled where it is none."""
    try:
        answer = _error(head) if "reason" in head else _features(head, body)
    except (ValueError, KeyError, TypeError) as error:
        raise Garbled(f"{type(error).__name__}: {error}") from error
    if isinstance(answer, TrackError):
        raise answer
    return answer


def _error(head: dict[str, Any]) -> TrackError:
    error = REASONS.get(head["reason"], Unknown)(str(head["detail"]))
    error.core_us = head["core_us"]
    if not isinstance(error.core_us, int):
        raise TypeError(f"core_us is {error.core_us!r}")
    return error


def _features(head: dict[str, Any], body: bytes) -> Features:
    patches, frames, mels = head["shape"]
    facts, cost = AudioFacts(**head["facts"]), Cost(**head["cost"]) if "cost" in head else None
    for part in (facts, cost):
        _check_types(part)
    return Features(
        starts_s=np.frombuffer(body, "<f4", patches),
        patches=np.frombuffer(body, "<f2", offset=4 * patches).reshape(patches, frames, mels),
        facts=facts,
        cost=cost,
    )


def _check_types(part: AudioFacts | Cost | None) -> None:
    for field in dataclasses.fields(part) if part is not None else ():
        # No annotation is a string there, so the type of a field is a class.
        if not isinstance(value := getattr(part, field.name), field.type):  # type: ignore[arg-type]
            raise TypeError(f"{field.name} is {value!r}")
