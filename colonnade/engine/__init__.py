"""Floor 2: how it is kept. The waist, the operations above it, the stores below it."""
