"""How much of a box a set of points dominates."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, ...]


def nondominated(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other one is at least as low as in all and lower in one.

    Of equal points the first stays.
    """
    return [i for i, own in enumerate(points) if not any(
        _beats(other, own) or (other == own and j < i) for j, other in enumerate(points) if j != i)]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume between *points*, of which less is better, and a *reference* that is worse.

    By slices along the last coordinate (Zitzler, 1999; While et al., 2006); fine for the hundred
    points of a front. A point that is not below the reference everywhere adds nothing.
    """
    inside = [point for point in points if all(map(float.__lt__, map(float, point), reference))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in inside)
    inside.sort(key=lambda point: point[-1])
    total = 0.0
    for i, point in enumerate(inside):
        upper = inside[i + 1][-1] if i + 1 < len(inside) else reference[-1]
        if upper > point[-1]:
            below = [each[:-1] for each in inside[:i + 1]]
            total += (upper - point[-1]) * hypervolume(below, reference[:-1])
    return total


def _beats(one: Point, other: Point) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other
