"""Former place of `fiftyone_legpose.exports.yolo_pose_dataset`, as scripts of users import it."""

from fiftyone_legpose.exports.yolo_pose_dataset import (
    YOLOPoseDataset,
    YOLOPoseDatasetExporter,
    YOLOPoseDatasetImporter,
)

__all__ = ["YOLOPoseDataset", "YOLOPoseDatasetExporter", "YOLOPoseDatasetImporter"]
