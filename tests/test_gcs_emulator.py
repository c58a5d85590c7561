"""The emulator is as strict as the service where this project, or Beam, leans on it."""

import pytest
from google.api_core.exceptions import PreconditionFailed


@pytest.fixture
def bucket(gcs: str):
    from transforms.storage.gcs_client import client

    return client().bucket(gcs.removeprefix("gs://"))


def test_deletes_bound_to_a_generation(bucket) -> None:
    blob = bucket.blob("a b/c")
    blob.upload_from_string(b"x")
    with pytest.raises(PreconditionFailed):
        blob.delete(if_generation_match=1)
    blob.delete(if_generation_match=blob.generation)
    assert not blob.exists()


def test_reads_bound_to_a_generation(bucket) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    with pytest.raises(PreconditionFailed):
        blob.download_as_bytes(if_generation_match=1)
    assert blob.download_as_bytes(if_generation_match=blob.generation) == b"x"


@pytest.mark.parametrize("copy", [False, True])
def test_copies_bound_to_a_free_name(bucket, copy: bool) -> None:
    source, taken = bucket.blob("source"), bucket.blob("taken")
    source.upload_from_string(b"new")
    taken.upload_from_string(b"old")
    with pytest.raises(PreconditionFailed):
        if copy:
            bucket.copy_blob(source, bucket, "taken", if_generation_match=0)
        else:
            taken.rewrite(source, if_generation_match=0)
    assert taken.download_as_bytes() == b"old"


def test_compositions_bound_to_a_free_name(bucket) -> None:
    source, taken = bucket.blob("source"), bucket.blob("taken")
    source.upload_from_string(b"new")
    taken.upload_from_string(b"old")
    with pytest.raises(PreconditionFailed):
        bucket.blob("taken").compose([source], if_generation_match=0)


def test_batches_are_answered_part_by_part(bucket) -> None:
    for name in "ab":
        bucket.blob(name).upload_from_string(b"x")
    with bucket.client.batch():
        bucket.delete_blob("a")
        bucket.delete_blob("b")
    assert list(bucket.list_blobs()) == []
