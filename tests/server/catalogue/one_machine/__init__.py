"""Tests of server/catalogue/one_machine/."""
