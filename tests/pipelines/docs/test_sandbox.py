"""`docs/reference/sandbox.md` says what the kernel enforces."""

from pathlib import Path

from pipelines.docs.sandbox import sandbox_page
from transforms.extraction.seccomp import ALLOWED_CALLS


def test_sandbox_md_is_the_list() -> None:
    path = Path(__file__).parents[3] / "docs" / "reference" / "sandbox.md"
    assert path.read_text(encoding="utf-8") == sandbox_page(), "run `make docs`"


def test_every_call_is_in_it_with_its_reason() -> None:
    page = sandbox_page()
    assert all(f"| `{call.name}` | {call.condition} | {call.reason} |" in page for call in ALLOWED_CALLS)
