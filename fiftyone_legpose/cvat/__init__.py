"""How skeletons of any field travel to CVAT and back, as a FiftyOne annotation backend.

Nothing here knows legs, or what a review is: `fiftyone_legpose.review` builds on it.

- ``backend``: sends a run and loads it again; ``announce``: tells FiftyOne of it
- ``run``: what one run has sent: frames, people, tasks; ``results``: a run as FiftyOne stores it
- ``outgoing``: frames on their way out, named neutrally; ``stills``: their pictures, looked at
- ``returned``: what came back, from a server or a file; ``label_files``: files of CVAT, read alike
- ``still_names``: which frame a still of some name shows
- ``login``: which server, and as whom
"""
