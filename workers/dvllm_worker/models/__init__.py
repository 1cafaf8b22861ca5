"""Model directories on this disk, and the engines that serve them."""
