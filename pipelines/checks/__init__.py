"""Checks of the machine, the places and the engine that a job needs, before the job needs them."""
