"""Tempo, metre and onsets: pure functions of samples and a rate, each to a frozen dataclass."""
