"""The panel "Leg pose": where the loop stands, what comes next, the open video over time."""

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_legpose import jobs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.dataset.frame_times import video_times
from fiftyone_legpose.dataset.frames import is_cut_out
from fiftyone_legpose.evaluation.result import Evaluation, list_evaluations, load_evaluation
from fiftyone_legpose.panels import figures
from fiftyone_legpose.panels.at_work import has_changed, render_jobs, show_outcome
from fiftyone_legpose.panels.tracks import CURVES, Track, read_track
from fiftyone_legpose.panels.worst import worst_frames
from fiftyone_legpose.rounds.standing import Standing, Step, next_step, read_standing
from fiftyone_legpose.rounds.verdict import Verdict
from fiftyone_legpose.zoo import registry

PLUGIN = "@legpose/legpose"
NAME = "leg_pose"
STOP = f"{PLUGIN}/{NAME}#cancel"
"""What a button calls to stop a verb; see `LegPose.cancel`."""
GO_TO_FRAME = f"{PLUGIN}/go_to_frame"

_OTHER_VERBS = (
    (("load", "Load"), ("predict", "Predict"), ("select", "Select"), ("push", "Push")),
    (
        ("status", "Status"),
        ("pull", "Pull"),
        ("evaluate", "Evaluate"),
        ("train", "Train"),
        ("export", "Export"),
    ),
)
_PERSON_OF = "person_of_"
"""With the video's id: the App keeps what was chosen, and a person is one of a single video."""
_WORST = "worst_"
"""With the evaluation's key: a row is one of a single evaluation."""
_WORST_COLUMNS = {"video": "Video", "frame": "Frame", "error": "Error, leg lengths"}
_MOST_PERSONS = 6
_LEAVE_THE_PANEL = ("run", "tick", "cancel", "go_to_time", "open_worst")
_CONFIG = {"displayModeBar": False, "responsive": True}
_AS_WIDE_AS_THE_PANEL = {"table": {"sx": {"minWidth": 0}}}
"""The App's own tables are at least 650 px wide, which hides their buttons in narrower panels."""


class LegPose(foo.Panel):
    """What people look at: counts, the next step, time courses, comparisons."""

    @property
    def config(self) -> foo.PanelConfig:
        """FiftyOne's description of the panel."""
        return foo.PanelConfig(
            name=NAME,
            label="Leg pose",
            icon="directions_walk",
            surfaces="grid modal",
            help_markdown=(
                "Where the dataset stands, what comes next, and the open video over time. "
                "Click a point of a time course and the video goes to that frame."
            ),
        )

    def execute(self, ctx: Any) -> Any:
        """Handle an event, and draw the panel anew unless the event leaves it as it is."""
        handler = ctx.params.get("__method__")
        return getattr(self, handler)(ctx) if handler in _LEAVE_THE_PANEL else super().execute(ctx)

    def refresh(self, ctx: Any) -> None:
        """Draw everything anew: `render` reads it."""

    on_load = on_change_dataset = on_change_current_sample = show_person = refresh

    def run(self, ctx: Any) -> None:
        """Open the form of a verb, and read everything again when it is done."""
        verb = ctx.params["verb"]
        ctx.prompt(f"{PLUGIN}/{verb}", on_success=self.refresh)

    def use(self, ctx: Any) -> None:
        """Make a version of the weights the one in use."""
        registry.use_version(ctx.params["version"])

    def tick(self, ctx: Any) -> None:
        """Tell how far the work is, and what became of it; draw anew what has changed."""
        ended = jobs.take_ended(ctx.dataset_name)
        if ended is not None:
            show_outcome(ctx, ended.verb, ended.outcome)
        if has_changed(ctx):
            ctx.ops.show_panel_output(self.render(ctx))

    def cancel(self, ctx: Any) -> None:
        """Stop a verb; what is finished is kept."""
        for job in jobs.running(ctx.dataset_name):
            if job.verb == ctx.params["verb"]:
                job.cancel()

    def show_curve(self, ctx: Any) -> None:
        """Show another trajectory."""
        ctx.panel.state.curve = ctx.params.get("value")

    def go_to_time(self, ctx: Any) -> None:
        """Take the video player to the point that was clicked."""
        sample = _sample_in_view(ctx)
        if ctx.params.get("x") is None or sample is None:
            return
        times_s, clicked_s = video_times(ctx.dataset.select(sample)), float(ctx.params["x"])
        _open(ctx, sample, min(times_s, key=lambda number: abs(times_s[number] - clicked_s)))

    def open_worst(self, ctx: Any) -> None:
        """Open a frame of the list, which bears the name of the evaluation that it was made of."""
        key = ctx.params["path"].removeprefix(_WORST)
        row = worst_frames(ctx.dataset, load_evaluation(ctx.dataset, key))[int(ctx.params["row"])]
        _open(ctx, row["sample"], row["frame"])

    def render(self, ctx: Any) -> types.Property:
        """Read the dataset and lay the panel out.

        All numbers go into the layout, which the App replaces as a whole. Lists in the panel's data
        or state would be merged by position with whatever was there before: a short video would end
        in the points of a longer one.
        """
        panel = types.Object()
        if ctx.dataset is not None:
            sample = _sample_in_view(ctx)
            track = None if sample is None else _read_track(ctx, sample)
            if ctx.current_sample and track:
                self._render_video(panel, ctx, track)
            seen = read_standing(ctx.dataset)
            panel.md(standing_line(seen), name="counts")
            render_jobs(panel, ctx, tick=self.tick, cancel=self.cancel)
            self._render_steps(panel, seen)
            if not track and seen.predicted and seen.media == "video":
                panel.md("Open a video to see it over time here.", name="no_video")
            if not ctx.current_sample:
                if track:
                    self._render_video(panel, ctx, track)
                self._render_evaluation(panel, ctx.dataset)
        view = types.GridView(orientation="vertical", gap=2, pad=2)
        return types.Property(panel, view=view)

    def _render_steps(self, panel: types.Object, seen: Standing) -> None:
        step = next_step(seen)
        if seen.verdict is not None:
            panel.md(f"**Verdict:** {seen.verdict}", name="verdict")
        panel.md(f"**Next:** {step.reason}", name="next_reason")
        buttons = panel.h_stack("steps", gap=1, align_y="center")
        buttons.btn(
            "next",
            label=step.label,
            variant="contained",
            on_click=self.use if step.verb == "use" else self.run,
            params={"verb": step.verb, "version": step.version},
        )
        if seen.verdict is not None:
            self._offer_versions(buttons, seen, seen.verdict, step)
        buttons.btn(
            "refresh", label="Refresh", icon="refresh", variant="square", on_click=self.refresh
        )
        # Two rows: in a narrow panel one of them all would push everything to the right.
        for row, verbs in enumerate(_OTHER_VERBS):
            others = panel.h_stack(f"others_{row}", gap=1)
            for verb, label in verbs:
                if verb != step.verb:
                    others.btn(
                        f"do_{verb}",
                        label=label,
                        variant="outlined",
                        on_click=self.run,
                        params={"verb": verb},
                    )

    def _offer_versions(
        self, buttons: types.Object, seen: Standing, verdict: Verdict, step: Step
    ) -> None:
        for version in (verdict.version, verdict.other):
            if version not in (seen.weights, step.version):
                buttons.btn(
                    f"use_{version}",
                    label=f"Use {version}",
                    variant="outlined",
                    on_click=self.use,
                    params={"version": version},
                )

    def _render_video(self, panel: types.Object, ctx: Any, track: Track) -> None:
        [name] = file_names(ctx.dataset.select(track.sample_id))
        panel.md(
            f"**{name}**: click a point and the video goes there. The icons beside this panel's "
            "tab put it next to the video.",
            name="video_name",
        )
        if len(track.persons) > 1:
            _render_persons(panel, track, self.refresh)
        panel.plot(
            "timeline",
            data=figures.timeline(track),
            layout=figures.layout("seconds", "0 to 1"),
            config=_CONFIG,
            on_click=self.go_to_time,
        )
        shown = ctx.panel.state.curve or CURVES[0]
        curves = types.Dropdown()
        for curve in CURVES:
            curves.add_choice(curve, label=curve)
        panel.enum(
            "curve_choice",
            curves.values(),
            default=shown,
            view=curves,
            label="Trajectory",
            on_change=self.show_curve,
        )
        panel.plot(
            "trajectory",
            data=figures.trajectory(track, shown),
            layout=figures.layout("seconds", "degrees" if shown.endswith("angle") else "px"),
            config=_CONFIG,
            on_click=self.go_to_time,
        )

    def _render_evaluation(self, panel: types.Object, dataset: fo.Dataset) -> None:
        keys = list_evaluations(dataset)
        if not keys:
            return
        evaluation = load_evaluation(dataset, keys[-1])
        counts = evaluation.counts
        panel.md(
            f"**Comparison** on {counts['persons']} persons in {counts['frames']} corrected frames",
            name="comparison_title",
        )
        panel.plot(
            "joint_errors",
            data=figures.joint_errors(evaluation),
            layout=figures.layout("", "median error, px", barmode="group"),
            config=_CONFIG,
        )
        panel.plot(
            "pck",
            data=figures.pck_curves(evaluation),
            layout=figures.layout(
                "leg lengths from the correction", "points within", y_range=(0, 1.05)
            ),
            config=_CONFIG,
        )
        _render_headlines(panel, evaluation, keys[-1])
        panel.md("**Worst frames**: the button opens the video there.", name="worst_title")
        table = types.TableView(componentsProps=_AS_WIDE_AS_THE_PANEL)
        for column, label in _WORST_COLUMNS.items():
            table.add_column(column, label=label)
        table.add_row_action(
            "open", self.open_worst, icon="visibility", label="Open", tooltip="Open this frame"
        )
        rows = worst_frames(dataset, evaluation)
        panel.list(
            f"{_WORST}{keys[-1]}",
            types.Object(),
            default=[{**row, "error": f"{row['error']:.2f}"} for row in rows],
            view=table,
        )


def _render_headlines(panel: types.Object, evaluation: Evaluation, key: str) -> None:
    rows = figures.headlines(evaluation)
    table = types.TableView(componentsProps=_AS_WIDE_AS_THE_PANEL)
    table.add_column("measure", label="")
    for i, name in enumerate(evaluation.names):
        table.add_column(figures.column(i), label=figures.shown_name(name))
    for i, row in enumerate(rows):
        table.add_tooltip(i, 0, row["term"])
    panel.list(f"headlines_{key}", types.Object(), default=rows, view=table)


def _render_persons(panel: types.Object, track: Track, on_change: Any) -> None:
    choices = types.Dropdown()
    for person, frames in list(track.persons.items())[:_MOST_PERSONS]:
        name = "without a track" if person < 0 else person
        choices.add_choice(str(person), label=f"Person {name}: {frames} frames")
    panel.enum(
        _PERSON_OF + track.sample_id,
        choices.values(),
        default=str(track.person),
        view=choices,
        label="Person",
        on_change=on_change,
    )


def standing_line(seen: Standing) -> str:
    """Write the counts as one line, which wraps in a narrow panel as no table does."""
    counts = {
        f"{seen.media}{'' if seen.samples == 1 else 's'}": seen.samples,
        "frames": seen.frames,
        "predicted": seen.predicted,
        "selected": seen.selected,
        "out for review": seen.out,
        "corrected": seen.corrected,
        "without anybody": seen.empty,
    }
    if seen.media == "image":
        del counts["frames"]
    told = [f"**{count:,}** {name}" for name, count in counts.items()]
    return " · ".join([*told, f"weights in use: **{seen.weights}**"])


def _sample_in_view(ctx: Any) -> str | None:
    chosen = ctx.current_sample or (ctx.selected[0] if ctx.selected else None)
    if chosen is None or ctx.dataset.media_type != "video":
        return None
    # In a view of clips the App speaks of the clip; the video is what it was cut out of.
    return str(ctx.view[chosen].sample_id if is_cut_out(ctx.view) else chosen)


def _read_track(ctx: Any, sample: str) -> Track | None:
    state, name = ctx.panel.state, _PERSON_OF + sample
    chosen = state.get(name)
    track = read_track(
        ctx.dataset, sample, fields.PREDICTIONS, None if chosen is None else int(chosen)
    )
    if track and chosen not in (None, str(track.person)):
        state.set(name, str(track.person))  # a person of predictions that were replaced since
    return track


def _open(ctx: Any, sample: str, frame: int) -> None:
    is_open = ctx.current_sample and _sample_in_view(ctx) == sample
    if not is_open:
        ctx.ops.open_sample(id=sample)
    if ctx.dataset.media_type == "video":
        ctx.trigger(GO_TO_FRAME, {"sample": None if is_open else sample, "frame": frame})
