"""Evaluation of a tagger: metrics, confidence intervals, report."""
