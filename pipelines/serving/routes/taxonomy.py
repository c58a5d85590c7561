"""The taxonomy: categories, their trees of tags, and single tags."""

import json
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from pipelines.serving.answers import ListAnswer, OneAnswer, answer_json, list_of, one_of
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased
from pipelines.serving.vocabulary import tag_ids, taxonomy_rows_of, trees

routes = APIRouter(prefix="/v1", tags=["taxonomy"])

_CATEGORY = {"category": "mood", "kind": "multilabel", "tags": 59}
_LEAF = {"tag": "mood/calm", "name": "Calm", "threshold": 0.41, "support": 812, "children": []}
_NODE = {"tag": "mood/soft", "name": "Soft", "threshold": 0.38, "support": 1530, "children": [_LEAF]}


@routes.get("/taxonomy", response_model=ListAnswer, responses=list_of(_CATEGORY, paged=False), summary="Categories")
def list_categories(opened: Leased) -> Response:
    """The categories with their kinds and numbers of tags."""
    found: dict[str, dict[str, object]] = {}
    for row in taxonomy_rows_of(opened).values():
        one = found.setdefault(row["category"], {"category": row["category"], "kind": row["kind"], "tags": 0})
        one["tags"] = int(str(one["tags"])) + 1
    return answer_json(opened, list(found.values()))


@routes.get(
    "/taxonomy/{category}", response_model=ListAnswer, responses=list_of(_NODE, 404, paged=False), summary="Tree"
)
def get_tree(
    opened: Leased,
    category: Annotated[str, Path(max_length=256, description="Name of a category.", examples=["mood"])],
) -> Response:
    """The tags of a category as trees: narrower tags are `children`."""
    found = trees(opened, category)
    if not found:
        known = ", ".join(sorted({row["category"] for row in taxonomy_rows_of(opened).values()}))
        raise Declined("not-found", f"no category {category!r}: categories are {known}")
    return answer_json(opened, found)


@routes.get(
    "/tags/{tag:path}",
    response_model=OneAnswer,
    responses=one_of({"tag": "mood/calm", "category": "mood", "name": "Calm", "parents": ["mood/soft"]}, 404),
    summary="One tag",
)
def get_tag(
    opened: Leased,
    tag: Annotated[str, Path(max_length=256, description="Id of a tag, also an earlier one.", examples=["mood/calm"])],
) -> Response:
    """A tag with threshold, calibration, support, metrics and rule. An earlier id that was split names its parts."""
    own = tag_ids(opened).get(tag, [])
    if len(own) != 1:
        what = f"was split into {', '.join(own)}" if own else "is not in the taxonomy: /v1/taxonomy has all tags"
        raise Declined("not-found", f"tag {tag!r} {what}")
    row = taxonomy_rows_of(opened)[own[0]]
    parsed = {name: row[name] and json.loads(row[name]) for name in ("calibration", "metrics", "rule") if name in row}
    return answer_json(opened, row | parsed)
