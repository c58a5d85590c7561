"""Tests of networks of beats."""
