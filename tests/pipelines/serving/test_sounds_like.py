"""`POST /v1/search` with a text about sound: the answers of `search --sounds-like`."""

import concurrent.futures
import json

import pytest

from models.texts.network import TextEmbedder
from pipelines.cli import main
from pipelines.terminal.errors import UsageError
from tests.pipelines.test_search_by_text import folder  # noqa: F401 - the pair of networks with its tables
from tests.support.service import service


@pytest.fixture(scope="module")
def asked(folder):  # noqa: F811
    with service(str(folder / "table"), text_model=str(folder / "text")) as client:
        yield client


def command(capsys, folder, *words):  # noqa: F811
    capsys.readouterr()
    assert main(["search", str(folder / "table"), "--text-model", str(folder / "text"), "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", ["text", "text and tag", "text and range"])
def test_order_scores_and_reasons_are_those_of_the_command(asked, folder, capsys, kind):  # noqa: F811
    category = asked.get("/v1/taxonomy").json()["data"][0]["category"]
    tag = asked.get(f"/v1/taxonomy/{category}").json()["data"][0]["tag"]
    given, words = {
        "text": ({}, []),
        "text and tag": ({"weights": {tag: 0.5}}, ["--tag", f"{tag}=0.5"]),
        "text and range": ({"ranges": {"duration": "102..108"}}, ["--range", "duration=102..108"]),
    }[kind]
    expected = command(capsys, folder, "--sounds-like", "bright hiss", "--limit", "20", *words)
    found = asked.post("/v1/search", json={"sounds_like": "bright hiss", **given}).json()
    assert [row["track_id"] for row in found["data"]] == [row["track_id"] for row in expected["tracks"]] != []
    assert [row["score"] for row in found["data"]] == [row["score"] for row in expected["tracks"]]
    names = ("tag", "weight", "score", "value")
    for row, other in zip(found["data"], expected["tracks"], strict=True):
        assert [[one[n] for n in names] for one in row["why"]] == [[one[n] for n in names] for one in other["tags"]]
    assert found["sounds_like"] == expected["sounds_like"]
    assert found["scored_by"] == expected["score"]


def test_a_text_is_embedded_once_also_for_clients_side_by_side(folder, monkeypatch):  # noqa: F811
    embedded, embed = [], TextEmbedder.embed
    monkeypatch.setattr(TextEmbedder, "embed", lambda self, text: embedded.append(text) or embed(self, text))
    with service(str(folder / "table"), text_model=str(folder / "text")) as client:
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            texts = ["low hum", "bright hiss"] * 4
            found = list(threads.map(lambda text: client.post("/v1/search", json={"sounds_like": text}).json(), texts))
        assert sorted(embedded) == ["bright hiss", "low hum"]
        assert all(one == found[n % 2] for n, one in enumerate(found))
        metrics = client.get("/metrics").text
    counts = [float(metrics.partition(f'texts_total{{kept="{kept}"}} ')[2].split()[0]) for kept in ("yes", "no")]
    assert sum(counts) == 8 and counts[1] >= 2


@pytest.mark.parametrize("text", ["", "x" * 501, "kazoo", 7])
def test_a_text_that_cannot_be_read_is_refused(asked, text):
    answer = asked.post("/v1/search", json={"sounds_like": text})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "sounds_like" in answer.text


def test_without_a_text_model_the_answer_says_what_to_do(folder):  # noqa: F811
    with service(str(folder / "table")) as client:
        answer = client.post("/v1/search", json={"sounds_like": "low hum"})
    assert answer.status_code == 422 and "--text-model BUNDLE" in answer.json()["detail"]
    assert answer.json()["type"] == "urn:catalog-tagger:problem:no-text-model"


def test_a_table_of_another_trunk_is_refused_at_the_start(folder, served):  # noqa: F811
    with (
        pytest.raises(UsageError, match=r"--text-model .* belongs to trunk"),
        service(served, text_model=str(folder / "text")),
    ):
        pass
