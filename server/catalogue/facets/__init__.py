"""What filters ask of products, in memory."""
