"""Kubernetes for routers and sources: one way in, warm before it is needed, with errors that say what to do.

`kubernetes` and its HTTP client are imported by `credentials` and `session` alone, and those only when a `Cluster` is
opened: a plan without Kubernetes never waits for them.
"""
