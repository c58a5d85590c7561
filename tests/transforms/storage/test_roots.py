"""Roots: nothing outside of them is opened, whatever a uri says, a link leads to, or changes meanwhile."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile import BUCKETS, INSIDE, NO_FILES, hostile_uris, make_folder
from tests.support.waiting import PATIENCE_S
from transforms import storage
from transforms.storage import RootsCheck, SourceRoots, beneath

ROOT = Path(__file__).parents[3]
LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the kernel does not tell where a file is")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("base"))


def _kernels_place(url: str) -> str | None:
    """Where the kernel finds a file, without opening it; None if it finds none."""
    try:
        descriptor = os.open(url, os.O_PATH)
    except (OSError, ValueError):
        return None
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    finally:
        os.close(descriptor)


def _is_beneath(place: str, root: Path) -> bool:
    return place == str(root) or place.startswith(f"{root}/")


@LINUX
def test_every_uri_that_leads_out_by_the_kernels_own_account_is_refused(root: Path) -> None:
    roots, uris = SourceRoots(str(root)), hostile_uris(root)
    assert len(uris) >= 200
    outside = []
    for uri in uris:
        url = roots.url(uri)
        place = None if "://" in url else _kernels_place(url)
        if "://" in url or (place is not None and not _is_beneath(place, root.resolve())):
            outside.append(uri)
            assert roots.check().refusal(url) is not None, uri
            with pytest.raises(storage.OutsideRoots):
                storage.read_bytes(url, roots=roots.check())
            with pytest.raises(storage.OutsideRoots):
                list(storage.list_folder(url, roots=roots.check()))
        else:
            with pytest.raises((storage.NotFound, storage.OutsideRoots)):
                storage.read_bytes(url, roots=roots.check())
    assert len(outside) >= 100


def test_what_is_inside_is_read_as_before(root: Path) -> None:
    roots = SourceRoots(str(root))
    for uri in INSIDE:
        assert storage.read_bytes(roots.url(uri), roots=roots.check()) == (root / uri).read_bytes()
    listed = list(storage.list_folder(str(root), roots=roots.check()))
    assert listed == list(storage.list_folder(str(root)))
    assert {info.url for info in listed} >= {f"{root}/good.wav", f"{root}/inner-link"}


def test_what_is_no_regular_file_is_not_opened(root: Path) -> None:
    roots = SourceRoots(str(root))
    for uri in NO_FILES:
        with pytest.raises(storage.NotFound):
            storage.read_bytes(roots.url(uri), roots=roots.check())


def test_a_refusal_names_the_root_that_would_admit(root: Path) -> None:
    for uri in ("../outside/secret.wav", "folder-link/secret.wav", "chain", f"{root.parent}/root-evil/secret.wav"):
        refused = SourceRoots(str(root)).check().refusal(f"{root}/{uri}" if uri[0] != "/" else uri)
        assert refused is not None and refused.remedy.startswith("give --allow-root ")
        (allowed,) = shlex.split(refused.remedy)[2:]
        wider = SourceRoots(str(root), (allowed,))
        assert storage.read_bytes(wider.url(uri), roots=wider.check()) == b"secret"


def test_kernel_files_are_no_regular_files_even_beneath_a_root() -> None:
    roots = SourceRoots("/")
    for uri in ("/proc/kmsg", "/proc/self/environ", "/proc/version", "/dev/null", "/dev/zero", "/sys/kernel/notes"):
        with pytest.raises((storage.NotFound, storage.PermissionDenied)):
            storage.read_bytes(uri, roots=roots.check())


@LINUX
def test_devices_are_looked_at_and_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = os.open
    monkeypatch.setattr(beneath.os, "open", lambda path, *a, **k: opened.append(path) or real(path, *a, **k))
    with pytest.raises(storage.NotFound, match="not a regular file"):
        storage.read_bytes("/dev/null", roots=RootsCheck("/dev"))
    assert opened == ["/dev"]


def test_roots_are_compared_by_whole_names(tmp_path: Path) -> None:
    for name in ("music", "music-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").write_bytes(b"a")
    check = RootsCheck(str(tmp_path / "music"))
    assert check.refusal(f"{tmp_path}/music/a.wav") is None
    assert check.refusal(f"{tmp_path}/music-2/a.wav") is not None
    remote = RootsCheck("gs://bucket/music")
    assert remote.refusal("gs://bucket/music/a.wav") is None
    assert remote.refusal("gs://bucket/music-2/a.wav") is not None


def test_a_root_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "release-1").mkdir()
    (tmp_path / "release-1" / "a.wav").write_bytes(b"a")
    (tmp_path / "current").symlink_to("release-1")
    check = RootsCheck(str(tmp_path / "current"))
    assert storage.read_bytes(f"{tmp_path}/current/a.wav", roots=check) == b"a"
    assert storage.read_bytes(f"{tmp_path}/release-1/a.wav", roots=check) == b"a"


@pytest.mark.parametrize("url", BUCKETS)
def test_other_buckets_are_refused(url: str) -> None:
    check = SourceRoots("gs://music/catalog").check()
    assert check.refusal("gs://music/anything/a.wav") is None
    assert check.refusal(url) is not None


def _leaves(parts: list[str], folders: int) -> bool:
    """Whether a reader that takes the name for a path comes to another place than one beneath its first folders."""
    path: list[str] = []
    for part in parts:
        if part == "..":
            if not path:
                return True
            path.pop()
        elif part != ".":
            path.append(part)
    return len(path) <= folders or path[:folders] != parts[:folders]


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "...", "..a", "%2e%2e"]), min_size=1, max_size=6))
def test_names_with_dots_lead_out_by_no_reading(parts: list[str]) -> None:
    name = "/".join(parts)
    assert (SourceRoots("gs://music").check().refusal(f"gs://music/{name}") is not None) == _leaves(parts, 0)
    assert (RootsCheck("gs://music/a").refusal(f"gs://music/a/{name}") is not None) == _leaves(["a", *parts], 1)


NAMES = ["a", "b", "up", "down", "out", "..", ".", ""]


@LINUX
@settings(max_examples=300)
@given(parts=st.lists(st.sampled_from(NAMES), min_size=1, max_size=8), absolute=st.booleans())
def test_any_path_agrees_with_the_kernel(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], absolute: bool
) -> None:
    """`out` leads out; `up` and `down` lead to other folders inside."""
    base = _tree(tmp_path_factory)
    root = base / "root"
    url = f"{root}/{'/'.join(parts)}" if absolute else SourceRoots(str(root)).url("/".join(parts) or "x")
    place, refused = _kernels_place(url), RootsCheck(str(root)).refusal(url)
    if place is not None:
        assert (refused is None) == _is_beneath(place, root)


_trees: list[Path] = []


def _tree(factory: pytest.TempPathFactory) -> Path:
    if not _trees:
        base = factory.mktemp("tree")
        for folder in ("root/a/b", "root/b/a", "outside/a/b"):
            (base / folder).mkdir(parents=True)
        (base / "root/a/up").symlink_to("..")
        (base / "root/down").symlink_to("a/b")
        (base / "root/a/out").symlink_to("../../outside")
        (base / "root/out").symlink_to(base / "outside")
        (base / "outside/down").symlink_to(base / "root/a")
        _trees.append(base.resolve())
    return _trees[0]


def test_a_folder_that_becomes_a_link_after_the_check_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(tmp_path)
    real = os.path.realpath

    def swapped(path: str) -> str:
        found = real(path)
        if path.endswith("song.wav") and not (root / "album").is_symlink():
            shutil.move(root / "album", root / "moved")
            (root / "album").symlink_to("../outside")
            (root.parent / "outside" / "song.wav").write_bytes(b"secret")
        return found

    monkeypatch.setattr(os.path, "realpath", swapped)
    with pytest.raises(storage.NotFound):
        storage.read_bytes(f"{root}/album/song.wav", roots=RootsCheck(str(root)))


def test_links_that_change_all_the_time_never_lead_out(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    (root / "inside").mkdir()
    (root / "inside" / "secret.wav").write_bytes(b"inside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for target in ("inside", "../outside"):
                spare = root / "spare"
                spare.symlink_to(target)
                spare.rename(root / "changing")

    (root / "changing").symlink_to("inside")
    thread = threading.Thread(target=swap)
    thread.start()
    found = set()
    start, end = time.monotonic() + 0.7, time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < start or (len(found) < 2 and time.monotonic() < end):
            try:
                found.add(storage.read_bytes(f"{root}/changing/secret.wav", roots=RootsCheck(str(root))))
            except storage.StorageError as error:
                found.add(type(error).__name__)
    finally:
        stop.set()
        thread.join()
    assert b"inside" in found and "OutsideRoots" in found and b"secret" not in found


_OPEN = re.compile(
    r"(?:open|openat|openat2|creat|open_by_handle_at)\((?:AT_FDCWD<([^>]*)>|\d+<([^>]*)>)?,? ?\"((?:[^\"\\]|\\.)*)\""
)


def opened_after(trace: str, marker: str) -> list[str]:
    """Paths of all calls that open, after the marker: an absolute name, or a folder and a name."""
    calls = trace.partition(marker)[2].splitlines()[1:]
    found = [match for line in calls if (match := _OPEN.search(line))]
    return [str(Path(m[1] or m[2] or "", m[3].encode().decode("unicode_escape"))) for m in found]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_trace_shows_no_opening_outside(root: Path, tmp_path: Path) -> None:
    command = ["strace", "-f", "-y", "-s", "5000", "-e", "trace=%file", "-o", str(tmp_path / "trace")]
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.support.hostile", str(root)], cwd=ROOT, capture_output=True, text=True
    )
    if "PTRACE" in done.stderr:
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 0, done.stderr
    opened = opened_after((tmp_path / "trace").read_text("utf-8", "replace"), "--begin")
    assert any(path.endswith("album/song.wav") for path in opened) and len(opened) > 200
    assert [path for path in opened if not _is_beneath(os.path.normpath(path), root)] == []


def test_a_socket_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(storage.NotFound, match="not a regular file"):
            storage.read_bytes("socket", roots=RootsCheck("."))
