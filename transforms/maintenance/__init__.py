"""Upkeep of a table: leases of running jobs, removal of what nobody needs, removal of tracks, facts for a monitor."""
