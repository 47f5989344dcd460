"""One file a published claim; each says its command, time, expected numbers and tolerance."""
