"""What a pose is, and how two of them are compared.

Pure functions on arrays of points; nothing here knows FiftyOne, a model or CVAT.

- ``geometry``: leg length, area, object keypoint similarity (OKS), left/right pairs
- ``matching``: which person of one answer is which of another
- ``side_swaps``: left and right exchanged, found by motion
- ``drawing``: skeletons drawn into a picture
"""
