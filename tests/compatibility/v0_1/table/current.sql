-- Snapshot 2 of /tmp/tmpd_ped_63/table, content hash bd0ac37070d6472fce498fc08b8dae433a07038a80e3c430b5a3c39539c89599
CREATE OR REPLACE VIEW tracks AS SELECT * FROM read_parquet([
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0000/tracks-0d4118f0698cc9cc.parquet',
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0001/tracks-6d51e5402afa1436.parquet'
], hive_partitioning = false);
CREATE OR REPLACE VIEW track_tags AS SELECT * FROM read_parquet([
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0000/track_tags-583c84d515156b35.parquet',
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0001/track_tags-2298f3a9b7ebc81f.parquet'
], hive_partitioning = false);
CREATE OR REPLACE VIEW embeddings AS SELECT * FROM read_parquet([
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0000/embeddings-a6fb140ed85d3216.parquet',
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0001/embeddings-ebb503143ef8c194.parquet'
], hive_partitioning = false);
CREATE OR REPLACE VIEW ledger AS SELECT * FROM read_parquet([
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0000/ledger-ae8358e0615c1f35.parquet',
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/bucket=0001/ledger-970e7c373845f45c.parquet'
], hive_partitioning = false);
CREATE OR REPLACE VIEW taxonomy AS SELECT * FROM read_parquet([
  '/tmp/tmpd_ped_63/table/data/run=run-bc4b638a93691a78/taxonomy-0db7a30f5b601248.parquet'
], hive_partitioning = false);
