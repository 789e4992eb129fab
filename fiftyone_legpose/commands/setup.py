"""demo, doctor and the plugin: the first steps."""

from pathlib import Path
from typing import Annotated

import typer

from fiftyone_legpose.commands.common import say

app = typer.Typer()
plugin_app = typer.Typer(help="The plugin in the FiftyOne App.", no_args_is_help=True)
app.add_typer(plugin_app, name="plugin")


@app.command("demo")
def demo_command(
    open_app: Annotated[
        bool, typer.Option("--app/--no-app", help="Open the App at the end if there is a screen.")
    ] = True,
    out: Annotated[Path, typer.Option(help="Folder for the files it writes.")] = Path("demo"),
) -> None:
    """Go once around the loop with the sample clip, up to the hand-over file for CVAT."""
    from fiftyone_legpose.demo import run_demo

    run_demo(out, open_app=open_app)


@app.command("doctor")
def doctor_command() -> None:
    """Check what is installed and say how to mend what is missing."""
    from fiftyone_legpose.doctor import examine

    findings = examine()
    marks = {True: ("ok  ", "green"), False: ("FAIL", "red"), None: ("-   ", "yellow")}
    for finding in findings:
        mark, color = marks[finding.good]
        typer.secho(mark, fg=color, nl=False)
        say(f" {finding.name}: {finding.detail}")
        if finding.remedy:
            say(f"       {finding.remedy}")
    if any(finding.good is False for finding in findings):
        raise typer.Exit(1)


@plugin_app.command("install")
def plugin_install_command() -> None:
    """Link this package into FiftyOne's plugins folder, so that the App has its buttons."""
    from fiftyone_legpose.plugin_install import install

    say(f"Installed at {install()}. Restart the App, or reload its page.")
