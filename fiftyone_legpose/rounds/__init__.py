"""Where a dataset stands, and what comes next.

- ``standing``: frames by state, the next step, the rounds of a loop
- ``verdict``: which version of the weights is better
- ``loop``: the verb that does what can be done now
"""
