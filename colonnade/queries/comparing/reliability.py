"""pass^k and pass@k of items that were run several times."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb, fsum


def pass_k(counts: Iterable[tuple[int, int]], sizes: Iterable[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """pass^k and pass@k for some k, mean over items of which each was run n times and passed c times: ``(n, c)``.

    Of n trials k are drawn; all of them pass with probability C(c, k) / C(n, k), and at least one with
    1 - C(n - c, k) / C(n, k). Both are exact: all subsets of k trials are counted, none is drawn.
    """
    counted, asked = list(counts), list(sizes)
    every = tuple(_mean([comb(c, k) / comb(n, k) for n, c in counted]) for k in asked)
    return every, tuple(_mean([1 - comb(n - c, k) / comb(n, k) for n, c in counted]) for k in asked)


def _mean(values: list[float]) -> float:
    return fsum(values) / len(values)
