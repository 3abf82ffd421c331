"""Questions as values: generators of plans that know no store and no driver."""
