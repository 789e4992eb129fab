"""The panel "Leg pose": where the loop stands, what comes next, the open video over time."""

from dataclasses import asdict
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.frames import is_cut_out
from fiftyone_legpose.panels import figures
from fiftyone_legpose.panels.worst import worst_frames
from fiftyone_legpose.rounds.standing import Standing, next_step, read_standing

PLUGIN = "@legpose/legpose"
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
_CONFIG = {"displayModeBar": False, "responsive": True}
_AS_WIDE_AS_THE_PANEL = {"table": {"sx": {"minWidth": 0}}}
"""The App's own tables are at least 650 px wide, which hides their buttons in narrower panels."""


class LegPose(foo.Panel):
    """What people look at: counts, the next step, time courses, comparisons."""

    @property
    def config(self) -> foo.PanelConfig:
        """FiftyOne's description of the panel."""
        return foo.PanelConfig(
            name="leg_pose",
            label="Leg pose",
            icon="directions_walk",
            surfaces="grid modal",
            help_markdown=(
                "Where the dataset stands, what comes next, and the open video over time. "
                "Click a point of a time course and the video goes to that frame."
            ),
        )

    def on_load(self, ctx: Any) -> None:
        """Count, and read the open video and the last evaluation."""
        self.refresh(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        """Start anew with another dataset."""
        ctx.panel.state.person = None
        self.refresh(ctx)

    def on_change_current_sample(self, ctx: Any) -> None:
        """Read the video that was opened."""
        ctx.panel.state.person = None
        self._read_video(ctx)

    def refresh(self, ctx: Any) -> None:
        """Read everything again, for example after a verb was run."""
        if ctx.dataset is None:
            return
        ctx.panel.state.standing = asdict(read_standing(ctx.dataset))
        self._read_video(ctx)
        self._read_evaluation(ctx)

    def run(self, ctx: Any) -> None:
        """Open the form of a verb, and read everything again when it is done."""
        verb = ctx.params["verb"]
        ctx.prompt(f"{PLUGIN}/{verb}", on_success=self.refresh)

    def show_person(self, ctx: Any) -> None:
        """Show another person of the video."""
        ctx.panel.state.person = ctx.params.get("value")
        self._read_video(ctx)

    def show_curve(self, ctx: Any) -> None:
        """Show another trajectory."""
        ctx.panel.state.curve = ctx.params.get("value")
        self._read_video(ctx)

    def go_to_time(self, ctx: Any) -> None:
        """Take the video player to the point that was clicked."""
        video = ctx.panel.state.video or {}
        if ctx.params.get("x") is None or not video:
            return
        frame = round(float(ctx.params["x"]) * video["frame_rate"]) + 1
        _open(ctx, video["sample"], min(max(frame, 1), video["frames"]))

    def open_worst(self, ctx: Any) -> None:
        """Open a frame of the list."""
        row = (ctx.panel.state.worst_rows or [])[int(ctx.params["row"])]
        _open(ctx, row["sample"], row["frame"])

    def _read_video(self, ctx: Any) -> None:
        from fiftyone_legpose.dataset.file_names import file_names
        from fiftyone_legpose.panels.tracks import CURVES, read_track

        sample = _sample_in_view(ctx)
        track = None
        if sample is not None:
            person = ctx.panel.state.person
            track = read_track(
                ctx.dataset, sample, fields.PREDICTIONS, None if person is None else int(person)
            )
        if track is None:
            ctx.panel.state.video = None
            return
        metadata = ctx.dataset[sample].metadata
        ctx.panel.state.video = {
            "sample": sample,
            "name": file_names(ctx.dataset.select(sample))[0],
            "frame_rate": float(metadata.frame_rate),
            "frames": int(track.frame[-1]),
            "person": str(track.person),
            "persons": [[str(t), n] for t, n in list(track.persons.items())[:6]],
        }
        name = ctx.panel.state.curve or CURVES[0]
        ctx.panel.set_data(
            {
                "timeline": figures.timeline(track),
                "trajectory": figures.trajectory(track, name),
            }
        )

    def _read_evaluation(self, ctx: Any) -> None:
        from fiftyone_legpose.evaluation.result import list_evaluations, load_evaluation

        keys = list_evaluations(ctx.dataset)
        if not keys:
            ctx.panel.state.evaluation = None
            return
        evaluation = load_evaluation(ctx.dataset, keys[-1])
        rows = worst_frames(ctx.dataset, evaluation)
        ctx.panel.state.evaluation = {
            "counts": evaluation.counts,
            "table": figures.headline_table(evaluation),
        }
        ctx.panel.state.worst_rows = rows
        ctx.panel.set_data(
            {
                "joint_errors": figures.joint_errors(evaluation),
                "pck": figures.pck_curves(evaluation),
                "worst": [{**row, "error": f"{row['error']:.2f}"} for row in rows],
            }
        )

    def render(self, ctx: Any) -> types.Property:
        """Lay the panel out."""
        panel = types.Object()
        state = ctx.panel.state
        seen = Standing(**state.standing) if state.standing else None
        if ctx.current_sample and state.video:
            self._render_video(panel, state)
        if seen:
            panel.md(standing_line(seen), name="counts")
            self._render_steps(panel, seen)
            if not state.video and seen.predicted and seen.media == "video":
                panel.md("Open a video to see it over time here.", name="no_video")
        if not ctx.current_sample and state.video:
            self._render_video(panel, state)
        if state.evaluation and not ctx.current_sample:
            self._render_evaluation(panel, state.evaluation)
        view = types.GridView(orientation="vertical", gap=2, pad=2)
        return types.Property(panel, view=view)

    def _render_steps(self, panel: types.Object, seen: Standing) -> None:
        step = next_step(seen)
        panel.md(f"**Next:** {step.reason}", name="next_reason")
        buttons = panel.h_stack("steps", gap=1, align_y="center")
        buttons.btn(
            "next",
            label=step.label,
            variant="contained",
            on_click=self.run,
            params={"verb": step.verb},
        )
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

    def _render_video(self, panel: types.Object, state: Any) -> None:
        from fiftyone_legpose.panels.tracks import CURVES

        video = state.video
        panel.md(
            f"**{video['name']}**: click a point and the video goes there. The icons beside this "
            "panel's tab put it next to the video.",
            name="video_name",
        )
        if len(video["persons"]) > 1:
            choices = types.Dropdown()
            for track, frames in video["persons"]:
                name = "without a track" if track == "-1" else track
                choices.add_choice(track, label=f"Person {name}: {frames} frames")
            panel.enum(
                "person_choice",
                choices.values(),
                default=video["person"],
                view=choices,
                label="Person",
                on_change=self.show_person,
            )
        panel.plot(
            "timeline",
            layout=figures.layout("seconds", "0 to 1"),
            config=_CONFIG,
            on_click=self.go_to_time,
        )
        name = state.curve or CURVES[0]
        curves = types.Dropdown()
        for curve in CURVES:
            curves.add_choice(curve, label=curve)
        panel.enum(
            "curve_choice",
            curves.values(),
            default=name,
            view=curves,
            label="Trajectory",
            on_change=self.show_curve,
        )
        unit = "degrees" if name.endswith("angle") else "px"
        panel.plot(
            "trajectory",
            layout=figures.layout("seconds", unit),
            config=_CONFIG,
            on_click=self.go_to_time,
        )

    def _render_evaluation(self, panel: types.Object, evaluation: dict[str, Any]) -> None:
        counts = evaluation["counts"]
        panel.md(
            f"**Comparison** on {counts['persons']} persons in {counts['frames']} corrected frames",
            name="comparison_title",
        )
        panel.plot(
            "joint_errors",
            layout=figures.layout("", "median error, px", barmode="group"),
            config=_CONFIG,
        )
        panel.plot(
            "pck",
            layout=figures.layout("leg lengths", "points within", y_range=(0, 1.05)),
            config=_CONFIG,
        )
        panel.md(evaluation["table"], name="comparison_table")
        panel.md("**Worst frames**: the button opens the video there.", name="worst_title")
        table = types.TableView(componentsProps=_AS_WIDE_AS_THE_PANEL)
        for column, label in (("video", "Video"), ("frame", "Frame"), ("error", "Error")):
            table.add_column(column, label=label)
        table.add_row_action(
            "open", self.open_worst, icon="visibility", label="Open", tooltip="Open this frame"
        )
        panel.list("worst", types.Object(), view=table)


def standing_line(seen: Standing) -> str:
    """Write the counts as one line, which wraps in a narrow panel as no table does."""
    counts = {
        f"{seen.media}{'' if seen.samples == 1 else 's'}": seen.samples,
        "frames": seen.frames,
        "predicted": seen.predicted,
        "selected": seen.selected,
        "out for review": seen.out,
        "corrected": seen.corrected,
        "empty": seen.empty,
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


def _open(ctx: Any, sample: str, frame: int) -> None:
    is_open = ctx.current_sample and _sample_in_view(ctx) == sample
    if not is_open:
        ctx.ops.open_sample(id=sample)
    if ctx.dataset.media_type == "video":
        ctx.trigger(GO_TO_FRAME, {"sample": None if is_open else sample, "frame": frame})
