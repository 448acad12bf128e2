"""Small migration tasks between the frameworks, each with a check of the answer."""
