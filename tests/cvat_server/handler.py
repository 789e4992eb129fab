"""The HTTP side: login, routes, uploads, faults."""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.cvat_server import annotations, backups, yolo_pose
from tests.cvat_server.state import (
    BackgroundError,
    Label,
    Project,
    Refusal,
    Request,
    State,
    Task,
    Text,
    missing,
    now,
    server_error,
)

JSON = "application/vnd.cvat+json"
PAGE_SIZE = 10
_NO_REQUEST = Refusal(404, Text("There is no request with specified id"))


class Handler(BaseHTTPRequestHandler):
    """One request at a time, the state locked; `self.server.stand_in` is the CvatServer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def serve(self) -> None:
        stand_in = self.server.stand_in
        length = int(self.headers.get("Content-Length") or 0)
        fault = stand_in.next_fault(self.command, self.path)
        if fault and fault.when == "during":
            self.rfile.read(length // 2)
            return self.cut()
        body = self.rfile.read(length)
        if fault and fault.when == "storing":
            stand_in.store_later(self.path, body, fault.requests)
        if fault and fault.when in ("before", "storing") and self.act_out(fault):
            return None
        with stand_in.lock:
            status, answer, headers = self.answer(stand_in, body)
        if fault and fault.when == "after" and self.act_out(fault):
            return None
        return self.send(status, answer, headers)

    def act_out(self, fault: Any) -> bool:
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return False
        if fault.kind == "cut":
            self.cut()
        else:
            sent_on = {"Location": "https://cvat.example.org/api"} if fault.kind < 400 else {}
            page = server_error().body if fault.page is None else fault.page
            self.send(fault.kind, page, sent_on)
        return True

    def cut(self) -> None:
        self.close_connection = True
        self.connection.close()
        # http.server flushes after each request; there is nothing left to flush to.
        self.wfile = _Nowhere()

    def answer(self, stand_in: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query, True).items()}
        try:
            for method, pattern, function, needs_login in ROUTES:
                found = re.fullmatch(pattern, parts.path)
                if method == self.command and found:
                    if needs_login:
                        self.check_login(stand_in)
                    call = Call(stand_in, stand_in.state, query, self.headers, body)
                    arguments = [int(g) if g.isdigit() else unquote(g) for g in found.groups()]
                    return function(call, *arguments)
            return 404, {"detail": "Not found."}, {}
        except Refusal as refusal:
            return refusal.status, refusal.body, {}

    def check_login(self, stand_in: Any) -> None:
        authorization = self.headers.get("Authorization", "")
        cookies = dict(
            part.strip().split("=", 1)
            for part in self.headers.get("Cookie", "").split(";")
            if "=" in part
        )
        if authorization.startswith("Bearer "):
            if authorization.removeprefix("Bearer ") != stand_in.token:
                raise Refusal(401, {"detail": "Invalid token."})
        elif cookies.get("sessionid", "").strip('"') not in stand_in.sessions:
            raise Refusal(401, {"detail": "Authentication credentials were not provided."})
        elif self.command not in ("GET", "HEAD") and "X-CSRFToken" not in self.headers:
            raise Refusal(403, {"detail": "CSRF Failed: CSRF token missing."})
        organization = self.headers.get("X-Organization")
        if organization and organization not in stand_in.state.organizations:
            raise Refusal(404, {"detail": f"{organization} organization does not exist."})

    def send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        if isinstance(answer, bytes):
            data, kind = answer, headers.pop("Content-Type", "application/zip")
        elif isinstance(answer, Text):
            data, kind = answer.encode(), "text/html; charset=utf-8"
        elif answer is None:
            data, kind = b"", ""
        else:
            data, kind = json.dumps(answer).encode(), JSON
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if kind:
            self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Nowhere:
    closed = True

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class Call:
    """A request as the routes see it."""

    def __init__(
        self, stand_in: Any, state: State, query: dict[str, str], headers: Any, body: bytes
    ) -> None:
        self.stand_in = stand_in
        self.state = state
        self.query = query
        self.headers = headers
        self.body = body

    @property
    def organization(self) -> int | None:
        """Where what is made belongs: to no organisation if none is named."""
        return self.state.organizations.get(self.headers.get("X-Organization") or "")

    def within(self, items: Iterable[Any]) -> list[Any]:
        """Filter a list by the workspace that is named; where none is, everything is listed."""
        if "X-Organization" not in self.headers:
            return list(items)
        return [item for item in items if item.organization == self.organization]

    def json(self) -> dict[str, Any]:
        def refuse(text: str) -> None:
            told = f"JSON parse error - Out of range float values are not JSON compliant: {text!r}"
            raise Refusal(400, {"detail": told})

        return dict(json.loads(self.body or b"{}", parse_constant=refuse))

    def files(self) -> dict[str, bytes]:
        """Uploaded files of a multipart body by base name; the client's folders are dropped."""
        boundary = self.headers["Content-Type"].rpartition("boundary=")[2].encode()
        found: dict[str, bytes] = {}
        for part in self.body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(r'filename="([^"]*)"', head.decode())
            if name is None:
                continue
            self.stand_in.uploaded_names.append(name[1])
            base = name[1].replace("\\", "/").rpartition("/")[2]
            if base in found:
                raise server_error()
            found[base] = content.removesuffix(b"\r\n")
        return found

    def page(self, items: list[Any]) -> tuple[int, Any, dict[str, str]]:
        size = int(self.query.get("page_size", PAGE_SIZE))
        start = (int(self.query.get("page", 1)) - 1) * size
        following = f"{self.state.url}?page=next" if start + size < len(items) else None
        listed = items[start : start + size]
        before = f"{self.state.url}?page=previous" if start else None
        return ok({"count": len(items), "next": following, "previous": before, "results": listed})


Answer = tuple[int, Any, dict[str, str]]


def ok(body: Any, status: int = 200, **headers: str) -> Answer:
    return status, body, {key.replace("_", "-"): value for key, value in headers.items()}


def about(call: Call) -> Answer:
    return ok(
        {
            "name": "Computer Vision Annotation Tool",
            "description": "A stand-in for tests",
            "version": call.stand_in.version,
            "logo_url": f"{call.state.url}/static/logo.svg",
            "subtitle": "Open Data Annotation Platform",
        }
    )


def log_in(call: Call) -> Answer:
    given = call.json()
    if (given.get("username"), given.get("password")) != (
        call.stand_in.user,
        call.stand_in.password,
    ):
        told = {"non_field_errors": ["Unable to log in with provided credentials."]}
        raise Refusal(400, told)
    session = uuid.uuid4().hex
    call.stand_in.sessions.add(session)
    cookies = f"sessionid={session}; Path=/, csrftoken={uuid.uuid4().hex}; Path=/"
    return ok({"key": session}, Set_Cookie=cookies)


def log_out(call: Call) -> Answer:
    return ok({"detail": "Successfully logged out."})


def whoami(call: Call) -> Answer:
    shown = call.state.show_user(1) or {}
    return ok(
        shown
        | {
            "email": "admin@localhost.local",
            "groups": ["admin"],
            "is_staff": True,
            "is_superuser": True,
            "is_active": True,
            "last_login": now(),
            "date_joined": now(),
            "has_analytics_access": True,
        }
    )


def users(call: Call) -> Answer:
    wanted = call.query.get("username")
    ids = [i for i, name in call.state.users.items() if wanted in (None, name)]
    return call.page([call.state.show_user(i) for i in ids])


def organizations(call: Call) -> Answer:
    shown = call.state.organizations.items()
    return call.page([{"id": number, "slug": slug, "name": slug} for slug, number in shown])


def projects(call: Call) -> Answer:
    wanted = call.query.get("name")
    found = [p for p in call.within(call.state.projects.values()) if wanted in (None, p.name)]
    return call.page([call.state.show_project(p) for p in reversed(found)])


def make_project(call: Call) -> Answer:
    given = call.json()
    project = Project(call.state.new_id("project"), given["name"], call.organization)
    call.state.add_labels(given.get("labels", []), project_id=project.id, task_id=None)
    call.state.projects[project.id] = project
    return ok(call.state.show_project(project), 201)


def project(call: Call, project_id: int) -> Answer:
    return ok(call.state.show_project(call.state.project(project_id)))


def change_project(call: Call, project_id: int) -> Answer:
    found = call.state.project(project_id)
    call.state.add_labels(call.json().get("labels", []), project_id=project_id, task_id=None)
    found.updated = now()
    return ok(call.state.show_project(found))


def delete_project(call: Call, project_id: int) -> Answer:
    call.state.project(project_id)
    for task in [t for t in call.state.tasks.values() if t.project_id == project_id]:
        call.state.remove_task(task)
    for label in [one for one in call.state.labels.values() if one.project_id == project_id]:
        del call.state.labels[label.id]
    del call.state.projects[project_id]
    return ok(None, 204)


def make_guide(call: Call) -> Answer:
    given = call.json()
    found = call.state.project(given["project_id"])
    call.state.guides[found.id] = given["markdown"]
    shown = {"id": len(call.state.guides), "task_id": None, "project_id": found.id}
    return ok({**shown, "markdown": given["markdown"]}, 201)


def labels(call: Call) -> Answer:
    state, query = call.state, call.query
    found: list[Label]
    if "project_id" in query:
        if int(query["project_id"]) not in state.projects:
            raise server_error()
        found = [one for one in state.labels.values() if one.project_id == int(query["project_id"])]
    elif "task_id" in query:
        found = state.labels_of(state.task(int(query["task_id"])))
    else:
        found = state.labels_of(state.job(int(query["job_id"])).task)
    return call.page([state.show_label(label) for label in found])


def change_label(call: Call, label_id: int) -> Answer:
    if label_id not in call.state.labels:
        told = "Sublabels cannot be modified this way. Please send a PATCH request with updated "
        raise Refusal(400, [f"{told}parent label data instead."])
    return ok(call.state.show_label(call.state.labels[label_id]))


def tasks(call: Call) -> Answer:
    query = call.query
    found = [
        task
        for task in call.within(call.state.tasks.values())
        if query.get("name") in (None, task.name)
        and query.get("project_id") in (None, str(task.project_id))
    ]
    return call.page([call.state.show_task(task) for task in reversed(found)])


def make_task(call: Call) -> Answer:
    given, state = call.json(), call.state
    project_id = given.get("project_id")
    if project_id is not None and given.get("labels"):
        raise Refusal(400, ["Task must have only one of Label set or project_id"])
    if project_id is not None and project_id not in state.projects:
        raise Refusal(400, ["Project matching query does not exist."])
    if project_id is not None and state.projects[project_id].organization != call.organization:
        raise Refusal(400, ["The task and its project should be in the same organization."])
    task = Task(
        state.new_id("task"),
        given["name"],
        project_id,
        subset=given.get("subset", ""),
        organization=call.organization,
        assignee=given.get("assignee_id"),
        segment_size=given.get("segment_size", 0),
        overlap=given.get("overlap"),
    )
    state.add_labels(given.get("labels", []), project_id=None, task_id=task.id)
    state.tasks[task.id] = task
    return ok(state.show_task(task), 201)


def task(call: Call, task_id: int) -> Answer:
    return ok(call.state.show_task(call.state.task(task_id)))


def change_task(call: Call, task_id: int) -> Answer:
    found, given = call.state.task(task_id), call.json()
    for key in ("name", "subset"):
        setattr(found, key, given.get(key, getattr(found, key)))
    return ok(call.state.show_task(found))


def delete_task(call: Call, task_id: int) -> Answer:
    call.state.remove_task(call.state.task(task_id))
    return ok(None, 204)


def upload_data(call: Call, task_id: int) -> Answer:
    found, state = call.state.task(task_id), call.state
    if "Upload-Start" in call.headers:
        if found.has_data:
            raise Refusal(400, "Adding more data is not supported")
        found.has_data, found.data_id = True, state.new_id("data")
        return ok(None, 202)
    if "Upload-Multiple" in call.headers:
        found.uploads |= call.files()
        return ok(None)
    if "Tus-Resumable" in call.headers:
        return create_tus(call, f"/api/tasks/{task_id}/data", found)
    options = call.json()
    found.image_quality = options.get("image_quality", 70)
    request = Request(
        f"action=create&target=task&target_id={task_id}",
        "create:task",
        "task",
        lambda: state.read_pictures(found, options),
        state.background_polls,
        found.project_id,
        task_id,
    )
    return ok({"rq_id": state.add_request(request).id}, 202)


def frame_data(call: Call, task_id: int) -> Answer:
    task = call.state.task(task_id)
    number = int(call.query["number"])
    if call.query.get("type") == "chunk":
        return ok(backups.chunk(task, number), Content_Type="application/zip")
    return ok(task.frames[number].data, Content_Type="image/jpeg")


def meta(call: Call, task_id: int) -> Answer:
    found = call.state.task(task_id)
    if not found.frames:
        raise server_error()
    return ok(call.state.show_meta(found))


def change_meta(call: Call, task_id: int) -> Answer:
    found = call.state.task(task_id)
    found.deleted = set(call.json().get("deleted_frames", found.deleted))
    return ok(call.state.show_meta(found))


def get_annotations(call: Call, task_id: int) -> Answer:
    return ok(annotations.read(call.state.task(task_id)))


def put_annotations(call: Call, task_id: int) -> Answer:
    return ok(annotations.replace(call.state, call.state.task(task_id), call.json()))


def patch_annotations(call: Call, task_id: int) -> Answer:
    found = call.state.task(task_id)
    return ok(annotations.patch(call.state, found, call.query.get("action"), call.json()))


def delete_annotations(call: Call, task_id: int) -> Answer:
    annotations.clear(call.state.task(task_id))
    return ok(None, 204)


def import_annotations(call: Call, task_id: int) -> Answer:
    found, state = call.state.task(task_id), call.state
    if "Upload-Start" in call.headers:
        if call.query["format"] != yolo_pose.FORMAT:
            raise Refusal(400, [f"Unknown input format '{call.query['format']}'"])
        return ok(None, 202)
    if "Tus-Resumable" in call.headers:
        return create_tus(call, f"/api/tasks/{task_id}/annotations", found)
    packed = bytes(call.stand_in.uploads.pop(call.query["filename"]))
    request = Request(
        f"action=import&target=task&target_id={task_id}&subresource=annotations",
        "import:annotations",
        "task",
        lambda: yolo_pose.load(state, found, packed),
        state.background_polls,
        found.project_id,
        task_id,
    )
    return ok({"rq_id": state.add_request(request).id}, 202)


def create_tus(call: Call, base: str, found: Task | None) -> Answer:
    name = f"1_{uuid.uuid4()}"
    call.stand_in.uploads[name] = bytearray()
    metadata = call.headers.get("Upload-Metadata", "").split(" ")
    if found is not None and base.endswith("/data"):
        call.stand_in.upload_names[name] = (found, base64.b64decode(metadata[1]).decode())
    location = f"{call.state.url}{base}/{name}"
    return ok(None, 201, Tus_Resumable="1.0.0", Location=location, Upload_Filename=name)


def append_tus(call: Call, upload: str) -> Answer:
    buffer = call.stand_in.uploads.get(upload)
    if buffer is None:
        raise missing("Upload")
    if int(call.headers["Upload-Offset"]) != len(buffer):
        return ok(None, 409, Upload_Offset=str(len(buffer)))
    buffer += call.body
    owner = call.stand_in.upload_names.get(upload)
    if owner is not None:
        owner[0].uploads[owner[1].rpartition("/")[2]] = bytes(buffer)
    return ok(None, 204, Tus_Resumable="1.0.0", Upload_Offset=str(len(buffer)))


def head_tus(call: Call, upload: str) -> Answer:
    buffer = call.stand_in.uploads.get(upload)
    if buffer is None:
        raise missing("Upload")
    return ok(None, 200, Tus_Resumable="1.0.0", Upload_Offset=str(len(buffer)))


def jobs(call: Call) -> Answer:
    wanted = call.query.get("task_id")
    found = [
        job
        for task in call.within(call.state.tasks.values())
        for job in task.jobs
        if wanted in (None, str(task.id))
    ]
    return call.page([call.state.show_job(job) for job in reversed(found)])


def job(call: Call, job_id: int) -> Answer:
    return ok(call.state.show_job(call.state.job(job_id)))


def change_job(call: Call, job_id: int) -> Answer:
    found, given = call.state.job(job_id), call.json()
    found.state = given.get("state", found.state)
    found.stage = given.get("stage", found.stage)
    found.assignee = given.get("assignee", found.assignee)
    found.updated = found.task.updated = now()
    return ok(call.state.show_job(found))


def job_annotations(call: Call, job_id: int) -> Answer:
    found = call.state.job(job_id)
    return ok(annotations.read(found.task, found))


def export(call: Call, kind: str, number: int) -> Answer:
    state, name = call.state, call.query.get("format", "")
    if name != yolo_pose.FORMAT:
        raise Refusal(400, ["Unknown format specified for the request"])
    owner = {"tasks": "task", "projects": "project", "jobs": "job"}[kind]
    if owner == "project":
        state.project(number)
        chosen = [task for task in state.tasks.values() if task.project_id == number]
    else:
        chosen = [state.task(number) if owner == "task" else state.job(number).task]
    images = call.query.get("save_images", "False").lower() == "true"
    words = re.sub(r"\s", "_", name).replace(".", "~")
    resource = "dataset" if images else "annotations"
    request_id = (
        f"action=export&target={owner}&target_id={number}&user_id=1&format={words}"
        f"&subresource={resource}"
    )

    def work() -> None:
        request.result = yolo_pose.export(state, chosen, save_images=images)
        path = f"/api/{kind}/{number}/dataset/download?rq_id={quote(request_id, safe='')}"
        request.result_url = state.url + path

    request = Request(
        request_id,
        f"export:{resource}",
        owner,
        work,
        state.background_polls,
        number if owner == "project" else chosen[0].project_id,
        None if owner == "project" else chosen[0].id,
        number if owner == "job" else None,
        name,
    )
    return ok({"rq_id": state.add_request(request).id}, 202)


def download(call: Call, kind: str, number: int) -> Answer:
    request = call.state.requests.get(call.query.get("rq_id", ""))
    if request is None or not request.result:
        raise missing("Request")
    return ok(request.result)


def export_backup(call: Call, task_id: int) -> Answer:
    state, found = call.state, call.state.task(task_id)
    request_id = f"action=export&target=task&target_id={task_id}&user_id=1&subresource=backup"

    def work() -> None:
        request.result = backups.save(state, found)
        path = f"/api/tasks/{task_id}/backup/download?rq_id={quote(request_id, safe='')}"
        request.result_url = state.url + path

    request = Request(
        request_id,
        "export:backup",
        "task",
        work,
        state.background_polls,
        found.project_id,
        task_id,
    )
    return ok({"rq_id": state.add_request(request).id}, 202)


def download_backup(call: Call, task_id: int) -> Answer:
    return download(call, "tasks", task_id)


def import_backup(call: Call) -> Answer:
    state = call.state
    if "Upload-Start" in call.headers:
        return ok(None, 202)
    if "Tus-Resumable" in call.headers:
        return create_tus(call, "/api/tasks/backup", None)
    packed = bytes(call.stand_in.uploads.pop(call.query["filename"]))
    request_id = f"action=import&target=task&id={uuid.uuid4()}&subresource=backup"

    def work() -> None:
        try:
            request.result_id = backups.restore(state, packed).id
        except Refusal as refusal:
            raise BackgroundError(
                f"rest_framework.exceptions.ValidationError: {refusal.body}"
            ) from None

    request = Request(request_id, "import:backup", "task", work, state.background_polls)
    return ok({"rq_id": state.add_request(request).id}, 202)


def request(call: Call, request_id: str) -> Answer:
    found = call.state.requests.get(request_id)
    if found is None:
        raise _NO_REQUEST
    found.look()
    return ok(call.state.show_request(found))


def requests(call: Call) -> Answer:
    query = call.query
    found = [
        one
        for one in call.state.requests.values()
        if query.get("task_id") in (None, str(one.task_id))
        and query.get("action") in (None, one.kind.partition(":")[0])
        and query.get("status") in (None, one.status)
    ]
    return call.page([call.state.show_request(one) for one in found])


def formats(call: Call) -> Answer:
    shown = {"name": yolo_pose.FORMAT, "ext": "ZIP", "version": "1.0", "enabled": True}
    return ok({"importers": [shown], "exporters": [shown]})


_N = r"(\d+)"
_KIND = "(tasks|projects|jobs)"
_TUS = r"/api/tasks/(?:backup|\d+/(?:annotations|data))/(1_[0-9a-f-]+)"
ROUTES: list[tuple[str, str, Any, bool]] = [
    ("GET", "/api/server/about", about, False),
    ("GET", "/api/server/annotation/formats", formats, True),
    ("POST", "/api/auth/login", log_in, False),
    ("POST", "/api/auth/logout", log_out, True),
    ("GET", "/api/users/self", whoami, True),
    ("GET", "/api/users", users, True),
    ("GET", "/api/organizations", organizations, True),
    ("GET", "/api/projects", projects, True),
    ("POST", "/api/projects", make_project, True),
    ("GET", f"/api/projects/{_N}", project, True),
    ("PATCH", f"/api/projects/{_N}", change_project, True),
    ("DELETE", f"/api/projects/{_N}", delete_project, True),
    ("POST", "/api/guides", make_guide, True),
    ("GET", "/api/labels", labels, True),
    ("PATCH", f"/api/labels/{_N}", change_label, True),
    ("GET", "/api/tasks", tasks, True),
    ("POST", "/api/tasks", make_task, True),
    ("POST", "/api/tasks/backup/", import_backup, True),
    ("GET", f"/api/tasks/{_N}", task, True),
    ("PATCH", f"/api/tasks/{_N}", change_task, True),
    ("DELETE", f"/api/tasks/{_N}", delete_task, True),
    ("POST", f"/api/tasks/{_N}/data/", upload_data, True),
    ("GET", f"/api/tasks/{_N}/data/", frame_data, True),
    ("GET", f"/api/tasks/{_N}/data/meta", meta, True),
    ("PATCH", f"/api/tasks/{_N}/data/meta", change_meta, True),
    ("GET", f"/api/tasks/{_N}/annotations/", get_annotations, True),
    ("PUT", f"/api/tasks/{_N}/annotations/", put_annotations, True),
    ("PATCH", f"/api/tasks/{_N}/annotations/", patch_annotations, True),
    ("DELETE", f"/api/tasks/{_N}/annotations/", delete_annotations, True),
    ("POST", f"/api/tasks/{_N}/annotations/", import_annotations, True),
    ("PATCH", _TUS, append_tus, True),
    ("HEAD", _TUS, head_tus, True),
    ("GET", "/api/jobs", jobs, True),
    ("GET", f"/api/jobs/{_N}", job, True),
    ("PATCH", f"/api/jobs/{_N}", change_job, True),
    ("GET", f"/api/jobs/{_N}/annotations/", job_annotations, True),
    ("POST", f"/api/{_KIND}/{_N}/dataset/export", export, True),
    ("GET", f"/api/{_KIND}/{_N}/dataset/download", download, True),
    ("POST", f"/api/tasks/{_N}/backup/export", export_backup, True),
    ("GET", f"/api/tasks/{_N}/backup/download", download_backup, True),
    ("GET", "/api/requests", requests, True),
    ("GET", "/api/requests/(.+)", request, True),
]
