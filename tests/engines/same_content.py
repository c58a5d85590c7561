"""What any engine must publish: the rows of the local runner."""

from pathlib import Path

from tests.support.world import World, other_bundle, tag, tag_other


def check_same_content(world: World, folder: Path, *flags: str) -> None:
    """Tags with a bundle on the engine that the flags name, with another from what that run left, and compares both."""
    other, table, second = other_bundle(world, folder), folder / "engine", folder / "engine-also"
    first = tag(world, table, "--chunk-tracks=4", "--also", str(other.bundle), str(second), *flags)
    also = tag_other(world, other, second)
    assert first.run.counts["decoded"] > also.run.counts["decoded"] == 0
    assert first.run.content_hash == tag(world, folder / "local").run.content_hash
    assert also.run.content_hash == tag_other(world, other, folder / "local-also").run.content_hash
