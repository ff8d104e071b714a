"""What the shop does for its users: sign up, log in, browse, check out. No HTTP, no time, no chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.store import PRODUCTS, Store

MAX_TEXT = 200
MAX_QUANTITY = 100


@dataclass(frozen=True, slots=True)
class Reply:
    """An endpoint's answer. `success` is the business outcome, None where there is none; `user` is who was active."""

    value: Mapping[str, Any]
    status: int = 200
    success: bool | None = None
    user: str = ""


class Business:
    """The shop's rules on a store; `pays` is the bank, asked once for each purchase.

    A refused login, a taken address and a declined card are answers as good as any: 200 with `success` False. Codes
    of 400 and 401 are for requests that a correct client does not send.
    """

    def __init__(self, store: Store, pays: Callable[[], bool]) -> None:
        self._store = store
        self._pays = pays

    def sign_up(self, body: Mapping[str, Any]) -> Reply:
        email, password = _text(body, "email"), _text(body, "password")
        if not email or not password:
            return _malformed("email and password are texts")
        added = self._store.sign_up(email, password)
        return Reply({"signed_up": added}, success=added, user=email if added else "")

    def log_in(self, body: Mapping[str, Any]) -> Reply:
        email, password = _text(body, "email"), _text(body, "password")
        if not email or not password:
            return _malformed("email and password are texts")
        session = self._store.log_in(email, password)
        return Reply({"session": session}, success=session is not None, user=email if session else "")

    def browse(self) -> Reply:
        products = [{"id": number, "name": name, "cents": cents} for number, (name, cents) in PRODUCTS.items()]
        return Reply({"products": products})

    def check_out(self, body: Mapping[str, Any]) -> Reply:
        user = self._store.user_of(_text(body, "session"))
        if user is None:
            return Reply({"error": "log in first"}, 401, success=False)
        product, quantity = body.get("product"), body.get("quantity", 1)
        if type(product) is not int or product not in PRODUCTS:
            return _malformed(f"product is one of {list(PRODUCTS)}")
        if type(quantity) is not int or not 1 <= quantity <= MAX_QUANTITY:
            return _malformed(f"quantity is 1 to {MAX_QUANTITY}")
        if not self._pays():
            return Reply({"order": None, "declined": True}, success=False, user=user.email)
        order = self._store.order(user, product, quantity)
        return Reply({"order": order, "declined": False}, success=True, user=user.email)


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else ""


def _malformed(reason: str) -> Reply:
    return Reply({"error": reason}, 400, success=False)
