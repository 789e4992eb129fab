"""Where the legs are: predicted in the frames of a collection, or in any picture.

- `predict`: the verb; `frames_to_predict`: what is to be done and what is done; `streaming`:
  decode, run, follow, write; `stored_runs`: what predictions were made with; `label_writer`: bulk
  writes.
- `inference`: what a network is asked, which verbs, shell, App and stored runs take from there.
- `runtimes`: a pose model on the fastest runtime there is; `networks`: how each runtime loads and
  starts a network; `raw_poses`: what goes in and comes out.
- `looking`: people of any size, in one look or closer; `person_scale`: how large they are, which
  asks for more looks or not; `close_look`: where to look closer, and one answer from all looks;
  `seen`: what `predict` says of it.
- `flip_test`, `voting`: what makes the answers better; `tracking`: who is who from frame to frame.
- `annotated_video`: videos with the keypoints drawn in; `zoo_model`: the model in FiftyOne's zoo.
"""
