"""One site for the tests of this folder: what one of them breaks is whole again before the next begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.shop_behind_envoy import Site, running_site


@pytest.fixture(scope="package")  # its traffic goes on all the while: no other folder is to bear it
def _site() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def site(_site: Site) -> Site:
    """A shop at rest: all traffic on stable, v1.5.0 deployed as canary, an engine that holds nothing."""
    _site.fresh()
    return _site
