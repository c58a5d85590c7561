"""Imported MusiCNN bundles against the package's way: how far their tags are from the mean of its patch scores.

python -m benchmarks.musicnn MUSIC    # after `make musicnn`; reads at most 40 audio files of the folder

The package's way: librosa's audio, a float32 spectrogram, patches one after the other, the mean of their scores; its
network is the re-built one, which gives its scores to 1e-5 (tests/models/test_musicnn.py). Ours: what `tag` publishes:
at most 16 patches in float16, spread over the track, and the output layer on their mean embedding. Files that librosa
cannot open and files shorter than a patch are named and left out.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

MOST_FILES = 40
SUFFIXES = (".mp3", ".ogg", ".flac", ".wav", ".opus")
WHEELS = Path(".tools/musicnn")

Heard = tuple[Path, np.ndarray]
"""A file and its samples at the networks' sample rate."""


def heard_by_librosa(music: Path, sample_rate: int) -> list[Heard]:
    """At most `MOST_FILES` files, spread over the folder; those that librosa cannot open are printed instead."""
    import librosa
    import soundfile

    files = sorted(path for path in music.rglob("*") if path.suffix in SUFFIXES)
    files = files[:: max(1, len(files) // MOST_FILES)][:MOST_FILES]
    found, silent = list[Heard](), list[str]()
    for path in files:
        try:
            with soundfile.SoundFile(path) as file:
                found.append((path, librosa.load(file, sr=sample_rate)[0]))
        except soundfile.SoundFileError as error:
            silent.append(f"{path.name} ({type(error).__name__})")
    _print_left_out("librosa cannot open", silent, len(files))
    return found


def _print_left_out(why: str, names: Sequence[str], total: int) -> None:
    if names:
        print(f"left out {len(names)} of {total} files, {why}: {', '.join(names)}", flush=True)


def compare(music: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """For both networks: differences of scores, and agreement on the ten highest tags."""
    from models.trunks.musicnn import SPEC, load_network, write_musicnn_bundle
    from models.trunks.musicnn_package import read_package, taxonomy_of

    heard = heard_by_librosa(music, SPEC.sample_rate)
    for checkpoint in read_package(WHEELS):
        model, weights, bias = load_network(checkpoint)
        _, outputs = taxonomy_of(checkpoint.labels)
        with tempfile.TemporaryDirectory() as folder:
            bundle = write_musicnn_bundle(f"{folder}/bundle", checkpoint)
            scores = {path.name: _scores(path, audio, bundle, model, weights, bias, outputs) for path, audio in heard}
        pairs = [pair for pair in scores.values() if pair]
        _print_left_out("shorter than a patch", [name for name, pair in scores.items() if not pair], len(heard))
        yield bundle.trunks[0].name, _agreement(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))


def _scores(
    path: Path, audio: np.ndarray, bundle: Any, model: Any, weights: np.ndarray, bias: np.ndarray, outputs: list[int]
) -> Any:
    """(ours, the package's) scores of one file [tags]; None where it is shorter than a patch."""
    from models.scoring.heads import sigmoid
    from models.trunks.loading import load_embedder
    from transforms.audio.limits import Limits
    from transforms.features.extract import extract
    from transforms.features.logmel import log_mel

    frames = log_mel(audio, bundle.spec)
    count = len(frames) // bundle.spec.patch_frames
    if not count:
        return None
    patches = frames[: count * bundle.spec.patch_frames].reshape(count, *bundle.spec.patch_shape)
    theirs = sigmoid(model.predict(patches, verbose=0) @ weights + bias).mean(axis=0)[outputs]
    found = extract(path.read_bytes(), bundle.spec, Limits()).patches
    return bundle.score(load_embedder(bundle.url).embed([found]))[0], theirs


def _agreement(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    from scipy.stats import kendalltau

    top = [np.argsort(-row)[:10] for row in theirs]
    shared = [len(set(best) & set(np.argsort(-row)[:10])) for best, row in zip(top, ours, strict=True)]
    tau = [kendalltau(a[best], b[best]).statistic for a, b, best in zip(ours, theirs, top, strict=True)]
    return {
        "files": len(ours),
        "mean_difference": float(np.abs(ours - theirs).mean()),
        "largest_difference": float(np.abs(ours - theirs).max()),
        "shared_of_top_10": float(np.mean(shared)),
        "kendall_tau_of_top_10": float(np.mean(tau)),
        "same_first_tag": float(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1))),
    }


if __name__ == "__main__":
    for name, facts in compare(Path(sys.argv[1])):
        print(name, ", ".join(f"{key} {value:.4g}" for key, value in facts.items()), flush=True)
