"""Figures of accuracy as text."""

import numpy as np

_OCTAVES = (1, 2, 1 / 2, 3, 1 / 3)


def accuracy(told: np.ndarray, truth: np.ndarray, tolerance: float = 0.04) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy 1 (the tempo) and 2 (a half, third, double or triple too) of each piece (Gouyon et al. 2006)."""
    ratio = np.asarray(told, float) / truth
    first = np.abs(ratio - 1) < tolerance
    second = np.any([np.abs(ratio / factor - 1) < tolerance for factor in _OCTAVES], axis=0)
    return first, second


def interval(right: np.ndarray, seed: int = 0) -> str:
    """Mean with its 95 % bootstrap interval."""
    right = np.asarray(right, float)
    draws = np.random.default_rng(seed).integers(0, len(right), (2_000, len(right)))
    low, high = np.quantile(right[draws].mean(1), (0.025, 0.975))
    return f"{right.mean():.3f} ({low:.3f} to {high:.3f})"


def by_style(rows: list[dict], told: np.ndarray, truth: np.ndarray) -> str:  # type: ignore[type-arg]
    """A line for each style, then for groups of them, with accuracy 1 and 2."""
    first, second = accuracy(told, truth)
    styles = np.array([row["style"] for row in rows])
    lines = []
    for style in sorted(set(styles)):
        of = styles == style
        lines.append(f"{style}: {of.sum()} pieces, {first[of].mean():.2f} / {second[of].mean():.2f}")
    kinds = np.array([_kind(style) for style in styles])
    for kind in sorted(set(kinds)):
        of = kinds == kind
        lines.append(f"{kind}: {of.sum()} pieces, {interval(first[of])} / {interval(second[of])}")
    return "\n".join(lines)


def _kind(style: str) -> str:
    first = style.split()[0]
    return first if first in ("notation", "score", "freedoom") else "by rule"


def by_confidence(confidence: np.ndarray, right: np.ndarray, name: str, parts: int = 10) -> str:
    """Mean confidence and accuracy of tenths of the pieces, least confident first."""
    order = np.array_split(np.argsort(confidence, kind="stable"), parts)
    cells = " ".join(f"{confidence[part].mean():.2f}:{right[part].mean():.2f}" for part in order)
    return f"{name} confidence:accuracy by tenths {cells}"
