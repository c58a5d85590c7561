"""The work of each command, behind the flags that `pipelines/<command>.py` declares."""
