"""Images: from a folder or an archive to decoded arrays."""
