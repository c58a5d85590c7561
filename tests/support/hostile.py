"""A folder with links that lead out of it, and uris that try to: more than 200, by kind."""

import contextlib
import os
import stat
import sys
from pathlib import Path

from transforms import storage

SYSTEM = (
    "/etc/shadow",
    "/etc/passwd",
    "/proc/kmsg",
    "/proc/self/environ",
    "/proc/self/mem",
    "/proc/self/root/etc/shadow",
    "/proc/1/root/etc/passwd",
    "/proc/self/fd/0",
    "/proc/self/task/../environ",
    "/sys/kernel/notes",
    "/dev/null",
    "/dev/zero",
    "/dev/stdin",
    "/dev/fd/0",
    "/dev/kmsg",
    "/dev/mem",
    "/dev/tty",
    "/root/.ssh/id_rsa",
    "/var/log/secure",
)
SCHEMES = (
    "file:///etc/shadow",
    "FILE:///etc/shadow",
    "File://localhost/etc/shadow",
    "file://../outside/secret.wav",
    "http://169.254.169.254/computeMetadata/v1/",
    "https://user:password@host/a.wav",
    "HTTPS://host/a.wav?X-Goog-Signature=abc",
    "ftp://host/a.wav",
    "s3://bucket/a.wav",
    "GS://bucket/a.wav",
    "Gs://bucket/a.wav",
    "data://text/plain,x",
    "://etc/shadow",
    "gs://",
    "gs:///etc/shadow",
    "gs://bucket",
    "gs://bucket/",
    "a/gs://bucket/x.wav",
    "javascript://x/%0aalert(1)",
)
BUCKETS = (
    "gs://other/a.wav",
    "gs://other/music/a.wav",
    "gs://music-evil/a.wav",
    "gs://musi/a.wav",
    "gs://MUSIC/a.wav",
    "gs://music./a.wav",
    "gs://music%2f/a.wav",
    "gs://music@other/a.wav",
    "gs://user:password@music/a.wav",
    "gs://music:80/a.wav",
    "gs://music?x=/a.wav",
    "gs://music#/a.wav",
    "gs://music\\/a.wav",
    "gs://mu\u200bsic/a.wav",
    "gs://ｍusic/a.wav",
    "gs://music /a.wav",
    "gs:// music/a.wav",
    "gs://../music/a.wav",
    "gs://./music/a.wav",
)
LITERAL = (
    "%2e%2e/outside/secret.wav",
    "%2e%2e%2foutside%2fsecret.wav",
    "..%2foutside%2fsecret.wav",
    "..%252foutside%252fsecret.wav",
    "..%c0%afoutside%c0%afsecret.wav",
    "%2fetc%2fshadow",
    "%2Fetc%2Fshadow",
    "good.wav%00",
    "%252e%252e/outside/secret.wav",
    "\uff0e\uff0e/outside/secret.wav",
    "\u2025/outside/secret.wav",
    "\u2024\u2024/outside/secret.wav",
    "..\u2215outside\u2215secret.wav",
    "..\u2044outside\u2044secret.wav",
    "..\uff0foutside\uff0fsecret.wav",
    "\uff0fetc\uff0fshadow",
    "..\u200b/outside/secret.wav",
    "\u202e../outside/secret.wav",
    "..\u0301/outside/secret.wav",
    "\ufeff/etc/shadow",
    " /etc/shadow",
    "\t/etc/shadow",
    "..\\outside\\secret.wav",
    "\\etc\\shadow",
    "C:\\Windows\\win.ini",
    "\\\\host\\share\\a.wav",
    "~/.ssh/id_rsa",
    "~root/.ssh/id_rsa",
    "$HOME/.ssh/id_rsa",
    "${HOME}/x",
    "`id`",
    "|id",
    "-",
    "--allow-root=/",
    "*",
    "?ood.wav",
    "[g]ood.wav",
    "{good,bad}.wav",
    "good.wav#fragment",
    "good.wav?query",
    "good.wav:stream",
    "good.wav\n/etc/shadow",
    "good.wav\r/etc/shadow",
    "\x1b]0;title\x07good.wav",
    "file:/etc/shadow",
    "file:etc/shadow",
    "gs:/bucket/a.wav",
    "con",
    "...",
    "..good.wav",
    "good.wav..",
    ". ./outside/secret.wav",
    ".. /outside/secret.wav",
    "x" * 300,
    "x/" * 2100 + "a.wav",
)
UNUSUAL = ("good.wav\x00", "/etc/shadow\x00.wav", "../outside/secret.wav\x00", "\x00", "", " ", "\t\n")
LINKS = (
    "file-link",
    "./file-link",
    "album/../file-link",
    "album/up-link",
    "file-link/",
    "file-link/.",
    "absolute-link",
    "folder-link/secret.wav",
    "folder-link/./secret.wav",
    "folder-link//secret.wav",
    "folder-link/../outside/secret.wav",
    "folder-link/deeper/../secret.wav",
    "folder-link/missing.wav",
    "absolute-folder-link/passwd",
    "absolute-folder-link/../etc/shadow",
    "chain",
    "chain-folder/secret.wav",
    "slash/etc/shadow",
    "slash/proc/kmsg",
    "proc/kmsg",
    "proc/self/environ",
    "proc/self/root/etc/shadow",
    "dev/zero",
    "dev/stdin",
    "dangling",
    "dangling-absolute",
    "missing/../../outside/secret.wav",
    "album/../album/../../outside/secret.wav",
)
INSIDE = (
    "good.wav",
    "album/song.wav",
    "inner-link",
    "./good.wav",
    "album/../good.wav",
    "album//song.wav",
    "back/good.wav",
)
"""Uris of files in the folder."""
NO_FILES = (
    "fifo",
    "socket",
    "album",
    ".",
    "album/",
    "loop",
    "loop/x",
    "good.wav/",
    "good.wav/x",
    "missing",
    "album/..",
)
"""Uris that lead nowhere else, but to no regular file."""


def make_folder(base: Path) -> Path:
    """The catalog root, with neighbours that it must not lead to."""
    root = base / "root"
    for folder in (root / "album", base / "outside" / "deeper", base / "root-evil", base / "rootless"):
        folder.mkdir(parents=True)
        (folder / "secret.wav").write_bytes(b"secret")
    (base / "outside" / "secret.wav").write_bytes(b"secret")
    (root / "album" / "secret.wav").rename(root / "album" / "song.wav")
    (root / "good.wav").write_bytes(b"good")
    links = {
        "file-link": "../outside/secret.wav",
        "album/up-link": "../../outside/secret.wav",
        "absolute-link": "/etc/passwd",
        "folder-link": "../outside",
        "absolute-folder-link": "/etc",
        "chain": "chain-2",
        "chain-2": "file-link",
        "chain-folder": "chain-folder-2",
        "chain-folder-2": str(base / "outside"),
        "slash": "/",
        "proc": "/proc",
        "dev": "/dev",
        "dangling": "../outside/nothing.wav",
        "dangling-absolute": "/nowhere/nothing.wav",
        "loop": "loop",
        "inner-link": str(root / "album" / "song.wav"),
        "back": "../root",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    with contextlib.suppress(PermissionError):  # macOS
        os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
    return root


def hostile_uris(root: Path) -> list[str]:
    """Uris that a catalog beneath this folder must not be able to read anything by."""
    base = root.parent
    neighbours = [f"{base}/{name}/secret.wav" for name in ("outside", "root-evil", "rootless")]
    climbing = [f"{'../' * count}etc/shadow" for count in (1, 2, 3, 8, 64)]
    climbing += [f"album/{'../' * count}etc/shadow" for count in (2, 9)]
    written = [
        form
        for path in ("/etc/shadow", "/etc/passwd", *neighbours[:2])
        for form in (
            f"/{path}",
            f"//{path}",
            f"/.{path}",
            f"/..{path}",
            f"{path}/",
            f"{path}/.",
            path.replace("/", "//"),
        )
    ]
    relative = [f"../{name}/secret.wav" for name in ("outside", "root-evil", "rootless")]
    relative += [f"./{uri}" for uri in relative] + [f"album/../{uri}" for uri in relative]
    relative += [f"{root}/{uri}" for uri in relative[:3]] + [f"..//{relative[0][3:]}", f".././{relative[0][3:]}"]
    case = ["/ETC/SHADOW", "/Etc/passwd", str(root).upper() + "/../x", str(root).swapcase() + "/good.wav"]
    return list(
        dict.fromkeys(
            [
                *SYSTEM,
                *SCHEMES,
                *BUCKETS,
                *LITERAL,
                *UNUSUAL,
                *LINKS,
                *neighbours,
                *climbing,
                *written,
                *relative,
                *case,
            ]
        )
    )


def main() -> None:
    """Tries to read and to list every hostile uri beneath the folder that is given: for a tracer."""
    root = Path(sys.argv[1])
    roots = storage.SourceRoots(str(root))
    _try(roots, "good.wav")
    _try(roots, "missing\ud800/x")
    Path(f"{root}/--begin").exists()
    for uri in [*hostile_uris(root), *INSIDE, *NO_FILES]:
        if "://" not in uri:
            _try(roots, uri)
            _try(roots, uri.rpartition("/")[0] + "/")


def _try(roots: storage.SourceRoots, uri: str) -> None:
    check = roots.check()
    for access in (storage.read_bytes, lambda url, roots: list(storage.list_folder(url, roots=roots))):
        try:
            access(roots.url(uri), roots=check)
        except storage.StorageError:
            continue


if __name__ == "__main__":
    main()
