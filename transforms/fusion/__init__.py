"""Annotations of people and of other programs, and how they are combined with the scores of the model."""
