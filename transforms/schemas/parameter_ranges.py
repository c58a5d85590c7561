"""Ranges of parameters, for those who check them. It imports nothing, as decoding processes do."""

PARAMETER_RANGES: dict[str, tuple[float, float]] = {
    "tempo_bpm": (40, 240),
    "tempo_confidence": (0, 1),
    "tempo_alternative_bpm": (20, 480),
    "tempo_alternative_weight": (0, 1),
    "beats_per_bar": (1, 16),
    "beat_unit": (1, 16),
    "metre_confidence": (0, 1),
    "key_confidence": (0, 1),
    "tuning_cents": (-50, 50),
    "loudness_lufs": (-70, 150),
    "loudness_range_lu": (0, 200),
    "true_peak_dbtp": (-130, 150),
    "silence_ratio": (0, 1),
    "leading_silence_s": (0, 1 << 31),
    "trailing_silence_s": (0, 1 << 31),
    "onset_rate_hz": (0, 1000),
    "danceability": (0, 1),
    "energy": (0, 1),
    "clipped_ratio": (0, 1),
    "stereo_width": (0, 1),
}
"""Numeric column -> smallest and largest value."""
