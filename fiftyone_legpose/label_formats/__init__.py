"""In which files do people keep keypoints? Each is read into a `LabelFile`.

`read` tells formats apart; `coco`, `label_studio`, `deeplabcut` and `sleap` each know one; exports
and backups of CVAT, and what ultralytics trains on, `fiftyone_legpose.cvat.label_files` reads.
"""
