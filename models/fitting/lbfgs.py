"""L-BFGS for smooth convex functions, in numpy.

SciPy's `L-BFGS-B` finds the same minimum, but it factorises matrices of ten rows with all BLAS threads. On a busy
machine that takes fifty times as long as the rest of a fit. With one BLAS thread (`threadpoolctl`) both are equally
fast. This implementation is kept because SciPy's weights differ in the last bits: every new bundle would get a
`tagger_id` other than the one that earlier versions gave it for the same data.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

_MEMORY = 10
_MAX_HALVINGS = 40
_SUFFICIENT = 1e-4

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
_Pairs = deque[tuple[np.ndarray, np.ndarray]]


def minimise(objective: Objective, start: np.ndarray, *, tolerance: float, max_iterations: int) -> np.ndarray:
    """Minimises a convex function and returns the minimiser: float64 [n].

    Args:
      objective: function that returns value and gradient at a point.
      start: initial point, float64 [n].
      tolerance: stop when a step reduces the value by no more than this share of it.
      max_iterations: maximum number of steps.
    """
    point, (value, gradient) = start, objective(start)
    pairs: _Pairs = deque(maxlen=_MEMORY)
    for _ in range(max_iterations):
        direction = -_precondition(gradient, pairs)
        found = _step(objective, point, value, gradient, direction)
        if found is None:
            return point
        new_point, new_value, new_gradient = found
        move, change = new_point - point, new_gradient - gradient
        if move @ change > 1e-12 * np.sqrt((move @ move) * (change @ change)):
            pairs.append((move, change))
        fall = value - new_value
        point, value, gradient = new_point, new_value, new_gradient
        if fall <= tolerance * max(abs(value), 1e-12):
            return point
    return point


def _precondition(gradient: np.ndarray, pairs: _Pairs) -> np.ndarray:
    """The inverse Hessian, estimated from the last steps, times the gradient (two-loop recursion)."""
    result, shares = gradient.copy(), []
    for move, change in reversed(pairs):
        share = (move @ result) / (move @ change)
        result -= share * change
        shares.append(share)
    if pairs:
        move, change = pairs[-1]
        result *= (move @ change) / (change @ change)
    for (move, change), share in zip(pairs, reversed(shares), strict=True):
        result += (share - (change @ result) / (move @ change)) * move
    return result


def _step(
    objective: Objective, point: np.ndarray, value: float, gradient: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Point, value and gradient after a step with sufficient decrease; None if rounding errors prevent one."""
    slope, length = gradient @ direction, 1.0
    for _ in range(_MAX_HALVINGS):
        candidate = point + length * direction
        new_value, new_gradient = objective(candidate)
        if new_value <= value + _SUFFICIENT * length * slope:
            return candidate, new_value, new_gradient
        length /= 2
    return None
