"""Pictures: folders, colours, resizing, the cache, patches drawn from it, and degradations."""
