"""The file of clients: names, scopes, hashed secrets, and the key that tokens are signed with.

A secret is shown once, when its client is added. The file has its scrypt hash. The file is readable by its owner only.
"""

import dataclasses
import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import threading
from pathlib import Path
from typing import Any

from pipelines.terminal.errors import CommandFailed, UsageError
from transforms import storage

SCOPES = {"read": "Read everything that the table publishes.", "analyze": "Analyse uploaded files."}
"""Scope -> what it allows."""

_VERSION = 1
_N, _R, _P, _HASH_BYTES = 2**14, 8, 1, 32
_MOST_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_NOBODY = {"salt": "00" * 16, "hash": "00" * _HASH_BYTES, "scopes": []}
"""Compared with the secret of an unknown client, so that its refusal takes as long as that of a wrong secret."""


@dataclasses.dataclass(frozen=True)
class Clients:
    """What a file of clients says.

    Attributes:
      key: signs tokens.
      entries: client id -> `salt`, `hash`, `scopes`, `created`.
    """

    key: bytes = dataclasses.field(repr=False)
    entries: dict[str, dict[str, Any]] = dataclasses.field(repr=False)

    def scopes(self, client: str) -> tuple[str, ...] | None:
        """What a client may do; None if it is no client (any more)."""
        return tuple(self.entries[client]["scopes"]) if client in self.entries else None

    def has_secret(self, client: str, secret: str) -> bool:
        """Whether this is the secret of the client. Takes equally long for every answer."""
        entry = self.entries.get(client, _NOBODY)
        found = _hash(secret, bytes.fromhex(entry["salt"]))
        return hmac.compare_digest(found, bytes.fromhex(entry["hash"])) and client in self.entries


def _hash(secret: str, salt: bytes) -> bytes:
    data = secret.encode(errors="surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=_N, r=_R, p=_P, maxmem=64 * 2**20, dklen=_HASH_BYTES)


class ClientsFile:
    """A file of clients, read again when it changes: an added or removed client needs no restart."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen, self._clients = _facts(path), read_clients(path)

    def current(self) -> Clients:
        """The clients as the file says now; the last ones if it cannot be read."""
        try:
            seen = _facts(self.path)
        except CommandFailed:
            return self._clients
        if seen != self._seen:
            with self._lock:
                self._clients = read_clients(self.path)
                self._seen = seen
        return self._clients


def _facts(path: str) -> tuple[int, int, int]:
    """What changes when the file is replaced."""
    try:
        found = Path(path).stat()
    except OSError as error:
        raise UsageError(
            f"--clients {path}: {error.strerror}: `catalog-tagger serve --add-client NAME --clients {path}` makes it"
        ) from error
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_clients(path: str) -> Clients:
    """Reads a file of clients.

    Raises:
      UsageError: there is none, others may read it, or it is damaged.
    """
    _facts(path)
    if (mode := stat.S_IMODE(Path(path).stat().st_mode)) & 0o007:
        raise UsageError(
            f"--clients {path}: mode {mode:04o} lets every user of this machine at its key: chmod 600 {path}"
        )
    try:
        document = json.loads(storage.read_bytes(path, max_bytes=_MOST_BYTES))
        if document["version"] != _VERSION:
            raise ValueError(f"its version is {document['version']!r}, not {_VERSION}")
        clients = Clients(bytes.fromhex(document["key"]), document["clients"])
        for entry in clients.entries.values():
            if not set(entry["scopes"]) <= SCOPES.keys() or len(bytes.fromhex(entry["hash"])) != _HASH_BYTES:
                raise ValueError("an entry has another form")
            bytes.fromhex(entry["salt"])
        if len(clients.key) < _HASH_BYTES:
            raise ValueError("its key is too short")
    except (ValueError, KeyError, TypeError, AttributeError, storage.TooLarge) as error:
        raise UsageError(f"--clients {path}: this is no file of clients ({error}): make a new one") from error
    return clients


def add_client(path: str, name: str, scopes: tuple[str, ...]) -> str:
    """Adds a client to the file, which is made if there is none; returns its secret.

    Raises:
      UsageError: the name is not plain or taken, or the file is damaged.
      storage.StorageError: the file cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"--add-client {name!r}: use 1 to 64 letters, digits, dots, dashes and underscores")
    clients = read_clients(path) if storage.exists(path) else Clients(secrets.token_bytes(_HASH_BYTES), {})
    if name in clients.entries:
        raise UsageError(
            f"--add-client {name}: {path} has this client already: choose another name, or --remove-client"
        )
    secret, salt = secrets.token_urlsafe(32), secrets.token_bytes(16)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"salt": salt.hex(), "hash": _hash(secret, salt).hex(), "scopes": list(scopes), "created": now}
    _write(path, Clients(clients.key, {**clients.entries, name: entry}))
    return secret


def remove_client(path: str, name: str) -> None:
    """Removes a client from the file. Its tokens are refused from then on.

    Raises:
      UsageError: the file has no such client.
    """
    clients = read_clients(path)
    if name not in clients.entries:
        known = ", ".join(clients.entries) or "none"
        raise UsageError(f"--remove-client {name}: {path} has no such client: clients are {known}")
    _write(path, Clients(clients.key, {own: entry for own, entry in clients.entries.items() if own != name}))


def _write(path: str, clients: Clients) -> None:
    document = {"version": _VERSION, "key": clients.key.hex(), "clients": clients.entries}
    before = os.umask(0o077)
    try:
        storage.write_bytes(path, json.dumps(document, indent=2).encode() + b"\n")
    finally:
        os.umask(before)
