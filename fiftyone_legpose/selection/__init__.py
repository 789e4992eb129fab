"""Which frames deserve a person's minutes.

- ``select``: the verb
- ``review_score``: how signals add up to one number and its reasons, with their weights
- ``signals``: what looks wrong, each signal by itself
- ``strategies``: which of many scored frames to take
- ``mirror_disagreement``: where the model sees something else in the mirrored picture
"""
