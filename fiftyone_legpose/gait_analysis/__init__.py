"""How the person walks: bouts, events, strides, parameters, angles, metres.

- ``gait``: the verb; ``person``: the gait of one track, put together of
- ``motion``, ``bouts``, ``events``, ``strides``, ``summary``, ``angles``, ``scale``: pure functions
  of arrays
- ``event_labels``: phases on the video's timeline; ``event_edits``: what a person changed there
- ``record``: what a dataset keeps

docs/gait.md defines the words.
"""
