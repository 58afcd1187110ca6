"""Facades of charms and their resources, before and after they are deployed."""

from __future__ import annotations

from lab.api import charm_urls, forms, parameters, registry
from lab.controller import charm_archives, charmhub
from lab.controller.operations_common import Json, OperationError


class Charms(registry.Facade, name="Charms", version=6):
    """Charms of the local Charmhub."""

    @registry.call("ResolveCharms")
    def resolve_charms(self, given: Json) -> Json:
        """What names lead to, in the channel or at the revision of the origin that is wanted."""

        def resolve(one: Json) -> Json:
            origin: Json = parameters.pick(one, "charm-origin", {})
            found, archive = self._find(parameters.text(one, "reference"), origin)
            track, _, risk = found.channel.partition("/")
            bases = _bases(archive)
            resolved = {
                "source": "charm-hub",
                "type": "charm",
                "id": found.name,
                "hash": archive.sha256,
                "revision": found.revision,
                "track": track,
                "risk": risk,
                "architecture": forms.architecture(),
                "base": parameters.pick(origin, "base") or bases[0],
            }
            return {
                "url": f"ch:{forms.architecture()}/{found.name}-{found.revision}",
                "charm-origin": resolved,
                "supported-bases": bases,
                "supported-series": [forms.SERIES[base["channel"].partition("/")[0]] for base in bases],
            }

        return parameters.results(parameters.items(given, "resolve"), resolve)

    @registry.call("AddCharm")
    def add_charm(self, given: Json) -> Json:
        """Makes sure that there is such a charm. Nothing else is to be done: who deploys it will find it."""
        origin: Json = parameters.pick(given, "charm-origin", {})
        self._find(parameters.text(given, "url"), origin)
        return {"charm-origin": origin}

    def _find(self, reference: str, origin: Json) -> tuple[charmhub.Found, charm_archives.CharmArchive]:
        url = charm_urls.parse(reference)
        revision = parameters.pick(origin, "revision", url.revision)
        wanted = None if revision is None or revision < 0 else revision
        root = self.context.controller.state / "charmhub"
        try:
            found = charmhub.find(root, url.name, charm_urls.channel(origin), wanted)
            return found, charm_archives.read(found.file, "")
        except (charmhub.CharmhubError, charm_archives.CharmError) as error:
            raise OperationError("not found", str(error)) from error


def _bases(archive: charm_archives.CharmArchive) -> list[Json]:
    """The bases that a charm says it runs on, among those that clients know; the lab's own if it says nothing."""
    declared = archive.manifest.get("bases") or []
    found = [{"name": one["name"], "channel": f"{str(one['channel']).partition('/')[0]}/stable"} for one in declared]
    known = [base for base in found if base["channel"].partition("/")[0] in forms.SERIES]
    return known or [forms.base("ubuntu@24.04")]


class Resources(registry.Facade, name="Resources", version=3):
    """Resources of applications."""

    @registry.call("AddPendingResources")
    def add_pending_resources(self, given: Json) -> Json:
        """Announces resources, whose files follow over HTTP or come from the local Charmhub."""
        parameters.entity(parameters.pick(given, "tag"), "application")
        announced = parameters.items(given, "resources")
        return {"pending-ids": [self.context.pending.add(resource) for resource in announced]}

    @registry.call("ListResources")
    def list_resources(self, given: Json) -> Json:
        """The resources of applications, and as what their charms declare them."""

        def find(name: str) -> Json:
            found = [_resource(view) for view in self.views.resources(self.model, name)["resources"]]
            charm = [{key: one[key] for key in _DECLARED} | {"origin": "store"} for one in found]
            return {"resources": found, "unit-resources": [], "charm-store-resources": charm}

        return parameters.results(parameters.entities(given, "application"), find)


_DECLARED = ("name", "type", "path", "description", "revision", "fingerprint", "size")


def _resource(view: Json) -> Json:
    return {
        "id": view["resourceid"],
        "application": view["applicationID"],
        "name": view["name"],
        "type": view["type"],
        "path": view["path"],
        "description": view["description"],
        "revision": int(view["revision"]),
        "fingerprint": view["fingerprint"],
        "size": view["size"],
        "origin": view["origin"],
        "username": view["username"],
        "timestamp": view["timestamp"],
        "pending-id": "",
    }
