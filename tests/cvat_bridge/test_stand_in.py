"""The stand-in answers what the recorded server answered, so that it cannot drift into fiction."""

import hashlib
import itertools
import json
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import PIL.Image
import pytest
import urllib3

from tests.cvat_server import CvatServer
from tests.cvat_server.state import Frame, Task

RECORDED_URL = "http://127.0.0.1:8080"
# Differ from run to run, or are that server's own business.
VOLATILE = {
    *("created_date", "updated_date", "chunks_updated_date", "started_date", "finished_date"),
    *("expiry_date", "last_login", "date_joined", "color", "description", "logo_url", "key"),
}
# Project 3 with the skeleton label 23 and task 3 with six pictures, as most recordings use it.
BASE = (6, 7, 8)


class Replay:
    """Sends recorded requests to a stand-in whose counters are set to the recorded ids."""

    def __init__(self, recordings: Path, server: CvatServer) -> None:
        self.server = server
        self.recordings = recordings
        self.http = urllib3.PoolManager(retries=False)
        self.schema = json.loads((recordings / "openapi_2.54.1.json").read_text())
        self.zips = {
            hashlib.sha256(path.read_bytes()).hexdigest(): path.read_bytes()
            for folder in ("imports", "exports")
            for path in (recordings / folder).glob("*.zip")
        }
        self.renamed: dict[str, str] = {}
        self.downloads: dict[int, bytes] = {}

    def play(self, *numbers: int) -> None:
        """Replay recordings in order and compare every answer."""
        steps = [(n, e) for n in numbers for e in self._exchanges(n)]
        for position, (number, exchange) in enumerate(steps):
            following = [e for _, e in steps[position:]]
            if self._polled_again(following):
                continue
            self._prime(exchange, following)
            self._compare(number, exchange)

    def bare_task(self, number: int) -> None:
        """Make the task that a recording of annotations speaks of."""
        task_id = int(self._exchanges(number)[0]["path"].split("/")[3])
        task = Task(task_id, "annotations", 3)
        self.server.state.tasks[task_id] = task
        self.server.state.set_frames(task, [Frame(f"{n}.jpg", 640, 480) for n in range(2)])

    def video_task(self, task_id: int, name: str, frame_count: int, *, subset: str) -> None:
        """Make the task of a clip; the stand-in decodes no videos."""
        self.server.state.next_id["task"] = itertools.count(task_id)
        self.server.add_video_task(name, 3, frame_count).subset = subset

    def _exchanges(self, number: int) -> list[dict[str, Any]]:
        (path,) = self.recordings.glob(f"{number:03d}_*.json")
        return [e for e in json.loads(path.read_text())["exchanges"] if "status" in e]

    @staticmethod
    def _polled_again(following: list[dict[str, Any]]) -> bool:
        """Whether a request is looked at once more; the stand-in is done at the first look."""
        same = [e for e in following if e["path"] == following[0]["path"]]
        return "/api/requests/" in following[0]["path"] and len(same) > 1 and _running(following[0])

    def _prime(self, exchange: dict[str, Any], following: list[dict[str, Any]]) -> None:
        """Set the counters so that what is made gets the recorded ids."""
        if exchange["method"] == "GET":
            return
        state = self.server.state
        answer = _json(exchange) or {}
        kind = exchange["path"].removeprefix("/api/")
        if exchange["status"] == 201 and kind in ("projects", "tasks"):
            state.next_id[kind.removesuffix("s")] = itertools.count(answer["id"])
            labels = _first(following, "/api/labels?")
            if labels and labels[0]["id"] not in state.labels:
                state.next_id["label"] = itertools.count(labels[0]["id"])
        if "/data/" in exchange["path"]:
            task = next(
                (a for e in following if isinstance(a := _json(e), dict) and "data" in a), None
            )
            if task:
                state.next_id["data"] = itertools.count(task["data"])
            jobs = _first(following, "/api/jobs?")
            task_id = int(exchange["path"].split("/")[3])
            state.next_id["job"] = itertools.count(jobs[0]["id"] if jobs else task_id)
        if "/annotations/" in exchange["path"] and exchange["method"] in ("PUT", "PATCH"):
            for kind, things in (("shape", "shapes"), ("track", "tracks")):
                ids = [item["id"] for item in answer.get(things, ())] if "version" in answer else []
                if ids:
                    state.next_id[kind] = itertools.count(min(ids))

    def _compare(self, number: int, exchange: dict[str, Any]) -> None:
        where = f"{number}: {exchange['method']} {exchange['path']}"
        response = self._send(exchange)
        assert response.status == exchange["status"], (where, response.data[:300])
        recorded = exchange.get("response_body") or {}
        if "json" in recorded:
            ours = json.loads(response.data)
            self._remember(recorded["json"], ours, response)
            assert response.headers["Content-Type"] == exchange["response_headers"]["content-type"]
            self._check_schema(exchange, ours)
            theirs = _normal(recorded["json"], RECORDED_URL)
            assert _normal(ours, self.server.url) == theirs, where
        elif "text" in recorded:
            assert response.data.decode() == recorded["text"], where
        elif "bytes" in recorded:
            self.downloads[number] = response.data
        for header in ("upload-offset", "tus-resumable"):
            assert response.headers.get(header) == exchange["response_headers"].get(header), where
        if "upload-filename" in exchange["response_headers"]:
            name = exchange["response_headers"]["upload-filename"]
            self.renamed[name] = response.headers["upload-filename"]

    def _send(self, exchange: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        path = exchange["path"]
        for old, new in self.renamed.items():
            path = path.replace(old, new).replace(old.replace("&", "%26"), new)
        kept = {
            key: value
            for key, value in exchange["request_headers"].items()
            if key.startswith(("Upload-", "Tus-", "X-Org")) or key == "Content-Type"
        }
        login = {"Authorization": f"Bearer {self.server.token}"}
        body = exchange.get("request_body") or {}
        if "multipart" in body:
            kept.pop("Content-Type")
            fields = {
                part["name"]: (part["filename"], self._file(part))
                for part in body["multipart"]
                if "filename" in part
            }
            options: dict[str, Any] = {"fields": fields}
        elif "json" in body:
            told = json.dumps(body["json"]).replace("<redacted>", self._password(exchange))
            options = {"body": told}
        elif "sha256" in body:
            options = {"body": self.zips[body["sha256"]]}
        else:
            options = {"body": body.get("text")}
        return self.http.request(
            exchange["method"], self.server.url + path, headers=kept | login, **options
        )

    def _password(self, exchange: dict[str, Any]) -> str:
        return self.server.password if exchange["status"] == 200 else "wrong"

    @staticmethod
    def _file(part: dict[str, Any]) -> bytes:
        if part["size"] < 1000:
            return b"x" * part["size"]
        packed = BytesIO()
        PIL.Image.new("RGB", (640, 480)).save(packed, "JPEG")
        return packed.getvalue()

    def _remember(self, theirs: Any, ours: Any, response: urllib3.BaseHTTPResponse) -> None:
        """Random ids of background requests are named by the server."""
        if isinstance(theirs, dict) and "rq_id" in theirs and theirs["rq_id"] != ours.get("rq_id"):
            self.renamed[_quoted(theirs["rq_id"])] = _quoted(ours["rq_id"])
            ours["rq_id"] = theirs["rq_id"]

    def _check_schema(self, exchange: dict[str, Any], answer: Any) -> None:
        path = exchange["path"].partition("?")[0]
        for template, methods in self.schema["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                responses = methods[exchange["method"].lower()]["responses"]
                content = responses.get(str(exchange["status"]), {}).get("content", {})
                for kind in content.values():
                    schema = _json_schema(kind["schema"])
                    definitions = _json_schema({"components": self.schema["components"]})
                    validator = jsonschema.Draft4Validator(schema | definitions)
                    # The recorded server itself sends null where its schema has a boolean.
                    assert _breaches(validator, answer) <= _breaches(validator, _json(exchange))
                return
        raise AssertionError(f"{path} is not in the OpenAPI schema")


def _breaches(validator: jsonschema.Draft4Validator, answer: Any) -> set[tuple[str, ...]]:
    """Where an answer breaks the schema, list positions aside."""
    return {
        tuple(part for part in error.absolute_path if isinstance(part, str))
        for error in validator.iter_errors(answer)
    }


def _running(exchange: dict[str, Any]) -> bool:
    return (_json(exchange) or {}).get("status") in ("queued", "started")


def _json(exchange: dict[str, Any]) -> Any:
    return (exchange.get("response_body") or {}).get("json")


def _first(following: list[dict[str, Any]], start: str) -> list[dict[str, Any]]:
    found = (_json(e) for e in following if e["path"].startswith(start) and e["status"] == 200)
    return next((answer["results"] for answer in found), [])


def _quoted(request_id: str) -> str:
    return request_id.replace("=", "%3D").replace("&", "%26")


def _normal(value: Any, url: str) -> Any:
    """Without what differs from run to run; elements by label, shapes and tracks by frame."""
    if isinstance(value, list):
        items = [_normal(item, url) for item in value]
        if items and all(isinstance(item, dict) and "label_id" in item for item in items):
            items.sort(key=lambda item: (item["frame"], item["label_id"], json.dumps(item)))
        return items
    if isinstance(value, dict):
        dropped = VOLATILE | ({"id"} if value.keys() & {"label_id", "z_order"} else set())
        return {key: _normal(item, url) for key, item in value.items() if key not in dropped}
    if isinstance(value, str):
        # Folders on the server, and the numbers that it drew by lot.
        value = re.sub(r"'/home/django/[^']*?([^/']+)'", r"'\1'", value)
        value = re.sub(r"&id=[0-9a-f-]{36}", "&id=<uuid>", value)
        return value.replace(url, "<server>")
    return value


def _json_schema(schema: Any) -> Any:
    """OpenAPI 3.0 writes null as `nullable`; JSON Schema as one of several types."""
    if isinstance(schema, list):
        return [_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    read = {key: _json_schema(item) for key, item in schema.items() if key != "nullable"}
    return {"anyOf": [read, {"type": "null"}]} if schema.get("nullable") is True else read


@pytest.fixture
def replay(recordings: Path, cvat_server: CvatServer) -> Iterator[Replay]:
    yield Replay(recordings, cvat_server)


def test_projects_tasks_and_annotations(replay: Replay) -> None:
    replay.play(1, *BASE, 9, 10, 11, *range(12, 22), 35, 37, 38, 39)
    replay.play(29, 30)


@pytest.mark.parametrize(
    "group",
    [
        (201,),
        (202,),
        (216,),
        (217,),
        (218,),
        (219,),
        (220,),
        (221,),
        (222,),
        (223,),
        (225,),
        (226,),
        (237,),
        (238,),
        (242,),
        (377,),
    ],
    ids=str,
)
def test_refusals(replay: Replay, group: tuple[int, ...]) -> None:
    replay.play(*BASE, *group)


@pytest.mark.parametrize("number", [*range(227, 237), 239, 240, 243, 244, 245, 601])
def test_labels_are_not_checked(replay: Replay, number: int) -> None:
    replay.play(number)


# A label variant's recording, and that of its use in a task.
@pytest.mark.parametrize(
    ("made", "used"),
    zip((227, *range(229, 237)), range(247, 256), strict=True),
)
def test_bad_drawings_fail_at_export(replay: Replay, made: int, used: int) -> None:
    replay.play(made, used)


def test_subsets_and_partial_skeletons(replay: Replay) -> None:
    replay.play(*BASE, 257)
    replay.play(260)
    replay.play(261)


# Task 50 is made by 266 or before 302; only its annotations matter here.
@pytest.mark.parametrize(
    "numbers",
    [range(302, 316), range(317, 327), range(331, 337), range(338, 351), range(352, 355)],
    ids=str,
)
def test_annotations_refused_kept_or_dropped(replay: Replay, numbers: range) -> None:
    replay.play(*BASE)
    replay.bare_task(302)
    replay.play(302, 321, *numbers)


def test_nan_is_refused(replay: Replay) -> None:
    replay.play(*BASE)
    replay.bare_task(302)
    replay.play(302, 321, 327, 328, 329, 330)


def test_a_poisoned_task(replay: Replay) -> None:
    replay.play(*BASE)
    replay.bare_task(379)
    replay.play(379, 380, 381, 382, 383, 384, 387, 388, 389, 390)


@pytest.mark.parametrize("number", [356, 357, 358, 359, 360, 362, 364, 366, 369])
def test_pictures_that_arrive_badly(replay: Replay, number: int) -> None:
    replay.play(*BASE, number)


def test_a_second_upload(replay: Replay) -> None:
    replay.play(*BASE, 37, 368)


def test_annotations_before_pictures(replay: Replay) -> None:
    replay.play(*BASE)
    replay.server.tasks[63] = Task(63, "no pictures", 3)
    replay.play(370)


def test_tracks_of_a_video(replay: Replay) -> None:
    replay.play(*BASE)
    replay.video_task(7, "clip", 20, subset="Train")
    replay.play(137, 138, 139)


def test_imports(replay: Replay) -> None:
    replay.play(*BASE, *range(12, 21), 101, 102, 103, 104)


def test_a_backup_becomes_a_task(replay: Replay) -> None:
    replay.server.state.next_id["task"] = itertools.count(70)
    replay.server.state.next_id["label"] = itertools.count(229)
    replay.server.state.next_id["data"] = itertools.count(60)
    replay.play(526)


@pytest.mark.parametrize(
    ("numbers", "exported", "name"),
    [
        ((*BASE, 9, 10, 11, *range(12, 22)), 21, "task_yolo_pose_noimg"),
        ((*BASE, 257), 257, "nosubset"),
        ((233, 252), 252, "variant_order"),
    ],
)
def test_exports_hold_the_recorded_files(
    replay: Replay, numbers: tuple[int, ...], exported: int, name: str
) -> None:
    replay.play(*numbers)
    ours = _unpacked(replay.downloads[exported])
    assert ours == _unpacked((replay.recordings / "exports" / f"{name}.zip").read_bytes())


def test_the_export_of_an_interpolated_track(replay: Replay) -> None:
    replay.play(*BASE)
    replay.video_task(7, "clip", 20, subset="Train")
    replay.play(138)
    recorded = replay.recordings / "exports" / "video_yolo_pose_noimg.zip"
    assert _unpacked(replay.server.export(7)) == _unpacked(recorded.read_bytes())


def _unpacked(packed: bytes) -> dict[str, Any]:
    """Files of a zip; the people of a frame in any order, numbers to 1e-5."""
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    return {
        name: sorted([round(float(n), 5) for n in line.split()] for line in text.splitlines())
        if name.startswith("labels/")
        else text
        for name, text in files.items()
    }
