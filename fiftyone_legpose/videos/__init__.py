"""How files come in: videos, folders, pictures.

- ``load``: the verb; ``find_files``: which files are meant; ``subjects``: whom they show
- ``probe``: what a video holds (frame rate, rotation, codec) and whether a browser plays it
- ``playable_copy``: a copy that every browser plays, where the original is none
- ``stills``: pictures of a video, to label
- ``decoding``: frames of a video, one by one; ``encoding``: a video of frames
- ``ffmpeg``: how ffmpeg and ffprobe are run
"""
