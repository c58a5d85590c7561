"""The work of each command; `pipelines/<command>.py` declares its flags."""
