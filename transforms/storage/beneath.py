"""Opens regular files and folders beneath a root without following any link, whatever changes meanwhile.

Folders are opened one below the other, each relative to the one before. A name that has become a link since the path
was resolved is refused, so no race between the check and the opening leads out of the root.
"""

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_PSEUDO = ("/proc", "/sys")
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
# Such a descriptor needs no permission to read the folder, only to pass through it.
_PASS = _FLAGS | os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)


class Beneath(NamedTuple):
    """A resolved path, in two parts.

    Attributes:
      root: resolved path of a root.
      path: path from there, without links; `.` for the root.
    """

    root: str
    path: str


def open_file(place: Beneath) -> int:
    """A descriptor of a regular file. Other files are not opened: opening a device may change it.

    Raises:
      OSError: it does not exist, a part of the path is a link, or it is something else: a folder, a named pipe, a
        device or a file of `/proc`.
    """
    *folders, name = place.path.split("/")
    with _folder(place.root, folders) as parent:
        _check_plain(os.stat(name, dir_fd=parent, follow_symlinks=False))
        # Without O_NONBLOCK, a named pipe that has replaced the file would block the reader forever.
        descriptor = os.open(name, _FLAGS | os.O_RDONLY | os.O_NONBLOCK, dir_fd=parent)
        try:
            _check_plain(os.fstat(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


def unlink(place: Beneath) -> None:
    """Removes the name of a file.

    Raises:
      OSError: it does not exist, or a folder of the path is a link.
    """
    *folders, name = place.path.split("/")
    try:
        with _folder(place.root, folders) as parent:
            os.unlink(name, dir_fd=parent)
    except NotADirectoryError as error:  # Linux says this of a link, too
        raise PermissionError(errno.EPERM, "a folder of the path is a link or a file") from error


@contextlib.contextmanager
def open_folder(place: Beneath) -> Iterator[int]:
    """A descriptor for listing a folder, closed at the end of the block.

    Raises:
      OSError: it is no folder or does not exist, or a part of the path is a link.
    """
    *folders, name = place.path.split("/")
    with _folder(place.root, folders) as parent:
        descriptor = os.open(name, _FLAGS | os.O_DIRECTORY | os.O_RDONLY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _folder(root: str, names: Sequence[str]) -> Iterator[int]:
    descriptor = os.open(root, _PASS)
    try:
        for name in names:
            above, descriptor = descriptor, os.open(name, _PASS, dir_fd=descriptor)
            os.close(above)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_plain(facts: os.stat_result) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    # Files of /proc and /sys count as regular, but reading some of them blocks or has effects.
    if not stat.S_ISREG(facts.st_mode) or facts.st_dev in _pseudo_devices():
        raise OSError(errno.EISDIR, "not a regular file")


@functools.cache
def _pseudo_devices() -> frozenset[int]:
    """Device numbers of the file systems that show the kernel's state."""
    found = set()
    for path in _PSEUDO:
        with contextlib.suppress(OSError):
            found.add(os.stat(path).st_dev)  # noqa: PTH116 - a number of the mount, no path
    return frozenset(found - {os.stat("/").st_dev})  # noqa: PTH116
