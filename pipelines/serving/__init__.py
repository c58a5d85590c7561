"""The service over a published table: one web application, read-only."""
