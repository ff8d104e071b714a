"""Tests that routers and sources pass, for those of other packages too."""
