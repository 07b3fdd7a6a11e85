"""The encoder, whoever runs it: its contract, its embeddings, and the models behind them."""
