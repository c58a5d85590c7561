"""Names made from content."""

from collections import Counter

from transforms.formats.hashing import bucket_of, combine, digest, json_bytes, sha256_hex, short_id


def test_digest_frames_its_parts() -> None:
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("é") == digest("é".encode())


def test_values_are_fixed_for_ever() -> None:
    assert bucket_of("track-1", 1000) == 68
    assert short_id("run", "a", "b") == "run-cf6ab613e3942391"
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_buckets_are_even() -> None:
    counts = Counter(bucket_of(f"t{i}", 10) for i in range(10_000))
    assert min(counts.values()) > 900 and max(counts.values()) < 1100


def test_combine_ignores_order_and_json_is_canonical() -> None:
    assert combine(["a", "b"]) == combine(["b", "a"]) != combine(["a"])
    assert json_bytes({"b": 1, "a": "é"}) == '{\n  "a": "é",\n  "b": 1\n}\n'.encode()
