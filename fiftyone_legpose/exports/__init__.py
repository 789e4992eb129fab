"""How keypoints leave for other programs.

- ``trajectories``: the verb export
- ``yolo_pose_dataset``: YOLO-pose folders as a dataset type of FiftyOne
"""
