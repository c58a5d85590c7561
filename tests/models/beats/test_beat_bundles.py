"""`import-model beats`: a network that the project makes itself, others that are none, and running it."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.beats import bundle
from models.beats.bundle import BeatTrial, load_beat_network, read_beat_bundle
from models.beats.network import BeatNetwork, Ends
from models.beats.patterns import RATE_HZ, drum_pattern
from models.beats.trial_child import beats_heard
from models.bundles.trunk_bundle import BundleError
from models.trunks.onnx_file import opset_of
from pipelines.cli import main
from tests.support.beat_networks import DOUBLE, MELS, beat_network
from tests.support.manifests import edit_manifest
from transforms.features.rhythm.beat_input import BeatInput
from transforms.features.rhythm.beat_mels import beat_mels

GIVEN = BeatInput()


@pytest.fixture
def imported(tmp_path):
    """Runs `import-model beats` on a file's bytes; gives exit code and bundle."""

    def run(onnx: bytes, spec: str | None = None, *flags: str) -> tuple[int, str]:
        (tmp_path / "net.onnx").write_bytes(onnx)
        if spec is not None:
            (tmp_path / "spec.yaml").write_text(spec)
            flags = (*flags, "--spec", str(tmp_path / "spec.yaml"))
        url = str(tmp_path / "bundle")
        return main(["import-model", "beats", "--onnx", str(tmp_path / "net.onnx"), "--output", url, *flags]), url

    return run


def test_a_bundle_has_the_network_its_licence_and_a_card(imported, tmp_path, capsys):
    (tmp_path / "licence").write_text("Do what you like.\n")
    words = (
        "--name",
        "own",
        "--licence",
        "CC0-1.0",
        "--origin",
        "made here",
        "--licence-file",
        str(tmp_path / "licence"),
    )
    code, url = imported(beat_network(), "metre_scaling: [0.5, -1]\nfmax: 11000\n", *words, "--json")
    assert code == 0
    found = read_beat_bundle(url)
    assert (found.name, found.licence, found.source, found.opset) == ("own", "CC0-1.0", "made here", 17)
    assert found.given == BeatInput(metre_scaling=(0.5, -1.0))
    assert found.trial == BeatTrial(batch=1, patterns=6, right_tempi=6, right_metres=6, hears_noise=False)
    document = json.loads(capsys.readouterr().out)
    assert (document["beats_id"], document["trial"]["right_tempi"]) == (found.beats_id, 6)
    assert Path(url, "LICENSE.txt").read_text() == "Do what you like.\n"
    card = Path(url, "MODEL_CARD.md").read_text()
    assert "Of 6 patterns of drums in 4/4, it hears the tempo of 6" in card and "Licence: CC0-1.0." in card
    assert main(["describe", url]) == 0
    told = capsys.readouterr().out
    assert "network of beats: own; licence: CC0-1.0" in told and found.beats_id in told
    again, _ = imported(beat_network(), "metre_scaling: [0.5, -1]\nfmax: 11000\n", *words)
    other, _ = imported(beat_network(), None)
    assert (again, other) == (0, 1), "the same bundle may be there, another one is not overwritten"


def test_verify_checks_a_bundle_and_tells_a_changed_network(imported, monkeypatch, capsys):
    monkeypatch.setattr(bundle, "tried", tried_here)
    code, url = imported(beat_network())
    assert (code, main(["verify", url])) == (0, 0)
    assert "no problem" in capsys.readouterr().out
    Path(url, "beats.onnx").write_bytes(beat_network()[:-1])
    assert main(["verify", url]) == 1
    assert "beats.onnx" in "".join(capsys.readouterr())


def tried_here(module, argument, onnx, work):
    """What the child process does, in this one: it starts in a tenth of the time."""
    declared = json.loads(argument)
    return beats_heard(onnx, BeatInput.from_json(declared["input"]), Ends(*declared["ends"]))


@pytest.mark.parametrize(
    ("onnx", "spec", "message"),
    [
        (b"no network", None, "no ONNX file"),
        (beat_network(opset=6), None, "asks for opset 6: export it with opset 7 or a later one"),
        (beat_network(opset=999), None, "cannot run this network of beats"),
        (beat_network(kind=DOUBLE), None, "the input 'spect' is tensor(double): tensor(float) is needed"),
        (beat_network(shape=("n", 1_500, 80)), None, "has shape ['n', 1500, 80], but [n, 1500, 128] is declared"),
        (beat_network(shape=(1, 1_000, MELS)), None, "has shape [1, 1000, 128], but [n, 1500, 128] is declared"),
        (beat_network(shape=(65, 1_500, MELS)), None, "the network takes 65 chunks at once"),
        (beat_network(names=("mel", "beat", "downbeat")), None, "has no input 'spect', but mel: name it in --spec"),
        (beat_network(), "beat: beats", "has no output 'beats', but beat, downbeat: name it in --spec"),
        (beat_network(), "beat: downbeat", "beat='downbeat': the output of downbeats has the same name"),
        (beat_network(), "n_mels: 80", "has shape ['n', 'frames', 128], but [n, 1500, 80] is declared"),
        (beat_network(), "n_mel: 80", "'n_mel' is no field"),
        (beat_network(), "fmax: 12000", "fmax=12000: fmin must be below fmax"),
        (beat_network(), "- 1", "a list instead of fields with values"),
        (beat_network(beat_gain=float("nan")), None, "output for noise and drums is not finite"),
        (beat_network(beat_gain=0.0), None, "the network's logits of beats are all"),
        (beat_network(beat_gain=-2.0), None, "hears the tempo of none of 6 patterns of drums at 72 to 162 bpm"),
        (beat_network(shape=(4, 1_500, MELS), across=True), None, "with the other chunks of its batch"),
    ],
)
def test_networks_that_are_refused(imported, capsys, monkeypatch, onnx, spec, message):
    monkeypatch.setattr(bundle, "tried", tried_here)
    code, url = imported(onnx, spec)
    assert code == 1 and not Path(url).exists()
    assert message in capsys.readouterr().err


def test_files_that_are_not_there(imported, tmp_path, capsys):
    assert imported(beat_network(), None, "--licence-file", str(tmp_path / "none"))[0] == 1
    assert f"--licence-file={tmp_path / 'none'}: no such file" in capsys.readouterr().err


def test_the_opset_is_read_from_the_file():
    assert [opset_of(beat_network(opset=number)) for number in (13, 17)] == [13, 17]
    with pytest.raises(BundleError, match="no ONNX file"):
        opset_of(b"no network")


@pytest.fixture(scope="module")
def excerpts():
    """Excerpts of less than a chunk, of one chunk, of two and of more than one."""
    seconds = ((90.0, 8.0), (120.0, 30.0), (140.0, 60.0), (100.0, 41.0))
    return [beat_mels(drum_pattern(bpm, length)[:, None], RATE_HZ, GIVEN) for bpm, length in seconds]


def test_what_shares_a_batch_changes_no_bit(excerpts):
    assert [len(one) for one in excerpts] == [401, 1_488, 2_976, 2_051]
    ends, found = Ends(), {}
    for name, shape, batch in (
        ("free", ("n", "frames", MELS), 1),
        ("fours", ("n", "frames", MELS), 4),
        ("fixed", (1, 1_500, MELS), 1),
        ("fixed fours", (4, 1_500, MELS), 4),
    ):
        network = BeatNetwork(beat_network(shape, last_axis=batch == 4), GIVEN, ends, batch, parallel=2)
        found[name] = network.logits(excerpts)
        alone = [network.logits([excerpt])[0] for excerpt in reversed(excerpts)][::-1]
        for both in zip(found[name], alone, strict=True):
            for one, other in zip(*both, strict=True):
                np.testing.assert_array_equal(one, other)
        told = network.hear(excerpts)
        assert [one.tempo_bpm for one in told] == pytest.approx([90, 120, 140, 100], rel=0.005)
        assert {one.signature for one in told} == {(4, 4)}
    for name in ("fours", "fixed", "fixed fours"):
        for one, other in zip(found["free"], found[name], strict=True):
            np.testing.assert_allclose(one[0], other[0], atol=1e-4)


def test_chunks_join_without_a_seam(excerpts):
    """This network looks 8 frames around: with a border of 8, chunks give what the whole does."""
    given = BeatInput(chunk_frames=216, border_frames=8)
    network, whole = (BeatNetwork(beat_network(), one, Ends()) for one in (given, BeatInput(chunk_frames=6_000)))
    for chunked, at_once in zip(network.logits(excerpts), whole.logits(excerpts), strict=True):
        for one, other in zip(chunked, at_once, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_changed_bundle_is_refused(imported, monkeypatch):
    monkeypatch.setattr(bundle, "tried", tried_here)
    _, url = imported(beat_network())
    found = read_beat_bundle(url)
    assert load_beat_network(url, found.beats_id) is load_beat_network(url, found.beats_id), "loaded once"
    with pytest.raises(BundleError, match="the run was planned with be-0: run it again"):
        load_beat_network(url, "be-0")
    edit_manifest(Path(url, "bundle.json"), lambda fields: fields.update(beats_id="be-0"))
    with pytest.raises(BundleError, match=f"has beats_id be-0, but this version makes {found.beats_id}"):
        read_beat_bundle(url)
