"""Where the legs are: predicted in the frames of a collection, or in any picture.

- `predict`: the verb; `frames_to_predict`: what is to be done and what is done; `streaming`:
  decode, run, follow, write; `stored_runs`: what predictions were made with; `label_writer`: bulk
  writes.
- `inference`: what a network is asked, which verbs, shell, App and stored runs take from there.
- `runtimes`: a pose model on the fastest runtime there is; `networks`: how each runtime loads and
  starts a network; `raw_poses`: what goes in and comes out.
- `flip_test`, `voting`: what makes the answers better; `tracking`: who is who from frame to frame.
- `annotated_video`: videos with the keypoints drawn in; `zoo_model`: the model in FiftyOne's zoo.
"""
