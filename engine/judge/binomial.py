"""How likely so many bad events are: the upper tail of the binomial distribution, without a numeric library."""

from __future__ import annotations

import math

NORMAL_FROM = 1e6  # variance from which the normal approximation is closer than anyone can use (z = 4: 1%)
NEGLIGIBLE = 1e-17  # a term this much below the sum changes no digit of it


def upper_tail(bad: float, total: float, share: float) -> float:
    """P(X >= bad) for X ~ Binomial(total, share). Events, events, fraction; 1.0 when `bad` is not above the mean.

    Terms from `bad` upward, each from the one before it by p(k+1)/p(k) = (n-k)/(k+1) * p/(1-p), the first in logs.
    Above the mean they only fall, so the sum ends early. Below it the tail is evidence of nothing and is called 1.
    """
    if bad <= 0 or bad <= total * share or share >= 1:
        return 1.0
    if share <= 0 or total <= 0:
        return 0.0
    variance = total * share * (1 - share)
    if variance > NORMAL_FROM:
        return 0.5 * math.erfc((bad - 0.5 - total * share) / math.sqrt(2 * variance))
    return _sum_upwards(math.ceil(bad), math.ceil(total), share)


def _sum_upwards(first: int, total: int, share: float) -> float:
    if first > total:
        return 0.0
    odds = share / (1 - share)
    term = tail = 1.0
    k = first
    while k < total and term > NEGLIGIBLE * tail:
        term *= (total - k) / (k + 1) * odds
        tail += term
        k += 1
    return min(1.0, math.exp(_log_term(first, total, share) + math.log(tail)))


def _log_term(k: int, total: int, share: float) -> float:
    choose = math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
    return choose + k * math.log(share) + (total - k) * math.log1p(-share)
