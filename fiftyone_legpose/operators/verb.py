"""What the operators share: configuration, button, form, outcome. Each verb fills in its own."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.operators.types import RiskLevel

from fiftyone_legpose import jobs
from fiftyone_legpose.dataset.appearance import dress
from fiftyone_legpose.dataset.fields import GROUND_TRUTH, PREDICTIONS
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.jobs import Outcome
from fiftyone_legpose.operators.forms import as_path, refuse_wrong_values
from fiftyone_legpose.operators.running import is_app, run
from fiftyone_legpose.progress import Report
from fiftyone_legpose.verb_defaults import default_of, options_of


class Verb(foo.Operator):
    """One verb of the library as an operator; subclasses hold its words, its form and its call."""

    verb: str
    """The verb's name, which is also the command's."""
    title: str
    description: str
    submit: str
    """What the form's button says."""
    icon: str
    """A name of Google's Material Icons, which come with the App."""
    risk = RiskLevel.MEDIUM
    place: types.Places | None = types.Places.SAMPLES_GRID_ACTIONS
    can_delegate = False
    on_view = True
    """Whether it works on the current view or selection, not always on the dataset."""
    when_stopped = "What was finished is kept: the same again goes on from there."
    """What a person reads who has stopped it."""
    needs_predictions = True
    """Whether the button is of use only where there are leg keypoints already."""

    @property
    def config(self) -> foo.OperatorConfig:
        """FiftyOne's description of the operator."""
        return foo.OperatorConfig(
            name=self.verb,
            label=self.title,
            description=self.description,
            icon=self.icon,
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=self.can_delegate,
            risk_level=self.risk,
            view_target=self.on_view,
        )

    paths: tuple[str, ...] = ()
    """Options that are paths, which the App's file browser wraps."""

    def default(self, option: str) -> Any:
        """Read the default of an option in the verb's signature."""
        return default_of(self.verb, option)

    def form(self, ctx: Any, inputs: types.Object) -> None:
        """Add the verb's options to the form."""
        raise NotImplementedError

    def call(self, ctx: Any, options: dict[str, Any], report: Report | None) -> Outcome:
        """Call the verb with what the form holds."""
        raise NotImplementedError

    def is_long(self, ctx: Any) -> bool:
        """Tell whether the form asks for work of many minutes, better scheduled than watched."""
        return False

    def resolve_execution_options(self, ctx: Any) -> foo.ExecutionOptions:
        """Propose to schedule long work, where somebody would do what is scheduled.

        The open-source App offers *Schedule* only with FiftyOne's setting
        ``allow_legacy_orchestrators``; elsewhere such work would wait for ever.
        """
        return foo.ExecutionOptions(
            allow_immediate_execution=True,
            allow_delegated_execution=self.can_delegate,
            default_choice_to_delegated=(
                self.can_delegate and fo.config.allow_legacy_orchestrators and self.is_long(ctx)
            ),
        )

    def resolve_placement(self, ctx: Any) -> types.Placement | None:
        """Put a button above the grid, where the verb is of use."""
        if self.place is None or not _is_ours(ctx, self.needs_predictions):
            return None
        button = types.Button(label=self.title, icon=self.icon, prompt=True)
        return types.Placement(self.place, button)

    def resolve_input(self, ctx: Any) -> types.Property:
        """Build the form."""
        inputs = types.Object()
        if self.verb in {job.verb for job in jobs.running(ctx.dataset_name)}:
            refuse(
                inputs,
                f"{self.verb} is at work on this dataset: the panel Leg pose shows how far it is, "
                "and stops it.",
            )
        else:
            if self.on_view:
                ctx.target_view()
            self.form(ctx, inputs)
            refuse_wrong_values(inputs, ctx.params)
        view = types.PromptView(label=self.title, submit_button_label=self.submit)
        return types.Property(inputs, view=view)

    def execute(self, ctx: Any) -> Any:
        """Call the verb with progress."""
        return run(ctx, self.verb, lambda report: self.work(ctx, report))

    def work(self, ctx: Any, report: Report | None) -> Outcome:
        """Call the verb, and dress the fields that it has added."""
        outcome = self.call(ctx, self.options(ctx), report)
        written = {ctx.dataset_name, outcome.dataset} - {None}
        for name in sorted(written):
            dress(fo.load_dataset(name))
        return outcome

    def options(self, ctx: Any) -> dict[str, Any]:
        """Read the form: what the user gave, and the form's own defaults for the rest.

        The App keeps what was typed into a section that was closed since. Nobody sees it, so it
        does not count; a call from Python, which says nothing of sections, gives what it means.
        """
        inputs = types.Object()
        self.form(ctx, inputs)
        options = {
            name: entry.default
            for name, entry in inputs.properties.items()
            if not isinstance(entry.type, types.Void)
        }
        given = {name: value for name, value in ctx.params.items() if value is not None}
        if not is_app(ctx):
            self._refuse_unknown(given, inputs)
        if "more" in given:
            given = {name: value for name, value in given.items() if name in inputs.properties}
        options.update(given)
        return options

    def _refuse_unknown(self, given: Iterable[str], inputs: types.Object) -> None:
        """Refuse names that a script has mistyped; they would count as not given."""
        known = {*options_of(self.verb), *inputs.properties, *self.paths, "more"}
        for name in given:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise DatasetError(f"{self.verb} knows no parameter {name!r}.{hint}")

    def __call__(self, collection: Any = None, *, delegate: bool = False, **options: Any) -> Any:
        """Run the operator from Python.

        Parameters
        ----------
        collection
            Dataset or view.
        delegate
            Queue it instead, for ``fiftyone delegated launch``.
        **options
            As the form has them.

        Returns
        -------
        fiftyone.operators.executor.ExecutionResult
            ``.result`` holds headline, facts and notes. In a notebook an `asyncio.Task` of it.
        """
        ctx = {} if collection is None else {"view": collection.view()}
        options |= {name: as_path(options[name]) for name in self.paths if name in options}
        return foo.execute_operator(self.uri, ctx, params=options, request_delegation=delegate)


def refuse(inputs: types.Object, reason: str, name: str = "reason") -> None:
    """Put a reason on the form and keep it from being executed."""
    entry = inputs.view(name, types.Warning(label=reason))
    entry.invalid = True
    entry.error_message = reason


def _is_ours(ctx: Any, needs_predictions: bool) -> bool:
    dataset = ctx.dataset
    if dataset is None or dataset.media_type not in ("video", "image", None):
        return False
    if not needs_predictions:
        return True
    prefix = "frames." if dataset.media_type == "video" else ""
    return any(dataset.get_field(prefix + name) for name in (PREDICTIONS, GROUND_TRUTH))
