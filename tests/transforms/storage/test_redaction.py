"""Secrets in URLs are in no message, and what is no secret stays."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import storage
from transforms.catalog.problems import Problem
from transforms.publishing import receipts
from transforms.publishing.receipts import Receipt
from transforms.storage import redact
from transforms.taxonomy.tag_ids import shown

SECRET = st.text(st.sampled_from("abcXYZ019-._~%+/="), min_size=8, max_size=40).map(lambda text: f"Zq{text}9Zq")
NAMES = [
    *("X-Goog-Signature", "X-Goog-Credential", "x-goog-signature", "X-Amz-Signature", "X-Amz-Security-Token"),
    *("X-Amz-Credential", "Signature", "sig", "SIG", "token", "access_token", "id_token", "api_key", "apikey"),
    *("password", "passwd", "pwd", "client_secret", "AWSAccessKeyId", "GoogleAccessId", "AWS_SECRET_ACCESS_KEY"),
]
AROUND = ["{}", "GET {}: 403", "'{}': no such file", '"{}"', "({})", "see {}, then", "{}.", "url={}", "a {}\nb", "{};"]
URLS = ["https://host/a.mp3", "gs://bucket/a b/c", "http://[::1]:80/x", "/music/a.mp3", "a.mp3", "s3://b/x#y"]


@given(SECRET, st.sampled_from(NAMES), st.sampled_from(URLS), st.sampled_from(AROUND), st.sampled_from("?&"))
def test_secret_parameters_are_hidden(secret: str, name: str, url: str, around: str, mark: str) -> None:
    text = around.format(f"{url}?a=1{mark}{name}={secret}&last=1")
    found = redact(text)
    assert secret not in found and found == text.replace(secret, "***")
    assert redact(found) == found


@given(
    st.text(st.sampled_from("anna.%40-_é"), max_size=8),
    st.text(st.sampled_from("pw:@'\"%/!$"), max_size=12).map(lambda text: f"Zq{text}Zq"),
    st.sampled_from(["https", "gs", "postgresql", "s3", "HTTP", "git+ssh"]),
    st.sampled_from(AROUND),
)
def test_users_and_passwords_are_hidden(user: str, password: str, scheme: str, around: str) -> None:
    text = around.format(f"{scheme}://{user}:{password}@host.org:8080/a.mp3")
    found = redact(text)
    assert "Zq" not in found and "host.org:8080/a.mp3" in found
    assert redact(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "gs://bucket/artist@home/a.mp3: no such object or bucket",
        "https://host:8080/a@b.mp3",
        "--column NAME=COLUMN, track_id=id",
        "design=3 max_tokens=5 tokens=7 sign=1",
        "catalog.csv, row 3 (line 4), column uri: 'a.mp3' is outside of the allowed roots: give --allow-root /music",
        "track_id 'album:1@2' is already used",
        "git@github.com:org/repo",
        "weight '1.5' of tag 'mood/calm': give a number from 0 to 1",
        "basic knowledge, the bearer of authorisation",
        "snapshot 1 of table: catalog 3, tagged 2",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer Zqabc.def",
        "Authorization: Basic ZqYW5uYTpwdw==",
        '{"token": "Zqabc", "client_secret": "Zq x"}',
        "https%3A%2F%2Fanna%3AZqpw%40host%2Fx",
        "?u=https%3A%2F%2Fh%2F%3FX-Goog-Signature%3DZqabc",
        "proxy anna:Zqpw@proxy.local:3128 refused",
        "anna:Zqpw@nas/music/a.mp3",
        "https://Zqtoken@host/x",
        "?sv=2020&se=2026&sig=Zq%2F",
    ],
)
def test_other_spellings(text: str) -> None:
    assert "Zq" not in redact(text) and redact(redact(text)) == redact(text)


SIGNED = "https://anna:Zqpw@host/a.mp3?X-Amz-Signature=Zqsig"


def test_every_maker_of_messages_hides_secrets(tmp_path) -> None:
    error = storage.Unavailable(f"{SIGNED}: 503")
    again = pickle.loads(pickle.dumps(error))
    assert "Zq" not in f"{error} {again} {error!r}" and isinstance(again, storage.Unavailable)
    assert "Zq" not in shown(SIGNED) and "Zq" not in shown({"url": SIGNED})
    assert "Zq" not in str(Problem(file=SIGNED, row=1, column="uri", message=f"bad {SIGNED}"))
    receipts.write(str(tmp_path), "launches/1.json", Receipt(run_id=None, problems=(SIGNED,), refused=SIGNED))
    assert b"Zq" not in (tmp_path / "launches" / "1.json").read_bytes()


def test_a_secret_that_the_cut_would_part_is_hidden() -> None:
    assert "Zq" not in shown(f"https://anna:{'Zq' * 80}@host/x") and "Zq" not in shown(f"https://h/?sig={'Zq' * 500}")


@pytest.mark.parametrize("part", ["//a:", "//a:@", "a-", "token", "x:", "%2f%2f", "'sig':", "bearer ", "a@", "sig='"])
def test_no_text_takes_long(part: str) -> None:
    redact(part * 20_000)


@pytest.mark.parametrize("text", ["https:/anna:p4ssw0rd@host/x", "https:/p4ssw0rd@host/x.whl: no such wheel"])
def test_a_url_that_was_taken_for_a_path_shows_no_user(text: str) -> None:
    assert "p4ssw0rd" not in redact(text)
    assert redact("C:/a@b") == "C:/a@b"
