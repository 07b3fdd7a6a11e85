"""The matching service as a model that any KServe client asks: `product_matcher`."""
