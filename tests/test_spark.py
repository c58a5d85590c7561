"""The printed PySpark statements in a real Spark, where one is installed."""

import pytest

from tests.support.published import fake_bundle, publish_table
from transforms.table.reader import open_snapshot
from transforms.table.sql import spark_statements


@pytest.mark.long
def test_spark_reads_what_is_printed(tmp_path):
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 12)
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    exec(spark_statements(open_snapshot(str(tmp_path / "table"))), {"spark": spark})
    counts = {name: spark.table(name).count() for name in ("tracks", "track_tags", "ledger", "taxonomy")}
    columns = spark.table("tracks").columns
    spark.stop()
    assert counts == {"tracks": 12, "track_tags": 12 * 33, "ledger": 14, "taxonomy": 33}
    assert "bucket" not in columns and "run" not in columns
