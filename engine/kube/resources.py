"""The kinds of objects that laneshift reads or writes, and where they are in the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object. `group` is empty for the core API; `plural` is its name in a path and in a role."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As an object writes it: `apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def title(self) -> str:
        """As kubectl takes it: `httproutes.gateway.networking.k8s.io`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of one object, or of a part of it such as `scale`."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = ["namespaces", namespace] if self.namespaced and namespace else []
        return "/".join([root, *inside, self.plural, *filter(None, (name, subresource))])

    def words(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """What a sentence calls it: `httproute checkout in namespace shop`."""
        what = f"{self.kind.lower()} {name}" if name else self.title
        part = f"the {subresource} of {what}" if subresource else what
        return f"{part} in namespace {namespace}" if namespace else part


CANARIES: Final = Resource("flagger.app", "v1beta1", "canaries", "Canary")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
DESTINATIONRULES: Final = Resource("networking.istio.io", "v1", "destinationrules", "DestinationRule")
ENDPOINTSLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
GRPCROUTES: Final = Resource("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute")
HTTPROUTES: Final = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
INGRESSES: Final = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
PODS: Final = Resource("", "v1", "pods", "Pod")
REPLICASETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
REVIEWS: Final = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
ROLLOUTS: Final = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
SCALERS: Final = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SERVICES: Final = Resource("", "v1", "services", "Service")
STATEFULSETS: Final = Resource("apps", "v1", "statefulsets", "StatefulSet")
VIRTUALSERVICES: Final = Resource("networking.istio.io", "v1", "virtualservices", "VirtualService")
