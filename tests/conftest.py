"""What every test shares: an isolated FiftyOne, the sample clip, and where shared material lies."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOME = Path(tempfile.mkdtemp(prefix="legpose-tests-"))


def _start_mongod() -> "subprocess.Popen[bytes] | None":
    """Start a database of the tests' own, where FiftyOne has brought one.

    FiftyOne joins whatever mongod of its own already runs on the machine, and others join ours:
    tests beside an open App would write into each other's data. This one it does not know.
    """
    found = importlib.util.find_spec("fiftyone")
    [package] = found.submodule_search_locations if found else [""]
    binary = Path(package) / "db" / "bin" / "mongod"
    if os.environ.get("FIFTYONE_DATABASE_URI") or not binary.exists():
        return None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = _HOME / "mongo"
    folder.mkdir()
    options = ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.5", "--quiet"]
    command = [str(binary), "--dbpath", str(folder), "--port", str(port), *options]
    os.environ["FIFTYONE_DATABASE_URI"] = f"mongodb://127.0.0.1:{port}"
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


# Set before anything imports fiftyone or ultralytics, so that no test touches the user's own.
_MONGOD = _start_mongod()
os.environ["FIFTYONE_DATABASE_NAME"] = _HOME.name
os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
os.environ["FIFTYONE_DEFAULT_DATASET_DIR"] = str(_HOME / "datasets")
os.environ["FIFTYONE_DATASET_ZOO_DIR"] = str(_HOME / "datasets")
os.environ["FIFTYONE_MODEL_ZOO_DIR"] = str(_HOME / "models")
os.environ["FIFTYONE_PLUGINS_DIR"] = str(_HOME / "plugins")
os.environ["FIFTYONE_SHOW_PROGRESS_BARS"] = "false"
os.environ["YOLO_CONFIG_DIR"] = str(_HOME / "ultralytics")
os.environ["YOLO_OFFLINE"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "2")
for _name in [n for n in os.environ if n.startswith("FIFTYONE_CVAT_")]:
    if not os.environ.get("LEGPOSE_CVAT_URL"):
        del os.environ[_name]

import pytest  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "fiftyone_legpose" / "assets" / "sample"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drive the browser last.

    Playwright leaves an event loop running in the main thread, and where one runs FiftyOne's
    operators hand out tasks instead of results.
    """
    items.sort(key=lambda item: item.path.parent.name == "app")


def pytest_sessionfinish() -> None:
    """Leave neither files nor a database behind."""
    if _MONGOD is not None:
        _MONGOD.terminate()
        _MONGOD.wait()
    elif "fiftyone" in sys.modules:
        from fiftyone.core.odm import drop_database

        drop_database()
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def locks_of_their_own(monkeypatch: pytest.MonkeyPatch):
    """Leave no locks in the user's home."""
    monkeypatch.setattr("cvat_bridge.one_at_a_time.FOLDER", _HOME / "locks")


@pytest.fixture(scope="session")
def sample_clip() -> Path:
    return SAMPLE / "legs_sample.mp4"


@pytest.fixture(scope="session")
def sample_labels() -> Path:
    return SAMPLE / "legs_sample.json"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings and training material that is not part of the repository."""
    folder = Path(os.environ.get("LEGPOSE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared material at {folder} (set LEGPOSE_SHARED)")
    return folder


@pytest.fixture
def cvat_server(monkeypatch: pytest.MonkeyPatch):
    """A CVAT server of the test's own, which has stored poses as soon as a connection breaks."""
    from cvat_bridge import connect
    from tests.cvat_server import CvatServer

    monkeypatch.setitem(connect.__kwdefaults__, "settle_s", 0.0)
    with CvatServer() as server:
        yield server


@pytest.fixture
def dataset_name(request: pytest.FixtureRequest):
    """A name for a dataset that is deleted after the test."""
    import fiftyone as fo

    name = f"test-{request.node.name[:60]}-{os.getpid()}"
    yield name
    for left in fo.list_datasets(glob_patt=f"{name}*"):
        fo.delete_dataset(left)


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory, sample_clip: Path) -> Path:
    """Twelve frames of the sample clip, half size: enough to run a model on."""
    clip = tmp_path_factory.mktemp("clips") / "short.mp4"
    make_clip(sample_clip, clip, "-frames:v", "12", "-vf", "scale=304:264")
    return clip


def make_clip(source: Path, target: Path, *options: str) -> Path:
    """Write a clip with ffmpeg, for tests that need one of a certain kind."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True)
    return target


def turn_clip(source: Path, target: Path) -> Path:
    """Write a clip that a player turns by 90 degrees, as phones do."""
    # ffmpeg 6 took the option in, ffmpeg 7 the metadata out.
    for before, after in ((["-display_rotation", "90"], []), ([], ["-metadata:s:v", "rotate=90"])):
        command = ["ffmpeg", "-v", "error", "-y", *before, "-i", str(source), "-c", "copy", *after]
        if subprocess.run([*command, str(target)], check=False).returncode == 0:
            return target
    raise AssertionError("this ffmpeg cannot write a rotated video")


@contextmanager
def smallest_files() -> Iterator[None]:
    """Let this process and those it starts write no more than 1 kB into a file."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def damage_frames(path: Path, *frames: int) -> None:
    """Overwrite frames of a video, counted from 1 in the order of the file."""
    asked = ["-select_streams", "v:0", "-show_entries", "packet=pos,size", "-of", "csv=p=0"]
    told = subprocess.run(
        ["ffprobe", "-v", "error", *asked, str(path)], capture_output=True, text=True, check=True
    ).stdout.split()
    with path.open("r+b") as file:
        for frame in frames:
            size, position = told[frame - 1].split(",")[:2]
            file.seek(int(position))
            file.write(b"\xff" * int(size))
