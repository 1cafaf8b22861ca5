"""What a node does with a job: watch → admit → fetch → generate → publish → submit."""
