"""Start and stop the stand-in, play the reviewer, inject faults."""

import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self

from tests.cvat_server import annotations, yolo_pose
from tests.cvat_server.handler import Handler
from tests.cvat_server.state import Frame, State, Task, now


@dataclass
class Fault:
    """What goes wrong at one request.

    `kind` is "cut" (the connection breaks), "slow", or the HTTP status of an error page. `when`
    is before the server acts, after it acted but before it answers, or during the upload of the
    request's body. A PUT of annotations can also be hit while it is "storing": the server's other
    process goes on serving, and what was sent is there after so many further `requests`. `page` is
    what is answered with that status, instead of CVAT's error page.
    """

    kind: Literal["cut", "slow"] | int
    when: Literal["before", "after", "during", "storing"] = "before"
    seconds: float = 0.0
    requests: int = 0
    page: Any = None


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests, not worth a traceback."""

    def server_bind(self) -> None:
        # HTTPServer.server_bind asks the resolver for the host's name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


class CvatServer:
    """A CVAT of its own for a test.

    `url`, `user`, `password` and `token` log in; `tasks` are what is on it; the methods up to
    `finish` play the reviewer. `faults[n] = Fault(...)` hits the n-th request from now
    (`arm` begins to count), `log` holds every request as (method, path). With `certificate`, a PEM
    of key and certificate, it speaks TLS.
    """

    user = "admin"
    password = "correct horse"
    token = "stand-in-token"

    def __init__(
        self, *, port: int = 0, version: str = "2.54.1", certificate: Path | None = None
    ) -> None:
        self.version = version
        self.lock = threading.RLock()
        self._port = port
        self._certificate = certificate
        self._http: _HttpServer | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.state = State()
        self.sessions: set[str] = set()
        self.uploads: dict[str, bytearray] = {}
        self.upload_names: dict[str, tuple[Task, str]] = {}
        self.uploaded_names: list[str] = []
        self.log: list[tuple[str, str]] = []
        self.faults: dict[int, Fault] = {}
        self._storing: list[tuple[int, Callable[[], Any]]] = []
        if self._http is not None:
            self.state.url = self.url

    def __enter__(self) -> Self:
        self._http = _HttpServer(("127.0.0.1", self._port), Handler)
        self._http.stand_in = self
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._port = self._http.server_address[1]
        self.state.url = self.url
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    @property
    def url(self) -> str:
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}"

    @property
    def tasks(self) -> dict[int, Task]:
        return self.state.tasks

    @property
    def projects(self) -> dict[int, Any]:
        return self.state.projects

    def arm(self, faults: dict[int, Fault]) -> None:
        """Let faults hit the n-th requests from now, counted from 0."""
        with self.lock:
            self.log.clear()
            self.faults = dict(faults)

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            self.log.append((method, path))
            self._storing = [(left - 1, commit) for left, commit in self._storing]
            self._commit(lambda left: left <= 0)
            return self.faults.pop(len(self.log) - 1, None)

    def finish_storing(self) -> None:
        """Commit what is still being stored, as time would."""
        with self.lock:
            self._commit(lambda left: True)

    def _commit(self, is_due: Callable[[int], bool]) -> None:
        due = [commit for left, commit in self._storing if is_due(left)]
        self._storing = [(left, commit) for left, commit in self._storing if not is_due(left)]
        for commit in due:
            commit()

    def store_later(self, path: str, body: bytes, requests: int) -> None:
        """Begin a PUT of annotations that is committed after so many further requests."""
        with self.lock:
            task = self.tasks[int(path.split("/")[3])]
            commit = annotations.begin_replacing(self.state, task, json.loads(body))
            self._storing.append((requests, commit))

    def restart(self) -> None:
        """Restart the server: half uploads are lost, tasks and logins are not."""
        with self.lock:
            self.uploads.clear()
            self.upload_names.clear()
            for request in list(self.state.requests.values()):
                if request.running:
                    del self.state.requests[request.id]

    def task_named(self, name: str) -> Task:
        (found,) = [task for task in self.tasks.values() if task.name == name]
        return found

    def skeletons(self, task_id: int, frame: int) -> list[dict[str, Any]]:
        """The stored skeleton shapes of a frame, to look at or change."""
        return [shape for shape in self.tasks[task_id].shapes if shape["frame"] == frame]

    def move_point(
        self,
        task_id: int,
        frame: int,
        keypoint: str,
        to: tuple[float, float],
        *,
        person: int = 0,
        visibility: int | None = None,
    ) -> None:
        """Drag one point; `visibility` 0, 1 or 2 also sets its flags."""
        with self.lock:
            shape = self.skeletons(task_id, frame)[person]
            element = self._element(task_id, shape, keypoint)
            element["points"] = [float(to[0]), float(to[1])]
            if visibility is not None:
                self._flag(element, visibility)
            self._touch(task_id, frame)

    def set_visibility(
        self, task_id: int, frame: int, keypoint: str, visibility: int, *, person: int = 0
    ) -> None:
        with self.lock:
            shape = self.skeletons(task_id, frame)[person]
            self._flag(self._element(task_id, shape, keypoint), visibility)
            self._touch(task_id, frame)

    def add_skeleton(
        self,
        task_id: int,
        frame: int,
        points: Sequence[tuple[float, float]],
        visibility: Sequence[int] | None = None,
        *,
        label: str | None = None,
    ) -> None:
        """Draw a new person; points in the order of the label's sublabels."""
        with self.lock:
            task = self.tasks[task_id]
            labels = [one for one in self.state.labels_of(task) if one.type == "skeleton"]
            chosen = next(one for one in labels if label in (None, one.name))
            flags = visibility or [2] * len(points)
            elements = [
                {
                    "type": "points",
                    "label_id": sub.id,
                    "frame": frame,
                    "source": "manual",
                    "points": list(xy),
                    "outside": v == 0,
                    "occluded": v == 1,
                }
                for sub, xy, v in zip(chosen.sublabels, points, flags, strict=True)
            ]
            shape = {"type": "skeleton", "label_id": chosen.id, "frame": frame}
            shape |= {"source": "manual", "elements": elements}
            annotations.add(self.state, task, {"shapes": [shape]})
            self._touch(task_id, frame)

    def remove_skeleton(self, task_id: int, frame: int, *, person: int = 0) -> None:
        with self.lock:
            self.tasks[task_id].shapes.remove(self.skeletons(task_id, frame)[person])
            self._touch(task_id, frame)

    def remove_element(self, task_id: int, frame: int, keypoint: str, *, person: int = 0) -> None:
        with self.lock:
            shape = self.skeletons(task_id, frame)[person]
            shape["elements"].remove(self._element(task_id, shape, keypoint))
            self._touch(task_id, frame)

    def delete_frame(self, task_id: int, frame: int) -> None:
        with self.lock:
            self.tasks[task_id].deleted.add(frame)
            self.tasks[task_id].updated = now()

    def restore_frame(self, task_id: int, frame: int) -> None:
        with self.lock:
            self.tasks[task_id].deleted.discard(frame)

    def complete_jobs(self, task_id: int, jobs: Iterable[int] | None = None) -> None:
        """Mark jobs completed: all, or those at these positions of the task."""
        self._set_jobs(task_id, jobs, "acceptance", "completed")

    def reopen_jobs(self, task_id: int, jobs: Iterable[int] | None = None) -> None:
        self._set_jobs(task_id, jobs, "annotation", "in progress")

    def assign_jobs(self, task_id: int, user: str) -> None:
        with self.lock:
            user_id = self.add_user(user)
            for job in self.tasks[task_id].jobs:
                job.assignee = user_id

    def add_organization(self, slug: str) -> int:
        return self.state.organizations.setdefault(slug, len(self.state.organizations) + 1)

    def add_user(self, name: str) -> int:
        for user_id, known in self.state.users.items():
            if known == name:
                return user_id
        user_id = max(self.state.users) + 1
        self.state.users[user_id] = name
        return user_id

    def export(self, task_id: int, *, save_images: bool = False) -> bytes:
        """What a person downloads as "Ultralytics YOLO Pose 1.0"."""
        with self.lock:
            task = self.tasks[task_id]
            return yolo_pose.export(self.state, [task], save_images=save_images)

    def restore_backup(self, packed: bytes) -> Task:
        """What a person does with "Create from backup"."""
        from tests.cvat_server import backups

        with self.lock:
            return backups.restore(self.state, packed)

    def add_video_task(
        self,
        name: str,
        project_id: int,
        frame_count: int,
        size: tuple[int, int] = (640, 480),
        *,
        start: int = 0,
        step: int = 1,
        segment_size: int = 0,
    ) -> Task:
        """A task made from a video file by hand, as the author of the legs model makes his.

        Jobs of `segment_size` frames overlap, by as many frames as CVAT chooses for a video.
        """
        with self.lock:
            task = Task(self.state.new_id("task"), name, project_id, segment_size=segment_size)
            task.video = {"name": f"{name}.mp4", "start": start, "step": step}
            task.has_data, task.data_id = True, self.state.new_id("data")
            self.state.tasks[task.id] = task
            frames = [Frame(f"{name}.mp4", *size) for _ in range(frame_count)]
            self.state.set_frames(task, frames)
            return task

    def draw(self, task_id: int, payload: dict[str, Any]) -> None:
        """Put shapes and tracks on a task as the API would."""
        with self.lock:
            annotations.add(self.state, self.tasks[task_id], payload)

    def _set_jobs(self, task_id: int, jobs: Iterable[int] | None, stage: str, state: str) -> None:
        with self.lock:
            task = self.tasks[task_id]
            for position in range(len(task.jobs)) if jobs is None else jobs:
                job = task.jobs[position]
                job.stage, job.state, job.updated = stage, state, now()

    def _touch(self, task_id: int, frame: int) -> None:
        task = self.tasks[task_id]
        task.updated = now()
        for job in task.jobs:
            if job.start <= frame <= job.stop:
                job.updated = now()
                # The web client does this with the first save.
                job.state = "in progress" if job.state == "new" else job.state

    def _element(self, task_id: int, shape: dict[str, Any], keypoint: str) -> dict[str, Any]:
        labels = self.state.labels_of(self.tasks[task_id])
        ids = {
            sub.name: sub.id
            for one in labels
            if one.id == shape["label_id"]
            for sub in one.sublabels
        }
        return next(e for e in shape["elements"] if e["label_id"] == ids[keypoint])

    @staticmethod
    def _flag(element: dict[str, Any], visibility: int) -> None:
        element["outside"], element["occluded"] = visibility == 0, visibility == 1
