"""Where an operator's orders are carried out: the node's tokens, its profile and its lists."""
