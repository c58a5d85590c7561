"""What an OpenAPI document says: operations, their parameters and bodies, and the requests that its examples make."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

Request = dict[str, Any]
"""Arguments of `TestClient.request`."""


class Slot(NamedTuple):
    """A place of a request that takes a text: a parameter, or a field of a JSON or form body.

    Attributes:
      where: `path`, `query`, `header`, or the media type of the body.
      schema: of the value.
    """

    where: str
    name: str
    schema: dict[str, Any]


class Operation:
    """A method of a path."""

    def __init__(self, document: dict[str, Any], path: str, method: str) -> None:
        self.path, self.method, self._document = path, method, document
        self.spec: dict[str, Any] = document["paths"][path][method]
        self.label = f"{method.upper()} {path}"
        self.parameters: list[dict[str, Any]] = self.spec.get("parameters", [])
        self.bodies: dict[str, dict[str, Any]] = self.spec.get("requestBody", {}).get("content", {})

    def schema_of(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema without references."""
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def example_of(self, described: dict[str, Any]) -> Any:
        """The example of a parameter or of a media type; None if there is none."""
        schema = self.schema_of(described.get("schema", {}))
        found = [described.get("example"), *described.get("examples", ()), schema.get("example")]
        return next((one for one in [*found, *schema.get("examples", ())] if one is not None), None)

    def is_documented(self, status: int, kind: str) -> bool:
        """Whether an answer with this status may have this media type."""
        content = self.spec["responses"].get(str(status), {}).get("content", {})
        return str(status) in self.spec["responses"] and (not content or any(_fits(one, kind) for one in content))

    def request(self, values: dict[tuple[str, str], Any] | None = None, body: Any = None) -> Request:
        """The request of the examples of all that is required.

        Args:
          values: (`path`, `query` or `header`, name) -> another value of a parameter.
          body: another JSON body or form.
        """
        given = {(one["in"], one["name"]): self.example_of(one) for one in self.parameters if one.get("required")}
        given |= values or {}
        path = self.path
        for (where, name), value in given.items():
            if where == "path":
                path = path.replace("{" + name + "}", quote(str(value).encode(errors="surrogatepass"), safe=""))
        made: Request = {"method": self.method.upper(), "url": path}
        made["params"] = [
            (name, text)
            for (where, name), value in given.items()
            if where == "query"
            for text in (value if isinstance(value, list) else [value])
        ]
        made["headers"] = {name: value for (where, name), value in given.items() if where == "header"}
        return made | self._body(body)

    def _body(self, body: Any) -> Request:
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            if kind in self.bodies:
                text = json.dumps(self.example_of(self.bodies[kind]) if body is None else body)
                return {"content": text, "headers": {"Content-Type": "application/json"}}
        return {"content": b"no audio" if body is None else body} if self.bodies else {}

    def slots(self) -> Iterator[Slot]:
        """All that takes a text."""
        for one in self.parameters:
            yield Slot(one["in"], one["name"], self.schema_of(one["schema"]))
        content = self.bodies.get("application/json")
        properties = self.schema_of(content["schema"]).get("properties", {}) if content else {}
        for name, schema in properties.items():
            yield Slot("body", name, self.schema_of(schema))

    def filled(self, slot: Slot, text: str) -> Iterator[Request]:
        """Requests with a text in a slot: as it is, and in a list or as a key and a value, as the schema has it."""
        if slot.where != "body":
            yield self.request({(slot.where, slot.name): text})
            return
        example = dict(self.example_of(self.bodies["application/json"]))
        for value in (text, [text], {text: 0.5}, {text: text}, {text: [text]}, {_first_key(example, slot): text}):
            yield self.request(body=example | {slot.name: value})


def _first_key(example: dict[str, Any], slot: Slot) -> str:
    value = example.get(slot.name)
    return next(iter(value), "year") if isinstance(value, dict) else "year"


def _fits(pattern: str, kind: str) -> bool:
    given = kind.partition(";")[0].strip()
    return pattern == given or (pattern.endswith("/*") and given.startswith(pattern[:-1]))


def operations_of(document: dict[str, Any]) -> list[Operation]:
    """All operations of a document."""
    return [Operation(document, path, method) for path, own in document["paths"].items() for method in own]
