"""The project that a push goes to: found by its name and its label, or made."""

import logging
from collections.abc import Mapping
from typing import Any

from cvat_bridge.errors import ConflictError, PayloadError
from cvat_bridge.pushing import MAX_NAME_LENGTH
from cvat_bridge.reading import compare_label, read_organizations
from cvat_bridge.skeleton import Skeleton
from cvat_bridge.tasks import Project
from cvat_bridge.transport import Transport

logger = logging.getLogger(__name__)


def find_or_make_project(transport: Transport, name: str, skeleton: Skeleton) -> Project:
    """Return a project of this name and label; see `cvat_bridge.server.Server.project`.

    CVAT makes a task only in the workspace of its project, so the conversation goes on in that.
    """
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise PayloadError(f"A project's name has 1 to {MAX_NAME_LENGTH} characters: {name!r}.")
    doing = f"Looking for project {name!r}"
    listed = transport.pages("/api/projects", doing=doing, name=name)
    named = sorted((item for item in listed if item["name"] == name), key=lambda one: one["id"])
    told, fitting = [], []
    for item in named:
        label, difference = compare_label(transport, int(item["id"]), skeleton)
        if label is not None and not difference:
            fitting.append((item, label))
        else:
            told.append(f"project {item['id']}: {difference}")
    if fitting:
        slugs = _slugs(transport, [item for item, _ in fitting])
        slug = _choose_workspace(transport, name, slugs)
        item, label = fitting[slugs.index(slug)]
        return Project(int(item["id"]), name, label, _address(transport, item), slug)
    if named:
        raise ConflictError(
            f"A project named {name!r} is there, but with another label ({'; '.join(told)}). "
            "Choose another project name, or use that project's own skeleton."
        )
    made = transport.json(
        "POST",
        "/api/projects",
        doing=f"Making project {name!r}",
        needs=("id",),
        body={"name": name, "labels": [skeleton.to_label()]},
    )
    label, difference = compare_label(transport, int(made["id"]), skeleton)
    if label is None or difference:
        raise ConflictError(f"The server stored the label of {name!r} otherwise: {difference}.")
    slug = transport.organization or ""
    return Project(int(made["id"]), name, label, _address(transport, made), slug, created=True)


def _address(transport: Transport, item: Mapping[str, Any]) -> str:
    return f"{transport.url}/projects/{item['id']}"


def _slugs(transport: Transport, items: list[Mapping[str, Any]]) -> list[str]:
    """Name the organisation of each project; ``""`` is the personal workspace."""
    if transport.organization is not None:
        return [transport.organization] * len(items)
    ids = [item.get("organization_id", item.get("organization")) for item in items]
    known = read_organizations(transport) if any(number is not None for number in ids) else {}
    return ["" if number is None else known.get(int(number), f"#{number}") for number in ids]


def _choose_workspace(transport: Transport, name: str, slugs: list[str]) -> str:
    """Take the personal workspace first, else the only organisation that has the project."""
    if transport.organization is None:
        if "" not in slugs and len(set(slugs)) > 1:
            raise ConflictError(
                f"Several organisations have a project named {name!r} "
                f"({', '.join(sorted(set(slugs)))}): say which one (organization)."
            )
        transport.organization = "" if "" in slugs else slugs[0]
        if transport.organization:
            logger.warning(
                "Project %r belongs to the organisation %r, so the tasks go there",
                name,
                transport.organization,
            )
    return transport.organization or ""
