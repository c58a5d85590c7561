"""What a track sounds like in numbers: pure functions of samples and a rate, each to a frozen dataclass."""
