"""The explorer: a page for people over the service, the answers that it asks for, and its copy as a static folder."""
