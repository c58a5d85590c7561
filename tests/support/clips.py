"""Three clips of nine seconds made in code, the same on every machine, and their patches."""

import numpy as np

from transforms.features.logmel import log_mel
from transforms.features.spec import FeatureSpec

RATE = 16_000
PATCHES = 3


def clips() -> dict[str, np.ndarray]:
    """Name -> float32 samples at 16 kHz: plucked notes, loud bursts with a bass, and a quiet pad."""
    t = np.arange(9 * RATE) / RATE
    rng = np.random.default_rng(7)
    beat = t % 0.5
    notes = np.array([220.0, 277.18, 329.63, 440.0])[(t / 0.5).astype(int) % 4]
    plucked = sum(np.sin(2 * np.pi * notes * k * beat) / k for k in range(1, 7)) * np.exp(-4 * beat)
    bursts = rng.normal(0, 1, t.shape) * np.exp(-30 * (t % 0.25)) + np.sign(np.sin(2 * np.pi * 55 * t))
    pad = sum(np.sin(2 * np.pi * hz * t + np.sin(0.7 * t)) for hz in (261.63, 311.13, 392.0)) * 0.5 * (1 - np.cos(t))
    levels = {"plucked": (plucked, 0.3), "loud": (bursts, 0.95), "quiet": (pad, 0.02)}
    return {name: (level * x / np.abs(x).max()).astype(np.float32) for name, (x, level) in levels.items()}


def patches(samples: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Patches one after the other, as the package cuts them: float32 [3, frames, mels]."""
    frames = log_mel(samples, spec)[: PATCHES * spec.patch_frames]
    return frames.reshape(PATCHES, *spec.patch_shape)
