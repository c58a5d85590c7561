"""Imported MusiCNN bundles against the package's way: how far their tags are from the mean of its patch scores.

python -m benchmarks.musicnn MUSIC    # after `make musicnn`; reads at most 40 audio files of the folder

The package's way: librosa's audio, a float32 spectrogram, patches one after the other, the mean of their scores; its
network is the re-built one, which gives its scores to 1e-5 (tests/models/test_musicnn.py). Ours: what `tag` publishes:
at most 16 patches in float16, spread over the track, and the output layer on their mean embedding.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

MOST_FILES = 40
SUFFIXES = (".mp3", ".ogg", ".flac", ".wav", ".opus")
WHEELS = Path(".tools/musicnn")


def compare(music: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """For both networks: differences of scores, and agreement on the ten highest tags."""
    from models.trunks.musicnn import load_network, write_musicnn_bundle
    from models.trunks.musicnn_package import read_package, taxonomy_of

    files = sorted(path for path in music.rglob("*") if path.suffix in SUFFIXES)
    files = files[:: max(1, len(files) // MOST_FILES)][:MOST_FILES]
    for checkpoint in read_package(WHEELS):
        model, weights, bias = load_network(checkpoint)
        _, outputs = taxonomy_of(checkpoint.labels)
        with tempfile.TemporaryDirectory() as folder:
            bundle = write_musicnn_bundle(f"{folder}/bundle", checkpoint)
            pairs = [pair for path in files if (pair := _scores(path, bundle, model, weights, bias, outputs))]
        yield bundle.trunks[0].name, _agreement(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))


def _scores(path: Path, bundle: Any, model: Any, weights: np.ndarray, bias: np.ndarray, outputs: list[int]) -> Any:
    """(ours, the package's) scores of one file [tags]; None where it is shorter than a patch."""
    import librosa

    from models.heads.heads import sigmoid
    from models.trunks.embedding import load_embedder
    from transforms.signal.extract import extract
    from transforms.signal.limits import Limits
    from transforms.signal.logmel import log_mel

    audio, _ = librosa.load(path, sr=bundle.spec.sample_rate)
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
