"""How good predictions are, joint by joint, and whether new weights beat old ones.

- `evaluate`: the verb; `material`: labels and predictions on the frames that have both;
  `predictions`: how weights make theirs; `trained_frames`: which frames would flatter them.
- `comparison`: matches people and sums up; `metrics`: the measures; `intervals`: bootstrap, and the
  verdict on a change.
- `result`: the numbers, stored and as text; `frame_errors`: how far off each frame is;
  `report`: the HTML page.
"""
