"""How a person corrects frames: push, status, pull, and labels from elsewhere.

- ``push``, ``status``, ``pull``, ``labels_import``: the verbs
- ``backend``: a push as an annotation run; ``runs``: which pushes there are and which are open
- ``guide``: what the reviewer is told in CVAT
- ``handover``: a push as a file that a person carries to CVAT
- ``corrections``: what a reviewer changed; ``pull_summary``: what a pull brought
- ``lost_frames``: frames that cannot come back
- ``label_sources``: exports, backups and tasks of others, read alike
"""
