"""What parent and child say to each other: length-prefixed JSON and raw bytes, so that neither unpickles the other."""

import contextlib
import fcntl
import io
import json
import os
import select
import struct
import time
from typing import Any

_LENGTHS = struct.Struct("<QQ")
MOST_BYTES = 1 << 31
"""Most bytes of either part of a message, where the receiver knows no closer bound."""

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


def receive(
    fd: int, deadline: float | None = None, *, most_head: int = MOST_BYTES, most_body: int = MOST_BYTES
) -> tuple[dict[str, Any], bytes]:
    """Read one message, by `deadline` on the monotonic clock.

    Args:
      fd: the pipe.
      deadline: None waits for ever.
      most_head: longest JSON text that is read, in bytes.
      most_body: longest body that is read, in bytes.

    Raises:
      Closed: the pipe was closed, before or within a message.
      Late: the deadline passed.
      Garbled: the message is none.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(_exactly(fd, _LENGTHS.size, deadline))
    if head_bytes > most_head or body_bytes > most_body:
        raise Garbled(f"a message of {head_bytes} + {body_bytes} bytes was announced")
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
