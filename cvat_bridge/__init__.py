"""Skeletons in CVAT for any keypoint model: labels, poses, tasks, exports and backups."""
