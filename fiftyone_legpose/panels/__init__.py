"""What people look at in the FiftyOne App."""

from fiftyone_legpose.panels.leg_pose import LegPose

PANELS = (LegPose,)
"""Every panel."""
