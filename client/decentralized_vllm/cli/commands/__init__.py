"""One command per file. What a command needs beyond click is imported when it runs."""
