"""The evaluation report as one self-contained HTML page."""
