"""How jobs start: Beam runners and GPU jobs."""
