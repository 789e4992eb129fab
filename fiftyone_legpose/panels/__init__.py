"""What people look at in the FiftyOne App."""

PANELS = ()
