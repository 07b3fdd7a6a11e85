"""Access: who may call what, over which transport, and the record of what they changed."""
