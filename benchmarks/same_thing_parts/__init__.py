"""The parts of `same_thing.py`: what ranks the drawings, and the rows of pictures that show it."""
