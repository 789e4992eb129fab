"""How keypoints, boxes and reviews stand in a FiftyOne dataset.

- ``fields``: the names of all fields and review states
- ``frames``: "video or image?": paths, ids, selecting and writing many at once
- ``keypoint_labels``: poses as labels and back; ``pose_table``: those of a collection as arrays
- ``frame_review``: where each frame is between select, push and pull
- ``frame_times``: when each frame of a video was taken
- ``pictures``: how a picture lies, and the size that it is shown with
- ``groups``: which subject and video a sample belongs to
- ``spacing``: frames that keep apart in time
- ``checks``: refuses what no verb can work on
- ``writing_lock``: one writer at a time; ``database``: which MongoDB answers
- ``appearance``: colours and order of fields in the App; ``file_names``: names that users know
"""
