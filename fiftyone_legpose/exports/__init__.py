"""How keypoints and gait leave for other programs, and footage for other people.

- ``export``: the verb, which finds the format by the file's ending
- ``trajectories`` (CSV, Parquet), ``coco_keypoints``, ``wide``, ``gait_tables``, ``deeplabcut``,
  ``trc``, ``mot``, ``c3d``: a format each, which its docstring describes
- ``people``: people with clean paths, one by one
- ``deidentify``: the verb; ``waist``: where full-body footage is cut
- ``yolo_pose_dataset``: YOLO-pose folders as a dataset type of FiftyOne
"""
