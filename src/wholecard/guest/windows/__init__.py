"""What a Windows guest gets: user data for cloudbase-init, and cloudbase-init's own settings."""
