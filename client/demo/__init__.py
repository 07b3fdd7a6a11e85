"""The demonstration's last part: a gallery is stored, held-out offers are matched and shown."""
