"""Why a Beam job failed: the cause, cut out of the tracebacks that Beam joins into one text."""

import dataclasses
import re
from typing import Self

import grpc

from pipelines.terminal.errors import CommandFailed
from pipelines.terminal.tracebacks import keep_traceback
from transforms.storage import redact

_STAGE = re.compile(r"\s*\[while running '([^']*)'\]")
_TYPE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*): ?(.*)", re.DOTALL)
_LONGEST = 2_000

_CORRECTED_BY_USERS = (
    "BundleError",
    "CatalogError",
    "DatasetError",
    "NotFound",
    "PermissionDenied",
    "StorageError",
    "TableError",
    "TaxonomyError",
    "TooLarge",
)
"""Errors of this project whose message says what to correct: the same job would fail in the same way."""

_TRIED_AGAIN = ("Unavailable", "OSError", "ConnectionError", "TimeoutError", "BrokenProcessPool")
"""Errors that may not come back."""

_OWN = (*_CORRECTED_BY_USERS, "Unavailable")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cause:
    """What ended a job.

    Attributes:
      kind: name of the error's class, without its module; "" if the text names none.
      message: the error's message.
      stage: the job's stage that failed, by the name of its transform; "" if it is unknown.
    """

    kind: str
    message: str
    stage: str

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Finds the cause of an error that Beam raised."""
        if type(error).__name__ in _OWN:
            return cls(kind=type(error).__name__, message=str(error), stage="")
        text = str(error).strip()
        stages = _STAGE.findall(text)
        lines = _STAGE.sub("", _around_stage(text) if stages else text.rpartition("\n")[2]).strip()
        named = _TYPE.fullmatch(lines)
        kind, message = (named.group(1).rpartition(".")[2], named.group(2)) if named else ("", lines)
        stage = stages[0].partition("/")[0] if stages else ""
        return cls(kind=kind, message=message or type(error).__name__, stage=stage)


def _around_stage(text: str) -> str:
    """The lines of the last message that names a stage: from the line with the type of the error."""
    lines = text.splitlines()
    last = max(i for i, line in enumerate(lines) if _STAGE.search(line))
    first = last
    while first > 0 and not re.match(r"[A-Za-z_][\w.]*: ", lines[first]) and not lines[first - 1].startswith("  "):
        first -= 1
    return "\n".join(lines[first : last + 1])


def job_failed(error: BaseException) -> CommandFailed:
    """The error for a user: the cause, its stage, what is kept and what to do; the traceback is kept too."""
    cause = Cause.of(error)
    where = f" (in {cause.stage})" if cause.stage else ""
    told = redact(cause.message)
    message = told if len(told) <= _LONGEST else f"{told[:_LONGEST]} ..."
    if cause.kind in _CORRECTED_BY_USERS:
        return CommandFailed(f"the job failed: {message}{where}\nFinished chunks are kept.")
    if cause.kind and cause.kind not in _TRIED_AGAIN:
        message = f"{cause.kind}: {message}"
    again = "Finished chunks are kept: run it again to resume"
    return CommandFailed(f"the job failed: {message}{where}\n{again}; {keep_traceback(error)}.")


def engine_refused(error: grpc.RpcError) -> CommandFailed:
    """The error for a user if the job server of an engine ends a request with an error."""
    code, details = (getattr(error, name, lambda: None)() for name in ("code", "details"))
    answer = redact(" ".join(f"{code.name if code else type(error).__name__}: {details or 'no details'}".split()))
    return CommandFailed(
        f"the job server answered {answer[:_LONGEST]}: correct --job_endpoint, or look at the log of the job server. "
        f"Finished chunks are kept: run it again to resume; {keep_traceback(error)}."
    )
