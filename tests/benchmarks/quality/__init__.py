"""Trains and evaluates every task of the quality table from the data folder alone."""
