"""The shop's database, in memory and bounded: users, sessions, orders. Both versions share one, as in production."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

PRODUCTS: Mapping[int, tuple[str, int]] = {  # id: name, price in cents
    1: ("enamel mug", 1200),
    2: ("wool socks", 1850),
    3: ("desk lamp", 4900),
    4: ("notebook", 700),
    5: ("rain jacket", 8900),
}
MAX_USERS = 5000
MAX_SESSIONS = 20_000
MAX_ORDERS = 20_000
SHOPPERS = 500  # accounts that exist from the start: shopper-0@example.org with the password lane-0, and so on


@dataclass(slots=True)
class User:
    email: str
    password: str  # as it came: nothing in a sandbox is worth a hash
    orders: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Order:
    email: str
    product: int
    quantity: int


class Store:
    """Oldest entries go first when a bound is reached; a user's orders go with the user."""

    def __init__(self) -> None:
        self.users: OrderedDict[str, User] = OrderedDict()
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._numbers = itertools.count(1)
        for number in range(SHOPPERS):
            self.sign_up(*shopper(number))

    def sign_up(self, email: str, password: str) -> bool:
        """Adds a user; False when the address is taken."""
        if email in self.users:
            return False
        self.users[email] = User(email, password)
        if len(self.users) > MAX_USERS:
            self._forget_oldest_newcomer()
        return True

    def log_in(self, email: str, password: str) -> str | None:
        """A new session's key, or None when address and password do not match."""
        user = self.users.get(email)
        if user is None or user.password != password:
            return None
        session = f"s-{next(self._numbers)}"
        self._sessions[session] = email
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def user_of(self, session: str) -> User | None:
        """The user who is logged in with `session`."""
        return self.users.get(self._sessions.get(session, ""))

    def order(self, user: User, product: int, quantity: int) -> int:
        """Books a purchase and returns its number."""
        number = next(self._numbers)
        self.orders[number] = Order(user.email, product, quantity)
        user.orders.add(number)
        if len(self.orders) > MAX_ORDERS:
            oldest, order = self.orders.popitem(last=False)
            self.users[order.email].orders.discard(oldest)
        return number

    def integrity(self) -> dict[str, int]:
        """Counts for a data-integrity check; `orphans` are orders without a user, `corrupt` those of nothing."""
        orders = self.orders.values()
        return {
            "users": len(self.users),
            "orders": len(orders),
            "orphans": sum(order.email not in self.users for order in orders),
            "corrupt": sum(order.product not in PRODUCTS or order.quantity < 1 for order in orders),
        }

    def _forget_oldest_newcomer(self) -> None:
        # The shoppers of the start stay: traffic logs in with their names.
        newcomer = next(itertools.islice(self.users, SHOPPERS, None))
        for number in self.users.pop(newcomer).orders:
            self.orders.pop(number, None)


def shopper(number: int) -> tuple[str, str]:
    """Address and password of one of the accounts that exist from the start."""
    return f"shopper-{number}@example.org", f"lane-{number}"
