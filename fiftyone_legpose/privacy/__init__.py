"""What may leave the house, and what is hidden before it does.

It knows neither CVAT nor what predicts, so that every way out can call it.

- ``modes``: what a hand-over does about stills that show more than legs, and how that is said
- ``faces``: finds the faces of a picture, without a network
- ``gate``: decides of one still whether it may leave and what of it is hidden; arrays alone
- ``masks``: rectangles that somebody drew in the App, black in all that leaves
- ``stills``: looks at stills before they leave; the error that names those which do not
- ``pictures``: copies of picture files without metadata
- ``refusals``: what the last push refused, for whoever decides what to do
- ``audit``: the log of what left
"""
