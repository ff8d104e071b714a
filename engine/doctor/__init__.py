"""Everything a release of a plan will need, tried without changing anything; in the engine, whose credentials and
network are those that a roll back will use.

`examine` tries all of it side by side. Each router and source says what it needs itself (`Router.examine`,
`Source.examine`); here is what belongs to none of them.
"""

from __future__ import annotations

from engine.doctor.examination import Place, examine

__all__ = ["Place", "examine"]
