"""The proof on any cloud: servers boot, their guests report, the cards come free again."""
