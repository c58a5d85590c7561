"""Fits the constants of tempo, metre and their confidences, and says how right they are on styles that were left out.

    python -m benchmarks.rhythmic.fit --pieces FOLDER --pieces FOLDER [--dev ../shared/data/dev] [--write]

Folders are those that `benchmarks.rhythmic.pieces`, `grooves` and `packaged` rendered. Every style made by rule is in
one of four parts, and so is every title from notation; families of grooves and pieces of packages are in halves. What
is printed of a part or half was told by models that saw none of it.
"""

import argparse
import dataclasses
import json
import pathlib
import zlib

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.rhythmic import negatives
from benchmarks.rhythmic.descent import Setting, fit
from benchmarks.rhythmic.tables import accuracy, by_confidence, by_style
from transforms.audio.samples import Float32
from transforms.features.rhythm import measuring, metre, network, tempo
from transforms.features.rhythm.onsets import onsets
from transforms.features.rhythm.periods import CELLS_AN_OCTAVE, periodicity

PARTS = 4
ROOM = pathlib.Path(measuring.__file__).parent
_CLASSES = {"4/4": 0, "2/4": 0, "2/2": 0, "3/4": 1, "3/2": 1, "6/8": 2, "9/8": 2, "12/8": 2, "5/4": 3}
_TEMPO, _METRE = Setting(units=16, epochs=25, decay=2e-2), Setting(units=8, epochs=60, decay=2e-2)
_COPIES, _STRIDE = 4, 2
"""Versions of a piece at different tempi, and of how many candidates one is fitted (which ones is drawn)."""
_RIGHT = 0.03
_FARTHEST = 14


@dataclasses.dataclass
class Rows:
    """Analysed pieces: truths, and what the models read."""

    truth: list[dict]  # type: ignore[type-arg]
    periods: list[Float32] = dataclasses.field(default_factory=list)
    lags: list[Float32] = dataclasses.field(default_factory=list)
    found: list = dataclasses.field(default_factory=list)  # type: ignore[type-arg]

    def add(self, samples: Float32) -> None:
        found = onsets(samples, 16_000)
        periods, lags = periodicity(found)
        self.periods.append(tempo.dilated(periods))
        self.lags.append(lags)
        self.found.append(found)


def read(folders: list[pathlib.Path]) -> Rows:
    """Rendered pieces, without those whose array is missing."""
    rows = Rows([])
    for folder in folders:
        for number, line in enumerate((folder / "truth.jsonl").read_text().splitlines()):
            if (folder / f"{number:04d}.npy").exists():
                rows.truth.append(json.loads(line))
                rows.add(np.load(folder / f"{number:04d}.npy").astype(np.float32) / 32_768)
    return rows


def add_dev(rows: Rows, dev: pathlib.Path) -> None:
    """The rendered pieces with exact tempo of a folder with `manifest.csv`. Their metre is not used."""
    for truth, samples in negatives.rendered(dev):
        rows.truth.append(truth)
        rows.add(samples)


def parts(truth: list[dict]) -> np.ndarray:  # type: ignore[type-arg]
    """Which part each piece is in: its half (0 or 1) if it has one, by style where made by rule, else by title."""
    styles = sorted({row["style"] for row in truth if _by_rule(row)})
    order = dict(zip(styles, np.random.default_rng(0).permutation(len(styles)), strict=True))

    def part(row: dict) -> int:  # type: ignore[type-arg]
        if "half" in row:
            return int(row["half"])
        return int(order[row["style"]] if _by_rule(row) else zlib.crc32(row["name"].encode())) % PARTS

    return np.array([part(row) for row in truth])


def _by_rule(row: dict) -> bool:  # type: ignore[type-arg]
    return "half" not in row and not row["style"].startswith(("notation", "score", "freedoom", "five"))


def seen(truth: list[dict], held: int) -> np.ndarray:  # type: ignore[type-arg]
    """Indices of the pieces that the model may see which tells part `held`: not that part, and not half `held % 2`."""
    halved = np.array(["half" in row for row in truth])
    part = parts(truth)
    return np.flatnonzero(np.where(halved, part != held % 2, part != held))


def fit_tempo(rows: Rows, chosen: np.ndarray) -> network.Network:
    """The tempo model of the chosen pieces: each as it is, and three times slower or faster by up to 14 %."""
    rng = np.random.default_rng(1)
    shifts = [0] * len(chosen) + rng.integers(-_FARTHEST, _FARTHEST + 1, len(chosen) * (_COPIES - 1)).tolist()
    chosen = np.tile(chosen, _COPIES)
    bpm = np.array([rows.truth[i]["bpm"] for i in chosen]) * 2 ** (-np.array(shifts) / CELLS_AN_OCTAVE)
    right = (np.abs(np.log(tempo.BPM[None] / bpm[:, None])) < _RIGHT).astype(np.float32)
    kept, count = np.flatnonzero(right.any(1)), len(tempo.BPM) // _STRIDE
    inputs = np.empty((len(kept), count, len(tempo.names())), np.float32)
    told = np.empty((len(kept), count), np.float32)
    for place, row in enumerate(kept):
        first = int(rng.integers(_STRIDE))
        inputs[place] = tempo.inputs(_moved(rows.periods[chosen[row]], shifts[row]))[first::_STRIDE][:count]
        told[place] = right[row, first::_STRIDE][:count]
    weights = np.array([2.0 if rows.truth[i]["style"] == "freedoom" else 1.0 for i in chosen[kept]], np.float32)
    return fit(inputs, told, weights, _TEMPO)


def _moved(periods: Float32, cells: int) -> Float32:
    """The same rhythm with periods longer by `cells`: a piece played slower."""
    moved = np.roll(periods, cells, axis=1)
    if cells > 0:
        moved[:, :cells] = periods[:, :1]
    elif cells < 0:
        moved[:, cells:] = 0
    return moved


def fit_metre(rows: Rows, chosen: np.ndarray, told: np.ndarray) -> network.Network:
    """The metre model of the chosen pieces, read at the tempo that was told (right or wrong)."""
    chosen = np.array([i for i in chosen if "beats" in rows.truth[i]])
    classes = np.array([_class(rows.truth[i]) for i in chosen])
    inputs = np.stack([metre.inputs(rows.periods[i], told[i]) for i in chosen])
    fixed = inputs.shape[1] - 1
    return fit(inputs, np.eye(4, dtype=np.float32)[classes], np.ones(len(chosen), np.float32), _METRE, fixed)


def _class(row: dict) -> int:  # type: ignore[type-arg]
    return _CLASSES[f"{row['beats']}/{row['unit']}"]


def cross_validated(rows: Rows) -> tuple[np.ndarray, ...]:
    """(tempo told, its share, metre class told or -1, its share), each by models that did not see the piece's part."""
    part, count = parts(rows.truth), len(rows.truth)
    bpm, share, told, belief = np.zeros(count), np.zeros(count), np.full(count, -1), np.zeros(count)
    for held in range(PARTS):
        model = fit_tempo(rows, seen(rows.truth, held))
        for i in np.flatnonzero(part == held):
            found = tempo.estimate(rows.periods[i], rows.lags[i], model)
            bpm[i], share[i] = found.bpm, found.share
    for held in range(PARTS):
        model = fit_metre(rows, seen(rows.truth, held), bpm)
        for i in np.flatnonzero(part == held):
            shares = network.shares(model.scores(metre.inputs(rows.periods[i], bpm[i])))
            told[i], belief[i] = shares.argmax(), shares.max()
    return bpm, share, told, belief


def scaling(share: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Platt's scaling of shares, so that they say how often they are right."""
    inside = np.clip(share, 1e-4, 1 - 1e-4)
    model = LogisticRegression(C=1e6).fit(np.log(inside / (1 - inside))[:, None], right)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def fit_pulse(rows: Rows, model: network.Network, dev: pathlib.Path | None) -> list[float]:
    """Weights that tell pieces from noise, drones, speech and sounds."""
    others = Rows([])
    for samples in negatives.without_pulse(dev):
        others.add(samples)
    inputs = np.array([_pulse(each, i, model) for each in (rows, others) for i in range(len(each.found))])
    right = np.arange(len(inputs)) < len(rows.found)
    fitted = LogisticRegression(C=10, class_weight="balanced", fit_intercept=False, max_iter=2_000).fit(inputs, right)
    told = fitted.predict(inputs)
    print(
        f"pulse: {told[right].mean():.3f} of {right.sum()} pieces, {told[~right].mean():.3f} of {(~right).sum()} others"
    )
    return [float(value) for value in fitted.coef_[0]]


def _pulse(rows: Rows, i: int, model: network.Network) -> np.ndarray:
    return measuring.pulse_inputs(
        rows.found[i], rows.periods[i], tempo.estimate(rows.periods[i], rows.lags[i], model).bpm
    )


def main() -> None:
    """Cross-validates, prints tables and, with --write, writes the constants of all pieces."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=pathlib.Path, action="append", required=True, help="folder of rendered pieces")
    parser.add_argument("--dev", type=pathlib.Path, help="folder of real data: its rendered pieces and its sounds")
    parser.add_argument("--write", action="store_true", help="write the constants into the package")
    flags = parser.parse_args()
    rows = read(flags.pieces)
    if flags.dev:
        add_dev(rows, flags.dev)
    truth = np.array([row["bpm"] for row in rows.truth])
    bpm, share, told, belief = cross_validated(rows)
    right = accuracy(bpm, truth)[0]
    print(by_style(rows.truth, bpm, truth))
    known = np.array(["beats" in row for row in rows.truth])
    classes = np.array([_class(row) for row, has in zip(rows.truth, known, strict=True) if has])
    for index, name in enumerate(metre.SIGNATURES):
        of = classes == index
        print(f"metre {name}: {(told[known][of] == index).mean():.3f} of {of.sum()}")
    print(f"metre: {(told[known] == classes).mean():.3f}; always 4/4: {(classes == 0).mean():.3f}")
    of_tempo, of_metre = scaling(share, right), scaling(belief[known], told[known] == classes)
    print(by_confidence(np.array([network.calibrated(s, *of_tempo) for s in share]), right, "tempo"))
    print(
        by_confidence(
            np.array([network.calibrated(s, *of_metre) for s in belief[known]]), told[known] == classes, "metre"
        )
    )
    if flags.write:
        write(rows, bpm, of_tempo, of_metre, flags.dev)


def write(rows: Rows, bpm: np.ndarray, of_tempo, of_metre, dev: pathlib.Path | None) -> None:  # type: ignore[no-untyped-def]
    """Models of all pieces, as modules of tables."""
    every = np.arange(len(rows.truth))
    model, of_metres = fit_tempo(rows, every), fit_metre(rows, every, bpm)
    _table("tempo", model.to_table(tempo.names()))
    _table("metre", of_metres.to_table(metre.names()))
    pulse = ", ".join(f"{value:.4f}" for value in fit_pulse(rows, model, dev))
    (ROOM / "pulse_weights.py").write_text(
        '"""Constants of confidences, written by `benchmarks/rhythmic/fit.py`."""\n\n'
        f"TEMPO_SCALING = ({of_tempo[0]:.4f}, {of_tempo[1]:.4f})\n"
        f"METRE_SCALING = ({of_metre[0]:.4f}, {of_metre[1]:.4f})\n"
        f'"""Slope and shift of Platt\'s scaling, fitted on pieces that the models did not see."""\n\n'
        f"PULSE = ({pulse})\n"
        '"""Logistic weights of `measuring.pulse_inputs`."""\n'
    )


def _table(name: str, table: str) -> None:
    first = f'"""Weights of the {name} model in thousandths, written by `benchmarks/rhythmic/fit.py`."""'
    text = f'{first}\n\nTABLE = """\n{table}\n"""\n'
    (ROOM / f"{name}_weights.py").write_text(text)


if __name__ == "__main__":
    main()
