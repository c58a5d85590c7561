"""Launching jobs: Beam runners and GPU jobs."""
