"""The verbs as operators of the FiftyOne App: one file a verb, no logic."""

from fiftyone_legpose.operators.predict import Predict

OPERATORS = (Predict,)
"""Every operator, in the order of the loop."""
