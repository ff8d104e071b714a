"""Does the traffic say the same as the router? The canary's share of the requests that the source counted, against the
share that the router showed meanwhile.

A difference counts when it is beyond chance at every look (the mixture boundary of a sum with this variance: Robbins
1970, Howard et al. 2021, "Time-uniform Chernoff bounds") and large enough to matter: proxies deal out requests
unevenly, keep connections, and balance in rounds.
"""

from __future__ import annotations

import math

CHANCE = 1e-4  # of ever crying wolf in a stage, with the variance below
SPREAD = 4.0  # requests come in connections and sessions: this many times the variance of independent ones
MIXTURE = 100.0  # where the boundary is tightest, in requests' variance
LEAST_POINTS = 0.01
LEAST_PART = 0.2  # of the smaller side


def disagreement(canary: float, both: float, due: float) -> str:
    """What the source counted of the canary's requests against how many were due by the router, out of `both` sides',
    in a sentence; "" while that may be chance."""
    if both <= 0:
        return ""
    expected = due / both
    off = abs(canary - due) / both
    if off <= max(LEAST_POINTS, LEAST_PART * min(expected, 1 - expected)):
        return ""
    variance = SPREAD * both * max(expected * (1 - expected), LEAST_POINTS)
    spread = variance + MIXTURE
    if off * both <= math.sqrt(spread * math.log(spread / (MIXTURE * CHANCE * CHANCE))):
        return ""
    return (
        f"the router shows {100 * expected:.3g}% on the canary, and the source counts {canary / both:.1%} "
        f"({canary:.0f} of {both:.0f} requests)"
    )
