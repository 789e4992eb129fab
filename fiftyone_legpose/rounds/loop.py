"""loop: predict, select, push, and, when the person is done, pull, train, evaluate, again.

The loop is no process that has to stay alive. Where each round stands follows from what the
dataset and the registry of weights hold anyway; a call does whatever can be done now and returns.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any, Unpack, get_args

import fiftyone as fo

from cvat_bridge.errors import (
    AddressError,
    BusyError,
    FormatError,
    NotCvatError,
    ServerTroubleError,
)
from fiftyone_legpose.cvat.login import Login, find_login
from fiftyone_legpose.cvat.results import is_begun
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_dataset
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.files import writing
from fiftyone_legpose.prediction.inference import SwitchOptions, takes_inference
from fiftyone_legpose.prediction.predict import predict
from fiftyone_legpose.progress import Report
from fiftyone_legpose.review.handover import handover_name
from fiftyone_legpose.review.lost_frames import release_lost
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from fiftyone_legpose.rounds.standing import LoopState, loop_state, version_name
from fiftyone_legpose.selection.select import select
from fiftyone_legpose.selection.strategies import Strategy
from fiftyone_legpose.training.train import train as train_verb
from fiftyone_legpose.training.trainer_run import is_training_begun
from fiftyone_legpose.zoo import registry

logger = logging.getLogger(__name__)


_LONGEST_PAUSE_S = 900.0
_PASSING = (AddressError, NotCvatError, ServerTroubleError, BusyError)
"""What a server that restarts, its proxy or the way to it answers with for a while."""


@takes_inference
@takes_name("dataset")
def loop(
    dataset: fo.Dataset,
    *,
    rounds: int,
    count: int,
    strategy: Strategy = "review",
    project: str | None = None,
    handover: str | Path | None = None,
    as_tracks: bool = False,
    login: Login | None = None,
    train: bool = True,
    min_new: int | None = None,
    promote: bool = True,
    epochs: int = 200,
    imgsz: int | None = None,
    allow_shared_subjects: bool = False,
    prediction: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    watch: bool = False,
    poll_s: float = 60.0,
    progress: Report | bool | None = None,
    **inference: Unpack[SwitchOptions],
) -> LoopState:
    """Do what can be done now of a loop of rounds, and tell what it waits for.

    A round is predict, select and push; then a person corrects the frames in CVAT. Called again,
    it pulls what is finished, trains when enough is new, compares the new weights with the old
    ones, and begins the next round. Killed anywhere, the next call goes on. Frames that were
    deleted in CVAT, or whose task is gone, are not waited for: once the rest of their round is
    back they can be selected again. Which weights are better is measured without the switches that
    `predict` is told.

    Parameters
    ----------
    dataset
        Video or image dataset.
    rounds
        How many there are to be in all.
    count
        Frames a round.
    strategy
        Of `select`.
    project
        CVAT project to push to.
    handover
        Folder to exchange files through instead of CVAT's interface. A round's frames are written
        to ``<key>-<id>.zip``, a backup that CVAT makes a task of; what CVAT exports of that task
        is to be put beside it as ``<key>-<id>-export.zip``. The id tells datasets apart.
    as_tracks
        Push persons as tracks.
    login
        As for `push`.
    train
        Whether to train after a round; otherwise the next one begins with the same weights.
    min_new
        Reviewed frames after which a round is trained on, though others are still out; by default
        all of the round's.
    promote
        Whether new weights become the default if they beat it; the next round uses the default.
    epochs
        Of each training.
    imgsz
        Longer side in px of the model's input in each training; by default the size that the
        weights in use were trained at, which is also what they predict at.
    allow_shared_subjects
        See `train`.
    prediction
        Further options of `predict`, for example ``{"imgsz": 480}``.
    training
        Further options of `train`, for example ``{"lr0": 0.0005}``.
    watch
        Stay and look again every `poll_s` seconds until all rounds are done. A server that cannot
        be reached for a while, after it could be, is logged and asked again, ever less often. A
        file from CVAT that cannot be read is told once and read again: it may be on its way.
    poll_s
        Seconds between looks.
    progress
        See `fiftyone_legpose.progress.reporting`.
    **inference
        Switches of `prediction.inference.Inference` for `predict`, for example ``voting=True``;
        those that a call does not name stay as `predict` had them.

    Returns
    -------
    LoopState

    Raises
    ------
    DatasetError
        It is given no dataset, or options that cannot be.
    LegposeError, CvatError
        What the verbs raise; nothing that was done is lost.
    """
    check_dataset(dataset)
    _check(rounds, count, strategy, min_new)
    if watch and not poll_s > 0:
        raise DatasetError(f"poll_s is {poll_s}: give the seconds to wait between looks.")
    folder = None if handover is None else Path(handover).expanduser()
    if folder is not None:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    go_on = partial(
        _go_on,
        dataset,
        rounds=rounds,
        min_new=min_new,
        prediction={**inference, **(prediction or {})},
        selection={"count": count, "strategy": strategy},
        sending={"project": project, "as_tracks": as_tracks},
        folder=folder,
        training={
            "promote": promote,
            "epochs": epochs,
            "imgsz": imgsz,
            "allow_shared_subjects": allow_shared_subjects,
            "compare": True,
            **(training or {}),
        }
        if train
        else None,
        watch=watch,
        login=login,
        notes=[],
        progress=progress,
    )
    state = go_on()
    return _watch(go_on, state, poll_s) if watch else state


def _check(rounds: int, count: int, strategy: str, min_new: int | None) -> None:
    if rounds < 1 or count < 1:
        raise DatasetError(f"A loop needs rounds and frames, not rounds={rounds}, count={count}.")
    if strategy not in get_args(Strategy):
        known = ", ".join(get_args(Strategy))
        raise DatasetError(f"There is no strategy {strategy!r}; take one of {known}.")
    if min_new is not None and min_new < 1:
        raise DatasetError(f"min_new is {min_new}: a round is trained on at least one new frame.")


def _go_on(
    dataset: fo.Dataset,
    *,
    rounds: int,
    min_new: int | None,
    prediction: Mapping[str, Any],
    selection: Mapping[str, Any],
    sending: Mapping[str, Any],
    folder: Path | None,
    training: Mapping[str, Any] | None,
    watch: bool,
    login: Login | None,
    notes: list[str],
    progress: Report | bool | None,
) -> LoopState:
    """Do what can be done now; the options of each verb come together."""
    if training is not None:
        _finish_training(dataset, min_new, training, progress)
    while True:
        for begun in loop_state(dataset).rounds:
            if begun.out and begun.stage != "push":
                _note(notes, _pull(dataset, begun.key, folder, watch, login, progress))
        state = loop_state(dataset, rounds=rounds, train=training is not None, min_new=min_new)
        state = replace(state, notes=tuple(notes))
        current = state.rounds[-1]
        if current.stage == "train":
            name = version_name(dataset, current.number)
            train_verb(dataset, name=name, progress=progress, **(training or {}))
        elif current.stage == "push":
            # A push that was interrupted goes on with the frames that it had.
            if not is_begun(dataset, current.key):
                if folder is None:
                    # To predict takes hours, and without a login they would end in an error.
                    find_login(login).connect().close()
                failures = predict(dataset, progress=progress, **prediction).failures
                _note(notes, [f"{f['path']} was left out: {f['reason']}." for f in failures])
                if not len(select(dataset, progress=progress, **selection)):
                    left = "no frame is left to choose: load more videos"
                    return replace(state, notes=tuple(notes), next_step=left)
            backup = (
                None if folder is None else folder / f"{handover_name(dataset, current.key)}.zip"
            )
            push(dataset, current.key, login=login, backup=backup, progress=progress, **sending)
        else:
            if current.stage == "review" and folder is not None:
                where = f"; CVAT's export goes to {_export_file(dataset, current.key, folder)}"
                state = replace(state, next_step=state.next_step + where)
            return state


def _finish_training(
    dataset: fo.Dataset,
    min_new: int | None,
    training: Mapping[str, Any],
    progress: Report | bool | None,
) -> None:
    """Go on with a training that was interrupted, before corrections that came since change it."""
    for round_ in loop_state(dataset, min_new=min_new).rounds:
        name = version_name(dataset, round_.number)
        if round_.stage == "train" and (registry.has_version(name) or is_training_begun(name)):
            train_verb(dataset, name=name, progress=progress, **training)


def _note(notes: list[str], new: Iterable[str]) -> None:
    """Keep what the caller is to be told, and log it at once: what comes next can fail."""
    for note in new:
        if note not in notes:
            logger.warning(note)
            notes.append(note)


def _watch(go_on: Callable[[], LoopState], state: LoopState, poll_s: float) -> LoopState:
    """Look again until no reviewer is waited for, through times without a connection."""
    pause_s = poll_s
    while state.rounds[-1].stage == "review":
        sleep(pause_s)
        try:
            state = go_on()
        except _PASSING as error:
            pause_s = min(2 * pause_s, max(poll_s, _LONGEST_PAUSE_S))
            logger.warning("%s The loop looks again in %g s.", error, pause_s)
        else:
            pause_s = poll_s
    return state


def _pull(
    dataset: fo.Dataset,
    key: str,
    folder: Path | None,
    watch: bool,
    login: Login | None,
    progress: Report | bool | None,
) -> list[str]:
    """Fetch what is finished of a round, and say what of it cannot come back."""
    export = None if folder is None else _export_file(dataset, key, folder)
    if export is not None and not export.is_file():
        return []
    try:
        pulled = pull(dataset, key, login=login, export=export, progress=progress)
    except FormatError as error:
        if export is None or not watch:
            raise
        return [f"{error} The loop reads {export.name} again: it may not be copied whole yet."]
    return release_lost(dataset, key, pulled, login)


def _export_file(dataset: fo.Dataset, key: str, folder: Path) -> Path:
    return folder / f"{handover_name(dataset, key)}-export.zip"
