"""Extraction against bare decoding, against the loop that a librosa user writes, and against ffmpeg's command line.

python -m benchmarks.extraction        # prints one table

All of it runs in one process of its own with one thread for linear algebra and the allocator's settings of decoding
processes, competitors taking turns on the same files.
Figures of one thread against another are processor time, those of the sandbox and of several children are wall time.
"""

import dataclasses
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from benchmarks import encoders
from benchmarks.processes import descendants
from benchmarks.report import Row
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.mpeg import scan_mpeg, with_length_tag
from transforms.audio.containers.sniff import MP3, sniff
from transforms.audio.limits import Limits
from transforms.extraction.child_process import ALLOCATOR
from transforms.extraction.sandbox import Sandbox
from transforms.features.extract import extract
from transforms.features.logmel import mel_matrix
from transforms.features.reading import AudioFile, read_packets
from transforms.features.spec import FeatureSpec

SPEC, LIMITS = FeatureSpec(), Limits()
RATE = 44_100
FORMATS = {
    "mp3": ("MP3", "MPEG_LAYER_III", RATE),
    "flac": ("FLAC", "PCM_16", RATE),
    "ogg": ("OGG", "VORBIS", RATE),
    "opus": ("OGG", "OPUS", 48_000),
    "wav": ("WAV", "PCM_16", RATE),
}
LENGTHS = {"30 s": 30, "4 min": 240, "60 min": 3600}
HOUR_FORMATS = ("mp3", "flac")
"""An hour of WAV is over the largest file that is read."""
ROUNDS = {"30 s": 15, "4 min": 5, "10 min": 5, "60 min": 1}


def rows(work: Path, root: Path) -> list[Row]:
    """All figures, measured in a process of its own."""
    return rows_of("benchmarks.extraction", "--json", str(work), root=root)


def rows_of(module: str, *words: str, root: Path) -> list[Row]:
    """Rows that a module prints in a process of its own, with one thread and the allocator of decoding processes."""
    environment = {**os.environ, **ALLOCATOR, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, check=True)
    return [Row.from_json(json.loads(line)) for line in done.stdout.splitlines()]


def measure(work: Path) -> Iterator[Row]:
    """Every row, in the table's order."""
    folder = work / "extraction"
    folder.mkdir(parents=True, exist_ok=True)
    mel_matrix(SPEC)
    librosa_loop(audio_file(folder, "wav", 1))
    for length, seconds in LENGTHS.items():
        for kind in FORMATS if seconds < 3600 else HOUR_FORMATS:
            yield from competition(folder, kind, length, seconds)
    yield from several_encoders(folder)
    yield from seeking(folder)
    yield from sandbox_overhead(folder)
    yield from two_children(folder)
    yield from memory(folder)


def row(values: list[float], name: str, unit: str, **fields: object) -> Row:
    return Row.of(values, benchmark="extraction", name=name, unit=unit, **fields)


# The files


def audio_file(folder: Path, kind: str, seconds: int) -> Path:
    """A stereo file of this length: made once."""
    path = folder / f"{seconds}s.{kind}"
    if not path.exists():
        data = repeated_mp3(folder, seconds) if kind == "mp3" and seconds > 600 else encoded(kind, seconds)
        path.with_suffix(".part").write_bytes(data)
        path.with_suffix(".part").rename(path)
    return path


def encoded(kind: str, seconds: int) -> bytes:
    format, subtype, rate = FORMATS[kind]
    buffer, minute = io.BytesIO(), music(min(60, seconds), rate)
    with soundfile.SoundFile(buffer, "w", rate, 2, subtype, format=format) as file:
        for start in range(0, seconds * rate, rate):
            at = start % len(minute)
            file.write(minute[at : at + rate])
    return buffer.getvalue()


def repeated_mp3(folder: Path, seconds: int) -> bytes:
    """A minute's frames over and over: encoding an hour would take longer than all measurements."""
    minute = audio_file(folder, "mp3", 60).read_bytes()
    scan = scan_mpeg(minute)
    frames = minute[scan.spans[0][0] + scan.head.size : scan.spans[0][1]] * (seconds // 60)
    return with_length_tag(frames, scan_mpeg(frames), keep_tag=False)


def music(seconds: float, rate: int) -> np.ndarray:
    """Eight partials that come and go over soft noise: float32 [samples, 2]."""
    rng, t = np.random.default_rng(4), np.arange(round(seconds * rate)) / rate
    samples = rng.standard_normal((len(t), 2)).astype(np.float32) * np.float32(0.02)
    for k in range(8):
        swell = 0.05 * (1 + np.sin(2 * np.pi * (0.3 + 0.2 * k) * t))
        samples[:, k % 2] += swell * np.sin(2 * np.pi * 110 * 2 ** (rng.integers(36) / 12) * t)
    return samples


# The competitors


def bare_decode(data: bytes) -> None:
    """Decode all samples as float32 and drop them."""
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        block = np.empty((1 << 16, file.channels), np.float32)
        while len(file.read(len(block), out=block)):
            pass


def bare_decode_by_ffmpeg(data: bytes) -> None:
    """The same with ffmpeg's libraries, for files that libsndfile does not read."""
    import av

    with av.open(io.BytesIO(data)) as container:
        for _ in container.decode(audio=0):
            pass


def librosa_loop(path: Path) -> None:
    """What a user writes: load, mel spectrogram, decibels, cut."""
    import librosa

    samples, rate = librosa.load(path, sr=SPEC.sample_rate)
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_fft=SPEC.n_fft, hop_length=SPEC.hop_length, n_mels=SPEC.n_mels
    )
    decibels = librosa.power_to_db(mel, top_db=None).T.astype(np.float16)
    frames = SPEC.patch_frames
    np.stack([decibels[i : i + frames] for i in range(0, len(decibels) - frames + 1, frames)] or [decibels])


def ffmpeg_cli(path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", str(SPEC.sample_rate), "-f", "f32le", "-"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)


def processor_time() -> float:
    """Seconds computed by this process and its finished children: other work on the machine does not count."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def in_turns(
    actions: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Milliseconds of each action in each round; one round before goes uncounted where there are several.

    Every second round goes backwards: no action always follows the same one.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for round_ in range(-1 if rounds > 1 else 0, rounds):
        order = list(actions.items())[:: -1 if round_ % 2 else 1]
        for name, action in order:
            start = clock()
            action()
            if round_ >= 0:
                times[name].append((clock() - start) * 1000)
    return times


def ratios(over: list[float], under: list[float], scale: float = 1.0) -> list[float]:
    """Ratios round by round: what slows the machine down slows both."""
    return [scale * a / b for a, b in zip(over, under, strict=True)]


def competition(folder: Path, kind: str, length: str, seconds: int) -> Iterator[Row]:
    path = audio_file(folder, kind, seconds)
    data = path.read_bytes()
    actions: dict[str, Callable[[], object]] = {
        "bare decode": lambda: bare_decode(data),
        "extraction": lambda: extract(data, SPEC, LIMITS),
        "librosa loop": lambda: librosa_loop(path),
    }
    if shutil.which("ffmpeg"):
        actions["ffmpeg's command line"] = lambda: ffmpeg_cli(path)
    times = in_turns(actions, ROUNDS[length], processor_time)
    for name, values in times.items():
        yield row(values, f"{kind}, {length}: {name}", "ms")
    if kind == "mp3":
        speedup = ratios(times["librosa loop"], times["extraction"])
        yield row(speedup, f"MP3, {length}: librosa loop over extraction", "x", target=2.0, at_least=True)
    if (kind, length) == ("mp3", "30 s"):
        share = ratios(times["extraction"], times["bare decode"])
        yield row(share, "MP3, 30 s: extraction over bare decode", "x", target=1.35)


def several_encoders(folder: Path) -> Iterator[Row]:
    """Extraction over the bare decode of files that are not the benchmark's own."""
    soundfile.write(folder / "stereo.wav", music(30, RATE), RATE, subtype="PCM_16")
    packets = []
    for origin, path in encoders.files(folder):
        data = path.read_bytes()
        kind = sniff(data)
        contents = inspect(data, kind)
        if kind == MP3:
            track = AudioFile(contents=contents, kind=kind, spec=SPEC, limits=LIMITS)
            packets.append(100.0 * (read_packets(track) is not None))
        yield from over_bare_decode(origin.name, data, contents.data)
    yield row(
        [statistics.mean(packets)],
        "MP3s of several encoders that are read packet by packet",
        "%",
        target=100.0,
        at_least=True,
    )


def over_bare_decode(name: str, data: bytes, whole: bytes) -> Iterator[Row]:
    """`whole` is the file with a length tag, without which libsndfile stops early."""
    try:
        bare_decode(whole)
        decode, by = bare_decode, "libsndfile"
    except soundfile.LibsndfileError:
        decode, by = bare_decode_by_ffmpeg, "ffmpeg"
    actions = {"decode": lambda: decode(whole), "extraction": lambda: extract(data, SPEC, LIMITS)}
    times = in_turns(actions, ROUNDS["30 s"], processor_time)
    yield row(times["decode"], f"{name}: bare decode by {by}", "ms")
    share = ratios(times["extraction"], times["decode"])
    yield row(share, f"{name}: extraction over bare decode", "x", target=1.25)


def seeking(folder: Path) -> Iterator[Row]:
    data = audio_file(folder, "mp3", 600).read_bytes()
    actions = {"decode": lambda: bare_decode(data), "sought": lambda: extract(data, SPEC, LIMITS)}
    times = in_turns(actions, ROUNDS["10 min"], processor_time)
    share = ratios(times["sought"], times["decode"])
    yield row(share, "MP3, 10 min: 16 patches by seeking over full decode", "x", target=1 / 3)


def sandbox_overhead(folder: Path) -> Iterator[Row]:
    data, count = audio_file(folder, "mp3", 30).read_bytes(), 20
    with Sandbox(SPEC, LIMITS, children=1) as sandbox:
        actions = {
            "inside": lambda: [extract(data, SPEC, LIMITS) for _ in range(count)],
            "sandbox": lambda: [future.result() for future in [sandbox.submit(data) for _ in range(count)]],
        }
        times = in_turns(actions, 5, time.perf_counter)
    overhead = [value - 100 for value in ratios(times["sandbox"], times["inside"], 100)]
    yield row(overhead, "Sandbox over in process, 30 s MP3", "%", target=15)


def two_children(folder: Path) -> Iterator[Row]:
    data, count = audio_file(folder, "mp3", 30).read_bytes(), 40
    with Sandbox(SPEC, LIMITS, 1) as one, Sandbox(SPEC, LIMITS, 2) as two:
        actions = {
            name: lambda sandbox=sandbox: [f.result() for f in [sandbox.submit(data) for _ in range(count)]]
            for name, sandbox in (("one", one), ("two", two))
        }
        times = in_turns(actions, 5, time.perf_counter)
    for name in times:
        yield row([count * 1000 / t for t in times[name]], f"Throughput, {name} child(ren), 30 s MP3", "tracks/s")
    yield row(ratios(times["one"], times["two"]), "Two children over one", "x", target=1.8, at_least=True)


def memory(folder: Path) -> Iterator[Row]:
    with Sandbox(SPEC, LIMITS, children=1) as sandbox:
        for length in ("30 s", "60 min"):
            data = audio_file(folder, "mp3", LENGTHS[length]).read_bytes()
            before = status_mib(os.getpid(), "VmRSS")
            sandbox.submit(data).result()
            grown = max(0.0, status_mib(os.getpid(), "VmRSS") - before)
            child = max(status_mib(child.pid, "VmHWM") for child in descendants(os.getpid()))
            yield row([child], f"Peak memory of the child, {length} MP3", "MiB", target=200)
            yield row([grown], f"Growth of the worker, {length} MP3", "MiB", target=50)


def status_mib(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), 0.0)


def main(arguments: list[str]) -> None:
    """Prints the rows as JSON lines (`--json FOLDER`), or as one table."""
    if arguments[:1] == ["--json"]:
        for found in measure(Path(arguments[1])):
            print(json.dumps(dataclasses.asdict(found)), flush=True)
        return
    from benchmarks.machine import describe_machine
    from benchmarks.report import render

    root = Path(__file__).resolve().parent.parent
    print(render(rows(root / ".bench", root), describe_machine(), time.strftime("%Y-%m-%d")))


if __name__ == "__main__":
    main(sys.argv[1:])
