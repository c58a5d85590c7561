"""Forms of flag values, and checks, that several launchers share."""

import re
from typing import NamedTuple


class FlagForm(NamedTuple):
    """The pattern that the whole value of a flag must match, and the advice for a value that does not match."""

    pattern: str
    advice: str


PROJECT = FlagForm(r"[a-z]([-a-z0-9:.]*[a-z0-9])?", "give a project id")
REGION = FlagForm(r"[a-z]+-[a-z]+[0-9]+", "give a region such as europe-west4")
IMAGE = FlagForm(r"[a-z0-9][a-z0-9._/:@-]*", "give an image name, e.g. registry/catalog-tagger:0.1.0")
MACHINE_TYPE = FlagForm(r"[a-z0-9]+(-[a-z0-9]+)+", "give a machine type such as n2-standard-4")
ACCOUNT = FlagForm(r"[^@\s]+@[^@\s]+", "give the e-mail address of a service account")
ADDRESS = FlagForm(r"[^:\s]+:[0-9]{1,5}", "give HOST:PORT")


def check_form(flag: str, value: str, form: FlagForm) -> None:
    """Checks the value of a flag, e.g. `check_form("--region", "europe-west4", REGION)`.

    Raises:
      ValueError: the value does not have the form.
    """
    if not re.fullmatch(form.pattern, value):
        raise ValueError(f"{flag}={value}: {form.advice}")


def check_given(**values: object) -> None:
    """Checks that flags are given; `values` are their values by name.

    Raises:
      ValueError: one is missing.
    """
    if missing := [f"--{name}" for name, value in values.items() if value is None]:
        raise ValueError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")


def check_not_given(runner: str, **values: object) -> None:
    """Checks that flags which have no effect on a runner are not given; `values` are their values by name.

    Raises:
      ValueError: one is given.
    """
    if given := [f"--{name}" for name, value in values.items() if value is not None]:
        raise ValueError(f"{given[0]} is not an option of {runner}: leave it out")
