"""`POST /v1/analysis`: tags, parameters and neighbours of a file that is not in the catalog."""

import dataclasses
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from pipelines.serving.analysing import Analyser, Analysis
from pipelines.serving.answers import OneAnswer, answer_json, one_of
from pipelines.serving.finding.searching import find_nearest, space_of
from pipelines.serving.problems import Declined
from pipelines.serving.requests import Leased, Service, service_of, turn_of
from pipelines.serving.routes.discovery import titled
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from transforms.features.extract import Features

routes = APIRouter(prefix="/v1", tags=["analysis"])

_PARAMETERS = {"duration_s": 214.5, "sample_rate": 44100, "channels": 2, "format": "mp3", "decoded_fraction": 1.0}
_TAG = {"category": "mood", "tag": "mood/calm", "name": "Calm", "rank": 1, "score": 0.91, "is_positive": True}
_FOUND = {
    "parameters": {**_PARAMETERS, "damage": None},
    "tags": [{**_TAG, "source": "model"}],
    "neighbours": [{"track_id": "track-0001", "title": "Slow River", "similarity": 0.934512}],
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "required": ["file"], "properties": {"file": _BYTES["schema"]}}}
_BODY = {
    "required": True,
    "description": "The bytes of the file, or a form with one file.",
    "content": {"application/octet-stream": _BYTES, "audio/*": _BYTES, "multipart/form-data": _FORM},
}


@routes.post(
    "/analysis",
    response_model=OneAnswer,
    responses=one_of(_FOUND, 408, 413, 422, 501),
    openapi_extra={"requestBody": _BODY},
    summary="Analyse a file",
)
async def analyse_upload(
    request: Request,
    opened: Leased,
    neighbours: Annotated[int, Query(ge=0, le=100, description="Number of similar tracks.", examples=[20])] = 20,
) -> Response:
    """Tags, parameters and similar tracks of an audio file. It is decoded in a sandbox, and nothing of it is kept."""
    service = service_of(request)
    if (analyser := service.analyser) is None:
        raise Declined("not-offered", "this service analyses no files: start it with --model BUNDLE")
    bundle = analyser.bundle
    if bundle.embedding_id not in opened.reader.manifest.run.embedding_ids:
        detail = f"snapshot {opened.number} has another embedding than the bundle of this service: start it again"
        raise Declined("not-offered", detail)
    async with turn_of(analyser.turns, service.settings.waiting_s):
        features = await analyser.features(await _uploaded(request))
    found = await run_in_threadpool(_answer, service, analyser, opened, features, neighbours)
    return answer_json(opened, found)


async def _uploaded(request: Request) -> bytes:
    """The bytes of the file.

    Raises:
      Problem: there is no file, or more than one.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await request.body()
    try:
        async with request.form(max_files=1, max_fields=4) as form:
            files = [value for value in form.values() if isinstance(value, UploadFile)]
            if len(files) != 1:
                raise Declined("bad-request", "the form has no file: send one file in the field `file`")
            return await files[0].read()
    except (MultiPartException, HTTPException) as error:
        raise Declined("bad-request", f"the form cannot be read: {error}") from error


def _answer(service: Service, analyser: Analyser, opened: OpenSnapshot, features: Features, neighbours: int) -> JsonRow:
    analysis = analyser.analysis(features)
    near = _neighbours(service, analyser, opened, analysis, neighbours) if neighbours else []
    tags = analyser.tag_rows(analysis)
    ids = {"tagger_id": analyser.bundle.tagger_id, "embedding_id": analyser.bundle.embedding_id}
    return {"parameters": dataclasses.asdict(analysis.facts), "tags": tags, "neighbours": near, **ids}


def _neighbours(
    service: Service, analyser: Analyser, opened: OpenSnapshot, analysis: Analysis, limit: int
) -> list[JsonRow]:
    bundle, seconds = analyser.bundle, service.settings.query_s
    space = space_of(opened, bundle.embedding_id)
    place = bundle.taxonomy.index
    scores = [[analysis.scores[place[tag]] if tag in place else 0.0 for tag in space.tags]]
    query = space.vectors(analysis.embedding[None, :], np.array(scores, np.float32))
    found = find_nearest(opened, query, bundle.embedding_id, limit, seconds, {})[0]
    titles = titled(opened, list(found.track_ids))
    pairs = zip(found.track_ids, found.similarities, strict=True)
    return [{**titles[one], "similarity": float(str(similarity))} for one, similarity in pairs]
