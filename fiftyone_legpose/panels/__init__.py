"""What people look at in the FiftyOne App."""

from fiftyone_legpose.panels.leg_pose import LegPose
from fiftyone_legpose.panels.show_panel import ShowPanel

PANELS = (LegPose, ShowPanel)
"""Every panel, and the operator that shows it."""
