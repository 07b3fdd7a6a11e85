"""The generated catalogue: an assortment of invented products, worded and drawn."""
