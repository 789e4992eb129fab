"""Where each point of the legs was, over time.

- ``smooth``: the verb; ``clean``: one clean path of a track, put together of
- ``outliers``, ``gaps``, ``lowpass``, ``anchors``: pure functions of arrays
- ``observed``: what was predicted and corrected of each track; ``corrected_tracks``: which track a
  corrected person belongs to
- ``paths``: both as arrays; ``path_labels``: clean paths in FiftyOne and back

docs/gait.md defines the words.
"""
