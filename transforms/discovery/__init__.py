"""Finding music in a published snapshot: functions without Beam and TensorFlow, usable from Python."""
