"""Which columns get a histogram on the page, and in which order."""

from pipelines.serving.explorer.facets import MOST_HISTOGRAMS, SEARCHED, searched_columns
from transforms.schemas.parameters import PARAMETER_NAMES
from transforms.schemas.tables import TRACKS


def test_what_people_search_by_comes_first_and_details_of_measurements_are_left_out() -> None:
    """All parameters together have more columns of numbers than the page has histograms."""
    columns = {field.name: field.type for field in TRACKS} | {"year": TRACKS.field("sample_rate").type}
    columns |= {f"own_{number}": TRACKS.field("duration_s").type for number in range(9)}
    found = searched_columns(columns)
    assert len(found) == MOST_HISTOGRAMS and found[: len(SEARCHED)] == list(SEARCHED)
    assert found[len(SEARCHED) :] == ["own_0", "own_1", "own_2"]
    assert {"energy", "danceability"} <= set(found) & set(PARAMETER_NAMES)
    assert not {"tempo_confidence", "tuning_cents", "sample_rate"} & set(found)
