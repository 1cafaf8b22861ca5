"""The composition root: reads the settings and builds one gateway out of its parts."""
