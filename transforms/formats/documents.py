"""Parses JSON and YAML of any origin: what is parsed stays in proportion to the text, and has few levels."""

import functools
import json
from typing import Any

DOCUMENT_LEVELS = 32
"""Levels of objects and lists."""

JSON_BYTES = 128 << 20
"""Bytes of a JSON document."""

JSON_NODES = 8_000_000
"""Values of a JSON document."""

YAML_BYTES = 16 << 20
"""Bytes of a YAML document."""

YAML_NODES = 500_000
"""Values of a YAML document. An alias counts as all values that it stands for."""


class DocumentError(ValueError):
    """The document exceeds a limit, or is no YAML."""


def parse_json(text: str | bytes, *, nan_is_null: bool = False) -> Any:
    """The value of a JSON text.

    Args:
      text: the text.
      nan_is_null: whether NaN and infinity, which JSON does not allow, become null.

    Raises:
      DocumentError: the text exceeds a limit.
      ValueError: the text is no JSON.
    """
    if len(text) > JSON_BYTES:
        raise DocumentError(f"{len(text)} bytes, at most {JSON_BYTES} are read")
    opened = _count(text, "[") + _count(text, "{")
    if opened + _count(text, ",") > JSON_NODES:
        raise DocumentError(f"more than {JSON_NODES} values")
    try:
        value = json.loads(text, parse_constant=(lambda _: None) if nan_is_null else None)
    except RecursionError as error:
        raise DocumentError(f"more than {DOCUMENT_LEVELS} levels of objects and lists") from error
    if opened > DOCUMENT_LEVELS and _levels_exceed(value, DOCUMENT_LEVELS):
        raise DocumentError(f"more than {DOCUMENT_LEVELS} levels of objects and lists")
    return value


def _count(text: str | bytes, mark: str) -> int:
    return text.count(mark) if isinstance(text, str) else text.count(mark.encode())


def _levels_exceed(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def parse_yaml(data: bytes) -> Any:
    """The value of a YAML (or JSON) document without repeated keys, of which plain YAML silently keeps the last one.

    Raises:
      DocumentError: the text is no YAML, or exceeds a limit.
    """
    import yaml

    if len(data) > YAML_BYTES:
        raise DocumentError(f"{len(data)} bytes, at most {YAML_BYTES} are read")
    try:
        return yaml.load(data, Loader=_strict_loader())
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        # PyYAML's constructors of numbers, dates and truth values expect texts of the right form.
        text = " ".join(str(error).split())
        raise DocumentError(text if len(text) <= 500 else f"{text[:497]}...") from error


@functools.cache
def _strict_loader() -> Any:
    """A safe YAML loader that refuses repeated keys, deep nesting, and aliases that stand for too many values."""
    import yaml

    class Strict(yaml.SafeLoader):
        """See above."""

        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            self._level = self._nodes = 0
            self._sizes: dict[int, int] = {}

        def compose_node(self, parent: Any, index: Any) -> Any:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            is_alias = self.check_event(yaml.AliasEvent)
            self._level += 1
            if self._level > DOCUMENT_LEVELS:
                raise yaml.composer.ComposerError(None, None, f"more than {DOCUMENT_LEVELS} levels", mark)
            before = self._nodes
            node = super().compose_node(parent, index)
            if is_alias and id(node) not in self._sizes:
                raise yaml.composer.ComposerError(None, None, "an alias of what contains it", mark)
            self._nodes += self._sizes[id(node)] if is_alias else 1
            self._sizes[id(node)] = self._nodes - before
            if self._nodes > YAML_NODES:
                raise yaml.composer.ComposerError(None, None, f"more than {YAML_NODES} values", mark)
            self._level -= 1
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) < len(keys):
                repeated = next(key for key in keys if keys.count(key) > 1)
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {repeated[:60]!r} is repeated", node.start_mark
                )
            return super().construct_mapping(node, deep)

    return Strict
