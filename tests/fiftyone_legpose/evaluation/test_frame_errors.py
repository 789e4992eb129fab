import numpy as np

from fiftyone_legpose.evaluation import metrics
from fiftyone_legpose.evaluation.comparison import compare
from fiftyone_legpose.evaluation.frame_errors import frame_errors


def test_a_missed_person_makes_the_worst_frame():
    points = np.random.default_rng(0).uniform(0, 300, (2, 10, 2))
    some = metrics.Persons(
        np.array([0, 1]), points, np.full((2, 10), 2), np.ones((2, 10)), np.ones(2)
    )
    first = metrics.Persons(
        np.array([0]), points[:1], np.full((1, 10), 2), np.ones((1, 10)), np.ones(1)
    )
    assert frame_errors(compare(some, first), 3).tolist() == [0, 1, 0]
    assert frame_errors(compare(first, some), 3).tolist() == [0, 1, 0]
