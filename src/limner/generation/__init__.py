"""Generation: functions of a model, a prompt and random numbers."""
