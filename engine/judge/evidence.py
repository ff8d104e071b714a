"""Evidence that the canary is worse: an e-process, which may be looked at after every scrape.

A bet on ratio r multiplies its wealth by the likelihood ratio "canary's bad events are r times as likely as stable's":

    l_r = x_c log r - (x_c + x_s) log(1 + (r - 1) theta),    theta = n_c / (n_c + n_s)

Valid: with m = 1 + (r - 1) theta, a = r / m > 1 and b = 1 / m < 1, the mean of exp(l_r) is
(1 + p_c (a - 1))^n_c (1 + p_s (b - 1))^n_s <= exp(p_s N (theta (a - 1) + (1 - theta)(b - 1))) = 1 for every p_s and
every p_c <= p_s. So what hits both versions cancels, the split may change at each scrape, evidence carries over stages.
Fair bets on a fair game: by Ville (1939), P(wealth ever reaches 1/alpha) <= alpha, however often one looks.

A fault may begin at any time, so a part of the stake is put in at each scrape (mixture over start times: Shiryaev; the
e-detector of Shin, Ramdas, Rinaldo): M <- (M + w) exp(g). The w sum to at most 1, what is left counts as cash.
Wealth is kept as it is, not in logs: a bet that is lost may underflow to 0, for a new stake follows.
"""

from __future__ import annotations

from math import exp, log, log1p

MULTIPLES = (1.1, 2.0, 5.0, 20.0, 200.0)  # bets, in multiples of the ratio that matters, beside the smallest one
PRIOR = (0.20, 0.25, 0.20, 0.15, 0.10, 0.10)
FIRST_STAKE, STAGE_STAKE, STAKE_S = 0.6, 0.2, 1800.0  # at the first scrape; at a stage's start; then left * dt / 1800 s
RICH = 1e100  # far beyond any decision, far below overflow


def ratios_to_bet_on(ratio: float) -> tuple[float, ...]:
    """The six bets for a relative limit `ratio` > 1.

    The smallest sets what is worth a roll back: for 2x it is 1.7, which loses below a true ratio of
    (r - 1) / log r = 1.32, so that 10% more errors are not an alarm at any traffic. Below 1.9x it is 1.6 or the ratio
    itself for the same reason; a bet somewhat above the truth wins almost as fast.
    """
    smallest = max(0.85 * ratio, min(1.07 * ratio, 1.6))
    return (smallest, *(ratio * multiple for multiple in MULTIPLES))


class Stakes:
    """What is put into the bets, scrape by scrape: predictable, and in sum at most the 1 that `left` starts from."""

    __slots__ = KEPT = ("left", "started")

    def __init__(self) -> None:
        self.left, self.started = 1.0, False

    def put(self, seconds: float, *, stage_begins: bool) -> float:
        """The stake of the coming scrape of `seconds`."""
        if not self.started:
            self.started = True
            stake = FIRST_STAKE
        elif stage_begins:
            stake = STAGE_STAKE * self.left
        else:
            stake = self.left * min(1.0, seconds / STAKE_S)
        self.left -= stake
        return stake


class Harm:
    """Wealth of the bets that the canary is worse. `evidence` starts at 1; at 1/alpha the harm is proven."""

    __slots__ = ("alone", "bets", "evidence", "ratio", "stakes", "wealth")
    KEPT = ("evidence", "ratio", "stakes", "wealth")

    def __init__(self, ratio: float, share: float | None) -> None:
        self.ratio = ratio
        ratios = ratios_to_bet_on(ratio)
        self.bets = tuple((log(r), r - 1, pi) for r, pi in zip(ratios, PRIOR, strict=True))
        self.alone = () if share is None else tuple(_against_line(r, share) for r in ratios)
        self.wealth = [0.0] * len(ratios)
        self.stakes = Stakes()
        self.evidence = 1.0

    def compare(
        self, canary: tuple[float, float], stable: tuple[float, float], *, stake: float, phi: float, cap: float
    ) -> None:
        """One scrape, (total, bad) of each side: every bet's `l_r / phi`, at most `cap` (which keeps it valid)."""
        (n_c, x_c), (n_s, x_s) = canary, stable
        if not x_c + x_s:
            self.wealth = [m + pi * stake for m, (_, _, pi) in zip(self.wealth, self.bets, strict=True)]
        else:
            won, all_bad, share = x_c / phi, (x_c + x_s) / phi, n_c / (n_c + n_s)
            wealth = []
            for m, (log_r, excess, pi) in zip(self.wealth, self.bets, strict=True):
                gain = won * log_r - all_bad * log1p(excess * share)
                wealth.append((m + pi * stake) * exp(gain if gain < cap else cap))  # noqa: FURB136  min() takes 8% of it all
            self.wealth = wealth
        self._settle()

    def against_line(self, canary: tuple[float, float], *, stake: float, phi: float, cap: float) -> None:
        """One scrape of canary alone (no control): the same bets against the absolute line.

        l_r = x_c log r - (r - 1) T n_c has exp-mean <= 1 for every p_c <= T. Tempered and capped when it speaks for
        harm, at full weight when against: tempering what clears the canary would add up blips over an hour.
        """
        n_c, x_c = canary
        wealth = []
        for m, (log_r, drift), (_, _, pi) in zip(self.wealth, self.alone, self.bets, strict=True):
            gain = x_c * log_r - drift * n_c
            if gain > 0:
                gain = min(gain / phi, cap)
            wealth.append((m + pi * stake) * exp(gain))
        self.wealth = wealth
        self._settle()

    def _settle(self) -> None:
        self.evidence = sum(self.wealth) + self.stakes.left
        if self.evidence > RICH:
            self.wealth = [min(m, RICH) for m in self.wealth]


def _against_line(ratio: float, share: float) -> tuple[float, float]:
    r = min(ratio, 1 / share)
    return log(r), (r - 1) * share
