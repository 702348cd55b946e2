"""The parts of `loss_speed.py`: what is measured, and the processes that it is measured in."""
