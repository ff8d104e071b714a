"""How far an amount of traffic reaches: what it can show, and how many requests a question needs.

Used for a verdict's numbers, for a plan's lint and for a backtest; all in expectation, for events as bursty as `phi`.
"""

from __future__ import annotations

from math import inf, log, log1p

PRIOR_NATS = 2.3  # what the mixture over bets and starting times costs beyond log(1/alpha), as measured
LARGEST = 1000.0
HALVINGS = 20


def nats_for_harm(ratio: float, usual: float, n_c: float, n_s: float, phi: float = 1.0) -> float:
    """Expected log evidence when canary's bad events are truly `ratio` times as likely as stable's `usual` share."""
    if n_c <= 0 or n_s <= 0:
        return 0.0
    share = n_c / (n_c + n_s)
    bad_c, bad_s = min(1.0, ratio * usual) * n_c, usual * n_s
    return (bad_c * log(ratio) - (bad_c + bad_s) * log1p((ratio - 1) * share)) / phi


def smallest_ratio_shown(usual: float, n_c: float, n_s: float, alpha: float, phi: float = 1.0) -> float:
    """The smallest regression, as a multiple of stable, that this much traffic proves on average; inf for none."""
    needed = log(1 / alpha) + PRIOR_NATS
    if nats_for_harm(LARGEST, usual, n_c, n_s, phi) < needed:
        return inf
    low, high = 1.0, LARGEST
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if nats_for_harm(middle, usual, n_c, n_s, phi) >= needed else (middle, high)
    return high


def requests_to_prove_harm(ratio: float, usual: float, weight: float, alpha: float, phi: float = 1.0) -> float:
    """Canary requests until a regression of `ratio` is proven at `weight` percent (below 100) of traffic."""
    per_request = nats_for_harm(ratio, usual, 1.0, (100 - weight) / weight, phi)
    return (log(1 / alpha) + PRIOR_NATS) / per_request if per_request > 0 else inf


def requests_to_prove_below(share: float, usual: float, beta: float, phi: float = 1.0) -> float:
    """Canary requests until a canary as good as stable is proven below the absolute line `share`."""
    bet = max(share / 20, min(0.7 * share, usual))
    per_request = (usual * log(bet / share) + share - bet) / phi
    return (log(1 / beta) + log(2)) / per_request if per_request > 0 else inf


def requests_to_prove_ratio(ratio: float, usual: float, weight: float, beta: float, phi: float = 1.0) -> float:
    """Canary requests until a canary as good as stable is proven below `ratio` times stable, at `weight` percent."""
    if weight >= 100 or usual <= 0:
        return inf
    share = weight / 100
    per_request = (usual / share * log1p((ratio - 1) * share) - usual * log(ratio)) / phi
    return log(1 / beta) / per_request if per_request > 0 else inf
