"""What may leave the house, and what is hidden before it does.

faces
    Find the faces of a picture, without a network.
gate
    Decide of one still whether it may leave and which parts of it are hidden; arrays alone.
"""
