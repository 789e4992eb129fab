import importlib
import sys

import pytest

from fiftyone_legpose.former_places import FORMER


@pytest.mark.parametrize("name", FORMER)
def test_a_module_of_before_is_found_in_its_new_places(name):
    sys.modules.pop(f"fiftyone_legpose.{name}", None)
    with pytest.warns(DeprecationWarning, match=f"fiftyone_legpose.{name} is now "):
        former = importlib.import_module(f"fiftyone_legpose.{name}")
    for place in FORMER[name]:
        home = importlib.import_module(f"fiftyone_legpose.{place}")
        public = [one for one in vars(home) if not one.startswith("_")]
        assert getattr(former, public[-1]) is not None
    with pytest.raises(AttributeError, match="has no attribute 'never_was'"):
        _ = former.never_was


def test_what_scripts_name_is_the_very_thing():
    from fiftyone_legpose.still_names import StillNames

    from fiftyone_legpose import poses
    from fiftyone_legpose.dataset.keypoint_labels import declare
    from fiftyone_legpose.dataset.pose_table import read_poses

    assert (poses.declare, poses.read_poses) == (declare, read_poses)
    assert StillNames.__module__ == "fiftyone_legpose.cvat.still_names"
