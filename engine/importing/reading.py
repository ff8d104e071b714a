"""Asks a cluster for what a plan can be made of, with the kubeconfig of the person who asks. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from engine.importing.argo import draft_of_rollout
from engine.importing.argo import templates_of as analysis_of
from engine.importing.draft import Draft, ImportingError, Object
from engine.importing.flagger import draft_of_canary
from engine.importing.flagger import templates_of as metrics_of
from engine.importing.routes import Shop, draft_of_deployment, draft_of_route
from engine.kube.cluster import Cluster
from engine.kube.errors import KubeError
from engine.kube.resources import CANARIES, DEPLOYMENTS, HTTPROUTES, ROLLOUTS, SERVICES, Resource

ANALYSIS: Final = Resource("argoproj.io", "v1alpha1", "analysistemplates", "AnalysisTemplate")
CLUSTER_ANALYSIS: Final = Resource(
    "argoproj.io", "v1alpha1", "clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False
)
METRICS: Final = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
GATEWAYS: Final = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
KINDS: Final = ("rollout", "canary", "deployment", "httproute")


async def imported(kind: str, name: str, namespace: str | None = None, context: str | None = None) -> Draft:
    """A draft of what is there; `kind` is one of KINDS, the namespace else the context's. Raises ImportingError."""
    cluster = Cluster(context=context)
    try:
        namespace = namespace or (await cluster.open()).namespace
        keys = {"namespace": namespace} | ({"context": context} if context else {})
        return await _READ[kind](cluster, namespace, name, keys)
    except KubeError as error:
        raise ImportingError(str(error)) from None
    finally:
        await cluster.close()


async def _rollout(cluster: Cluster, namespace: str, name: str, keys: Mapping[str, Any]) -> Draft:
    rollout = await cluster.get(ROLLOUTS, namespace, name)
    templates, missing = [], []
    for template, of_cluster in analysis_of(rollout):
        kind = CLUSTER_ANALYSIS if of_cluster else ANALYSIS
        found = await _there(cluster, kind, "" if of_cluster else namespace, template)
        if found is None:
            missing.append(template)
        else:
            templates.append(found)
    draft = draft_of_rollout(rollout, templates, keys)
    draft.notes += [f"metrics: the template {template} could not be read" for template in missing]
    return draft


async def _canary(cluster: Cluster, namespace: str, name: str, keys: Mapping[str, Any]) -> Draft:
    canary = await cluster.get(CANARIES, namespace, name)
    read = {one: await _there(cluster, METRICS, where or namespace, one) for where, one in metrics_of(canary)}
    draft = draft_of_canary(canary, {one: found for one, found in read.items() if found is not None}, keys)
    draft.notes += [f"metrics: the template {one} could not be read" for one, found in read.items() if found is None]
    return draft


async def _httproute(cluster: Cluster, namespace: str, name: str, keys: Mapping[str, Any]) -> Draft:
    return draft_of_route(await cluster.get(HTTPROUTES, namespace, name), await _shop(cluster, namespace), keys)


async def _deployment(cluster: Cluster, namespace: str, name: str, keys: Mapping[str, Any]) -> Draft:
    deployment = await cluster.get(DEPLOYMENTS, namespace, name)
    return draft_of_deployment(deployment, await _shop(cluster, namespace), keys)


async def _shop(cluster: Cluster, namespace: str) -> Shop:
    return Shop(
        routes=await _all(cluster, HTTPROUTES, namespace),
        services=await _all(cluster, SERVICES, namespace),
        deployments=await _all(cluster, DEPLOYMENTS, namespace),
        gateways=await _all(cluster, GATEWAYS, namespace),
    )


async def _there(cluster: Cluster, kind: Resource, namespace: str, name: str) -> Object | None:
    """None for what is not there or may not be read."""
    with suppress(KubeError):
        return await cluster.get(kind, namespace, name)
    return None


async def _all(cluster: Cluster, kind: Resource, namespace: str) -> list[Object]:
    """All of a kind; none where the cluster does not know it. What a list leaves out of its items is put back."""
    try:
        items = (await cluster.list(kind, namespace)).get("items") or []
    except KubeError as error:
        if error.status != 404:
            raise
        return []
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in items]


_READ: Final = {"rollout": _rollout, "canary": _canary, "httproute": _httproute, "deployment": _deployment}
