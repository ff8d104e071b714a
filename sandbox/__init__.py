"""A small web shop in two versions behind a weighted gateway with real traffic: what laneshift is tried on.

One process (`python -m sandbox`), one asyncio loop, real HTTP/1.1 over TCP on 127.0.0.1. It imports nothing of the
engine: the engine meets it as it meets any other gateway and any other source of metrics.

The HTTP code is the package's own (`wire`, `server`, `client`): each request crosses it four times, and a generic
framework on both ends would alone use more than the half core that the whole sandbox may take at 300 requests/s.
"""
