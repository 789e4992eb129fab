"""Skeletons of any kind ⇄ CVAT skeleton labels, checked here because the server checks nothing.

CVAT stores the drawing of a skeleton as a fragment of svg. **The order of its circles is the
keypoint order of every export**, whatever the order of ``sublabels``; a fragment that lacks a
circle, names another label or is no XML gets 201 and fails only when somebody exports.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, isfinite, pi, sin
from typing import Any, Self
from xml.etree import ElementTree

from cvat_bridge.errors import SkeletonError

MAX_NAME_LENGTH = 64
"""Longest label name that CVAT stores (``Label.name`` in its OpenAPI schema)."""

# CVAT replaces `data-label-name="X"` by the label's id as plain text, not as XML, so a name
# that XML writes differently is never replaced and every export of the task fails.
_UNSAFE_NAME = re.compile(r'[<>&"\x00-\x1f]')
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Skeleton:
    """Names, lines and drawing of a set of keypoints.

    Parameters
    ----------
    name
        Name of the CVAT label, for example ``"legs"``.
    keypoints
        Names of the K keypoints, in the order of every array of points.
    edges
        Pairs of 0-based keypoint indices that a line joins.
    layout
        Position (x, y) of each keypoint in the label's icon, 0 to 100, y down; None places them
        on a circle.
    colors
        One ``#rrggbb`` a keypoint; None lets the server choose.

    Raises
    ------
    SkeletonError
        If the parts do not fit each other or CVAT could not draw them.
    """

    name: str
    keypoints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    layout: tuple[tuple[float, float], ...] | None = None
    colors: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "keypoints", tuple(self.keypoints))
        object.__setattr__(self, "edges", tuple((int(a), int(b)) for a, b in self.edges))
        if self.layout is not None:
            layout = tuple((float(x), float(y)) for x, y in self.layout)
            object.__setattr__(self, "layout", layout)
        if self.colors is not None:
            object.__setattr__(self, "colors", tuple(self.colors))
        _check_names(self.name, self.keypoints)
        _check_edges(self.edges, self.keypoints)
        _check_drawing(self)

    def to_label(self) -> dict[str, Any]:
        """Write the label specification that CVAT's API and raw label editor accept.

        Returns
        -------
        dict
            JSON-ready, with ``name``, ``type``, ``attributes``, ``sublabels`` and ``svg``.
        """
        colors = self.colors or (None,) * len(self.keypoints)
        sublabels = [
            {"name": name, "type": "points", "attributes": []} | ({"color": color} if color else {})
            for name, color in zip(self.keypoints, colors, strict=True)
        ]
        return {
            "name": self.name,
            "type": "skeleton",
            "attributes": [],
            "sublabels": sublabels,
            "svg": _to_svg(self),
        }

    @classmethod
    def from_label(cls, label: Mapping[str, Any]) -> "Skeleton":
        """Read a label specification or a label from a server, whatever tool drew it.

        Parameters
        ----------
        label
            Mapping with ``name``, ``type``, ``sublabels`` and ``svg``. Circles may name their
            sublabel by ``data-label-id`` or ``data-label-name``.

        Returns
        -------
        Skeleton
            Keypoints in the order of the svg's circles, which is that of every export.

        Raises
        ------
        SkeletonError
            If it is no skeleton, or its drawing does not show every sublabel once.
        """
        return SkeletonLabel.from_server({"id": 0, **label}).skeleton

    def differences(self, other: "Skeleton") -> list[str]:
        """List in words how `other` differs; empty if both mean the same label.

        Names and their order are what annotations and exports speak in. Lines, positions and
        colours are how the label is drawn; they are not compared.
        """
        found = []
        if self.name != other.name:
            found.append(f"the label is named {other.name!r}, not {self.name!r}")
        lacks = [name for name in self.keypoints if name not in other.keypoints]
        extra = [name for name in other.keypoints if name not in self.keypoints]
        if lacks:
            found.append(f"it lacks {', '.join(lacks)}")
        if extra:
            found.append(f"it also has {', '.join(extra)}")
        if lacks or extra:
            return found
        if self.keypoints != other.keypoints:
            order = ", ".join(other.keypoints)
            found.append(f"its keypoints come in another order ({order})")
        return found


@dataclass(frozen=True)
class SkeletonLabel:
    """A skeleton as one server knows it: the ids that its annotations speak in.

    Parameters
    ----------
    id
        Id of the skeleton label.
    skeleton
        What it looks like; keypoints in the order of the svg.
    sublabel_ids
        Id of each keypoint's sublabel, parallel to ``skeleton.keypoints``.
    """

    id: int
    skeleton: Skeleton
    sublabel_ids: tuple[int, ...]

    @classmethod
    def from_server(cls, label: Mapping[str, Any]) -> Self:
        """Read a label as ``GET /api/labels`` gives it; unknown fields are ignored.

        Raises
        ------
        SkeletonError
            As `Skeleton.from_label`.
        """
        name = label.get("name", "")
        if label.get("type") != "skeleton":
            raise SkeletonError(
                f"Label {name!r} is of type {label.get('type')!r}, not a skeleton; choose a "
                "skeleton label or make one in a project of its own."
            )
        sublabels = list(label.get("sublabels") or ())
        circles, edges = _read_svg(label.get("svg") or "", name)
        order = _match(circles, sublabels, name)
        colors = [sublabels[index].get("color") for index in order]
        skeleton = Skeleton(
            name=name,
            keypoints=tuple(sublabels[index]["name"] for index in order),
            edges=edges,
            layout=tuple(circle.position for circle in circles),
            colors=tuple(colors) if all(colors) else None,
        )
        ids = tuple(int(sublabels[index].get("id") or 0) for index in order)
        return cls(id=int(label["id"]), skeleton=skeleton, sublabel_ids=ids)


@dataclass(frozen=True)
class _Circle:
    node: str
    position: tuple[float, float]
    label_id: str | None
    label_name: str | None


def _check_names(name: str, keypoints: Sequence[str]) -> None:
    if not keypoints:
        raise SkeletonError(f"Skeleton {name!r} has no keypoints; give at least one name.")
    for text in (name, *keypoints):
        if not isinstance(text, str) or not text.strip():
            raise SkeletonError(f"Skeleton {name!r}: a name is empty; every keypoint needs one.")
        if len(text) > MAX_NAME_LENGTH:
            raise SkeletonError(
                f"Skeleton {name!r}: the name {text!r} is longer than {MAX_NAME_LENGTH} "
                "characters, the most that CVAT stores; shorten it."
            )
        if _UNSAFE_NAME.search(text):
            raise SkeletonError(
                f'Skeleton {name!r}: the name {text!r} holds one of < > & " or a control '
                "character, which CVAT's drawing cannot carry; rename it."
            )
        if text != text.strip():
            raise SkeletonError(
                f"Skeleton {name!r}: the name {text!r} begins or ends with a space, which CVAT "
                "cuts off; rename it."
            )
    twice = sorted({text for text in keypoints if list(keypoints).count(text) > 1})
    if twice:
        raise SkeletonError(
            f"Skeleton {name!r}: keypoint names must differ, {', '.join(twice)} is there twice."
        )


def _check_edges(edges: Sequence[tuple[int, int]], keypoints: Sequence[str]) -> None:
    seen = set()
    for a, b in edges:
        if not (0 <= a < len(keypoints) and 0 <= b < len(keypoints)):
            raise SkeletonError(
                f"The line ({a}, {b}) leaves the {len(keypoints)} keypoints; indices count from "
                f"0 to {len(keypoints) - 1}."
            )
        if a == b:
            raise SkeletonError(f"The line ({a}, {b}) joins {keypoints[a]} with itself; remove it.")
        if frozenset((a, b)) in seen:
            raise SkeletonError(
                f"The line {keypoints[a]}-{keypoints[b]} is there twice; remove one."
            )
        seen.add(frozenset((a, b)))


def _check_drawing(skeleton: Skeleton) -> None:
    count = len(skeleton.keypoints)
    for what, values in (("layout", skeleton.layout), ("colors", skeleton.colors)):
        if values is not None and len(values) != count:
            raise SkeletonError(
                f"Skeleton {skeleton.name!r}: {what} has {len(values)} entries for {count} "
                "keypoints; give one each, or None."
            )
    for name, (x, y) in zip(skeleton.keypoints, skeleton.layout or (), strict=False):
        if not (isfinite(x) and isfinite(y) and 0 <= x <= 100 and 0 <= y <= 100):
            raise SkeletonError(
                f"Skeleton {skeleton.name!r}: the layout of {name} is ({x:g}, {y:g}); both must "
                "be from 0 to 100."
            )
    for name, color in zip(skeleton.keypoints, skeleton.colors or (), strict=False):
        if not isinstance(color, str) or not _COLOR.fullmatch(color):
            raise SkeletonError(
                f"Skeleton {skeleton.name!r}: the colour of {name} is {color!r}; write #rrggbb."
            )


def _to_svg(skeleton: Skeleton) -> str:
    # The attributes, their order and the closing tags are those that CVAT's web client writes.
    layout = skeleton.layout or _circle_layout(len(skeleton.keypoints))
    lines = []
    for a, b in skeleton.edges:
        (x1, y1), (x2, y2) = layout[a], layout[b]
        lines.append(
            f'<line x1="{x1!r}" y1="{y1!r}" x2="{x2!r}" y2="{y2!r}" stroke="black" '
            f'data-type="edge" data-node-from="{a + 1}" stroke-width="0.5" '
            f'data-node-to="{b + 1}"></line>'
        )
    circles = [
        f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{x!r}" cy="{y!r}" '
        f'stroke-width="0.1" data-type="element node" data-element-id="{node}" '
        f'data-node-id="{node}" data-label-name="{name}"></circle>'
        for node, (name, (x, y)) in enumerate(zip(skeleton.keypoints, layout, strict=True), start=1)
    ]
    return "".join(lines + circles)


def _circle_layout(count: int) -> tuple[tuple[float, float], ...]:
    angles = [2 * pi * index / count for index in range(count)]
    return tuple((round(50 + 40 * sin(a), 2), round(50 - 40 * cos(a), 2)) for a in angles)


def _read_svg(svg: str, name: str) -> tuple[list[_Circle], tuple[tuple[int, int], ...]]:
    try:
        root = ElementTree.fromstring(f"<svg>{svg}</svg>")
    except ElementTree.ParseError as error:
        raise SkeletonError(
            f"The drawing of label {name!r} is not valid XML ({error}), so CVAT cannot export it; "
            "draw the skeleton again in CVAT, or use another project."
        ) from None
    circles = [_read_circle(element, name) for element in _elements(root, "circle")]
    nodes = {circle.node: index for index, circle in enumerate(circles)}
    if len(nodes) != len(circles):
        raise SkeletonError(
            f"The drawing of label {name!r} uses one node number for two points; draw it again."
        )
    edges: dict[frozenset[int], tuple[int, int]] = {}
    for line in _elements(root, "line"):
        ends = nodes.get(line.get("data-node-from", "")), nodes.get(line.get("data-node-to", ""))
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            edges.setdefault(frozenset((ends[0], ends[1])), (ends[0], ends[1]))
    return circles, tuple(edges.values())


def _elements(root: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    # A fragment saved from an svg file may carry a namespace or its own <svg> around it.
    return (element for element in root.iter() if element.tag.rpartition("}")[2] == tag)


def _read_circle(circle: ElementTree.Element, name: str) -> _Circle:
    try:
        x, y = float(circle.get("cx", "nan")), float(circle.get("cy", "nan"))
    except ValueError:
        x = y = float("nan")
    if not (isfinite(x) and isfinite(y)):
        raise SkeletonError(
            f"A point in the drawing of label {name!r} has no position; draw it again in CVAT."
        )
    return _Circle(
        node=circle.get("data-node-id") or circle.get("data-element-id") or f"at {x} {y}",
        position=(min(max(x, 0.0), 100.0), min(max(y, 0.0), 100.0)),
        label_id=circle.get("data-label-id"),
        label_name=circle.get("data-label-name"),
    )


def _match(
    circles: Sequence[_Circle], sublabels: Sequence[Mapping[str, Any]], name: str
) -> list[int]:
    by_id = {str(sub["id"]): i for i, sub in enumerate(sublabels) if sub.get("id") is not None}
    by_name = {sub["name"]: i for i, sub in enumerate(sublabels)}
    order = []
    for circle in circles:
        index = by_id.get(circle.label_id) if circle.label_id is not None else None
        if index is None and circle.label_name is not None:
            index = by_name.get(circle.label_name)
        if index is None:
            shown = circle.label_name or f"id {circle.label_id}"
            raise SkeletonError(
                f"The drawing of label {name!r} shows a point ({shown}) that is none of its "
                "sublabels, so CVAT cannot export it; draw the skeleton again in CVAT."
            )
        order.append(index)
    missing = [sub["name"] for i, sub in enumerate(sublabels) if i not in order]
    if missing or len(set(order)) != len(order):
        twice = [sublabels[i]["name"] for i in sorted(set(order)) if order.count(i) > 1]
        problem = f"lacks {', '.join(missing)}" if missing else f"shows {', '.join(twice)} twice"
        raise SkeletonError(
            f"The drawing of label {name!r} {problem}, so CVAT cannot export it; draw the "
            "skeleton again in CVAT, or use another project."
        )
    return order
