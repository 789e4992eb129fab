"""How keypoints leave for other programs, and footage for other people.

- ``trajectories``: the verb export
- ``deidentify``: the verb; ``waist``: where full-body footage is cut
- ``yolo_pose_dataset``: YOLO-pose folders as a dataset type of FiftyOne
"""
