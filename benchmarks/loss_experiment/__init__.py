"""The parts of `losses.py`: one dual encoder, trained with each ranking loss."""
