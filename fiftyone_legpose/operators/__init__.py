"""Which buttons the App has: one file per verb, without logic.

``verb`` is what all share, ``forms`` holds inputs that several have; ``running`` and ``worker`` run
a verb in a process of its own, with progress.
"""

from fiftyone_legpose.operators.deidentify import Deidentify
from fiftyone_legpose.operators.evaluate import Evaluate
from fiftyone_legpose.operators.export import Export
from fiftyone_legpose.operators.gait import Gait
from fiftyone_legpose.operators.import_labels import ImportLabels
from fiftyone_legpose.operators.load import Load
from fiftyone_legpose.operators.loop import Loop
from fiftyone_legpose.operators.predict import Predict
from fiftyone_legpose.operators.pull import Pull
from fiftyone_legpose.operators.push import Push
from fiftyone_legpose.operators.select import Select
from fiftyone_legpose.operators.smooth import Smooth
from fiftyone_legpose.operators.status import Status
from fiftyone_legpose.operators.train import Train

OPERATORS = (
    Load,
    Predict,
    Select,
    Push,
    Status,
    Pull,
    ImportLabels,
    Train,
    Evaluate,
    Smooth,
    Gait,
    Export,
    Deidentify,
    Loop,
)
"""Every operator, in the order of the loop."""
